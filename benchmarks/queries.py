"""`python -m benchmarks.queries [VALUES]`: the TSBS devops queries on settled full-resolution samples, beside ClickHouse (chDB MergeTree).

The cpu-only set of TSBS (https://github.com/timescale/tsbs): ten metrics of 100 hosts every 10 s, integers that walk between 0 and 100,
until there are 100 million values. Both sides hold one narrow table of (series, time, value) and a table of series, and answer the same
question; first the answers are shown to be equal. Times are medians of interleaved warm runs over random hosts and windows that are the
same for both; ratios are Lakebed / ClickHouse, below 1 is faster."""

from __future__ import annotations

import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from warehouse.contracts.series import series_id
from warehouse.lake import Part, Unit
from warehouse.lake.lake import Lake
from warehouse.settings import parse
from warehouse.tiers.settle import settle

VALUES, HOSTS, STEP_S = 100_000_000, 100, 10
FIRST = date(2026, 3, 1)
START = datetime.combine(FIRST, datetime.min.time())
METRICS = tuple(f"usage_{n}" for n in ("user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"))
ROUNDS = 5
SCHEMA = pa.schema([("series_id", pa.uint64()), ("time", pa.timestamp("us")), ("value", pa.float64())])


@dataclass(frozen=True, slots=True)
class Question:
    """One query type of TSBS: how many metrics and hosts (0: all) over how many hours, and its shape."""

    name: str
    shape: str
    metrics: int
    hosts: int
    hours: int


