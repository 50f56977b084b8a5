"""The log codec gives every row back bit for bit, whatever the text, and types what can be typed."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.log_sets import SCHEMA
from warehouse.contracts import ddl, log_columns
from warehouse.contracts.raw import LOGS
from warehouse.tiers.encoding import logs
from warehouse.tiers.encoding.log_times import read_times
from warehouse.tiers.encoding.masking import COARSE, FINE, MARK, mask

NOON = 1_772_366_400_000_000_000


@pytest.fixture(scope="module", autouse=True)
def tried() -> Iterator[None]:
    """Methods are tried on few lines as on many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "TRIED_ROWS", 0)
        yield


def rows(bodies: list[str | None], **columns: list[Any]) -> pa.Table:
    """Rows of raw.logs with these bodies, one a millisecond; `columns` replace what is usual."""
    count = len(bodies)
    nanos = columns.get("time_unix_nano") or [NOON + i * 1_000_000 for i in range(count)]
    usual: dict[str, list[Any]] = {name: [None] * count for name in SCHEMA.names}
    usual |= {
        "source": ["s"] * count,
        "log_id": [str(uuid.UUID(int=(0xABCDEF << 64) + i)) for i in range(count)],
        "time": [n // 1000 for n in nanos],
        "time_unix_nano": nanos,
        "service": ["web"] * count,
        "severity": ["INFO"] * count,
        "batch_id": ["b"] * count,
        "body": bodies,
    }
    return pa.table({**usual, **columns}, schema=SCHEMA)


@pytest.fixture
def encoded(tmp_path: Path) -> Callable[..., list[Path]]:
    numbers = itertools.count()

    def encode(table: pa.Table, **options: Any) -> list[Path]:
        return logs.encode(table.to_reader(1000), lambda: tmp_path / f"{next(numbers)}.parquet", **options)

    return encode


def decoded(paths: list[Path]) -> pa.Table:
    """The rows as a view over the files gives them, missing columns being NULL, in the order of log_id."""
    contract = [c for c in LOGS.columns if c.name != "day"]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE p ({', '.join(f'{c.name} {c.type}' for c in (*contract, *log_columns.COLUMNS))})")
        files = [str(p) for p in paths]
        stored = f"(SELECT *, NULL::DATE AS day FROM p UNION ALL BY NAME FROM read_parquet({files!r}, union_by_name = true))"
        query = f"SELECT * EXCLUDE (day) FROM ({ddl.decoded(LOGS, stored)}) ORDER BY source, log_id"
        return connection.execute(query).to_arrow_table().cast(SCHEMA)


def physical(paths: list[Path]) -> set[str]:
    return {name for path in paths for name in pq.read_schema(path).names}


def templates(paths: list[Path]) -> list[str | None]:
    column: list[str | None] = (
        pa.concat_tables([pq.read_table(p) for p in paths], promote_options="default").column("body_format").to_pylist()
    )
    return column


WORD = st.sampled_from(
    ["GET", "{", "}", "{0}", "{12:04d}", "%s", "order", "üñí", "𝄞", "\x01", "\x00", "\r\n", "\t", '"', "\\", "a b", "'", ""]
)
NUMBER = st.one_of(
    st.integers(0, 10**20).map(str),
    st.integers(0, 999).map(lambda n: f"{n:06d}"),
    st.sampled_from(["-0", "+7", "00", "1e9", "0x1F", "18446744073709551616", "999999999999999999", "1000000000000000000", "007", "٣"]),
)
HEX = st.one_of(
    st.integers(0, 2**128 - 1).map(lambda n: f"{n:032x}"), st.integers(0, 2**64 - 1).map(lambda n: f"{n:016x}"), st.uuids().map(str),
    st.uuids().map(lambda u: str(u).upper()), st.integers(0, 2**32 - 1).map(lambda n: f"{n:08x}"),
)  # fmt: skip
TIMES = st.one_of(
    st.datetimes().map(lambda t: t.isoformat()),
    st.datetimes().map(lambda t: f"{t:%d/%b/%Y:%H:%M:%S}"),
    st.datetimes().map(lambda t: f"{t:%H:%M:%S},{t.microsecond // 1000:03d}"),
    st.integers(0, 10**9 - 1).map(lambda n: f"2026-03-01T11:59:59.{n:09d}".rstrip("0")),
    st.sampled_from(["2026-02-30 10:00:00", "24:00:00", "23:59:60", "31/Foo/2026:10:00:00", "1969-12-31 23:59:59", "2026-03-01 12:00:00."]),
)
PIECE = st.one_of(WORD, NUMBER, HEX, TIMES)


@st.composite
def bodies(draw: st.DrawFn) -> list[str | None]:
    """Lines from a few templates, with slots of one kind or of any, so that groups are large enough to be encoded."""
    made: list[str | None] = []
    for _ in range(draw(st.integers(1, 3))):
        kinds = draw(st.lists(st.sampled_from([WORD, NUMBER, HEX, TIMES, PIECE]), min_size=1, max_size=5))
        between = draw(st.lists(st.sampled_from([" ", " id=", "[", "] {", "}", ":"]), min_size=len(kinds), max_size=len(kinds)))
        for _ in range(draw(st.integers(1, 16))):
            line = [b + draw(k) for b, k in zip(between, kinds, strict=True)]
            made.append("".join(line))
    return made + draw(st.lists(st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=20)), max_size=5))


