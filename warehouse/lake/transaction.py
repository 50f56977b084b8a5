"""A transaction on the lake, inside the lock of the tables that it changes, whose files outlive an answer that is lost.

When a COMMIT fails, DuckLake deletes the files that it wrote in the transaction. Where PostgreSQL committed and only its answer was lost,
the lake then names files that are gone. They are held open over the COMMIT, and those that went are written again: what is the lake's is
there, and what is not is swept as an orphan."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from uuid import uuid4

import duckdb

from warehouse.contracts import CONTRACTS
from warehouse.lake.lock import Held

if TYPE_CHECKING:
    from warehouse.lake.lake import Lake

LOGS = ("store.meta_ingest_log", "store.meta_day_state", "store.meta_retention_plans")
WRITTEN = "ducklake-*.parquet"  # in the folder of a table; in those of its days only where DuckLake writes rows, and not staging
BY_DAY = {c.storage_name for c in CONTRACTS.values() if c.has_day and c.shape in ("entity", "snapshot")}


@contextmanager
def transaction(lake: Lake, tables: Collection[str], held: Held, message: str, *, author: str = "lakebed") -> Iterator[None]:
    """Commit what the block does as one snapshot with a message, or nothing of it.

    tables: where it lets DuckLake write, by storage name, beside the logs of every commit. held: of the lock, asked before the COMMIT."""
    written = Written(lake, tables)
    lake.connection.execute("BEGIN")
    try:
        yield
        lake.connection.execute("CALL lake.set_commit_message(?, ?)", [author, message])
        held()
        written.commit()
    except BaseException:
        rollback(lake.connection)
        raise


class Written:
    """Files that come into the folders of tables from now on, DuckLake's and, in those of logs, other writers'; none where the answer to a
    COMMIT cannot be lost."""

    def __init__(self, lake: Lake, tables: Collection[str]) -> None:
        self._connection = lake.connection
        careful = lake.catalog.kind == "postgres" and lake.data_folder is not None
        names = {*tables, *LOGS} if careful else set()
        self._patterns = [(Path(lake.folder(n)), p) for n in names for p in (WRITTEN, *([f"day=*/{WRITTEN}"] if n in BY_DAY else []))]
        self._before = self._listing()

    def commit(self) -> None:
        """COMMIT, and have the files back when that fails; not when it was refused, for then none is the lake's."""
        with ExitStack() as stack:
            kept = []
            for path in self._listing() - self._before:
                with suppress(FileNotFoundError):  # of another writer, whose COMMIT was refused
                    kept.append((path, stack.enter_context(path.open("rb"))))
            try:
                self._connection.execute("COMMIT")
            except BaseException as error:
                rollback(self._connection)
                if not refused(error):
                    for path, content in kept:
                        with suppress(OSError):  # what is told is why the COMMIT failed
                            _write_again(path, content)
                raise

    def _listing(self) -> set[Path]:
        return {path for folder, pattern in self._patterns for path in folder.glob(pattern)}


def _write_again(path: Path, content: BinaryIO) -> None:
    """Put a file that is gone back in its place. Several processes may do so at once, and what one that dies leaves is an orphan."""
    if path.exists():
        return
    building = path.with_name(f"again-{uuid4()}.parquet")
    with building.open("wb") as file:
        while chunk := content.read(1 << 20):
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    building.replace(path)


def refused(error: BaseException) -> bool:
    """Whether a COMMIT failed because of another; one that failed otherwise may be done all the same."""
    return isinstance(error, duckdb.TransactionException) and "conflict" in str(error).lower()


def rollback(connection: duckdb.DuckDBPyConnection) -> None:
    """End the open transaction, if there is one, without effect; also when the catalog's server is gone, and with it the transaction."""
    with suppress(duckdb.Error):
        connection.execute("ROLLBACK")
