"""Bad input end to end, from a source into a lake: a clear error or a quarantined row with file, line and reason; the good rows land."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import re
import struct
import time
import traceback
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData

import sources.http
from orchestration.deriving import bounds
from orchestration.landing import Ingest, read_sources
from tests.lakes import open_lake
from tests.unit.sources.conftest import Stub, stub  # noqa: F401 - a fixture
from tests.unit.sources.test_prometheus import Prometheus, every
from transforms.model import load_models, macros
from warehouse.contracts import CONTRACTS
from warehouse.errors import ConfigError, LakeError
from warehouse.lake import Slice
from warehouse.lake.lake import Lake
from warehouse.settings import load, parse

DAY = Slice(date(2024, 1, 1), date(2024, 1, 2))
RAW = [name for name, c in CONTRACTS.items() if c.schema == "raw"]

POINTS = {
    "kind": "table",
    "table": "raw.metric_points",
    "columns": {"time": "ts", "value": "v", "metric_name": "m"},
    "labels": {"host": "h"},
}
LINES = {"kind": "table", "table": "raw.logs", "columns": {"time": "ts", "body": "msg", "severity_text": "level", "service": "svc"}}
OTLP = {"kind": "otlp"}
TEXT = {"kind": "log_text", "pattern": "json", "service": "shop"}
FOCUS = {"kind": "focus"}


def csv(*rows: str, header: str = "ts,m,h,v") -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def ndjson(*rows: bytes | dict[str, Any]) -> bytes:
    return b"".join((r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in rows)


def sample(minute: int, value: object = 1.5, **more: object) -> dict[str, Any]:
    return {"ts": f"2024-01-01 10:{minute:02}:00", "m": "cpu", "h": "a", "v": value} | more


def line(second: int, body: str = "hello", **more: object) -> dict[str, Any]:
    return {"ts": f"2024-01-01 10:00:{second:02}", "msg": body, "level": "INFO", "svc": "shop"} | more


NANO = 1_704_103_200_000_000_000


def otlp_log(body: str = "hello", nano: int = NANO) -> dict[str, Any]:
    record = {"timeUnixNano": str(nano), "severityText": "INFO", "severityNumber": 9, "body": {"stringValue": body}}
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}


def otlp_point(nano: int = NANO, **value: object) -> dict[str, Any]:
    point = {"timeUnixNano": str(nano), **value}
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": [point]}}]}]}]}


def messages(*sizes: int) -> bytes:
    """Length-prefixed protobuf messages, one log record each."""
    found = []
    for size in sizes:
        message = LogsData()
        message.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=NANO).body.string_value = "x" * size
        found.append(message.SerializeToString())
    return b"".join(struct.pack(">I", len(p)) + p for p in found)


def parquet(**columns: list[Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


GOOD_PARQUET = parquet(ts=[datetime(2024, 1, 1, 11)], m=["cpu"], h=["p"], v=[1.0])
GOOD_BILL = {
    **dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), "1.5"),
    **dict.fromkeys(("BillingAccountId", "ProviderName", "PublisherName", "InvoiceIssuerName", "ServiceName", "ChargeDescription"), "x"),
    "BillingCurrency": "USD",
    "BillingPeriodStart": "2024-01-01T00:00:00Z",
    "BillingPeriodEnd": "2024-02-01T00:00:00Z",
    "ChargeCategory": "Usage",
    "ChargePeriodStart": "2024-01-01T00:00:00Z",
    "ChargePeriodEnd": "2024-01-02T00:00:00Z",
    "ServiceCategory": "Compute",
}


def bill(*changes: dict[str, str]) -> bytes:
    rows = [GOOD_BILL | change for change in changes]
    return csv(*(",".join(r.values()) for r in rows), header=",".join(GOOD_BILL))


HOSTILE = "'; DROP TABLE raw.logs; --<script>alert(1)</script>../../etc"
RANDOM = random.Random(7).randbytes(400)


@dataclass(frozen=True)
class Case:
    """Files of one source, and what must come of them. rows: landed per table; held: (reason, line) in quarantine; errors: in order."""

    source: dict[str, Any]
    files: dict[str, bytes]
    rows: dict[str, int] = field(default_factory=dict)
    held: tuple[tuple[str, int | None], ...] = ()
    errors: tuple[str, ...] = ()


CASES: dict[str, Case] = {
    "zero bytes of CSV": Case(POINTS, {"a.csv": b"", "b.csv": csv("2024-01-01,m,h,1")}, {"raw.metric_points": 1}, errors=("a.csv.*empty",)),
    "zero bytes of lines": Case(LINES, {"a.ndjson": b"", "b.ndjson": ndjson(line(1))}, {"raw.logs": 1}),
    "zero bytes of Parquet": Case(POINTS, {"a.parquet": b"", "b.parquet": GOOD_PARQUET}, {"raw.metric_points": 1}, errors=("a.parquet",)),
    "zero bytes of OTLP": Case(OTLP, {"a.pb": b"", "b.jsonl": ndjson(otlp_log())}, {"raw.logs": 1}),
    "zero bytes of text": Case(TEXT, {"a.log": b""}),
    "cut Parquet": Case(
        POINTS, {"a.parquet": GOOD_PARQUET[:-20], "b.parquet": GOOD_PARQUET}, {"raw.metric_points": 1}, errors=("a.parquet.*Parquet",)
    ),
    "cut gzip of lines": Case(
        LINES,
        {"a.ndjson.gz": gzip.compress(ndjson(*(line(i, str(RANDOM)) for i in range(50))))[:-90], "b.ndjson": ndjson(line(1))},
        {"raw.logs": 1},
        errors=(r"a.ndjson.gz",),
    ),
    "cut gzip of OTLP": Case(
        OTLP, {"a.jsonl.gz": gzip.compress(ndjson(otlp_log()))[:-9], "b.jsonl": ndjson(otlp_log())}, {"raw.logs": 1}, errors=("a.jsonl.gz",)
    ),
    "malformed line of a table": Case(
        LINES, {"a.ndjson": ndjson(line(1), b'{"ts": "2024', line(2))}, {"raw.logs": 2}, (("malformed_json", 2),)
    ),
    "malformed line of OTLP": Case(
        OTLP, {"a.jsonl": ndjson(otlp_log("a"), b'{"resourceLogs":[{', otlp_log("b"))}, {"raw.logs": 2}, (("not JSON", 2),)
    ),
    "malformed line of a log": Case(
        TEXT, {"a.log": ndjson({"time": "2024-01-01T10:00:00Z", "message": "a"}, b'{"cut', {"message": "b"})}, {"raw.logs": 3}
    ),
    "cut protobuf": Case(OTLP, {"a.pb": messages(50, 60)[:-5], "b.pb": messages(5)}, {"raw.logs": 1}, errors=("a.pb.*cut at byte",)),
    "random protobuf": Case(
        OTLP, {"a.pb": RANDOM, "b.pb": messages(5)}, {"raw.logs": 1}, tuple(("not JSON", n) for n in range(1, RANDOM.count(b"\n") + 2))
    ),
    "bad text in CSV": Case(
        POINTS,
        {"a.csv": csv("2024-01-01,m,h,1") + b"2024-01-01,m,\xff,2\n2024-01-01,m,n\x00n,3\n2024-01-01,m,h2,4\n"},
        {"raw.metric_points": 2},
        (("csv_invalid_encoding", 3), ("label_host_has_nul_character", 4)),
    ),
    "bad text in lines": Case(
        LINES,
        {"a.ndjson": ndjson(line(1), b'{"ts":"2024-01-01","msg":"\xff"}', line(2, "a\u0000b"))},
        {"raw.logs": 1},
        (("invalid_utf8", 2), ("nul", 3)),
    ),
    "bad text in OTLP": Case(
        OTLP,
        {"a.jsonl": ndjson(otlp_log(), b'{"resourceLogs":"\xff\xfe"}', otlp_log("a\u0000b"))},
        {"raw.logs": 2},
        (("not JSON", 2),),
    ),
    "bad text in a log": Case(
        TEXT,
        {"a.log": b'{"message": "a"}\n{"message": "\xff\xfe"}\n{"message": "a\x00b"}\n'},
        {"raw.logs": 1},
        (("invalid_utf8", 2), ("nul", 3)),
    ),
    "a line of 10 MB": Case(LINES, {"a.ndjson": ndjson(line(1), line(2, "x" * 10_000_000), line(3))}, {"raw.logs": 3}),
    "a text line of 10 MB": Case(
        TEXT, {"a.log": ndjson({"message": "a"}, {"message": "x" * 10_000_000}, {"message": "b"})}, {"raw.logs": 2}, (("line_too_long", 2),)
    ),
    "gzip bomb": Case(
        LINES | {"max_expanded_bytes": 2**20},
        {"a.ndjson.gz": zlib.compress(b"\n" * 2**26, wbits=31), "b.ndjson": ndjson(line(1))},
        {"raw.logs": 1},
        errors=("a.ndjson.gz.*expand",),
    ),
    "one content under two names": Case(
        POINTS, {"a.csv": csv("2024-01-01,m,h,1"), "b.csv": csv("2024-01-01,m,h,1")}, {"raw.metric_points": 1}
    ),
    "not finite": Case(
        POINTS,
        {"a.csv": csv("2024-01-01,m,h,nan", "2024-01-01,m,h,-inf", "2024-01-01,m,h,1e400", "2024-01-01,m,h,1")},
        {"raw.metric_points": 1},
        (("value_not_finite", 2), ("value_not_finite", 3), ("value_not_finite", 4)),
    ),
    "not finite in OTLP": Case(
        OTLP, {"a.jsonl": ndjson(otlp_point(asDouble="NaN"), otlp_point(NANO + 10**9, asDouble=2.0))}, {"raw.metric_points": 2}
    ),
    "integers over 2^53": Case(
        POINTS,
        {"a.ndjson": ndjson(sample(1, 2**53), sample(2, 2**53 + 1))},
        {"raw.metric_points": 1},
        (("value_beyond_2_53_not_exact", 2),),
    ),
    "times beyond all days": Case(
        POINTS,
        {"a.csv": csv("9999-01-01,m,h,1", "1900-01-01,m,h,2", "2024-01-01,m,h,3", "99999999999999999999,m,h,4")},
        {"raw.metric_points": 1},
        (("time_not_a_time", 2), ("time_out_of_range", 3), ("time_not_a_time", 5)),
    ),
    "times beyond all days in OTLP": Case(
        OTLP, {"a.jsonl": ndjson(otlp_log(), otlp_log(nano=2**64 - 1), otlp_log(nano=2**64))}, {"raw.logs": 1}, (("time", 2), ("time", 3))
    ),
    "a column is missing": Case(
        POINTS,
        {"a.csv": csv("2024-01-01,m,1", header="ts,m,v"), "b.csv": csv("2024-01-01,m,h,1")},
        {"raw.metric_points": 1},
        errors=("a.csv.*no column 'h'",),
    ),
    "a column too many": Case(POINTS, {"a.csv": csv("2024-01-01,m,h,1,new", header="ts,m,h,v,w")}, {"raw.metric_points": 1}),
    "a column of another type": Case(
        POINTS,
        {"a.parquet": parquet(ts=[datetime(2024, 1, 1)], m=["cpu"], h=["p"], v=[[1.0]]), "b.parquet": GOOD_PARQUET},
        {"raw.metric_points": 1},
        errors=("a.parquet.*value needs a DOUBLE",),
    ),
    "a text in a column of numbers": Case(
        POINTS, {"a.csv": csv("2024-01-01,m,h,1", "2024-01-01,m,h,one")}, {"raw.metric_points": 1}, (("value_not_a_number", 3),)
    ),
    "a currency that is none": Case(
        FOCUS, {"a.csv": bill({}, {"BillingCurrency": "XXX"}, {"ChargeCategory": "Tax"})}, {"raw.costs": 2}, (("currency_iso_4217", None),)
    ),
    "hostile labels": Case(POINTS, {"a.ndjson": ndjson(sample(1, h=HOSTILE), sample(2, m=HOSTILE))}, {"raw.metric_points": 2}),
    "hostile lines": Case(LINES, {"a.ndjson": ndjson(line(1, HOSTILE, svc=HOSTILE, level=HOSTILE))}, {"raw.logs": 1}),
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """One lake for all cases; each has a source of its own."""
    with open_lake(tmp_path_factory.mktemp("bad_input")) as opened:
        yield opened


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A source's name, after the test."""
    return "s_" + re.sub(r"\W+", "_", request.node.name.partition("[")[2] or request.node.name).strip("_").lower()[:40]


