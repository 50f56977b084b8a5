"""Settled rollups: the contract's own columns, each in its smallest encoding, in pages that hold a whole row group.

A rollup is kept far longer than its samples and written anew once, so the strongest compression is worth its time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from warehouse.tiers.encoding.writing import TrialFiles, chunks

ORDER = "source, series_id, time"
ROW_GROUP_ROWS = 524_288


def encode(rows: pa.RecordBatchReader, new_path: Callable[[], Path]) -> list[Path]:
    """Write one day of a rollup of samples, ordered by ORDER and without `day`; returns the files.

    All columns are written, those that are NULL in every row, too: the tables have no optional columns. Memory is that of a row group,
    which has at most 524,288 rows and about 64 MiB."""
    files = TrialFiles(new_path, statistics=("source", "series_id", "time"), few_rows=0)
    try:
        for chunk in chunks(rows, ROW_GROUP_ROWS):
            files.write(chunk)
    finally:
        files.close()
    return files.paths
