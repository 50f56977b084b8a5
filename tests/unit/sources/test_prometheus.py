"""Days and windows against a server that behaves as Prometheus does, and one that misbehaves."""

from __future__ import annotations

import gc
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

import sources.http
from sources.http import ServerError
from sources.prometheus import units
from warehouse.contracts.series import series_id
from warehouse.errors import ShrunkSourceError, SourceError
from warehouse.lake import Former, Slice, Unit, scratch
from warehouse.settings import LakeSettings, Settings
from warehouse.settings.sources import PrometheusSettings

at = datetime.fromisoformat
EPOCH = at("1970-01-01")
NOON = at("2026-11-23T12:00:00")
CLOSED, OPEN = date(2026, 11, 22), date(2026, 11, 23)
RANGE = re.compile(r"^(.*)\[(\d+)ms\]$")
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.http, "BACKOFF_SECONDS", 0.001)


@dataclass
class Prometheus:
    """Samples by series (`up{i="1"}` is ("up", "1")) and the answers of the API; both ends of a range are closed, as
    in Prometheus 2."""

    samples: dict[tuple[str, str], list[tuple[datetime, str]]]
    max_samples: int = 10**9
    refusal: tuple[int, str, str] = (422, "execution", "query processing would load too many samples into memory")
    metadata: dict[str, Any] = field(default_factory=dict)
    left_open: bool = False
    queries: list[tuple[datetime, datetime, int]] = field(default_factory=list)

    def __call__(self, exchange: Any) -> None:
        if exchange.path == "/api/v1/status/buildinfo":
            return exchange.answer(b'{"status":"success","data":{"version":"2.42.0","revision":"abc"}}')
        if exchange.path == "/api/v1/metadata":
            return exchange.answer(orjson.dumps({"status": "success", "data": self.metadata}))
        assert exchange.path == "/api/v1/query"
        parsed = RANGE.match(exchange.params["query"])
        assert parsed
        end = EPOCH + timedelta(milliseconds=round(float(exchange.params["time"]) * 1000))
        start = end - timedelta(milliseconds=int(parsed[2]))
        found = [
            ({"__name__": name, "i": i}, kept)
            for (name, i), rows in self.samples.items()
            if (kept := [r for r in rows if (start < r[0] if self.left_open else start <= r[0]) and r[0] <= end])
        ]
        count = sum(len(rows) for _, rows in found)
        self.queries.append((start, end, count))
        if count > self.max_samples:
            status, kind, said = self.refusal
            return exchange.answer(orjson.dumps({"status": "error", "errorType": kind, "error": said}), status)
        result = [{"metric": metric, "values": [[unix(t), v] for t, v in rows]} for metric, rows in found]
        body = {"status": "success", "data": {"resultType": "matrix", "result": result}}
        return exchange.answer(orjson.dumps(body))


class Lake:
    """What a lake would say of the past."""

    def __init__(self, *batches: str, mark: datetime | None = None) -> None:
        self.batches, self.mark = set(batches), mark

    def has(self, batch_id: str) -> bool:
        return batch_id in self.batches

    def has_size(self, size: int) -> bool:
        return False

    def former_origins(self) -> tuple[str, ...]:
        return ()

    def former(self, origin: str) -> Former | None:
        return None

    def watermark(self, table: str) -> datetime | None:
        return self.mark


def unix(moment: datetime) -> float:
    return (moment - EPOCH) / timedelta(seconds=1)


