"""Fingerprints of rows that do not depend on their order and add up: what was written is compared with what was there, bit for bit.

Numbers with a fraction count by their bits (a stale marker is not any other NaN, -0.0 is not 0.0), everything else by its JSON text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

BATCH_ROWS = 65_536
MODULUS = 2**64
STABLE = "md5_number_lower(CAST(to_json(r) AS VARCHAR))", "md5_number_upper(CAST(to_json(r) AS VARCHAR))"
QUICK = "hash(r)", "0"
DEFINITION = (
    "For every row, md5 of the row as a JSON object without blanks (columns in the order of the schema; doubles as the signed 64-bit "
    "integer of their IEEE 754 bits, decimals with all their places, times as YYYY-MM-DD hh:mm:ss[.ffffff], UUIDs as text, maps as "
    "objects). "
    "The lower and the upper 8 bytes of the md5, read as little-endian numbers, are summed over all rows modulo 2^64 each; "
    "written as upper sum then lower sum, 16 hex digits each."
)


@dataclass(frozen=True, slots=True)
class Digest:
    """Number of rows and two 64-bit sums over them. The digest of two sets of rows is the sum of theirs."""

    rows: int = 0
    lower: int = 0
    upper: int = 0

    def __add__(self, other: Digest) -> Digest:
        return Digest(self.rows + other.rows, (self.lower + other.lower) % MODULUS, (self.upper + other.upper) % MODULUS)

    @property
    def hex(self) -> str:
        """Upper sum then lower sum, 16 hex digits each."""
        return f"{self.upper:016x}{self.lower:016x}"

    @classmethod
    def of(cls, rows: int, text: str) -> Digest:
        """From its text."""
        return cls(rows, int(text[16:], 16), int(text[:16], 16))


def rows_digest(connection: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader) -> Digest:
    """Digest of all rows as DEFINITION says, the same in every version of Lakebed. `connection` must not be what feeds the reader."""
    return _digest(connection, reader, STABLE)


def quick_digest(connection: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader) -> Digest:
    """Digest for comparisons within one process: faster, and of another kind than `rows_digest`."""
    return _digest(connection, reader, QUICK)


def quick_digests(connection: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader) -> dict[date, Digest]:
    """`quick_digest` for each value of the column `day`, in one pass."""
    rows = _summed(connection, reader, QUICK, "r.day", "GROUP BY r.day")
    return {r[0]: Digest(int(r[1]), int(r[2]), int(r[3])) for r in rows}


def _digest(connection: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader, terms: tuple[str, str]) -> Digest:
    (row,) = _summed(connection, reader, terms, "NULL", "")
    return Digest(int(row[1]), int(row[2]), int(row[3]))


def _summed(
    connection: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader, terms: tuple[str, str], key: str, grouping: str
) -> list[tuple[Any, ...]]:
    schema = pa.schema([(field.name, _bits_type(field.type)) for field in reader.schema])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            yield pa.RecordBatch.from_arrays([as_bits(column) for column in batch.columns], schema=schema)

    connection.register("digested_rows", pa.RecordBatchReader.from_batches(schema, batches()))
    try:
        return connection.execute(
            f"""SELECT {key}, count(*), coalesce(sum(CAST({terms[0]} AS HUGEINT)), 0) % {MODULUS},
                       coalesce(sum(CAST({terms[1]} AS HUGEINT)), 0) % {MODULUS}
                FROM digested_rows AS r {grouping}"""
        ).fetchall()
    finally:
        connection.unregister("digested_rows")


def as_bits(array: pa.Array) -> pa.Array:
    """The array with every double, those in lists too, as the 64-bit integer of its bits; other arrays as they are."""
    wanted = _bits_type(array.type)
    if wanted == array.type:
        return array
    if pa.types.is_float64(array.type):
        return array.view(pa.int64())
    return pa.Array.from_buffers(wanted, len(array), array.buffers()[:2], array.null_count, array.offset, [as_bits(array.values)])


def _bits_type(kind: pa.DataType) -> pa.DataType:
    """Raises ValueError for doubles inside structs and maps, which no contract has."""
    if pa.types.is_float64(kind):
        return pa.int64()
    if pa.types.is_list(kind):
        inner = _bits_type(kind.value_type)
        return pa.list_(inner) if inner != kind.value_type else kind
    if pa.types.is_nested(kind) and "double" in str(kind):
        raise ValueError(f"there is no digest of doubles inside {kind}")
    return kind
