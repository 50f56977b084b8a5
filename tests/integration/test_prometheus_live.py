"""Samples from a real Prometheus: history with millisecond jitter beside live node-exporter, back bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import backfill
import httpx
import numpy as np
import pyarrow as pa
import pytest
import servers
from reading import Lake, Read, read_days

from sources.prometheus import units
from warehouse.lake import Slice, scratch
from warehouse.settings import Settings
from warehouse.settings.sources import PrometheusSettings

pytestmark = [pytest.mark.server, pytest.mark.realdata]


@pytest.fixture(scope="module")
def history(realdata: Path) -> backfill.Series:
    return backfill.real_series(realdata)


@pytest.fixture(scope="module")
def server(
    program: Callable[[str, str], str], history: backfill.Series, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[servers.Server]:
    folder = tmp_path_factory.mktemp("prometheus")
    tsdb = backfill.create_blocks(program("promtool", "prometheus"), history, folder)
    exporter = program("prometheus-node-exporter", "prometheus-node-exporter")
    with (
        servers.node_exporter(exporter, tmp_path_factory.mktemp("exporter")) as node,
        servers.prometheus(
            program("prometheus", "prometheus"),
            folder,
            data=tsdb,
            scrape={"node": f"127.0.0.1:{node.port}"},
            flags=("--query.max-samples=20000",),
        ) as running,
    ):
        yield running


def test_every_sample_of_the_history_comes_back(server: servers.Server, history: backfill.Series) -> None:
    settings = PrometheusSettings(kind="prometheus", url=server.url, selectors=('{__name__=~"nab_value|opendc_.*"}',))
    found = Read()
    for window in backfill.spans_of_days(history):
        read_days("live", settings, window, found)
    assert found.series.keys() == history.keys()
    for key, (times, values) in history.items():
        got_times, got_values = found.samples(key)
        assert np.array_equal(got_times, times * 1000)
        assert np.array_equal(got_values.view(np.uint64), values.view(np.uint64))
    assert found.rows == backfill.counts(history)


def test_windows_of_any_size_bring_the_same_content(server: servers.Server, history: backfill.Series) -> None:
    day = Slice(date(2013, 8, 20), date(2013, 8, 21))
    found = []
    for seconds, limit in ((60, 5_000_000), (3600, 5_000_000), (86_400, 5_000_000), (86_400, 1000), (7201, 2000)):
        settings = PrometheusSettings(
            kind="prometheus",
            url=server.url,
            selectors=("opendc_cpu_usage",),
            window_seconds=seconds,
            max_samples=limit,
        )
        (unit,) = units("live", settings, config=Settings(), known=Lake(), window=day)
        found.append(unit.batch_id)
    assert len(set(found)) == 1
    settings = PrometheusSettings(kind="prometheus", url=server.url, selectors=("opendc_cpu_usage",))
    lake = Lake(batches={found[0]})
    assert list(units("live", settings, config=Settings(), known=lake, window=day)) == []


def test_live_node_exporter_against_the_tsdb_itself(server: servers.Server, program: Callable[[str, str], str], tmp_path: Path) -> None:
    servers.await_state(lambda: _scrapes(server) >= 4)
    now = datetime.now(UTC).replace(tzinfo=None)
    day = now.date()
    settings = PrometheusSettings(kind="prometheus", url=server.url, selectors=('{job="node"}',), lag_seconds=1)
    window = Slice(day - timedelta(days=1), day + timedelta(days=1))
    found = Read()
    for unit in units("live", settings, config=Settings(), known=Lake(), window=window, now=now):
        found.add(unit)
    assert _expected(server, found, now - timedelta(seconds=1)) == {key: list(_pairs(found, key)) for key in found.series}
    facts = {name: row for (name, _), row in found.series.items()}
    cpu = facts["node_cpu_seconds_total"]
    assert (cpu["kind"], cpu["unit"], cpu["temporality"], cpu["is_monotonic"]) == ("counter", "s", "cumulative", True)
    memory = facts["node_memory_MemAvailable_bytes"]
    assert (memory["kind"], memory["unit"], memory["is_monotonic"]) == ("gauge", "By", None)
    assert facts["go_gc_duration_seconds"]["kind"] == "summary"
    assert facts["node_load1"]["description"] == "1m load average."


def test_the_open_day_is_read_on_without_gap_or_double(server: servers.Server) -> None:
    servers.await_state(lambda: _scrapes(server) >= 6)
    end = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    window = Slice(end.date(), end.date() + timedelta(days=1))
    settings = PrometheusSettings(kind="prometheus", url=server.url, selectors=('{job="node"}',), lag_seconds=0)
    whole, pieces, lake = Read(), Read(), Lake()
    for unit in units("live", settings, config=Settings(), known=Lake(), window=window, now=end):
        whole.add(unit)
    for now in (end - timedelta(seconds=4), end - timedelta(seconds=3), end):
        for unit in units("live", settings, config=Settings(), known=lake, window=window, now=now):
            assert unit.slice is None
            lake.mark = pieces.add(unit)
    assert pieces.rows == whole.rows > 0
    for key in whole.series:
        assert list(_pairs(pieces, key)) == list(_pairs(whole, key))


def test_series_ids_agree_with_the_lakes_own_macro(server: servers.Server) -> None:
    settings = PrometheusSettings(kind="prometheus", url=server.url, selectors=("nab_value",))
    (unit,) = units("live", settings, config=Settings(), known=Lake(), window=Slice(date(2014, 4, 4), date(2014, 4, 5)))
    connection = scratch()
    series = next(iter(unit.open(connection))).rows
    assert not isinstance(series, pa.RecordBatchReader)
    wrong = series.filter("series_id <> series_id('live', metric_name, labels)").fetchall()
    assert len(series.fetchall()) > 0
    assert wrong == []


def test_flavour_is_told_from_build_information(server: servers.Server) -> None:
    from sources.http import HttpServer
    from sources.prometheus.windows import detect

    settings = PrometheusSettings(kind="prometheus", url=server.url)
    with HttpServer("live", server.url, settings.auth, timeout_seconds=10, max_attempts=1) as http:
        assert detect(http, settings) == "prometheus"


def _scrapes(server: servers.Server) -> int:
    answer = httpx.get(f"{server.url}/api/v1/query", params={"query": 'count_over_time(up{job="node"}[10m])'}).json()
    result = answer["data"]["result"]
    return int(result[0]["value"][1]) if result else 0


def _pairs(found: Read, key: tuple[str, tuple[tuple[str, str], ...]]) -> Iterator[tuple[int, str]]:
    times, values = found.samples(key)
    return zip((times // 1000).tolist(), (repr(v) for v in values.tolist()), strict=True)


def _expected(server: servers.Server, found: Read, end: datetime) -> dict[object, list[tuple[int, str]]]:
    """The same samples asked plainly, a selector at a time with one wide range, read with the standard library's JSON."""
    stop = end.replace(tzinfo=UTC).timestamp() // 1
    params = {"query": '{job="node"}[1h]', "time": f"{stop - 0.001:.3f}"}
    result = []
    with httpx.Client(base_url=server.url) as client:
        for name in sorted({name for name, _ in found.series}):
            params["query"] = f'{{__name__="{name}",job="node"}}[1h]'
            result += client.get("/api/v1/query", params=params).json()["data"]["result"]
    expected: dict[object, list[tuple[int, str]]] = {}
    for series in result:
        labels = dict(series["metric"])
        name = labels.pop("__name__")
        pairs = [(round(time * 1000), repr(float(value))) for time, value in series["values"]]
        expected[name, tuple(sorted(labels.items()))] = pairs
    return expected