def every(step: timedelta, start: datetime, end: datetime, value: str = "1.5") -> list[tuple[datetime, str]]:
    count = -((start - end) // step)
    return [(start + i * step, value) for i in range(count)]


def fetch(stub: Any, server: Callable[[Any], None], days: Slice, lake: Lake | None = None, **settings: Any) -> list[Unit]:
    stub.replies = [server]
    now = settings.pop("now", NOON)
    given = {"selectors": ("up",), "lag_seconds": 0, "max_attempts": 3, **settings}
    chosen = PrometheusSettings(kind="prometheus", url=stub.url, **given)
    return list(units("prod", chosen, config=Settings(), known=lake or Lake(), window=days, now=now))


def points(unit: Unit) -> list[tuple[datetime, int, float]]:
    rows = [row for table, row, rejects in taken(unit) if table == "raw.metric_points" and not rejects]
    return sorted((row["time"], row["series_id"], row["value"]) for row in rows)


def taken(unit: Unit) -> list[tuple[str, dict[str, Any], bool]]:
    connection = scratch()
    result = []
    for part in unit.open(connection):
        table = part.rows.read_all() if isinstance(part.rows, pa.RecordBatchReader) else part.rows.to_arrow_table()
        result += [(part.table, row, part.rejects) for row in table.to_pylist(maps_as_pydicts="strict")]
    return result


@pytest.mark.parametrize("left_open", [False, True])
@pytest.mark.parametrize("seconds", [60, 3600, 50_000, 86_400])
def test_a_closed_day_is_one_unit_with_all_its_samples_and_no_other(stub: Any, left_open: bool, seconds: int) -> None:
    start = at(CLOSED.isoformat())
    rows = every(timedelta(minutes=10), start - timedelta(hours=1), start + DAY + timedelta(hours=1))
    rows.append((start + DAY - timedelta(milliseconds=1), "7"))
    server = Prometheus({("up", "1"): sorted(rows), ("up", "2"): sorted(rows)}, left_open=left_open)
    (unit,) = fetch(stub, server, Slice(CLOSED, OPEN), window_seconds=seconds)
    assert unit.slice == Slice(CLOSED, OPEN)
    assert unit.origin == "window:2026-11-22T00:00:00/2026-11-23T00:00:00"
    expected = [
        (time, series_id("prod", "up", {"i": i}), float(value)) for i in "12" for time, value in rows if start <= time < start + DAY
    ]
    assert points(unit) == sorted(expected)
    assert unit.bytes_read > 0


@pytest.mark.parametrize(
    "refusal",
    [
        (422, "execution", "query processing would load too many samples into memory in query execution"),
        (503, "timeout", "query timed out in expression evaluation"),
        (413, "", "too large"),
    ],
)
def test_windows_are_split_when_the_server_says_too_much(stub: Any, refusal: tuple[int, str, str]) -> None:
    start = at(CLOSED.isoformat())
    rows = every(timedelta(minutes=1), start, start + DAY)
    server = Prometheus({("up", "1"): rows}, max_samples=50, refusal=refusal)
    (unit,) = fetch(stub, server, Slice(CLOSED, OPEN), window_seconds=21_600)
    assert len(points(unit)) == 1440
    refused = sum(count > 50 for _, _, count in server.queries)
    assert refused <= 6, "each size is refused once, not in every second window"


def test_windows_grow_when_little_comes_and_shrink_before_too_much_does(stub: Any) -> None:
    start = at(CLOSED.isoformat())
    quiet = every(timedelta(hours=2), start, start + DAY)
    server = Prometheus({("up", "1"): quiet})
    fetch(stub, server, Slice(CLOSED, OPEN), window_seconds=60)
    assert len(server.queries) < 15
    busy = Prometheus({("up", "1"): every(timedelta(seconds=30), start, start + DAY)})
    (unit,) = fetch(stub, busy, Slice(CLOSED, OPEN), window_seconds=60, max_samples=1000)
    assert max(count for _, _, count in busy.queries) <= 600
    assert len(points(unit)) == 2880


def test_a_second_that_holds_too_much_is_told_with_what_to_do(stub: Any) -> None:
    start = at(CLOSED.isoformat())
    rows = every(timedelta(milliseconds=1), start, start + timedelta(seconds=2))
    with pytest.raises(SourceError, match="narrow `selectors`"):
        fetch(stub, Prometheus({("up", "1"): rows}, max_samples=100), Slice(CLOSED, OPEN))


def test_the_open_day_is_appended_up_to_the_lag_and_goes_on_from_the_watermark(stub: Any) -> None:
    start = at(OPEN.isoformat())
    server = Prometheus({("up", "1"): every(timedelta(minutes=1), start, NOON + timedelta(hours=1))})
    (first,) = fetch(stub, server, Slice(OPEN, OPEN + DAY), lag_seconds=90)
    assert first.slice is None
    assert first.origin == "window:2026-11-23T00:00:00/2026-11-23T11:58:30"
    assert points(first)[-1][0] == at("2026-11-23T11:58:00")
    mark = at("2026-11-23T11:58:30")
    (second,) = fetch(stub, server, Slice(OPEN, OPEN + DAY), Lake(mark=mark), lag_seconds=90, now=NOON + timedelta(minutes=3))
    assert second.origin == "window:2026-11-23T11:58:30/2026-11-23T12:01:30"
    assert [time for time, _, _ in points(second)] == [at("2026-11-23T11:59:00") + i * timedelta(minutes=1) for i in range(3)]


def test_an_open_day_with_nothing_new_yields_no_unit_so_its_watermark_stays(stub: Any) -> None:
    server = Prometheus({("up", "1"): [(at("2026-11-23T01:00:00"), "1")]})
    assert fetch(stub, server, Slice(OPEN, OPEN + DAY), Lake(mark=at("2026-11-23T02:00:00"))) == []


def test_yesterday_stays_open_until_the_lag_has_passed(stub: Any) -> None:
    server = Prometheus({("up", "1"): every(timedelta(minutes=1), at(CLOSED.isoformat()), NOON)})
    days = Slice(CLOSED, OPEN + DAY)
    found = fetch(stub, server, days, lag_seconds=60, now=at("2026-11-23T00:00:30"))
    assert [(u.slice, u.origin[-19:]) for u in found] == [(None, "2026-11-22T23:59:30")]
    found = fetch(stub, server, days, lag_seconds=60, now=at("2026-11-23T00:01:00"))
    assert [u.slice for u in found] == [Slice(CLOSED, OPEN)]


def test_a_closed_day_is_asked_whole_whatever_the_watermark(stub: Any) -> None:
    server = Prometheus({("up", "1"): every(timedelta(hours=1), at(CLOSED.isoformat()), NOON)})
    (unit,) = fetch(stub, server, Slice(CLOSED, OPEN), Lake(mark=at("2026-11-22T18:00:00")))
    assert len(points(unit)) == 24


def test_days_to_come_ask_nothing(stub: Any) -> None:
    assert fetch(stub, Prometheus({}), Slice(OPEN + DAY, OPEN + 3 * DAY)) == []
    assert stub.asked == []


def test_a_day_without_samples_is_a_unit_without_rows(stub: Any) -> None:
    (unit,) = fetch(stub, Prometheus({}), Slice(CLOSED, OPEN))
    assert unit.slice == Slice(CLOSED, OPEN)
    assert taken(unit) == []


def test_equal_content_is_the_same_batch_and_any_other_is_another(stub: Any) -> None:
    start = at(CLOSED.isoformat())
    rows = every(timedelta(hours=1), start, start + DAY)
    days = Slice(CLOSED, OPEN)
    (unit,) = fetch(stub, Prometheus({("up", "1"): rows, ("up", "2"): rows}), days)
    turned = Prometheus({("up", "2"): rows, ("up", "1"): rows})
    assert fetch(stub, turned, days, Lake(unit.batch_id), window_seconds=7000) == []
    variants = [
        Prometheus({("up", "1"): rows, ("up", "2"): rows[:-1]}),
        Prometheus({("up", "1"): rows, ("up", "3"): rows}),
        Prometheus({("up", "1"): rows, ("up", "2"): [*rows[:-1], (rows[-1][0], "1.5000000000000002")]}),
        Prometheus({("up", "1"): rows, ("up", "2"): [*rows[:-1], (rows[-1][0] + timedelta(milliseconds=1), "1.5")]}),
        Prometheus({("up", "1"): rows, ("up", "2"): rows}, metadata={"up": [{"type": "counter", "help": "", "unit": ""}]}),
    ]
    found = [fetch(stub, server, days)[0].batch_id for server in variants]
    assert len({unit.batch_id, *found}) == len(variants) + 1


def test_several_selectors_are_one_unit(stub: Any) -> None:
    start = at(CLOSED.isoformat())
    server = Prometheus({("up", "1"): every(timedelta(hours=1), start, start + DAY)})
    (unit,) = fetch(stub, server, Slice(CLOSED, OPEN), selectors=("up", "down"))
    assert len(points(unit)) == 48


def test_series_tell_kind_unit_and_when_they_were_seen(stub: Any) -> None:
    start = at(CLOSED.isoformat())
    rows = every(timedelta(hours=1), start, start + DAY, "2500")
    metadata = {
        "jobs_total": [{"type": "counter", "help": "Jobs.", "unit": ""}],
        "wait_ms": [{"type": "gauge", "help": "", "unit": "milliseconds"}],
        "rpc_seconds": [{"type": "histogram", "help": "RPC.", "unit": ""}],
        "gc": [{"type": "summary", "help": "", "unit": ""}],
    }
    names = ("jobs_total", "wait_ms", "rpc_seconds_bucket", "rpc_seconds_sum", "rpc_seconds_count", "gc", "gc_sum", "free_bytes", "x_total")
    server = Prometheus({(name, "1"): rows for name in names}, metadata=metadata)
    (unit,) = fetch(stub, server, Slice(CLOSED, OPEN))
    found = {row["metric_name"]: row for table, row, _ in taken(unit) if table == "raw.metric_series"}
    columns = ("kind", "unit", "original_unit", "unit_scale", "temporality", "is_monotonic")
    shown = {name: tuple(row[column] for column in columns) for name, row in found.items()}
    assert shown == {
        "jobs_total": ("counter", None, None, 1.0, "cumulative", True),
        "wait_ms": ("gauge", "s", "milliseconds", 0.001, None, None),
        "rpc_seconds_bucket": ("counter", "1", None, 1.0, "cumulative", True),
        "rpc_seconds_sum": ("counter", "s", None, 1.0, "cumulative", True),
        "rpc_seconds_count": ("counter", "1", None, 1.0, "cumulative", True),
        "gc": ("summary", None, None, 1.0, None, None),
        "gc_sum": ("counter", None, None, 1.0, "cumulative", True),
        "free_bytes": ("unknown", "By", None, 1.0, None, None),
        "x_total": ("counter", None, None, 1.0, "cumulative", None),
    }
    assert found["jobs_total"]["description"] == "Jobs."
    assert (found["gc"]["first_seen"], found["gc"]["last_seen"]) == (start, start + timedelta(hours=23))
    scaled = {value for _, identity, value in points(unit) if identity == found["wait_ms"]["series_id"]}
    assert scaled == {2.5}


def faulty(server: Prometheus, fault: Callable[[Any, bytes], None]) -> Callable[[Any], None]:
    """The server, but its first answer to each query is a fault."""
    hit: set[str] = set()

    def answer(exchange: Any) -> None:
        if exchange.path != "/api/v1/query" or exchange.params["time"] in hit:
            return server(exchange)
        hit.add(exchange.params["time"])
        whole = exchange.answer
        exchange.answer = lambda body, status=200, headers=None: fault(exchange, body)
        try:
            return server(exchange)
        finally:
            exchange.answer = whole

    return answer


def refuse(status: int, **headers: str) -> Callable[[Any, bytes], None]:
    def fault(exchange: Any, _: bytes) -> None:
        exchange.begin(2, status, {k.replace("_", "-"): v for k, v in headers.items()})
        exchange.handler.wfile.write(b"no")

    return fault


def cut_inside(exchange: Any, body: bytes) -> None:
    exchange.begin(len(body) // 2)
    exchange.handler.wfile.write(body[: len(body) // 2])


@pytest.mark.parametrize(
    "fault",
    [refuse(500), refuse(503), refuse(429, Retry_After="0"), lambda exchange, body: exchange.half(body), cut_inside],
    ids=["500", "503", "429", "half a body", "half a body with its own length"],
)
def test_a_fault_that_passes_costs_no_sample_and_doubles_none(stub: Any, fault: Callable[[Any, bytes], None]) -> None:
    start = at(CLOSED.isoformat())
    server = Prometheus({("up", str(i)): every(timedelta(minutes=5), start, start + DAY) for i in range(4)})
    (plain,) = fetch(stub, server, Slice(CLOSED, OPEN), window_seconds=20_000)
    (unit,) = fetch(stub, faulty(server, fault), Slice(CLOSED, OPEN), window_seconds=20_000)
    assert points(unit) == points(plain)
    assert unit.batch_id == plain.batch_id


def test_a_server_that_stays_ill_fails_the_day_and_leaves_nothing_behind(stub: Any, tmp_path: Path) -> None:
    server = Prometheus({})

    def ill(exchange: Any) -> None:
        return refuse(500)(exchange, b"") if exchange.path == "/api/v1/query" else server(exchange)

    stub.replies = [ill]
    settings = PrometheusSettings(kind="prometheus", url=stub.url, max_attempts=2)
    config = Settings(lake=LakeSettings(temp_directory=str(tmp_path)))
    with pytest.raises(ServerError, match="answered 500"):
        list(units("prod", settings, config=config, known=Lake(), window=Slice(CLOSED, OPEN), now=NOON))
    assert list(tmp_path.iterdir()) == []


def test_a_silent_server_is_given_up(stub: Any) -> None:
    release = threading.Event()
    with pytest.raises(ServerError, match="did not answer within"):
        fetch(stub, lambda _: release.wait(30), Slice(CLOSED, OPEN), timeout_seconds=0.2, max_attempts=1)
    release.set()


def test_a_spool_goes_with_its_unit(stub: Any, tmp_path: Path) -> None:
    start = at(CLOSED.isoformat())
    stub.replies = [Prometheus({("up", "1"): every(timedelta(hours=1), start, start + DAY)})]
    settings = PrometheusSettings(kind="prometheus", url=stub.url)
    config = Settings(lake=LakeSettings(temp_directory=str(tmp_path)))
    found = list(units("prod", settings, config=config, known=Lake(), window=Slice(CLOSED, OPEN), now=NOON))
    assert len(list(tmp_path.iterdir())) == 1
    assert len(points(found[0])) == 24
    found.clear()
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_a_server_without_metadata_gives_its_samples_all_the_same(stub: Any) -> None:
    start = at(CLOSED.isoformat())
    server = Prometheus({("up", "1"): every(timedelta(hours=1), start, start + DAY)})
    (unit,) = fetch(stub, lambda e: refuse(404)(e, b"") if e.path == "/api/v1/metadata" else server(e), Slice(CLOSED, OPEN), max_attempts=1)
    assert len(points(unit)) == 24


def test_a_day_that_shrank_is_refused_by_the_lake_and_history_stays(stub: Any, tmp_path: Path) -> None:
    from warehouse.lake.lake import Lake as RealLake

    start = at(CLOSED.isoformat())
    rows = every(timedelta(hours=1), start, start + DAY)
    config = Settings(root=tmp_path)
    with RealLake.open(config) as lake:
        for server in (Prometheus({("up", "1"): rows}), Prometheus({("up", "1"): rows[:5]}), Prometheus({})):
            for unit in fetch(stub, server, Slice(CLOSED, OPEN)):
                if server.samples.get(("up", "1")) == rows:
                    lake.land(unit)
                else:
                    with pytest.raises(ShrunkSourceError):
                        lake.land(unit)
        assert lake.connection.execute("SELECT count(*) FROM raw.metric_points").fetchone() == (24,)


def test_the_whole_day_replaces_what_was_appended_while_it_was_open(stub: Any, tmp_path: Path) -> None:
    from warehouse.lake.lake import Lake as RealLake

    start = at(CLOSED.isoformat())
    server = Prometheus({("up", "1"): every(timedelta(minutes=10), start, start + DAY)})
    stub.replies = [server]
    settings = PrometheusSettings(kind="prometheus", url=stub.url, selectors=("up",), lag_seconds=0)
    with RealLake.open(Settings(root=tmp_path)) as lake:
        for hours in (6, 12, 12, 24):
            now = start + timedelta(hours=hours)
            days = Slice(CLOSED, OPEN)
            for unit in units("prod", settings, config=Settings(), known=lake.known("prod"), window=days, now=now):
                lake.land(unit)
            count = lake.connection.execute("SELECT count(*), count(DISTINCT time) FROM raw.metric_points").fetchone()
            assert count == (hours * 6, hours * 6)
        assert lake.known("prod").watermark("raw.metric_points") == start + DAY
        seen = lake.connection.execute("SELECT first_seen, last_seen FROM raw.metric_series").fetchone()
        assert seen == (start, start + DAY - timedelta(minutes=10))
