"""Serialising commits: one file lock for a SQLite catalog, advisory locks per table for PostgreSQL."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from warehouse.errors import LakeError

LOCK_TIMEOUT_S = 900.0


@contextmanager
def file_lock(catalog: Path, *, timeout: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Inter-process lock beside the catalog file, released by the system when its holder dies."""
    try:
        with FileLock(f"{catalog}.lock", timeout=timeout):
            yield
    except Timeout:
        raise LakeError(f"another process has held the write lock {catalog}.lock for {timeout:.0f} s; is a run stuck?") from None


@contextmanager
def advisory_locks(dsn: str, names: Sequence[str], *, timeout: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """PostgreSQL advisory locks on names, taken in one order (no deadlock), held until the block ends."""
    import psycopg

    keys = sorted({int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True) for name in names})
    try:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"SET lock_timeout = {int(timeout * 1000)}")
            for key in keys:
                connection.execute("SELECT pg_advisory_lock(%s)", (key,))
            yield
    except psycopg.errors.LockNotAvailable:
        raise LakeError(f"other writers have held the locks of {', '.join(names)} for {timeout:.0f} s") from None
    except psycopg.OperationalError as error:
        raise LakeError(f"the PostgreSQL catalog cannot be reached: {type(error).__name__}") from None
