"""A transaction on the lake, inside the lock of the tables that it changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import duckdb

from warehouse.lake.lock import Held


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection, held: Held, message: str, *, author: str = "lakebed") -> Iterator[None]:
    """Commit what the block does as one snapshot with a message, or nothing of it. held: of the lock, asked just before the COMMIT."""
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("CALL lake.set_commit_message(?, ?)", [author, message])
        held()
        connection.execute("COMMIT")
    except BaseException:
        rollback(connection)
        raise


def rollback(connection: duckdb.DuckDBPyConnection) -> None:
    """End the open transaction, if there is one, without effect; also when the catalog's server is gone, and with it the transaction."""
    with suppress(duckdb.Error):
        connection.execute("ROLLBACK")
