"""Serialising commits: one file lock for a SQLite catalog, advisory locks per table for PostgreSQL. And knowing who writes files that no
snapshot knows yet: locks, and no ages alone, say that a file is a dead writer's, because clocks are set back and on."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from filelock import FileLock, Timeout

from warehouse.errors import LakeError

if TYPE_CHECKING:
    import psycopg

LOCK_TIMEOUT_S = 900.0

Held = Callable[[], None]
"""Raises LakeError when a lock was lost, with the connection or the server that it hung on."""


@contextmanager
def file_lock(catalog: Path, *, timeout: float = LOCK_TIMEOUT_S) -> Iterator[Held]:
    """Inter-process lock beside the catalog file, released by the system when its holder dies."""
    try:
        with FileLock(f"{catalog}.lock", timeout=timeout):
            yield lambda: None
    except Timeout:
        raise LakeError(f"another process has held the write lock {catalog}.lock for {timeout:.0f} s; is a run stuck?") from None


@contextmanager
def advisory_locks(dsn: str, names: Sequence[str], *, shared: Sequence[str] = (), timeout: float = LOCK_TIMEOUT_S) -> Iterator[Held]:
    """PostgreSQL advisory locks on names, taken in one order (no deadlock), held until the block ends; after them `shared` ones.

    What DuckDB says in the block becomes a LakeError without the DSN when the server or the connection to it is gone."""
    from psycopg.errors import LockNotAvailable

    with _connected(dsn) as connection:
        try:
            connection.execute(f"SET lock_timeout = {int(timeout * 1000)}")
            for key in sorted(map(_key, names)):
                connection.execute("SELECT pg_advisory_lock(%s)", (key,))
            for name in shared:
                connection.execute("SELECT pg_advisory_lock_shared(%s)", (_key(name),))
        except LockNotAvailable:
            raise LakeError(f"other writers have held the locks of {', '.join(names)} for {timeout:.0f} s") from None
        try:
            yield lambda: _refuse_lost(connection)
        except duckdb.Error as error:
            if _answers(connection) and not (dsn and dsn in str(error)):  # an empty DSN: libpq's environment
                raise
            raise LakeError(
                "the PostgreSQL catalog went away; what was being committed is there as a whole or not at all. "
                "Run it again: nothing is doubled"
            ) from None


@contextmanager
def file_presence(catalog: Path) -> Iterator[None]:
    """A lock that any number of writers hold while files of theirs lie about that no snapshot knows yet."""
    with Path(f"{catalog}.staging").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def file_absence(catalog: Path) -> Iterator[bool]:
    """Whether nobody is present; if so, nobody is until the block ends."""
    with Path(f"{catalog}.staging").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def advisory_presence(dsn: str, name: str) -> Iterator[None]:
    """As `file_presence`, for writers on any machine."""
    with _connected(dsn) as connection:
        connection.execute("SELECT pg_advisory_lock_shared(%s)", (_key(name),))
        yield


@contextmanager
def advisory_absence(dsn: str, name: str) -> Iterator[bool]:
    """As `file_absence`."""
    with _connected(dsn) as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_key(name),)).fetchone()
        yield bool(row and row[0])


@contextmanager
def _connected(dsn: str) -> Iterator[psycopg.Connection]:
    """A connection of its own, whose end is the end of its locks. Raises LakeError when the server is not there."""
    import psycopg

    try:
        connection = psycopg.connect(dsn, autocommit=True)
    except psycopg.OperationalError as error:
        raise LakeError(f"the PostgreSQL catalog cannot be reached: {type(error).__name__}") from None
    try:
        yield connection
    except psycopg.OperationalError as error:
        raise LakeError(f"the PostgreSQL catalog went away: {type(error).__name__}") from None
    finally:
        with suppress(psycopg.Error):
            connection.close()


def _answers(connection: psycopg.Connection) -> bool:
    from psycopg import Error

    try:
        connection.execute("SELECT 1")
    except Error:
        return False
    return True


def _refuse_lost(connection: psycopg.Connection) -> None:
    if not _answers(connection):
        raise LakeError("the connection to the PostgreSQL catalog that held the lock was lost; nothing was committed. Run it again")


def _key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
