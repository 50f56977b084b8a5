"""Samples from a real VictoriaMetrics: the same history over its import and export; its own rounding of values is
bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import backfill
import httpx
import numpy as np
import pytest
import servers
from reading import Lake, Read, read_days

from sources.http import HttpServer
from sources.prometheus import units
from sources.prometheus.windows import detect
from warehouse.lake import Slice
from warehouse.settings import Settings
from warehouse.settings.sources import PrometheusSettings

pytestmark = [pytest.mark.server, pytest.mark.realdata]

RELATIVE_ERROR = 1e-12
"""VictoriaMetrics stores decimals and stops at a `conversionPrecision` of 1e12 (lib/decimal): the last bits of a
double may go."""


@pytest.fixture(scope="module")
def history(realdata: Path) -> backfill.Series:
    return backfill.real_series(realdata)


@pytest.fixture(scope="module")
def server(
    program: Callable[[str, str], str], history: backfill.Series, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[servers.Server]:
    with servers.victoria_metrics(program("victoria-metrics", "victoria-metrics"), tmp_path_factory.mktemp("victoria")) as running:
        for line in backfill.import_lines(history):
            httpx.post(f"{running.url}/api/v1/import", content=line).raise_for_status()
        special = b"special NaN 1380000000001\nspecial +Inf 1380000000002\nspecial 0.5 1380000000003\nspecial -Inf 1380000000004\n"
        httpx.post(f"{running.url}/api/v1/import/prometheus", content=special).raise_for_status()
        httpx.get(f"{running.url}/internal/force_flush").raise_for_status()
        yield running


def test_every_timestamp_comes_back_and_every_value_within_the_bound(server: servers.Server, history: backfill.Series) -> None:
    settings = PrometheusSettings(kind="prometheus", url=server.url, selectors=('{__name__=~"nab_value|opendc_.*"}',))
    found = Read()
    for window in backfill.spans_of_days(history):
        read_days("live", settings, window, found)
    assert found.series.keys() == history.keys()
    worst, changed = 0.0, 0
    for key, (times, values) in history.items():
        got_times, got_values = found.samples(key)
        assert np.array_equal(got_times, times * 1000)
        error = np.abs(got_values - values) / np.where(values == 0, 1, np.abs(values))
        worst, changed = max(worst, float(error.max())), changed + int((error > 0).sum())
    print(f"{changed:,} of {found.rows:,} values changed, by at most {worst:.2g} of themselves")
    assert worst <= RELATIVE_ERROR
    assert found.rows == backfill.counts(history)


def test_infinities_come_back(server: servers.Server) -> None:
    settings = PrometheusSettings(kind="prometheus", url=server.url, selectors=("special",))
    found = Read()
    read_days("live", settings, Slice(date(2013, 9, 24), date(2013, 9, 25)), found)
    assert found.samples(("special", ()))[1].tolist() == [float("inf"), 0.5, float("-inf")]


def test_windows_of_any_size_bring_the_same_content(server: servers.Server) -> None:
    found = set()
    for seconds, limit in ((600, 5_000_000), (86_400, 5_000_000), (86_400, 1000)):
        settings = PrometheusSettings(
            kind="prometheus", url=server.url, selectors=("opendc_cpu_usage",), window_seconds=seconds, max_samples=limit
        )
        day = Slice(date(2013, 8, 20), date(2013, 8, 21))
        (unit,) = units("live", settings, config=Settings(), known=Lake(), window=day)
        found.add(unit.batch_id)
    assert len(found) == 1


def test_its_query_api_gives_the_same_samples_as_its_export(server: servers.Server) -> None:
    day = Slice(date(2013, 8, 20), date(2013, 8, 21))
    batches = [
        next(
            units(
                "live",
                PrometheusSettings(kind="prometheus", url=server.url, selectors=("opendc_cpu_usage",), flavour=flavour),
                config=Settings(),
                known=Lake(),
                window=day,
            )
        ).batch_id
        for flavour in ("prometheus", "victoriametrics")
    ]
    assert batches[0] == batches[1]


def test_flavour_is_told_although_its_build_information_names_no_product(server: servers.Server) -> None:
    settings = PrometheusSettings(kind="prometheus", url=server.url)
    with HttpServer("live", server.url, settings.auth, timeout_seconds=10, max_attempts=1) as http:
        assert detect(http, settings) == "victoriametrics"