QUESTIONS = (
    Question("single-groupby-1-1-1", "minute", 1, 1, 1),
    Question("single-groupby-1-1-12", "minute", 1, 1, 12),
    Question("single-groupby-1-8-1", "minute", 1, 8, 1),
    Question("single-groupby-5-1-1", "minute", 5, 1, 1),
    Question("single-groupby-5-1-12", "minute", 5, 1, 12),
    Question("single-groupby-5-8-1", "minute", 5, 8, 1),
    Question("cpu-max-all-1", "hour", 10, 1, 8),
    Question("cpu-max-all-8", "hour", 10, 8, 8),
    Question("double-groupby-1", "host_hour", 1, 0, 12),
    Question("double-groupby-5", "host_hour", 5, 0, 12),
    Question("double-groupby-all", "host_hour", 10, 0, 12),
    Question("high-cpu-1", "high", 1, 1, 12),
    Question("high-cpu-all", "high", 1, 0, 12),
    Question("lastpoint", "last", 10, 0, 0),
    Question("groupby-orderby-limit", "limit", 1, 0, 0),
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one side says the few things that differ."""

    series: str
    points: str
    host: str
    minute: str
    hour: str
    last: str
    literal: str


LAKEBED = Dialect(
    "raw.metric_series",
    "raw.metric_points",
    "labels['hostname']",
    "date_trunc('minute', time)",
    "date_trunc('hour', time)",
    "max_by(value, time)",
    "TIMESTAMP '{}'",
)
CLICKHOUSE = Dialect(
    "tsbs.series",
    "tsbs.points",
    "labels['hostname']",
    "toStartOfMinute(time)",
    "toStartOfHour(time)",
    "argMax(value, time)",
    "toDateTime64('{}', 3, 'UTC')",
)


def statement(question: Question, dialect: Dialect, hosts: list[str], start: datetime, end: datetime) -> str:
    """The question in one side's SQL. end: of the data, for questions that look back from it."""
    names = ", ".join(f"'{m}'" for m in METRICS[: question.metrics])
    chosen = f"metric_name IN ({names})" + (f" AND {dialect.host} IN ({', '.join(repr(h) for h in hosts)})" if hosts else "")
    of_series = f"series_id IN (SELECT series_id FROM {dialect.series} WHERE {chosen})"
    stop = start + timedelta(hours=question.hours) if question.hours else end
    begin = start if question.hours else FIRST
    window = f"time >= {dialect.literal.format(_text(begin))} AND time < {dialect.literal.format(_text(stop))}"
    described = f"(SELECT series_id, metric_name, {dialect.host} AS host FROM {dialect.series} WHERE {chosen}) AS s"
    joined = f"{dialect.points} AS p INNER JOIN {described} ON p.series_id = s.series_id"
    match question.shape:
        case "minute" | "hour":
            step = dialect.minute if question.shape == "minute" else dialect.hour
            return (
                f"SELECT {step} AS step, metric_name, max(value) AS most FROM {joined} WHERE p.{of_series} "
                f"AND {window} GROUP BY step, metric_name ORDER BY step, metric_name"
            )
        case "host_hour":
            return (
                f"SELECT {dialect.hour} AS step, host, metric_name, avg(value) AS mean FROM {joined} WHERE {window} "
                "GROUP BY step, host, metric_name ORDER BY step, host, metric_name"
            )
        case "high":
            return f"SELECT count(*), sum(value) FROM {dialect.points} WHERE {of_series} AND {window} AND value > 90"
        case "last":
            return (
                f"SELECT host, metric_name, {dialect.last} AS newest FROM {joined} WHERE {window} "
                "GROUP BY host, metric_name ORDER BY host, metric_name"
            )
        case _:
            return (
                f"SELECT {dialect.minute} AS step, max(value) AS most FROM {dialect.points} WHERE {of_series} AND {window} "
                "GROUP BY step ORDER BY step DESC LIMIT 5"
            )


def _text(moment: date) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if isinstance(moment, datetime) else f"{moment:%Y-%m-%d} 00:00:00"


def days_of(values: int) -> list[date]:
    """As many whole days as the values fill."""
    return [FIRST + timedelta(days=i) for i in range(max(1, round(values / (HOSTS * len(METRICS) * 86_400 / STEP_S))))]


def series_table() -> pa.Table:
    """The thousand series."""
    rows = [(m, f"host_{h}") for m in METRICS for h in range(HOSTS)]
    return pa.table(
        {
            "series_id": pa.array([series_id("tsbs", m, {"hostname": h}) for m, h in rows], pa.uint64()),
            "metric_name": [m for m, _ in rows],
            "labels": pa.array([[("hostname", h)] for _, h in rows], pa.map_(pa.string(), pa.string())),
            "kind": ["gauge"] * len(rows),
            "unit_scale": [1.0] * len(rows),
            "first_seen": [START] * len(rows),
            "last_seen": [START] * len(rows),
        }
    )


def points_of(day: date, ids: list[int]) -> pa.Table:
    """A day of all series, by time as it would arrive."""
    dice = np.random.default_rng(day.toordinal())
    steps = 86_400 // STEP_S
    walk = 50 + np.cumsum(dice.normal(0, 1, (steps, len(ids))), axis=0)
    values = np.rint(100 - np.abs(np.mod(walk, 200) - 100))
    start = int(np.datetime64(day, "us").astype(np.int64))
    times = np.repeat(start + np.arange(steps, dtype=np.int64) * STEP_S * 1_000_000, len(ids))
    return pa.table({"series_id": np.tile(np.array(ids, np.uint64), steps), "time": times, "value": values.ravel()}).cast(SCHEMA)


def build(folder: Path, days: list[date]) -> tuple[Lake, Any]:
    """The settled lake, and the merged tables of ClickHouse."""
    from chdb import session

    described = series_table()
    ids = described["series_id"].to_pylist()
    lake = Lake.open(parse({"lake": {"memory_limit": "4GiB"}}, folder / "lakebed.toml"))
    peer = session.Session(f"{folder}/chdb")
    peer.query("CREATE DATABASE tsbs ENGINE = Atomic")
    peer.query(
        "CREATE TABLE tsbs.series (series_id UInt64, metric_name String, labels Map(String, String)) ENGINE = MergeTree ORDER BY series_id"
    )
    peer.query(
        """CREATE TABLE tsbs.points (series_id UInt64 CODEC(ZSTD(1)), time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
               value Float64 CODEC(Gorilla, ZSTD(1))) ENGINE = MergeTree PARTITION BY toDate(time) ORDER BY (series_id, time)"""
    )
    for number, day in enumerate(days):
        points = points_of(day, ids)

        def parts(connection: duckdb.DuckDBPyConnection, points: pa.Table = points, first: bool = number == 0) -> Iterator[Part]:
            if first:
                yield Part("raw.metric_series", described.to_reader())
            yield Part("raw.metric_points", points.to_reader())

        lake.land(Unit("tsbs", f"{day}", f"{day}", parts))
        with duckdb.connect() as connection:
            connection.execute(f"COPY points TO '{folder}/day.parquet' (FORMAT parquet)")
            if number == 0:
                connection.execute(
                    f"COPY (SELECT series_id, metric_name, labels FROM described) TO '{folder}/series.parquet' (FORMAT parquet)"
                )
                peer.query(f"INSERT INTO tsbs.series SELECT * FROM file('{folder}/series.parquet', Parquet)")
        peer.query(f"INSERT INTO tsbs.points SELECT series_id, time, value FROM file('{folder}/day.parquet', Parquet)")
        print(f"# {day} loaded", file=sys.stderr, flush=True)
    lake.set_states("raw.metric_points", dict.fromkeys(lake.states("raw.metric_points"), ("passed", None)))
    settle(lake, tables=["raw.metric_points"], progress=lambda text: print(f"# {text}", file=sys.stderr, flush=True))
    peer.query("OPTIMIZE TABLE tsbs.points FINAL")
    return lake, peer


def measure(values: int = VALUES) -> dict[str, Any]:
    """Print the table; the geometric mean of the ratios."""
    import chdb

    days = days_of(values)
    with tempfile.TemporaryDirectory(prefix="lakebed-queries-") as name:
        lake, peer = build(Path(name), days)
        lake.connection.execute("SET threads = 2")
        held = lake.query("SELECT count(*) AS n, sum(value) AS total FROM raw.metric_points").to_pylist()[0]
        answer = json.loads(str(peer.query("SELECT count(), sum(value) FROM tsbs.points", "JSONCompact")))["data"][0]
        if [int(answer[0]), float(answer[1])] != [held["n"], held["total"]]:
            raise RuntimeError(f"ClickHouse holds {answer}, the lake {held}")
        size = int(
            json.loads(str(peer.query("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'points'", "JSONCompact")))[
                "data"
            ][0][0]
        )
        ours = sum(f.stat().st_size for f in Path(name, "lake", "store", "raw_metric_points").rglob("settled_*.parquet"))
        print(f"# {held['n']:,} values; chDB {chdb.__version__}, DuckDB {duckdb.__version__}")
        print(f"# {ours / held['n']:.3f} and {size / held['n']:.3f} bytes a value")
        ratios = {}
        for question in QUESTIONS:
            mine, theirs = _timed(question, lake, peer, days)
            ratios[question.name] = mine / theirs
            print(f"{question.name:24}{mine * 1000:>10.1f} ms{theirs * 1000:>10.1f} ms{mine / theirs:>8.2f}", flush=True)
        peer.close()
        lake.close()
    return {
        "geomean_vs_chdb_mergetree": math.exp(statistics.fmean(math.log(r) for r in ratios.values())),
        "bytes_vs_chdb_mergetree": ours / size,
    }


def _timed(question: Question, lake: Lake, peer: Any, days: list[date]) -> tuple[float, float]:
    dice = np.random.default_rng([11, len(question.name), question.metrics, question.hosts])
    end = datetime.combine(days[-1], datetime.min.time()) + timedelta(days=1)
    mine, theirs = [], []
    for number in range(ROUNDS + 1):
        hosts = [f"host_{h}" for h in sorted(dice.choice(HOSTS, question.hosts, replace=False).tolist())] if question.hosts else []
        room = len(days) * 24 - question.hours
        start = datetime.combine(days[0], datetime.min.time()) + timedelta(minutes=int(dice.integers(0, max(room * 60, 1))))
        started = time.perf_counter()
        rows = lake.connection.execute(statement(question, LAKEBED, hosts, start, end)).fetchall()
        first = time.perf_counter() - started
        started = time.perf_counter()
        answer = json.loads(str(peer.query(statement(question, CLICKHOUSE, hosts, start, end), "JSONCompact")))["data"]
        second = time.perf_counter() - started
        _refuse_other_answers(question, rows, answer)
        if number:
            mine.append(first)
            theirs.append(second)
    return statistics.median(mine), statistics.median(theirs)


def _refuse_other_answers(question: Question, rows: list[tuple[Any, ...]], answer: list[list[Any]]) -> None:
    """Raise unless both gave as many rows with the same numbers at their ends."""
    same = len(rows) == len(answer) and all(
        (a is None and not float(b or 0)) or math.isclose(float(a or 0), float(b or 0), rel_tol=1e-9)
        for a, b in zip((r[-1] for r in rows), (r[-1] for r in answer), strict=True)
    )
    if not same:
        raise RuntimeError(f"{question.name}: the answers differ: {rows[:3]} and {answer[:3]}")


if __name__ == "__main__":
    print(json.dumps(measure(*(int(a) for a in sys.argv[1:]))))
