"""Growth of counters against `increase()` of a real Prometheus, on the same samples with jitter, gaps and resets.

Prometheus stretches an increase from the first and the last sample to the ends of its range (prometheus/promql/functions.go,
extrapolatedRate). A range that begins on a sample and ends on one has nothing to stretch: `increase(c[t1 - t0])` at t1, both ends being
samples, is the plain sum of steps with resets. Compared is, for every hour with samples, Lakebed's increase with Prometheus's between the
last sample before the hour and the last sample of it; and the sum of all hours with Prometheus's between a series' first and last sample.

A server whose ranges leave out the moment that they begin at (3.0 on) is asked for one millisecond more; what it stretches into that is
undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import backfill
import duckdb
import httpx
import numpy as np
import pyarrow as pa
import pytest
import servers

from transforms.model import load_models, macros
from warehouse.contracts import contract
from warehouse.contracts.ddl import plain_schema
from warehouse.lake import scratch

pytestmark = pytest.mark.server

START_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
HOUR_MS = 3_600_000
KINDS = ("steady", "resets", "gaps", "fractions")
Sample = tuple[int, float]


def counter(kind: str, rng: np.random.Generator, days: int = 2) -> tuple[backfill.Times, backfill.Values]:
    """Samples every 60 s with up to 900 ms of jitter. resets: the counter starts anew now and then, also right before midnight."""
    steps = days * 1440
    times = START_MS + np.arange(steps, dtype=np.int64) * 60_000 + rng.integers(0, 900, steps)
    grown = rng.exponential(3.0, steps) if kind == "fractions" else rng.poisson(3.0, steps).astype(np.float64)
    values = np.cumsum(grown) + 100_000.0
    if kind in ("resets", "fractions"):
        for at in sorted({*rng.integers(1, steps, 25).tolist(), 1440}):
            values[at:] -= values[at] - float(rng.integers(0, 5))
    kept = np.ones(steps, dtype=bool)
    if kind == "gaps":
        kept = rng.random(steps) > 0.3
        kept[600:1500] = False
    return times[kept], np.maximum(values[kept], 0.0)


@pytest.fixture(scope="module")
def history() -> backfill.Series:
    rng = np.random.default_rng(7)
    return {("c_total", (("kind", kind),)): counter(kind, rng) for kind in KINDS}


@pytest.fixture(scope="module")
def server(
    program: Callable[[str, str], str], history: backfill.Series, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[servers.Server]:
    folder = tmp_path_factory.mktemp("increase")
    tsdb = backfill.create_blocks(program("promtool", "prometheus"), history, folder)
    with servers.prometheus(program("prometheus", "prometheus"), folder, data=tsdb) as running:
        yield running


@pytest.fixture(scope="module")
def asked(server: servers.Server, history: backfill.Series) -> Iterator[Asked]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield Asked(client, history["c_total", (("kind", "steady"),)][0])


@pytest.fixture(scope="module")
def hours(history: backfill.Series) -> dict[str, dict[int, float]]:
    """kind -> start of the hour (Unix ms) -> increase, from the SQL model run day by day."""
    with scratch() as connection:
        for schema in ("raw", "core"):
            connection.execute(f"CREATE SCHEMA {schema}")
        for table in ("raw.metric_series", "raw.metric_points", "core.metric_rollup_5m"):
            connection.execute(plain_schema(contract(table)))
        connection.execute(macros())
        for number, (times, values) in enumerate(history.values()):
            points = pa.table({"ms": times, "value": values})
            connection.register("points", points)
            connection.execute(
                """INSERT INTO raw.metric_points BY NAME SELECT 's' AS source, ?::UBIGINT AS series_id, make_timestamp_ms(ms) AS time,
                   value, 'b' AS batch_id, time::DATE AS day FROM points""",
                [number],
            )
            connection.execute(
                """INSERT INTO raw.metric_series BY NAME SELECT 's' AS source, ?::UBIGINT AS series_id, 'c_total' AS metric_name,
                   MAP {}::MAP (VARCHAR, VARCHAR) AS labels, 'counter' AS kind, 'cumulative' AS temporality, 1.0 AS unit_scale,
                   now()::TIMESTAMP AS first_seen, now()::TIMESTAMP AS last_seen, 'b' AS batch_id""",
                [number],
            )
        _roll_up(connection)
        return {kind: dict(_increases(connection, number)) for number, kind in enumerate(KINDS)}


def _windows() -> Iterator[dict[str, datetime]]:
    for day in range(2):
        start = datetime.fromisoformat("2026-01-01") + timedelta(days=day)
        yield {"window_start": start, "window_end": start + timedelta(days=1)}


def _roll_up(connection: duckdb.DuckDBPyConnection) -> None:
    for window in _windows():
        connection.execute(f"INSERT INTO core.metric_rollup_5m BY NAME {load_models()['core.metric_rollup_5m'].sql}", window)


def _increases(connection: duckdb.DuckDBPyConnection, series_id: int) -> Iterator[tuple[int, float]]:
    sql = load_models()["core.metric_rollup_1h"].sql
    for window in _windows():
        query = f"SELECT epoch_ms(time), increase FROM ({sql}) WHERE series_id = {series_id}"
        yield from connection.execute(query, window).fetchall()


class Asked:
    """Prometheus's answers about the counters."""

    def __init__(self, client: httpx.Client, times: backfill.Times) -> None:
        """times: those of the counter `steady`, to see whether a range holds the sample that it begins on."""
        self.client = client
        first, second = int(times[0]), int(times[1])
        self.both_ends = self.ask("count_over_time", "steady", second - first, second) == 2

    def increase(self, kind: str, first: Sample, last: Sample) -> float:
        """From one sample to another, both taken in, nothing stretched."""
        span_ms = last[0] - first[0]
        if self.both_ends:
            return self.ask("increase", kind, span_ms, last[0])
        longer = self.ask("increase", kind, span_ms + 1, last[0])
        to_zero_ms = span_ms * first[1] / longer if longer > 0 else 1.0
        return longer * span_ms / (span_ms + min(1.0, to_zero_ms))

    def ask(self, function: str, kind: str, range_ms: int, at_ms: int) -> float:
        query = f'{function}(c_total{{kind="{kind}"}}[{range_ms}ms])'
        answer = self.client.get("/api/v1/query", params={"query": query, "time": f"{at_ms / 1000:.3f}"})
        result = answer.raise_for_status().json()["data"]["result"]
        return float(result[0]["value"][1]) if result else 0.0


