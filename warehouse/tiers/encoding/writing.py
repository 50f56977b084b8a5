"""Dense Parquet files: big pages and row groups, the strongest compression that is still quick to read, and a checksum on every page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_ROWS = 524_288
FILE_BYTES = 512 * 2**20
LEVEL, TRIAL_LEVEL = 19, 9
PAGE_BYTES = 64 * 2**20
"""PyArrow cuts pages at 20,000 rows by default, which costs a fifth of the file."""
KEYS = ("source", "series_id", "time", "service", "severity", "trace_id")
"""Columns whose smallest and largest value per row group readers filter by."""


def column_size(values: pa.Array, encoding: str) -> int:
    """Bytes that a column chunk of these values takes in this encoding (`DICTIONARY`, or a Parquet encoding)."""
    written: list[pq.FileMetaData] = []
    table = pa.table({"x": values})
    pq.write_table(table, pa.BufferOutputStream(), metadata_collector=written, **_options({"x": encoding}, table.schema, TRIAL_LEVEL))
    return sum(written[0].row_group(i).column(0).total_compressed_size for i in range(written[0].num_row_groups))


def _options(encodings: Mapping[str, str], schema: pa.Schema, level: int) -> dict[str, object]:
    names = schema.names
    named = [n for n in names if encodings.get(n, "DICTIONARY") == "DICTIONARY"]
    dictionary = [leaf for n in named for leaf in leaves(n, schema.field(n).type)]
    return {
        "compression": "zstd",
        "compression_level": level,
        "use_dictionary": dictionary,
        "column_encoding": {n: e for n, e in encodings.items() if n in names and e != "DICTIONARY"} or None,
        "dictionary_pagesize_limit": PAGE_BYTES,
        "data_page_size": PAGE_BYTES,
        "max_rows_per_page": ROW_GROUP_ROWS,
        "write_statistics": [n for n in KEYS if n in names] or False,
        "store_schema": False,
        "write_page_checksum": True,
    }


def leaves(path: str, kind: pa.DataType) -> list[str]:
    """Paths of the Parquet columns that a column of this type becomes."""
    if pa.types.is_map(kind):
        return [*leaves(f"{path}.key_value.key", kind.key_type), *leaves(f"{path}.key_value.value", kind.item_type)]
    if pa.types.is_list(kind):
        return leaves(f"{path}.list.element", kind.value_type)
    if pa.types.is_struct(kind):
        return [leaf for f in kind for leaf in leaves(f"{path}.{f.name}", f.type)]
    return [path]


@dataclass(slots=True)
class DenseFile:
    """Rows of one form, written as whole row groups; begins another file when one is full or its columns change.

    A column that is NULL in all rows of a row group is left out. Holds back less than a row group of rows in memory."""

    new_path: Callable[[], Path]
    paths: list[Path] = field(default_factory=list)
    _held: list[pa.Table] = field(default_factory=list)
    _encodings: dict[str, str] = field(default_factory=dict)
    _writer: pq.ParquetWriter | None = None
    _sink: pa.NativeFile | None = None

    def write(self, rows: pa.Table, encodings: Mapping[str, str]) -> None:
        """Add rows. encodings: Parquet encoding by column; a column that is not named has a dictionary."""
        self._encodings.update(encodings)
        self._held.append(rows)
        if sum(t.num_rows for t in self._held) >= ROW_GROUP_ROWS:
            self._flush(whole_groups=True)

    def close(self) -> list[Path]:
        """Write what is held; returns the files."""
        self._flush(whole_groups=False)
        self._end()
        return self.paths

    def _flush(self, *, whole_groups: bool) -> None:
        if not self._held:
            return
        rows = pa.concat_tables(self._held, promote_options="default").combine_chunks()
        count = rows.num_rows - rows.num_rows % ROW_GROUP_ROWS if whole_groups else rows.num_rows
        self._held = [rows.slice(count)] if count < rows.num_rows else []
        rows = rows.slice(0, count)
        rows = rows.drop_columns([n for n in rows.column_names if rows[n].null_count == count])
        other = self._writer is not None and self._writer.schema != rows.schema
        if other or (self._sink is not None and self._sink.tell() >= FILE_BYTES):
            self._end()
        if self._writer is None:
            self.paths.append(self.new_path())
            self._sink = pa.OSFile(str(self.paths[-1]), "wb")
            self._writer = pq.ParquetWriter(self._sink, rows.schema, **_options(self._encodings, rows.schema, LEVEL))
        self._writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)

    def _end(self) -> None:
        if self._writer is not None and self._sink is not None:
            self._writer.close()
            self._sink.close()
        self._writer = self._sink = None
