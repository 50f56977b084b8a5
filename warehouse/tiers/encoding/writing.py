"""Dense Parquet files: big pages and row groups, the strongest compression that is still quick to read, and a checksum on every page.

A file has one encoding per column, so rows of different forms go to different files. `DenseFile` is told the encodings, `TrialFiles` finds
them; `column_size` and `smallest` say, by trial with the writer itself, what a form would cost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_ROWS = 262_144
FILE_BYTES = 512 * 2**20
"""A file that has reached this gets no more row groups."""
LEVEL, TRIAL_LEVEL = 19, 9
PAGE_BYTES = 64 * 2**20
"""PyArrow cuts pages at 1 MiB and 20,000 rows, and gives dictionaries up at 1 MiB, unless told otherwise: a fifth of the file."""
KEYS = ("source", "series_id", "time", "service", "severity", "trace_id")
"""Columns whose smallest and largest value per row group readers filter by."""
CHUNK_BYTES, HELD_BYTES = 64 * 2**20, 256 * 2**20
TRIAL_ROWS, TEXT_TRIAL_LEVEL, QUICK_TRIAL_LEVEL, QUICKEST_TRIAL_LEVEL = 65_536, 12, 6, 3
"""At 6 a dictionary wins for texts that lie plainly in less space at 19 (Apache's access log: 1.4% of the file)."""
FEW_ROWS, FEW_ROWS_LEVEL = 8_192, 9
"""In fewer rows a better encoding, or a stronger compression, saves less than it costs."""
MAX_OPEN = 8
MOSTLY = 0.9
"""A column that is NULL in more of the rows takes any encoding."""
DICTIONARY = "DICTIONARY"


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


class _OpenFile:
    """A file that takes row groups of one schema and, by column, one encoding (DICTIONARY, or a Parquet encoding)."""

    def __init__(self, path: Path, schema: pa.Schema, encodings: Mapping[str, str], level: int, statistics: Collection[str]) -> None:
        self.schema, self.encodings = schema, dict(encodings)
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pq.ParquetWriter(self._sink, schema, **_options(encodings, schema, level, statistics))

    @property
    def is_full(self) -> bool:
        """Whether it is as large as files get."""
        return bool(self._sink.tell() >= FILE_BYTES)

    def write(self, rows: pa.Table, row_group_rows: int) -> None:
        """Add row groups of at most so many rows."""
        self._writer.write_table(rows, row_group_size=row_group_rows)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()
        self._sink.close()


@dataclass(slots=True)
class DenseFile:
    """Rows of one form, written as whole row groups; begins another file when one is full or lacks a column.

    A column that is NULL in all rows that begin a file is left out. Holds back less than a row group of rows in memory, or about 256 MiB
    where rows are so large that this is less; the row group is smaller then."""

    new_path: Callable[[], Path]
    paths: list[Path] = field(default_factory=list)
    _held: list[pa.Table] = field(default_factory=list)
    _held_rows: int = 0
    _held_bytes: int = 0
    _encodings: dict[str, str] = field(default_factory=dict)
    _file: _OpenFile | None = None

    def write(self, rows: pa.Table, encodings: Mapping[str, str]) -> None:
        """Add rows. encodings: Parquet encoding by column; a column that is not named has a dictionary."""
        self._encodings.update(encodings)
        self._held.append(rows)
        self._held_rows, self._held_bytes = self._held_rows + rows.num_rows, self._held_bytes + rows.nbytes
        whole_groups = self._held_rows >= ROW_GROUP_ROWS
        if whole_groups or self._held_bytes >= HELD_BYTES:
            self._flush(whole_groups=whole_groups)

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
        self._held = [rows.take(np.arange(count, rows.num_rows))] if count < rows.num_rows else []  # a slice would keep all of it
        self._held_rows, self._held_bytes = rows.num_rows - count, sum(t.nbytes for t in self._held)
        rows = rows.slice(0, count)
        rows = rows.drop_columns([n for n in rows.column_names if rows[n].null_count == count])
        if self._file is not None and not _takes(self._file, rows.schema, {}):
            self._end()
        if self._file is None:
            self.paths.append(self.new_path())
            self._file = _OpenFile(self.paths[-1], rows.schema, self._encodings, LEVEL, KEYS)
        self._file.write(_widened(rows, self._file.schema), ROW_GROUP_ROWS)

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None


class TrialFiles:
    """Writes each table as one row group, to a file whose columns have the encodings that are best for it.

    new_path: gives the path of a new file. statistics: columns whose least and greatest values are kept, for pruning.
    few_rows: in fewer, neither a better encoding is looked for nor a strong compression used. level: of zstd.
    At most MAX_OPEN files are open at a time, beyond that the oldest is finished."""

    def __init__(self, new_path: Callable[[], Path], *, statistics: Collection[str], few_rows: int = FEW_ROWS, level: int = LEVEL) -> None:
        self._new_path, self._statistics, self._few_rows, self._level = new_path, statistics, few_rows, level
        self._open: list[_OpenFile] = []
        self.paths: list[Path] = []

    def write(self, table: pa.Table) -> None:
        """Append a row group."""
        encodings = {name: _best(table.column(name), self._few_rows) for name in table.column_names}
        weighty = {name: e for name, e in encodings.items() if table.column(name).null_count < table.num_rows * MOSTLY}
        file = next((f for f in self._open if _takes(f, table.schema, weighty)), None) or self._begin(table, encodings)
        file.write(_widened(table, file.schema), max(table.num_rows, 1))

    def close(self) -> list[Path]:
        """Finish all files; returns their paths."""
        while self._open:
            self._open.pop().close()
        return self.paths

    def _begin(self, table: pa.Table, encodings: Mapping[str, str]) -> _OpenFile:
        if len(self._open) == MAX_OPEN:
            self._open.pop(0).close()
        self.paths.append(self._new_path())
        level = self._level if table.num_rows >= self._few_rows else FEW_ROWS_LEVEL
        self._open.append(_OpenFile(self.paths[-1], table.schema, encodings, level, self._statistics))
        return self._open[-1]


def column_size(values: pa.Array, encoding: str, level: int = TRIAL_LEVEL) -> int:
    """Bytes that a column chunk of these values takes in this encoding (`DICTIONARY`, or a Parquet encoding)."""
    written: list[pq.FileMetaData] = []
    table = pa.table({"x": values})
    pq.write_table(table, pa.BufferOutputStream(), metadata_collector=written, **_options({"x": encoding}, table.schema, level, ()))
    groups = [written[0].row_group(i) for i in range(written[0].num_row_groups)]
    return sum(g.column(i).total_compressed_size for g in groups for i in range(g.num_columns))


def smallest(*columns: pa.Array) -> int:
    """Which of several forms of one column takes least space, each in its best encoding."""
    if len(columns[0]) < FEW_ROWS:
        return 0
    sizes = [min(_sizes(c).values()) for c in columns]
    return sizes.index(min(sizes))


def quick_size(table: pa.Table) -> int:
    """Bytes of a table in dictionaries or, where that is smaller, plain: a quick guess for choosing between layouts."""
    return sum(min(column_size(c, e, QUICKEST_TRIAL_LEVEL) for e in (DICTIONARY, "PLAIN")) for c in table.columns)


def _best(column: pa.ChunkedArray, few_rows: int) -> str:
    """The encoding that makes a column smallest."""
    if column.null_count == len(column):
        return DICTIONARY
    if len(column) < few_rows:
        return _usual(column.type)
    sizes = _sizes(column)
    return min(sizes, key=sizes.__getitem__)


def _usual(kind: pa.DataType) -> str:
    """The encoding that mostly is the smallest for values of a type."""
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        return "DELTA_BINARY_PACKED"
    return "PLAIN" if kind == pa.uuid() else "BYTE_STREAM_SPLIT" if pa.types.is_floating(kind) else DICTIONARY


def _sizes(column: pa.Array) -> dict[str, int]:
    """Bytes of a column's first rows in each encoding that its type can have."""
    kind, level, candidates = column.type, QUICK_TRIAL_LEVEL, []
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        candidates = ["PLAIN", "DELTA_BINARY_PACKED"]
    elif pa.types.is_string(kind):
        candidates, level = ["PLAIN", "DELTA_LENGTH_BYTE_ARRAY"], TEXT_TRIAL_LEVEL
    elif kind == pa.uuid():
        candidates = ["PLAIN"]
    elif pa.types.is_floating(kind):
        candidates = ["PLAIN", "BYTE_STREAM_SPLIT"]
    return {encoding: column_size(column.slice(0, TRIAL_ROWS), encoding, level) for encoding in (*candidates, DICTIONARY)}


def _takes(file: _OpenFile, schema: pa.Schema, encodings: Mapping[str, str]) -> bool:
    """Whether a table fits into a file as it is best written, and the file is not full."""
    held = {field.name: field.type for field in file.schema}
    return (
        all(held.get(f.name) == f.type or _finer(held.get(f.name), f.type) for f in schema)
        and all(file.encodings[name] == encoding for name, encoding in encodings.items())
        and not file.is_full
    )


def _finer(held: pa.DataType | None, new: pa.DataType) -> bool:
    """Whether a column of times in us takes those in ms."""
    return bool(held == pa.timestamp("us") and new == pa.timestamp("ms"))


def _widened(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns of the schema, NULL where it has none."""
    names = set(table.column_names)
    return pa.table(
        [table.column(f.name).cast(f.type) if f.name in names else pa.nulls(table.num_rows, f.type) for f in schema], schema=schema
    )


def _options(encodings: Mapping[str, str], schema: pa.Schema, level: int, statistics: Collection[str]) -> dict[str, object]:
    """Arguments of PyArrow's writer; a column without an encoding has a dictionary."""
    names = schema.names
    named = [n for n in names if encodings.get(n, DICTIONARY) == DICTIONARY]
    return {
        "compression": "zstd",
        "compression_level": level,
        "use_dictionary": [leaf for n in named for leaf in _leaves(n, schema.field(n).type)],
        "column_encoding": {n: e for n, e in encodings.items() if n in names and e != DICTIONARY} or None,
        "dictionary_pagesize_limit": PAGE_BYTES,
        "data_page_size": PAGE_BYTES,
        "max_rows_per_page": 2**31 - 1,
        "write_statistics": [n for n in statistics if n in names] or False,
        "store_schema": False,
        "write_page_checksum": True,
    }


def _leaves(path: str, kind: pa.DataType) -> list[str]:
    """Paths of the Parquet columns that a column of this type becomes."""
    if pa.types.is_map(kind):
        return [*_leaves(f"{path}.key_value.key", kind.key_type), *_leaves(f"{path}.key_value.value", kind.item_type)]
    if pa.types.is_list(kind):
        return _leaves(f"{path}.list.element", kind.value_type)
    if pa.types.is_struct(kind):
        return [leaf for f in kind for leaf in _leaves(f"{path}.{f.name}", f.type)]
    return [path]
