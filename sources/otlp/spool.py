"""Rows on their way: columns collected in memory, written to Arrow files in a temporary folder, read back table by table.

One file may hold every signal, and the lake takes one table at a time: the spool keeps memory flat between the two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from warehouse.lake.unit import REJECT_SCHEMA

LABELS = pa.map_(pa.string(), pa.string())
TIME = pa.timestamp("us")
FLUSH_ROWS = 65_536
LABELLED_ROWS = 8_192
RECORD_CHARACTERS = 10_000

SERIES = pa.schema(
    [
        ("series_id", pa.uint64()),
        ("metric_name", pa.string()),
        ("labels", LABELS),
        ("kind", pa.string()),
        ("unit", pa.string()),
        ("original_unit", pa.string()),
        ("unit_scale", pa.float64()),
        ("temporality", pa.string()),
        ("is_monotonic", pa.bool_()),
        ("description", pa.string()),
    ]
)
POINTS = pa.schema([("series_id", pa.uint64()), ("time", TIME), ("value", pa.float64())])
HISTOGRAMS = pa.schema(
    [
        ("series_id", pa.uint64()),
        ("time", TIME),
        ("count", pa.uint64()),
        ("sum", pa.float64()),
        ("min", pa.float64()),
        ("max", pa.float64()),
        ("bounds", pa.list_(pa.float64())),
        ("bucket_counts", pa.list_(pa.uint64())),
        ("scale", pa.int32()),
        ("zero_count", pa.uint64()),
        ("zero_threshold", pa.float64()),
        ("positive_offset", pa.int32()),
        ("positive_counts", pa.list_(pa.uint64())),
        ("negative_offset", pa.int32()),
        ("negative_counts", pa.list_(pa.uint64())),
    ]
)
EVENT = pa.struct([("time_unix_nano", pa.int64()), ("name", pa.string()), ("attributes", LABELS)])
LINK = pa.struct([("trace_id", pa.string()), ("span_id", pa.string()), ("trace_state", pa.string()), ("attributes", LABELS)])
SPANS = pa.schema(
    [
        ("trace_id", pa.string()),
        ("span_id", pa.string()),
        ("parent_span_id", pa.string()),
        ("service", pa.string()),
        ("name", pa.string()),
        ("kind", pa.string()),
        ("time", TIME),
        ("time_unix_nano", pa.int64()),
        ("duration_ns", pa.int64()),
        ("status_code", pa.string()),
        ("status_message", pa.string()),
        ("trace_state", pa.string()),
        ("scope_name", pa.string()),
        ("scope_version", pa.string()),
        ("resource_attributes", LABELS),
        ("attributes", LABELS),
        ("events", pa.list_(EVENT)),
        ("links", pa.list_(LINK)),
    ]
)
LOGS = pa.schema(
    [
        ("log_id", pa.string()),
        ("time", TIME),
        ("time_unix_nano", pa.int64()),
        ("observed_time_unix_nano", pa.int64()),
        ("service", pa.string()),
        ("severity", pa.string()),
        ("severity_text", pa.string()),
        ("severity_number", pa.int32()),
        ("body", pa.string()),
        ("trace_id", pa.string()),
        ("span_id", pa.string()),
        ("event_name", pa.string()),
        ("scope_name", pa.string()),
        ("resource_attributes", LABELS),
        ("attributes", LABELS),
    ]
)


class Spool:
    """Rows of one schema: appended by row or by column, held as Python lists up to FLUSH_ROWS, then written to one Arrow file."""

    def __init__(self, folder: Path, name: str, schema: pa.Schema) -> None:
        self._path = folder / f"{name}.arrow"
        self._schema = schema
        self._columns: list[list[Any]] = [[] for _ in schema]
        self._arrays: list[tuple[Any, ...]] = []
        self._in_arrays = 0
        self._writer: Any = None
        self.rows = 0

    def append(self, row: Sequence[Any]) -> None:
        """One row, in the order of the schema."""
        for column, value in zip(self._columns, row, strict=True):
            column.append(value)
        self.rows += 1

    def extend(self, *columns: Iterable[Any]) -> None:
        """Several rows as columns of equal length, in the order of the schema."""
        before = len(self._columns[0])
        for column, values in zip(self._columns, columns, strict=True):
            column.extend(values)
        self.rows += len(self._columns[0]) - before

    def extend_arrays(self, *columns: Any) -> None:
        """Several rows as arrays of equal length, in the order of the schema."""
        self._arrays.append(columns)
        self._in_arrays += len(columns[0])
        self.rows += len(columns[0])

    def flush(self, *, at_least: int = 1) -> None:
        """Write what is held when it is at least so many rows."""
        import numpy as np

        if self._in_arrays >= at_least:
            self._write([np.concatenate(chunks) for chunks in zip(*self._arrays, strict=True)])
            self._arrays.clear()
            self._in_arrays = 0
        if len(self._columns[0]) >= at_least:
            self._write(self._columns)
            for column in self._columns:
                column.clear()

    def _write(self, columns: Sequence[Any]) -> None:
        arrays = [_array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
        if self._writer is None:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writer = pa.ipc.new_stream(str(self._path), self._schema, options=options)
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))

    def close(self) -> None:
        """Write the rest; nothing is appended after this."""
        self.flush()
        if self._writer is not None:
            self._writer.close()

    def reader(self) -> pa.RecordBatchReader:
        """All rows, once per call; only after `close`."""
        if self._writer is None:
            return pa.RecordBatchReader.from_batches(self._schema, iter(()))
        return pa.ipc.open_stream(pa.OSFile(str(self._path)))


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    """Times come as nanoseconds and are cut to microseconds; everything else as it is."""
    import numpy as np

    if kind == TIME:
        return pa.array(np.asarray(values, dtype=np.int64) // 1000, type=kind)
    if kind == pa.float64() and isinstance(values, list) and None not in values:
        values = np.array(values, dtype=np.float64)
    return pa.array(values, type=kind)


class Rejects:
    """Records that could not become rows, per table."""

    def __init__(self, folder: Path, origin: str) -> None:
        self._folder, self._origin = folder, origin
        self.tables: dict[str, Spool] = {}

    def add(self, table: str, reason: str, line: int | None, record: str) -> None:
        """Keep one record with its reason."""
        spool = self.tables.get(table)
        if spool is None:
            spool = self.tables[table] = Spool(self._folder, f"rejects-{len(self.tables)}", REJECT_SCHEMA)
        spool.append((reason, self._origin, line, record[:RECORD_CHARACTERS]))
        spool.flush(at_least=1000)