def borders(times: backfill.Times, values: backfill.Values) -> Iterator[tuple[int, Sample, Sample]]:
    """For each hour with samples: its start, the last sample before it and the last sample in it."""
    last_of_hour: dict[int, Sample] = {}
    for time, value in zip(times.tolist(), values.tolist(), strict=True):
        last_of_hour[time // HOUR_MS * HOUR_MS] = (time, value)
    for (_, before), (hour, last) in pairwise(last_of_hour.items()):
        yield hour, before, last


@pytest.mark.parametrize("kind", KINDS)
def test_every_hour_grows_as_prometheus_says(asked: Asked, history: backfill.Series, hours: dict[str, dict[int, float]], kind: str) -> None:
    times, values = history["c_total", (("kind", kind),)]
    compared = 0
    for hour, before, last in borders(times, values):
        assert hours[kind][hour] == pytest.approx(asked.increase(kind, before, last), rel=1e-9, abs=1e-9), hour
        compared += 1
    assert compared == len(hours[kind]) - 1


@pytest.mark.parametrize("kind", KINDS)
def test_all_hours_add_up_to_the_whole_growth(
    asked: Asked, history: backfill.Series, hours: dict[str, dict[int, float]], kind: str
) -> None:
    times, values = history["c_total", (("kind", kind),)]
    ends = [(int(times[i]), float(values[i])) for i in (0, -1)]
    assert sum(hours[kind].values()) == pytest.approx(asked.increase(kind, *ends), rel=1e-9)
