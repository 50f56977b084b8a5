"""Range queries as dashboards make them, in PromQL to VictoriaMetrics and in SQL to the published `warehouse.duckdb`.

A window of PromQL is open at its start and closed at its end, a bucket of the lake the other way round: VictoriaMetrics is asked a
millisecond before each border, so that both see the same samples. SQL reads the coarsest table that answers: extremes, sums and increases
of rollups are exact, percentiles of sketches are within 2%, and those of VictoriaMetrics lie between two samples. Samples and five minutes
are published of the newest days, hours of all."""

from __future__ import annotations

import math
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import numpy as np

from benchmarks import tsbs
from tests.integration import backfill, servers
from transforms.model import macros
from warehouse.lake.lake import Lake
from warehouse.tiers.publish import publish

ROUNDS = 5
SERIES = "INNER JOIN raw.metric_series AS s ON p.source = s.source AND p.series_id = s.series_id"
HOST = "s.labels['hostname']"


@dataclass(frozen=True, slots=True)
class Range:
    """A question: over how many hours (0: all days but the first) in which steps, and in both languages.

    sql: what is selected from which tier; label and value, by step. tolerance: of the answers, relative."""

    name: str
    hours: int
    step: timedelta
    promql: str
    label: str
    value: str
    tier: str
    where: str
    tolerance: float = 1e-9


USER = "s.metric_name = 'usage_user'"
GAUGES = "s.metric_name LIKE 'usage%'"
MINUTE, FIVE_MINUTES, HOUR, DAY = timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)
RANGES = (
    Range(
        "one host, 1 h by 1 min",
        1,
        MINUTE,
        "avg_over_time(usage_user{{hostname='{host}'}}[1m])",
        HOST,
        "avg(p.value)",
        "raw.metric_points",
        USER + " AND " + HOST + " = '{host}'",
    ),
    Range(
        "ten metrics of a host, 6 h by 5 min",
        6,
        FIVE_MINUTES,
        "avg_over_time({{__name__=~'usage_.*', hostname='{host}'}}[5m]) keep_metric_names",
        "s.metric_name",
        "sum(p.sum) / sum(p.count)",
        "core.metric_rollup_5m",
        GAUGES + " AND " + HOST + " = '{host}'",
    ),
    Range(
        "peak of each host, 12 h by 5 min",
        12,
        FIVE_MINUTES,
        "max_over_time(usage_user[5m])",
        HOST,
        "max(p.max)",
        "core.metric_rollup_5m",
        USER,
    ),
    Range(
        "mean of the fleet, 1 day by 5 min",
        24,
        FIVE_MINUTES,
        "avg(avg_over_time(usage_user[5m]))",
        "''",
        "sum(p.sum) / sum(p.count)",
        "core.metric_rollup_5m",
        USER,
    ),
    Range(
        "requests a second, 12 h by 5 min",
        12,
        FIVE_MINUTES,
        "sum(increase(requests_total[5m])) / 300",
        "''",
        "sum(p.increase) / 300",
        "core.metric_rollup_5m",
        f"s.metric_name = '{tsbs.COUNTER}'",
    ),
    Range(
        "peak of each metric, all days by 1 h",
        0,
        HOUR,
        "max(max_over_time({{__name__=~'usage_.*'}}[1h]) keep_metric_names) by (__name__)",
        "s.metric_name",
        "max(p.max)",
        "core.metric_rollup_1h",
        GAUGES,
    ),
    Range(
        "requests of each host, all days by 1 day",
        0,
        DAY,
        "increase(requests_total[1d])",
        HOST,
        "sum(p.increase)",
        "core.metric_rollup_1h",
        f"s.metric_name = '{tsbs.COUNTER}'",
    ),
    Range(
        "p95 of each host, all days by 1 day",
        0,
        DAY,
        "quantile_over_time(0.95, usage_user[1d])",
        HOST,
        "sketch_quantile",
        "core.metric_rollup_1h",
        USER,
        tolerance=0.03,
    ),
)


def statement(asked: Range, host: str, start: datetime, end: datetime) -> str:
    """SQL: the start of the step, a label, and the value."""
    where = f"{asked.where.format(host=host)} AND p.time >= TIMESTAMP '{start}' AND p.time < TIMESTAMP '{end}'"
    step = f"time_bucket(INTERVAL {int(asked.step.total_seconds())} SECOND, p.time)"
    source = f"{asked.tier} AS p {SERIES} WHERE {where}"
    if asked.value != "sketch_quantile":
        return f"SELECT {step} AS step, {asked.label} AS label, {asked.value} AS value FROM {source} GROUP BY ALL ORDER BY ALL"
    return f"""
        WITH entries AS (
            SELECT {step} AS step, {asked.label} AS label, unnest(sketch_buckets(p.value_sketch)) AS bucket,
                   unnest(sketch_counts(p.value_sketch)) AS n
            FROM {source}
        ),
        merged AS (SELECT step, label, bucket, sum(n)::BIGINT AS n FROM entries GROUP BY ALL),
        passed AS (
            SELECT step, label, bucket, sum(n) OVER (PARTITION BY step, label ORDER BY bucket) AS upto,
                   sum(n) OVER (PARTITION BY step, label) AS total
            FROM merged
        )
        SELECT step, label, sketch_value(min(bucket) FILTER (WHERE upto > floor(0.95 * (total - 1)))) AS value
        FROM passed GROUP BY ALL ORDER BY ALL"""


