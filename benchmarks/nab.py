"""The scorer of the Numenta Anomaly Benchmark, standard profile: what alarms in a labelled file are worth.

Source: Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms - the Numenta Anomaly Benchmark", ICMLA 2015, section II,
and the benchmark's own definition of positions at the edges of a window. Does not belong here: detectors, reports."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

FALSE_POSITIVE, MISSED = 0.11, 1.0
"""Weights of the standard profile, where a window found at its first row counts 1."""
PROBATION, MOST_PROBATION = 0.15, 750
FAR = 3.0
"""Widths of a window behind it from where on a false alarm counts in full."""


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """A file of the benchmark: rows (time, value) in the file's order, and the first and last row of every labelled window."""

    name: str
    rows: pl.DataFrame
    windows: tuple[tuple[int, int], ...]

    @property
    def probation(self) -> int:
        """Rows at the beginning that are not judged."""
        return min(int(PROBATION * self.rows.height), MOST_PROBATION)

    def window_of(self) -> npt.NDArray[np.int64]:
        """The window of each row, -1 outside."""
        inside = np.full(self.rows.height, -1)
        for k, (first, last) in enumerate(self.windows):
            inside[first : last + 1] = k
        return inside


def read_files(folder: Path) -> list[LabelledFile]:
    """Every labelled file of the benchmark's folder (data/, labels/combined_windows.json), in order of name."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text())
    return [_read(folder, name, windows) for name, windows in sorted(labels.items())]


def _read(folder: Path, name: str, windows: list[list[str]]) -> LabelledFile:
    rows = pl.read_csv(folder / "data" / name).select(
        time=pl.col("timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us"), value=pl.col("value").cast(pl.Float64)
    )
    first_row = rows.with_row_index("row").group_by("time").agg(pl.col("row").min())
    edges = pl.DataFrame({"time": [edge for window in windows for edge in window]}, schema={"time": pl.String})
    found = edges.with_columns(pl.col("time").str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us")).join(
        first_row, on="time", how="left", maintain_order="left"
    )["row"]
    return LabelledFile(name, rows, tuple(zip(found[::2].to_list(), found[1::2].to_list(), strict=True)))


def credits(file: LabelledFile) -> Floats:
    """What an alarm at each row counts: in a window 1 at its first row, falling to 0; outside down to -`FALSE_POSITIVE`."""
    row = np.arange(file.rows.height)
    worth = np.full(row.size, -FALSE_POSITIVE)
    for first, last in file.windows:
        width = last - first + 1
        past = (row - last) / max(width - 1, 1)
        behind = (row > last) & (past < FAR)
        worth[row > last] = -FALSE_POSITIVE
        worth[behind] = FALSE_POSITIVE * _sigmoid(past[behind])
        inside = slice(first, last + 1)
        worth[inside] = _sigmoid((row[inside] - last - 1) / width) / _sigmoid(np.array(-1.0))
    return worth


def raw_score(file: LabelledFile, alarms: Booleans) -> float:
    """What the alarms are worth; alarms: (rows,) in the file's order.

    Of the alarms in a window the best one counts, a window without any costs `MISSED`, and every alarm outside counts."""
    judged = alarms & (np.arange(alarms.size) >= file.probation)
    worth, window = credits(file), file.window_of()
    found = np.full(len(file.windows), -MISSED)
    inside = judged & (window >= 0)
    np.maximum.at(found, window[inside], worth[inside])
    return float(found.sum() + worth[judged & (window < 0)].sum())


def normalised(raw: float, windows: int) -> float:
    """The raw score on a scale where 0 is a detector without alarms and 100 one that finds each window at its first row."""
    nothing = -MISSED * windows
    return 100.0 * (raw - nothing) / (windows - nothing)


def _sigmoid(position: Floats) -> Floats:
    """2 / (1 + e^5x) - 1: positive before the right edge of a window, negative behind it."""
    return np.asarray(2.0 / (1.0 + np.exp(5.0 * position)) - 1.0, np.float64)
