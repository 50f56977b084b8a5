"""Whole-process measurements: wall time and peak memory of a process tree."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

SAMPLE_S = 0.2


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds from start to end, and the largest sum of resident memory over the process and its children, in MiB."""

    seconds: float
    peak_mib: float
    output: str


def tree_mib(process: psutil.Process) -> float:
    """Resident memory of a process and everything below it, in MiB."""
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


class Peak:
    """Samples the memory of a process tree until the block ends."""

    def __init__(self, pid: int | None = None) -> None:
        self.process = psutil.Process(pid)
        self.mib = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._end.wait(SAMPLE_S):
            try:
                self.mib = max(self.mib, tree_mib(self.process))
            except psutil.NoSuchProcess:
                return


def measure(command: Sequence[str]) -> Measured:
    """Run a command to its end. Raises RuntimeError with what it printed when it fails."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with Peak(process.pid) as peak:
        output, errors = process.communicate()
    if process.returncode not in (0, 3):
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{errors[-3000:]}")
    return Measured(time.monotonic() - started, peak.mib, output)
