"""Spans in files that are half the size of a column store's: ids as bytes, a span's own beside its parent's.

Random ids are what a trace costs, so none stands twice: sorted by trace, a parent's id is the copy of one a few rows above, which zstd
finds because both stand in one column. Ids of other shapes stay text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from warehouse.contracts.encodings import SHIFT
from warehouse.tiers.encoding.writing import DenseFile

ORDER = "source, min(time) OVER (PARTITION BY source, trace_id), trace_id, time, span_id"
TRACE_ID, SPAN_ID, NO_PARENT = "[0-9a-f]{32}", "[0-9a-f]{16}", "0" * 16

_TRACE_FITS = f"regexp_full_match(trace_id, '{TRACE_ID}')"
_SPAN_FITS = (
    f"(regexp_full_match(span_id, '{SPAN_ID}') AND (parent_span_id IS NULL OR "
    f"(regexp_full_match(parent_span_id, '{SPAN_ID}') AND parent_span_id <> '{NO_PARENT}')))"
)
_TIME_FITS = "epoch_us(time) = time_unix_nano // 1000 AND time_unix_nano >= 0"
_DURATION_FITS = f"duration_ns < {2**50}"

STORED = {
    "trace_id": f"CASE WHEN NOT {_TRACE_FITS} THEN trace_id END",
    "span_id": f"CASE WHEN NOT {_SPAN_FITS} THEN span_id END",
    "parent_span_id": f"CASE WHEN NOT {_SPAN_FITS} THEN parent_span_id END",
    "time_unix_nano": f"CASE WHEN NOT ({_TIME_FITS}) THEN time_unix_nano END",
    "duration_ns": f"CASE WHEN NOT ({_DURATION_FITS}) THEN duration_ns END",
    "trace_id_bytes": f"CASE WHEN {_TRACE_FITS} THEN unhex(trace_id) END",
    "span_ids": f"CASE WHEN {_SPAN_FITS} THEN unhex(span_id || coalesce(parent_span_id, '{NO_PARENT}')) END",
    "time_rest_ns": f"CASE WHEN {_TIME_FITS} THEN (time_unix_nano % 1000)::SMALLINT END",
    "duration_shifted": f"CASE WHEN {_DURATION_FITS} THEN duration_ns::DOUBLE + {SHIFT:.0f}::DOUBLE END",
}
"""Stored column -> expression over the contract's columns."""

ENCODINGS = {"time": "PLAIN", "trace_id_bytes": "PLAIN", "span_ids": "PLAIN", "duration_shifted": "BYTE_STREAM_SPLIT"}
BYTES = {"trace_id_bytes": pa.binary(16), "span_ids": pa.binary(16)}


def encode(rows: pa.RecordBatchReader, new_path: Callable[[], Path]) -> list[Path]:
    """Spans with the columns of `STORED` made, in order of `ORDER` and without `day`, into dense Parquet files."""
    file = DenseFile(new_path)
    for batch in rows:
        table = pa.table(
            {
                name: column.cast(BYTES[name]) if name in BYTES else column
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            }
        )
        file.write(table, {n: e for n, e in ENCODINGS.items() if n in table.column_names})
    return file.close()