@settings(max_examples=30, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(lines=bodies(), least=st.sampled_from([1, 2, 12]), start=st.sampled_from([NOON, 0, 5, NOON + 123_456_789]))
def test_any_text_comes_back(
    encoded: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch, lines: list[str | None], least: int, start: int
) -> None:
    monkeypatch.setattr(logs, "LEAST", least)
    table = rows(lines, time_unix_nano=[start + i * 1_000_003 for i in range(len(lines))])
    assert decoded(encoded(table)).equals(table)


@pytest.mark.parametrize("method", [(FINE,), (FINE, COARSE), (COARSE,)])
@settings(max_examples=12, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(lines=bodies())
def test_every_method_gives_the_text_back(
    encoded: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch, method: tuple[str, ...], lines: list[str | None]
) -> None:
    monkeypatch.setattr(logs, "LEAST", 2)
    monkeypatch.setattr(logs, "METHODS", (method,))
    table = rows(lines)
    assert decoded(encoded(table)).equals(table)


@settings(max_examples=60, derandomize=True)
@given(st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters=MARK + "\x00")), min_size=1))
def test_shape_and_tokens_are_the_line(lines: list[str]) -> None:
    for pattern in (FINE, COARSE):
        masked = mask(pl.Series(lines, dtype=pl.String), pattern)
        for number, line in enumerate(lines):
            pieces = masked.shapes[masked.shape[number]].split(MARK)
            tokens = [masked.tokens[int(c)] for c in masked.code[masked.start[number] : masked.start[number + 1]]]
            assert "".join(itertools.chain(*itertools.zip_longest(pieces, tokens, fillvalue=""))) == line


@pytest.mark.parametrize("odd", [MARK, "\x00", "{0}", "%s", "\r\n"])
def test_what_means_something_is_text(encoded: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch, odd: str) -> None:
    monkeypatch.setattr(logs, "METHODS", ((FINE, COARSE),))
    table = rows([f"a {i} {odd} b {i * i}" for i in range(40)])
    assert decoded(encoded(table)).equals(table)


def test_what_varies_is_typed(encoded: Callable[..., list[Path]]) -> None:
    count = 400
    lines = [
        f"2026-03-01 12:{i // 60:02d}:{i % 60:02d},{i:03d} order {i * 7} took {i:04d} ms at {i * 99991:08x} "
        f"by {uuid.UUID(int=i * 3**50)} {{x}}"
        for i in range(count)
    ]
    paths = encoded(rows(list(lines), time_unix_nano=[NOON + i * 1_001_000_000 for i in range(count)]))
    assert decoded(paths).column("body").to_pylist() == lines
    assert len(set(templates(paths))) == 1
    assert "body" not in physical(paths)
    assert {"body_time_1", "body_uuid_1", "body_hex_1"} <= physical(paths)
    assert pq.read_table(paths[0]).column("body_time_1").unique().to_pylist() == [4], "a time that is the row's own is always the same"


