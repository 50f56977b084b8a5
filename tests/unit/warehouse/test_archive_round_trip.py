"""Whatever a contract's columns can hold comes back from the archive bit for bit: every table, every type, every odd value."""

from __future__ import annotations

import struct
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse.archive.parquet import open_rows, read_back, write_rows
from warehouse.contracts import CONTRACTS, Contract
from warehouse.contracts.ddl import create_table
from warehouse.lake.connection import scratch
from warehouse.lake.digest import BATCH_ROWS, rows_digest

DAY = date(2026, 3, 1)
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=8)
BITS = st.integers(0, 2**64 - 1).map(lambda n: struct.unpack("<d", struct.pack("<Q", n))[0])
ODD = [struct.unpack("<d", struct.pack("<Q", n))[0] for n in (0x7FF0000000000002, 0x8000000000000000, 0, 1, 0xFFF8000000000001)]
DOUBLE = BITS | st.sampled_from([*ODD, float("inf"), float("-inf"), 5e-324])
TIME = st.datetimes(datetime(1970, 1, 1), datetime(2261, 1, 1)) | st.just(datetime(2026, 3, 1) + timedelta(microseconds=1))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "VARCHAR": TEXT,
    "UBIGINT": st.integers(0, 2**64 - 1),
    "BIGINT": st.integers(-(2**63), 2**63 - 1),
    "INTEGER": st.integers(-(2**31), 2**31 - 1),
    "BOOLEAN": st.booleans(),
    "DOUBLE": DOUBLE,
    "DOUBLE[]": st.lists(st.none() | DOUBLE, max_size=4),
    "UBIGINT[]": st.lists(st.none() | st.integers(0, 2**64 - 1), max_size=4),
    "TIMESTAMP": TIME,
    "DATE": st.dates(date(1970, 1, 1), date(2261, 1, 1)),
    "UUID": st.uuids().map(str),
    "DECIMAL(38,12)": st.integers(-(10**37), 10**37).map(lambda n: Decimal(n).scaleb(-12)),
    "MAP(VARCHAR, VARCHAR)": st.dictionaries(TEXT, st.none() | TEXT, max_size=3),
    "MAP(INTEGER, BIGINT[])": st.dictionaries(
        st.integers(-(2**31), 2**31 - 1), st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3), max_size=3
    ),
}
ATTRIBUTES = st.dictionaries(TEXT, TEXT, max_size=2)
VALUES["STRUCT(time_unix_nano BIGINT, name VARCHAR, attributes MAP(VARCHAR, VARCHAR))[]"] = st.lists(
    st.fixed_dictionaries({"time_unix_nano": st.integers(0, 2**63 - 1), "name": st.none() | TEXT, "attributes": ATTRIBUTES}), max_size=2
)
VALUES["STRUCT(trace_id VARCHAR, span_id VARCHAR, trace_state VARCHAR, attributes MAP(VARCHAR, VARCHAR))[]"] = st.lists(
    st.fixed_dictionaries({"trace_id": TEXT, "span_id": TEXT, "trace_state": st.none() | TEXT, "attributes": ATTRIBUTES}), max_size=2
)
BY_DAY = [c for c in CONTRACTS.values() if c.has_day and c.schema != "meta"]


def rows_of(contract: Contract) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Rows of a contract with anything its types can hold; NULL wherever it is allowed, and one day."""
    columns = [st.just(DAY) if c.name == "day" else VALUES[c.type] if c.required else st.none() | VALUES[c.type] for c in contract.columns]
    return st.lists(st.tuples(*columns), min_size=1, max_size=6)


def arrow(connection: duckdb.DuckDBPyConnection, contract: Contract, rows: list[tuple[Any, ...]]) -> pa.Table:
    """Rows as the lake would hand them out."""
    connection.execute(create_table("kept", contract.columns).replace("CREATE TABLE", "CREATE OR REPLACE TEMP TABLE"))
    schema = connection.execute("FROM kept").to_arrow_table().schema
    arrays = [pa.array([_plain(r[i], f.type) for r in rows], type=f.type) for i, f in enumerate(schema)]
    connection.register("given_rows", pa.Table.from_arrays(arrays, schema=schema))
    connection.execute("INSERT INTO kept SELECT * FROM given_rows")
    return connection.execute("FROM kept").to_arrow_table()


def _plain(value: Any, kind: pa.DataType) -> Any:
    """Maps as lists of pairs, also inside lists of structs."""
    if pa.types.is_map(kind) and value is not None:
        return list(value.items())
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [{k: list(v.items()) if isinstance(v, dict) else v for k, v in entry.items()} for entry in value]
    return str(value) if isinstance(value, UUID) else value


def bits(value: Any) -> Any:
    """A value in which doubles are their bits, so that NaN equals itself and -0.0 is not 0.0."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, dict):
        return {k: bits(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [bits(v) for v in value]
    return value


def test_every_type_of_every_contract_is_tried() -> None:
    assert {c.type for contract in BY_DAY for c in contract.columns} <= set(VALUES)


@pytest.mark.parametrize("contract", BY_DAY, ids=lambda c: c.full_name)
def test_rows_come_back_bit_for_bit(contract: Contract, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    with scratch() as connection, scratch() as other:

        @settings(max_examples=12, suppress_health_check=list(HealthCheck))
        @given(rows_of(contract))
        def check(rows: list[tuple[Any, ...]]) -> None:
            table = arrow(connection, contract, rows)
            written = write_rows(path, table.to_reader(), other)
            digest, file = read_back(path, other)
            assert digest == written
            assert (file.rows, file.bytes) == (len(rows), path.stat().st_size)
            back = open_rows(path).read_all()
            assert back.schema.equals(table.schema)
            assert bits(back.to_pylist()) == bits(table.to_pylist())
            casts = ", ".join(f'CAST("{c.name}" AS {c.type}) AS "{c.name}"' for c in contract.columns)
            connection.register("back_rows", back)
            again = connection.execute(f"SELECT {casts} FROM back_rows").to_arrow_reader(BATCH_ROWS)
            assert rows_digest(other, again) == written

        check()


def test_equal_looking_numbers_that_repeat_stay_apart(tmp_path: Path) -> None:
    """Dictionaries that compare by value would hold one NaN for all, and one zero for both."""
    values = ODD * 50
    schema = pa.schema([("value", pa.float64()), ("bounds", pa.list_(pa.float64()))])
    table = pa.table([pa.array(values), pa.array([values[i : i + 3] for i in range(len(values))])], schema=schema)
    with scratch() as connection:
        written = write_rows(tmp_path / "rows.parquet", table.to_reader(), connection)
        assert read_back(tmp_path / "rows.parquet", connection)[0] == written
    assert bits(open_rows(tmp_path / "rows.parquet").read_all().to_pylist()) == bits(table.to_pylist())
