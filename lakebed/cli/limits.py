"""Bounds on this process that hold whatever a query does: memory that the database does not count, and calculations it cannot interrupt."""

from __future__ import annotations

import os
import re
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from warehouse.sizes import bytes_of

BESIDE_BYTES = 2**30
GRACE_S = 5.0
FAILED = 1


@contextmanager
def bounded_memory(memory_limit: str) -> Iterator[None]:
    """Let this process allocate no more than `memory_limit` and 1 GiB beside what it has: a query that wants more fails, alone.

    DuckDB's own limit does not count the vectors of list and text functions."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    present = int(re.search(r"VmData:\s+(\d+) kB", status).group(1)) * 1024  # type: ignore[union-attr]
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bounds = [limit for limit in (before, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([present + bytes_of(memory_limit) + BESIDE_BYTES, *bounds]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


@contextmanager
def hard_stop(timeout_s: float, last_words: Callable[[], None]) -> Iterator[None]:
    """End the process, after `last_words`, when the block still runs 5 s after its time is up: a single call cannot be interrupted."""

    def end() -> None:
        last_words()
        sys.stderr.write(f"error: the query could not be stopped after {timeout_s:g} s; the process ends\n")
        sys.stderr.flush()
        os._exit(FAILED)

    timer = threading.Timer(timeout_s + GRACE_S, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