def read(lake: Lake, folder: Path, name: str, source: dict[str, Any], window: Slice = DAY) -> Ingest:
    settings = parse({"sources": {name: source}}, folder / "lakebed.toml")
    return read_sources(lake, settings, window)


def put(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
        os.utime(folder / name, (time.time() - 3600,) * 2)


def landed(lake: Lake, name: str) -> dict[str, int]:
    queries = (f"SELECT '{t}', count(*) FROM {t} WHERE source = $name HAVING count(*) > 0" for t in RAW if t != "raw.metric_series")
    return dict(lake.connection.execute(" UNION ALL ".join(queries), {"name": name}).fetchall())


def held(lake: Lake, name: str) -> list[tuple[str, str | None, int | None, str | None]]:
    queries = (f"SELECT reason, file, line, record FROM quarantine.{t.removeprefix('raw.')} WHERE source = $name" for t in RAW)
    return lake.connection.execute(f"{' UNION ALL '.join(queries)} ORDER BY line NULLS FIRST", {"name": name}).fetchall()


def account(lake: Lake, name: str) -> dict[str, int]:
    """The sums of a source's ingest log, checked row by row: read = landed + collapsed + quarantined."""
    sql = """SELECT table_name, sum(rows_landed)::INT, sum(rows_quarantined)::INT,
                    bool_and(rows_read = rows_landed + rows_collapsed + rows_quarantined)
             FROM meta.ingest_log WHERE source = ? GROUP BY ALL"""
    rows = lake.connection.execute(sql, [name]).fetchall()
    assert all(balanced for *_, balanced in rows)
    assert sum(lost for _, _, lost, _ in rows) == len(held(lake, name))
    return {table: count for table, count, _, _ in rows if count and table != "raw.metric_series"}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_bad_files_end_in_an_error_or_in_quarantine_and_good_rows_land(lake: Lake, tmp_path: Path, name: str, case: Case) -> None:
    put(tmp_path / "in", case.files)
    source = case.source | {"path": "in/*"}
    result = read(lake, tmp_path, name, source)
    assert [bool(re.search(p, f"{f.origin} {f.message}")) for p, f in zip(case.errors, result.failures, strict=True)] == [True] * len(
        case.errors
    ), result.failures
    assert landed(lake, name) == account(lake, name) == case.rows
    quarantined = held(lake, name)
    assert [(bool(re.search(reason, q[0])), q[2]) for (reason, _), q in zip(case.held, quarantined, strict=True)] == [
        (True, number) for _, number in case.held
    ], quarantined
    assert all(file and file.startswith("in/") and record for _, file, _, record in quarantined)
    again = read(lake, tmp_path, name, source)
    assert (again.rows, len(again.failures)) == ({}, len(case.errors))
    assert landed(lake, name) == case.rows


def test_names_are_data_and_never_paths(lake: Lake, tmp_path: Path) -> None:
    put(tmp_path / "in", {"a.ndjson": ndjson(sample(1, h="../../up", m="/etc/x"), sample(2, h=HOSTILE))})
    before = set(tmp_path.parent.iterdir())
    read(lake, tmp_path, "names", POINTS | {"path": "in/*"})
    labels = lake.connection.execute("SELECT labels['host'] FROM raw.metric_series WHERE source = 'names' ORDER BY 1").fetchall()
    assert labels == [(HOSTILE,), ("../../up",)]
    folders = {str(p.parent.relative_to(str(lake.data_folder))) for p in Path(str(lake.data_folder)).rglob("*.parquet")}
    assert all(re.fullmatch(r"\w+/\w+(/day=[\d-]{10})?", folder) for folder in folders)
    assert set(tmp_path.parent.iterdir()) == before


def test_late_samples_in_any_order_land_on_their_days_and_touch_no_other(lake: Lake, tmp_path: Path) -> None:
    put(tmp_path / "in", {"a.ndjson": ndjson(sample(9, 9.0), sample(3, 3.0), sample(6, 6.0))})
    source = POINTS | {"path": "in/*"}
    read(lake, tmp_path, "late", source)
    before = lake.states("raw.metric_points")
    put(tmp_path / "in", {"b.ndjson": ndjson(sample(4, 4.0), sample(3, 3.0), sample(6, 6.5, ts="2023-12-31 10:00:00"))})
    result = read(lake, tmp_path, "late", source)
    assert (result.rows["raw.metric_points"], result.days["raw.metric_points"]) == (2, {date(2023, 12, 31), DAY.start})
    values = lake.connection.execute("SELECT value FROM raw.metric_points WHERE source = 'late' ORDER BY time").fetchall()
    assert [v for (v,) in values] == [6.5, 3.0, 4.0, 6.0, 9.0]
    after = lake.states("raw.metric_points")
    assert {d for d in after if after[d] != before.get(d)} == {date(2023, 12, 31), DAY.start}
    account(lake, "late")


def test_a_counter_that_was_reset_lands_as_it_came_and_grows_on(lake: Lake, tmp_path: Path) -> None:
    values = [5, 9, 2, 4]
    put(tmp_path / "in", {"a.ndjson": ndjson(*(sample(i, v) for i, v in enumerate(values)))})
    read(lake, tmp_path, "counter", POINTS | {"path": "in/*", "metrics": {"cpu": {"kind": "counter"}}})
    stored = lake.connection.execute("SELECT value FROM raw.metric_points WHERE source = 'counter' ORDER BY time").fetchall()
    assert [v for (v,) in stored] == values
    lake.connection.execute(macros())
    sql, buckets = load_models()["core.metric_rollup_5m"].sql, bounds(DAY)
    grown = lake.connection.execute(f"SELECT sum(increase), sum(resets) FROM ({sql}) WHERE source = 'counter'", buckets).fetchall()
    assert grown == [(4 + 2 + 2, 1)]


def test_an_inbox_takes_what_is_good_and_rejects_the_rest_with_a_reason(lake: Lake, tmp_path: Path) -> None:
    secret = tmp_path / "secret.ndjson"
    secret.write_bytes(ndjson(line(1, "secret")))
    inbox = tmp_path / "box"
    put(inbox, {"a.ndjson": ndjson(line(2)), "b.ndjson.gz": b"\x1f\x8bcut", "c.ndjson.part": ndjson(line(3))})
    (inbox / "link.ndjson").symlink_to(secret)
    result = read(lake, tmp_path, "box", LINES | {"inbox": "box"})
    assert sorted(f.origin for f in result.failures) == ["inbox/b.ndjson.gz", "inbox/link.ndjson"]
    assert landed(lake, "box") == account(lake, "box") == {"raw.logs": 1}
    assert sorted(p.name for p in (inbox / "done").iterdir()) == ["a.ndjson"]
    names = ["b.ndjson.gz", "b.ndjson.gz.reason.txt", "link.ndjson", "link.ndjson.reason.txt"]
    assert sorted(p.name for p in (inbox / "rejected").iterdir()) == names
    assert "symbolic link" in (inbox / "rejected" / "link.ndjson.reason.txt").read_text()
    assert secret.exists()
    assert (inbox / "c.ndjson.part").exists()
    put(inbox, {"again.ndjson": ndjson(line(2))})
    assert read(lake, tmp_path, "box", LINES | {"inbox": "box"}).known == 1
    assert sorted(p.name for p in (inbox / "done").iterdir()) == ["a.ndjson", "again.ndjson"]


CLOSED = Slice(date(2026, 1, 5), date(2026, 1, 6))
HOURLY = every(timedelta(hours=1), datetime(2026, 1, 5), datetime(2026, 1, 6))


def whole(exchange: Any) -> None:
    Prometheus({("up", "1"): HOURLY})(exchange)


def fewer(exchange: Any) -> None:
    Prometheus({("up", "1"): HOURLY[:5]})(exchange)


def failing(exchange: Any) -> None:
    exchange.answer(b"no", 500)


def slow(exchange: Any) -> None:
    exchange.begin(100)
    time.sleep(0.6)
    exchange.handler.close_connection = True


def half(exchange: Any) -> None:
    exchange.half(b'{"status":"success","data":{"resultType":"matrix","result":[]}}')


@pytest.mark.parametrize(("ill", "said"), [(failing, "500"), (slow, "s"), (half, "."), (fewer, "--allow-shrink")])
def test_a_server_that_is_ill_costs_no_history_and_is_told(
    lake: Lake,
    tmp_path: Path,
    name: str,
    stub: Stub,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    ill: Any,
    said: str,
) -> None:
    monkeypatch.setattr(sources.http, "BACKOFF_SECONDS", 0.001)
    source = {"kind": "prometheus", "url": stub.url, "selectors": ["up"], "max_attempts": 2, "flavour": "prometheus"}
    stub.replies = [whole]
    assert read(lake, tmp_path, name, source | {"timeout_seconds": 20}, CLOSED).rows["raw.metric_points"] == 24
    before = lake.states("raw.metric_points")
    stub.replies = [ill]
    limit = 0.3 if ill is slow else 20
    result = read(lake, tmp_path, name, source | {"timeout_seconds": limit}, CLOSED)
    assert [re.search(said, f.message) is not None for f in result.failures] == [True]
    assert landed(lake, name) == account(lake, name) == {"raw.metric_points": 24}
    assert lake.states("raw.metric_points") == before
    told = "SELECT success, details FROM meta.check_results WHERE table_name = ? ORDER BY checked_at"
    outcomes = lake.connection.execute(told, [f"source:{name}"]).fetchall()
    assert [ok for ok, _ in outcomes] == [True, False]


def test_an_unknown_key_is_named_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "lakebed.toml").write_text('[sources.a]\nkind = "otlp"\npath = "x"\nmax_line_byte = 5\n')
    with pytest.raises(ConfigError, match="max_line_byte: unknown key; did you mean max_line_bytes"):
        load(tmp_path / "lakebed.toml")


