"""Arrow tables to few dense Parquet files: page checksums, large pages, and each column's encoding chosen by trial on its first rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.tiers.encoding.writing import leaves

CHUNK_BYTES = 64 * 2**20
MAX_FILE_BYTES = 512 * 2**20
TRIAL_ROWS = 65_536
GUESS_LEVEL, TRIAL_LEVEL, TEXT_TRIAL_LEVEL = 3, 6, 12
"""At 6 a dictionary wins for texts that lie plainly in less space at 19 (Apache's access log: 1.4% of the file)."""
FEW_ROWS, FEW_ROWS_LEVEL = 8_192, 9
"""In fewer rows a better encoding, or a stronger compression, saves less than it costs."""
MAX_OPEN = 8
MOSTLY = 0.9
"""A column that is NULL in more of the rows takes any encoding."""
PAGES: dict[str, Any] = {
    "compression": "zstd",
    "data_page_size": 64 * 2**20,
    "dictionary_pagesize_limit": 64 * 2**20,
    "store_schema": False,
    "write_page_checksum": True,
}
"""PyArrow cuts pages at 1 MiB and 20,000 rows, and gives dictionaries up at 1 MiB, unless it is told otherwise."""


def chunks(rows: pa.RecordBatchReader, most_rows: int) -> Iterator[pa.Table]:
    """Rows in tables for one row group each, of at most `most_rows` rows and about 64 MiB."""
    held: list[pa.RecordBatch] = []
    count = size = 0
    for arrived in rows:
        batch = arrived
        while batch.num_rows:
            take = min(batch.num_rows, most_rows - count)
            held.append(batch.slice(0, take))
            count, size, batch = count + take, size + held[-1].nbytes, batch.slice(take)
            if count == most_rows or size >= CHUNK_BYTES:
                yield pa.Table.from_batches(held)
                held, count, size = [], 0, 0
    if held:
        yield pa.Table.from_batches(held)


@dataclass(slots=True)
class _File:
    """An open file: what its row groups have in common."""

    path: Path
    schema: pa.Schema
    encodings: dict[str, str]
    writer: pq.ParquetWriter

    def takes(self, schema: pa.Schema, encodings: dict[str, str]) -> bool:
        """Whether a table fits as it is best written, and the file is not full."""
        held = {field.name: field.type for field in self.schema}
        return (
            all(held.get(f.name) == f.type or _finer(held.get(f.name), f.type) for f in schema)
            and all(self.encodings[name] == encoding for name, encoding in encodings.items())
            and self.path.stat().st_size < MAX_FILE_BYTES
        )


class DenseFiles:
    """Writes each table as one row group, to a file whose columns have the encodings that are best for it.

    new_path: gives the path of a new file. level: of zstd. statistics: columns whose least and greatest values are kept, for pruning.
    few_rows: in fewer, neither a better encoding is looked for nor a strong compression used.
    Files are at most about 512 MiB; at most MAX_OPEN are open at a time, beyond that the oldest is finished."""

    def __init__(self, new_path: Callable[[], Path], *, level: int, statistics: Collection[str], few_rows: int = FEW_ROWS) -> None:
        self._new_path, self._level, self._statistics, self._few_rows = new_path, level, list(statistics), few_rows
        self._open: list[_File] = []
        self.paths: list[Path] = []

    def write(self, table: pa.Table) -> None:
        """Append a row group."""
        sample = table.slice(0, TRIAL_ROWS)
        encodings = {name: _smallest(sample.select([name]), self._few_rows) for name in sample.column_names}
        weighty = {name: e for name, e in encodings.items() if table.column(name).null_count < table.num_rows * MOSTLY}
        file = next((f for f in self._open if f.takes(table.schema, weighty)), None) or self._begin(table, encodings)
        file.writer.write_table(_widened(table, file.schema), row_group_size=max(table.num_rows, 1))

    def close(self) -> list[Path]:
        """Finish all files; returns their paths."""
        while self._open:
            self._open.pop().writer.close()
        return self.paths

    def _begin(self, table: pa.Table, encodings: dict[str, str]) -> _File:
        schema = table.schema
        if len(self._open) == MAX_OPEN:
            self._open.pop(0).writer.close()
        self.paths.append(self._new_path())
        special = {name: encoding for name, encoding in encodings.items() if encoding}
        writer = pq.ParquetWriter(
            self.paths[-1],
            schema,
            compression_level=self._level if table.num_rows >= self._few_rows else FEW_ROWS_LEVEL,
            max_rows_per_page=2**31 - 1,
            use_dictionary=[leaf for f in schema if f.name not in special for leaf in leaves(f.name, f.type)],
            column_encoding=special or None,
            write_statistics=self._statistics,
            **PAGES,
        )
        self._open.append(_File(self.paths[-1], schema, encodings, writer))
        return self._open[-1]


def _finer(held: pa.DataType | None, new: pa.DataType) -> bool:
    """Whether a column of times in us takes those in ms."""
    return bool(held == pa.timestamp("us") and new == pa.timestamp("ms"))


def _widened(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns of the schema, NULL where it has none."""
    names = set(table.column_names)
    return pa.table(
        [table.column(f.name).cast(f.type) if f.name in names else pa.nulls(table.num_rows, f.type) for f in schema], schema=schema
    )


def trial_size(table: pa.Table) -> int:
    """Bytes of a table in dictionaries or, where that is smaller, plain: a quick guess for choosing between layouts."""
    return sum(min(_trial(table.select([n]), GUESS_LEVEL, use_dictionary=d) for d in (True, False)) for n in table.column_names)


def smallest(*columns: pa.Array) -> int:
    """Which of several forms of one column takes least space, each in its best encoding."""
    if len(columns[0]) < FEW_ROWS:
        return 0
    sizes = [min(_sizes(pa.table({"c": c.slice(0, TRIAL_ROWS)})).values()) for c in columns]
    return sizes.index(min(sizes))


def _smallest(column: pa.Table, few_rows: int) -> str:
    """The encoding that makes a column smallest; empty: a dictionary."""
    if column.column(0).null_count == column.num_rows:
        return ""
    if column.num_rows < few_rows:
        return _usual(column.schema.field(0).type)
    sizes = _sizes(column)
    return min(sizes, key=sizes.__getitem__)


def _usual(kind: pa.DataType) -> str:
    """The encoding that mostly is the smallest for values of a type; empty: a dictionary."""
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        return "DELTA_BINARY_PACKED"
    return "PLAIN" if kind == pa.uuid() else "BYTE_STREAM_SPLIT" if pa.types.is_floating(kind) else ""


def _sizes(column: pa.Table) -> dict[str, int]:
    name, kind, level = column.column_names[0], column.schema.field(0).type, TRIAL_LEVEL
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        candidates = ["PLAIN", "DELTA_BINARY_PACKED"]
    elif pa.types.is_string(kind):
        candidates, level = ["PLAIN", "DELTA_LENGTH_BYTE_ARRAY"], TEXT_TRIAL_LEVEL
    elif kind == pa.uuid():
        candidates = ["PLAIN"]
    elif pa.types.is_floating(kind):
        candidates = ["PLAIN", "BYTE_STREAM_SPLIT"]
    else:
        candidates = []
    sizes = {encoding: _trial(column, level, use_dictionary=False, column_encoding={name: encoding}) for encoding in candidates}
    return sizes | {"": _trial(column, level, use_dictionary=True)}


def _trial(column: pa.Table, level: int, **options: Any) -> int:
    sink = pa.BufferOutputStream()
    pq.write_table(
        column,
        sink,
        compression_level=level,
        write_statistics=False,
        **options,
        **PAGES,
    )
    return int(sink.getvalue().size)
