"""Arrow tables to few dense Parquet files: page checksums, large pages, and each column's encoding chosen by trial on its first rows."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

MAX_FILE_BYTES = 512 * 2**20
TRIAL_ROWS = 65_536
TRIAL_LEVEL = 3
PAGES: dict[str, Any] = {
    "compression": "zstd",
    "data_page_size": 64 * 2**20,
    "dictionary_pagesize_limit": 64 * 2**20,
    "store_schema": False,
    "write_page_checksum": True,
}
"""PyArrow cuts pages at 1 MiB and 20,000 rows, and gives dictionaries up at 1 MiB, unless it is told otherwise."""


class DenseFiles:
    """Writes each table as one row group. A table with columns or types that the open file has not begins the next file.

    new_path: gives the path of a new file. level: of zstd. statistics: columns whose least and greatest values are kept, for pruning."""

    def __init__(self, new_path: Callable[[], Path], *, level: int, statistics: Collection[str]) -> None:
        self._new_path, self._level, self._statistics = new_path, level, list(statistics)
        self._writer: pq.ParquetWriter | None = None
        self._schema: pa.Schema | None = None
        self.paths: list[Path] = []

    def write(self, table: pa.Table) -> None:
        """Append a row group."""
        if self._writer is None or not self._fits(table.schema) or self._size() >= MAX_FILE_BYTES:
            self._begin(table)
        assert self._writer is not None
        assert self._schema is not None
        self._writer.write_table(_widened(table, self._schema), row_group_size=max(table.num_rows, 1))

    def close(self) -> list[Path]:
        """Finish the open file; returns all paths."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        return self.paths

    def _fits(self, schema: pa.Schema) -> bool:
        held = {field.name: field.type for field in self._schema or []}
        return all(held.get(f.name) == f.type or (_finer(held.get(f.name), f.type)) for f in schema)

    def _size(self) -> int:
        return self.paths[-1].stat().st_size

    def _begin(self, table: pa.Table) -> None:
        self.close()
        known = {field.name: field for field in self._schema or []}
        for field in table.schema:
            if not _finer(known.get(field.name, field).type, field.type):
                known[field.name] = field
        self._schema = pa.schema(list(known.values()))
        sample = _widened(table.slice(0, TRIAL_ROWS), self._schema)
        encodings = {name: encoding for name in sample.column_names if (encoding := _smallest(sample.select([name])))}
        self.paths.append(self._new_path())
        self._writer = pq.ParquetWriter(
            self.paths[-1],
            self._schema,
            compression_level=self._level,
            max_rows_per_page=2**31 - 1,
            use_dictionary=[n for n in sample.column_names if n not in encodings],
            column_encoding=encodings or None,
            write_statistics=self._statistics,
            **PAGES,
        )


def _finer(held: pa.DataType | None, new: pa.DataType) -> bool:
    """Whether a column of times in us takes those in ms."""
    return held == pa.timestamp("us") and new == pa.timestamp("ms")


def _widened(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns of the schema, NULL where it has none."""
    names = set(table.column_names)
    return pa.table(
        [table.column(f.name).cast(f.type) if f.name in names else pa.nulls(table.num_rows, f.type) for f in schema], schema=schema
    )


def trial_size(table: pa.Table) -> int:
    """Bytes of a table in dictionaries or, where that is smaller, plain: a quick guess for choosing between layouts."""
    return sum(min(_trial(table.select([n]), use_dictionary=d) for d in (True, False)) for n in table.column_names)


def _smallest(column: pa.Table) -> str | None:
    """The encoding that makes a column smallest; None: a dictionary."""
    name, kind = column.column_names[0], column.schema.field(0).type
    if column.column(0).null_count == column.num_rows:
        return None
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        candidates = ["PLAIN", "DELTA_BINARY_PACKED"]
    elif pa.types.is_string(kind):
        candidates = ["PLAIN", "DELTA_LENGTH_BYTE_ARRAY"]
    elif kind == pa.uuid():
        candidates = ["PLAIN"]
    else:
        return None
    sizes = {encoding: _trial(column, use_dictionary=False, column_encoding={name: encoding}) for encoding in candidates}
    sizes[""] = _trial(column, use_dictionary=True)
    return min(sizes, key=sizes.__getitem__) or None


def _trial(column: pa.Table, **options: Any) -> int:
    sink = pa.BufferOutputStream()
    pq.write_table(column, sink, compression_level=TRIAL_LEVEL, write_statistics=False, **options, **PAGES)
    return int(sink.getvalue().size)