def test_a_missing_secret_is_named_by_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_THERE", raising=False)
    (tmp_path / "lakebed.toml").write_text('[lake]\ncatalog = "postgres:password=${NOT_THERE}"\n')
    with pytest.raises(ConfigError, match=r"lake\.catalog needs the environment variable NOT_THERE"):
        load(tmp_path / "lakebed.toml")


@pytest.mark.parametrize(
    "dsn",
    [
        "host=127.0.0.1 port=1 user=u password=hunter2 dbname=d",
        "host=127.0.0.1 port=1 user=u password='hun ter2' dbname=d",
        "postgresql://u:hunter2@127.0.0.1:1/d",
        "//u:hunter2@127.0.0.1:1/d",
        "host=127.0.0.1 password=hunter2 nonsense",
        "host=127.0.0.1 password=hun ter2 dbname=d",
    ],
)
@pytest.mark.parametrize("read_only", [True, False])
def test_the_password_of_a_catalog_is_in_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dsn: str, read_only: bool) -> None:
    monkeypatch.setenv("LAKE_DSN", dsn)
    (tmp_path / "lakebed.toml").write_text('[lake]\ncatalog = "postgres:${LAKE_DSN}"\n')
    settings = load(tmp_path / "lakebed.toml")
    assert "ter2" not in repr(settings)
    with pytest.raises(LakeError) as caught:
        Lake.open(settings, read_only=read_only)
    told = "".join(traceback.format_exception(caught.value))
    assert "ter2" not in told