def test_lines_of_few_and_of_many_arguments_stand_side_by_side(encoded: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The view gives `format` no more arguments than a line's columns call for."""
    monkeypatch.setattr(logs, "METHODS", ((FINE,),))
    days = [f"2026-02-{i % 27 + 1:02d} 10:00:00.{i % 10}" for i in range(100)]
    kinds = [
        [f"took {i} of {i * 3} at {days[i]}" for i in range(100)],
        [f"span {i * 99991:08x} by {uuid.UUID(int=i * 3**50)} from {days[i]} to {days[-i]}" for i in range(100)],
        [" ".join(f"p{n}={i * n}" for n in range(1, 13)) for i in range(100)],
        [f"{i * 99991:08x} {i * 77773:06x} {i * 55501:07x} and {i}" for i in range(100)],
    ]
    lines = [line for same in zip(*kinds, strict=True) for line in same]
    paths = encoded(rows(list(lines)))
    assert decoded(paths).column("body").to_pylist() == lines
    assert {"body_time_1", "body_time_2", "body_uuid_1", "body_int_12", "body_hex_3"} <= physical(paths)
    assert len(set(templates(paths))) >= len(kinds)


def test_ids_that_the_row_has_are_not_stored_twice(encoded: Callable[..., list[Path]]) -> None:
    traces, spans = [f"{i * 3**70 + 5:032x}" for i in range(300)], [f"{i * 3**30 + 7:016x}" for i in range(300)]
    table = rows([f"start trace={t} span={s} again {t}" for t, s in zip(traces, spans, strict=True)], trace_id=traces, span_id=spans)
    paths = encoded(table)
    assert decoded(paths).equals(table)
    assert "body_format" in physical(paths)
    assert not {name for name in physical(paths) if name.startswith(("body_uuid", "body_hex", "body_text"))}
    assert not {"trace_id", "span_id"} & physical(paths)


def test_the_middle_of_very_long_lines_is_one_text(encoded: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "METHODS", ((FINE,),))
    states = [" ".join(f"p{n}=({n * 31 + state}, {n * state})" for n in range(200)) for state in range(2, 5)]
    lines = [f"id={i * 7919:016x} state {states[i % 3]} end {i}" for i in range(300)]
    paths = encoded(rows(list(lines)))
    assert decoded(paths).column("body").to_pylist() == lines
    assert "body" not in physical(paths)
    assert len(pq.read_table(paths[0]).column("body_text_1").unique()) == 3


def test_uuids_may_come_as_arrow_has_them(encoded: Callable[..., list[Path]]) -> None:
    table = rows(["a", "b", "c"])
    raw = pa.array([uuid.UUID(t).bytes for t in table.column("log_id").to_pylist()], pa.binary(16))
    typed = table.set_column(1, "log_id", pa.ExtensionArray.from_storage(pa.uuid(), raw))
    assert decoded(encoded(typed)).equals(table)


def test_decimals_without_trailing_zeros_are_one_template(encoded: Callable[..., list[Path]]) -> None:
    nanos = [NOON + i * 10_010 for i in range(600)]
    lines = [f"at 2026-03-01T12:00:00.{n - NOON:09d}".rstrip("0") for n in nanos]
    paths = encoded(rows(list(lines), time_unix_nano=nanos))
    assert decoded(paths).column("body").to_pylist() == lines
    assert len({t for t in templates(paths) if t}) <= 3


def test_times_that_do_not_exist_are_no_times() -> None:
    texts = ["2026-02-29 10:00:00", "2024-02-29 10:00:00", "24:00:00", "23:59:59.5", "31/Apr/2026:00:00:00", "30/Apr/2026:00:00:00", "x"]
    assert [bool(layout) for layout in read_times(pl.Series(texts)).layout] == [False, True, False, True, False, True, False]


def test_other_columns_come_back(encoded: Callable[..., list[Path]]) -> None:
    few = [[("host", "a"), ("az", None)], [], None, [("b", '"\\\n'), ("a", "1")]]
    table = rows(
        [f"line {i}" for i in range(40)],
        log_id=[str(uuid.uuid5(uuid.NAMESPACE_DNS, str(i))) for i in range(40)],
        time_unix_nano=[NOON + i * 1_000_003 for i in range(40)],
        time=[(NOON + i * 1_000_003) // 1000 - (i == 7) for i in range(40)],
        observed_time_unix_nano=[None if i % 3 else NOON - i for i in range(40)],
        trace_id=[None, "", "abc", "A" * 32, "a" * 32] * 8,
        span_id=[None, "f" * 16, "F" * 16, "1", ""] * 8,
        severity_number=[None, 9] * 20,
        resource_attributes=few * 10,
        attributes=[[("n", str(i))] for i in range(40)],
    )
    paths = encoded(table)
    again = decoded(paths)
    order = again.column("log_id").to_pylist()
    assert again.sort_by("log_id").equals(table.sort_by("log_id")), order
    assert {"resource_attributes_json", "attributes"} <= physical(paths)


def test_large_and_absent_texts(encoded: Callable[..., list[Path]]) -> None:
    table = rows(["x" * 100_000 + "1", None, "", None, "{" * 5000] * 4)
    assert decoded(encoded(table)).equals(table)
    nothing = rows([None] * 3)
    assert decoded(encoded(nothing)).equals(nothing)
    assert encoded(rows([])) == []


def test_row_groups_services_and_checksums(encoded: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "PART_ROWS", 300)
    lines = [f"request {i} served in {i % 97} ms" for i in range(500)] + [
        json.dumps({"n": i, "id": f"{i * 12345:016x}"}) for i in range(400)
    ]
    table = rows(list(lines), service=["a"] * 500 + ["b"] * 400)
    paths = encoded(table, row_group_rows=350)
    assert decoded(paths).equals(table)
    for path in paths:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        assert all(file.metadata.row_group(g).num_rows <= 350 for g in range(file.num_row_groups))
        file.read()
        service = file.metadata.row_group(0).column(file.schema_arrow.names.index("service"))
        assert service.statistics.has_min_max, "filters on service and time leave row groups out"
    damaged = bytearray(paths[0].read_bytes())
    group = pq.ParquetFile(paths[0]).metadata.row_group(0)
    largest = max((group.column(i) for i in range(group.num_columns)), key=lambda c: c.total_compressed_size)
    damaged[(largest.dictionary_page_offset or largest.data_page_offset) + largest.total_compressed_size - 1] ^= 4
    paths[0].write_bytes(damaged)
    with pytest.raises(OSError, match=r"CRC|checksum|corrupt"):
        pq.ParquetFile(paths[0], page_checksum_verification=True).read()


def test_columns_are_lake_types() -> None:
    assert {c.type for c in log_columns.COLUMNS} <= {"VARCHAR", "BIGINT", "UBIGINT", "INTEGER", "DOUBLE", "UUID"}
    assert not {c.name for c in log_columns.COLUMNS} & set(LOGS.column_names)
    assert set(log_columns.DECODED) <= set(LOGS.column_names)


def real_lines(folder: Path) -> Iterator[tuple[str, list[str | None]]]:
    kafka = [p.read_text() for p in sorted((folder / "elastic_logs/kafka/kafka0").iterdir())]
    yield "kafka", list("".join(kafka).split("\n")[-6000:])
    yield "apache", list((folder / "elastic_logs/apache_logs.log").read_text().split("\n")[:5000])


@pytest.mark.realdata
def test_real_lines_come_back_smaller(realdata: Path, encoded: Callable[..., list[Path]]) -> None:
    least = {"kafka": 30, "apache": 14}
    for name, lines in real_lines(realdata):
        table = rows(lines)
        paths = encoded(table)
        assert decoded(paths).equals(table), name
        text = sum(len(line or "") + 1 for line in lines)
        assert text / sum(p.stat().st_size for p in paths) > least[name], name