def beside_victoria_metrics(lake: Lake, folder: Path, days: list[date]) -> dict[str, float]:
    """Print each question's median seconds on both sides; the ratios."""
    program = shutil.which("victoria-metrics")
    if program is None:
        raise SystemExit("this needs the Debian package victoria-metrics")
    published = publish(lake)
    version = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stdout.strip()
    print(f"# {version}, caches of up to 4 GB, merged; {published.path.name} of {published.bytes / 2**20:,.0f} MiB, 2 threads", flush=True)
    newest = days[-lake.settings.publish.raw_days :]
    ratios = {}
    with (
        duckdb.connect(str(published.path), read_only=True, config={"threads": 2}) as hot,
        servers.victoria_metrics(program, folder, memory="4GB") as server,
        httpx.Client(base_url=server.url, timeout=300) as client,
    ):
        hot.execute(macros())
        for day in days:
            for lines in _lines(day):
                client.post("/api/v1/import", content=lines).raise_for_status()
            print(f"# {day} in VictoriaMetrics", file=sys.stderr, flush=True)
        for action in ("force_flush", "force_merge", "force_flush"):
            client.get(f"/internal/{action}").raise_for_status()
        for asked in RANGES:
            mine, theirs = _timed(asked, hot, client, newest if asked.hours else days[1:])
            ratios[asked.name] = mine / theirs
            print(f"{asked.name:42}{mine * 1000:>10.1f} ms{theirs * 1000:>10.1f} ms{mine / theirs:>8.2f}", flush=True)
    return ratios


def _lines(day: date) -> Iterator[bytes]:
    """A day in the form of `/api/v1/import`, a hundred series at a time."""
    times, values = tsbs.times_of(day) // 1000, tsbs.values_of(day)
    for first in range(0, len(tsbs.SERIES), 100):
        chosen = range(first, min(first + 100, len(tsbs.SERIES)))
        given: backfill.Series = {(tsbs.SERIES[i][0], (("hostname", tsbs.SERIES[i][1]),)): (times, values[:, i]) for i in chosen}
        yield b"".join(backfill.import_lines(given))


def _timed(asked: Range, hot: duckdb.DuckDBPyConnection, client: httpx.Client, days: list[date]) -> tuple[float, float]:
    dice = np.random.default_rng([7, len(asked.name), asked.hours])
    hours = asked.hours or 24 * len(days)
    mine, theirs = [], []
    for number in range(ROUNDS + 1):
        start = datetime.combine(days[0], datetime.min.time()) + timedelta(hours=int(dice.integers(0, 24 * len(days) - hours + 1)))
        end, host = start + timedelta(hours=hours), f"host_{dice.integers(0, tsbs.HOSTS)}"
        began = time.perf_counter()
        rows = hot.execute(statement(asked, host, start, end)).fetchall()
        between = time.perf_counter()
        answer = _range_query(client, asked, host, start, end)
        if number:
            theirs.append(time.perf_counter() - between)
            mine.append(between - began)
        _refuse_other_answers(asked, rows, answer)
    return statistics.median(mine), statistics.median(theirs)


def _range_query(client: httpx.Client, asked: Range, host: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
    step = asked.step.total_seconds()
    first, last = (t.replace(tzinfo=UTC).timestamp() - 0.001 for t in (start, end))
    found = client.get(
        "/api/v1/query_range",
        params={
            "query": asked.promql.format(host=host),
            "start": f"{first + step:.3f}",
            "end": f"{last:.3f}",
            "step": f"{step:.0f}s",
            "nocache": "1",
        },
    )
    result: list[dict[str, Any]] = found.raise_for_status().json()["data"]["result"]
    return result


def _refuse_other_answers(asked: Range, rows: list[tuple[Any, ...]], answer: list[dict[str, Any]]) -> None:
    """Raise unless both gave the same steps and labels with the same values."""
    step = asked.step.total_seconds()
    ours = {(t.replace(tzinfo=UTC).timestamp(), label): value for t, label, value in rows}
    theirs: dict[tuple[float, str], float] = {}
    for series in answer:
        label = series["metric"].get("__name__" if asked.label == "s.metric_name" else "hostname", "")
        theirs |= {(round(t + 0.001 - step, 3), label): float(value) for t, value in series["values"]}
    wrong = [
        (key, ours.get(key), theirs.get(key))
        for key in ours.keys() | theirs.keys()
        if key not in ours or key not in theirs or not math.isclose(ours[key], theirs[key], rel_tol=asked.tolerance, abs_tol=1e-9)
    ]
    if wrong or not ours:
        raise RuntimeError(f"{asked.name}: the answers differ {len(wrong)} times of {len(ours)}, as in {sorted(wrong)[:3]}")
