"""Work in pieces of a fixed size, on as many threads as there are processors: what comes out is the same on one as on many.

Threads, because the time of a fleet goes into large numpy arrays, which do not hold the interpreter, and because processes
would need a guarded main module of everyone who calls.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

PIECE: Final = 500
"""Series of one piece, which bounds memory."""


def in_pieces(work: Callable[[slice], T], size: int) -> Sequence[T]:
    """What `work` gives for each slice of `PIECE` of `size` series, in order; what one raises is raised."""
    pieces = [slice(first, min(size, first + PIECE)) for first in range(0, size, PIECE)]
    workers = min(len(pieces), len(os.sched_getaffinity(0)))
    if workers < 2:
        return [work(piece) for piece in pieces]
    with ThreadPoolExecutor(workers, thread_name_prefix="forecast") as pool:
        return list(pool.map(work, pieces))
