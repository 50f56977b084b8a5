"""Dense spans: ids of any shape, times and durations at their edges, and attributes come back as they were by the query of the view."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.contracts import contract
from warehouse.contracts.ddl import create_table, decoded
from warehouse.lake.connection import identifier
from warehouse.tiers.encoding import spans

SPANS = contract("raw.spans")
DAY = date(2026, 3, 1)
HEX = "0123456789abcdef"
KINDS = {"nano": pa.int64(), "duration_ns": pa.int64()}

span_ids = st.one_of(
    st.text(HEX, min_size=16, max_size=16), st.just("0" * 16), st.just("ABCDEF0123456789"), st.text(min_size=1, max_size=20), st.just("12")
)
trace_ids = st.one_of(st.text(HEX, min_size=32, max_size=32), st.just("F" * 32), st.text(min_size=1, max_size=40))
times = st.one_of(st.integers(-(2**62), 2**62), st.integers(0, 2**61), st.just(0))
texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
rows = st.lists(
    st.tuples(
        trace_ids.filter(lambda s: "\0" not in s),
        span_ids.filter(lambda s: "\0" not in s),
        st.none() | span_ids.filter(lambda s: "\0" not in s),
        times,
        st.one_of(st.integers(0, 2**63 - 1), st.integers(0, 10**10)),
        st.dictionaries(texts, st.none() | texts, max_size=3),
    ),
    min_size=1,
    max_size=12,
)


def settled(connection: duckdb.DuckDBPyConnection, folder: Path) -> pa.Table:
    """What the view makes of the dense files of raw.spans."""
    made = ", ".join(f"{e} AS {identifier(n)}" for n, e in spans.STORED.items())
    plain = ", ".join(n for n in SPANS.column_names if n in spans.STORED)
    query = f"SELECT * EXCLUDE ({plain}), {made} FROM (SELECT * EXCLUDE (day) FROM raw.spans ORDER BY {spans.ORDER})"
    numbers = iter(range(100))
    files = spans.encode(connection.execute(query).to_arrow_reader(5), lambda: folder / f"{next(numbers)}.parquet")
    columns = ", ".join(f"NULL::{c.type} AS {identifier(c.name)}" for c in SPANS.stored_columns if c.name != "day")
    stored = (
        f"(SELECT *, DATE '{DAY}' AS day FROM (SELECT {columns} WHERE FALSE UNION ALL BY NAME FROM read_parquet(?, union_by_name = true)))"
    )
    return connection.execute(f"{decoded(SPANS, stored)} ORDER BY ALL", [[str(f) for f in files]]).to_arrow_table()


@settings(max_examples=30, deadline=None)
@given(rows)
def test_every_span_comes_back(drawn: list[tuple[str, str, str | None, int, int, dict[str, str | None]]]) -> None:
    names = ("trace_id", "span_id", "parent_span_id", "nano", "duration_ns", "labels")
    columns = {name: list(column) for name, column in zip(names, zip(*drawn, strict=True), strict=True)}
    columns["labels"] = [list(labels.items()) for labels in columns["labels"]]
    given_rows = pa.table(
        columns, schema=pa.schema([(n, pa.map_(pa.string(), pa.string()) if n == "labels" else KINDS.get(n, pa.string())) for n in names])
    )
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        load(connection, "* EXCLUDE (nano, labels), nano AS time_unix_nano, labels AS attributes FROM given_rows", given_rows)
        before = connection.execute("FROM raw.spans ORDER BY ALL").to_arrow_table()
        assert settled(connection, Path(folder)).equals(before)


def load(connection: duckdb.DuckDBPyConnection, select: str, given_rows: pa.Table) -> None:
    """raw.spans with the columns of a SELECT, and what every span has besides."""
    connection.execute("CREATE SCHEMA raw")
    connection.execute(create_table("raw.spans", SPANS.columns))
    connection.register("given_rows", given_rows)
    connection.execute(
        f"""INSERT INTO raw.spans BY NAME
            SELECT 'shop' AS source, 'cart' AS service, 'add' AS name, 'SERVER' AS kind, 'OK' AS status_code, 'b' AS batch_id,
                   make_timestamp(time_unix_nano // 1000) AS time, DATE '{DAY}' AS day, * FROM (SELECT {select})"""
    )


def test_ids_stand_as_bytes_once(tmp_path: Path) -> None:
    numbers = pa.table({"i": list(range(5000))})
    select = """md5((i // 50)::VARCHAR) AS trace_id, left(md5('s' || i), 16) AS span_id,
                CASE WHEN i % 50 > 0 THEN left(md5('s' || (i - 1)), 16) END AS parent_span_id,
                (1772323200000000 + i * 17) * 1000 + i % 7 AS time_unix_nano, i * 31 AS duration_ns FROM given_rows"""
    with duckdb.connect() as connection:
        load(connection, select, numbers)
        before = connection.execute("FROM raw.spans ORDER BY ALL").to_arrow_table()
        assert settled(connection, tmp_path).equals(before)
    (file,) = tmp_path.iterdir()
    group = pq.ParquetFile(file).metadata.row_group(0)
    sizes = {group.column(i).path_in_schema: group.column(i).total_compressed_size for i in range(group.num_columns)}
    assert not {"trace_id", "span_id", "parent_span_id", "time_unix_nano", "duration_ns"} & set(sizes)
    assert sizes["span_ids"] < 5000 * 10
