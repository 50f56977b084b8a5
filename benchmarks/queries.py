"""`python -m benchmarks.queries [VALUES]`: the lake's answers beside those of ClickHouse (chDB MergeTree) and VictoriaMetrics.

The data are those of `benchmarks.tsbs`, 100 million values. The TSBS devops queries go to settled full-resolution samples and ClickHouse:
on both sides one narrow table of (series, time, value) and a table of series, each side's SQL in the form in which it is fastest. Range
queries as dashboards make them go to the lake and to VictoriaMetrics (`benchmarks.promql`). Answers are shown to be equal first. Times are
medians of interleaved warm runs over random hosts and windows that are the same for both; ratios are Lakebed / peer, below 1 is faster."""

from __future__ import annotations

import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from benchmarks import promql, tsbs
from benchmarks.tsbs import FIRST, HOSTS, METRICS
from warehouse.lake.lake import Lake

VALUES = 100_000_000
ROUNDS = 5


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
    """How one side says the few things that differ; joined: whether it is fastest when samples are joined to their series first."""

    series: str
    points: str
    minute: str
    hour: str
    last: str
    literal: str
    joined: bool


LAKEBED = Dialect(
    "raw.metric_series",
    "raw.metric_points",
    "date_trunc('minute', time)",
    "date_trunc('hour', time)",
    "max_by(value, time)",
    "TIMESTAMP '{}'",
    True,
)
CLICKHOUSE = Dialect(
    "tsbs.series",
    "tsbs.points",
    "toStartOfMinute(time)",
    "toStartOfHour(time)",
    "argMax(value, time)",
    "toDateTime64('{}', 3, 'UTC')",
    False,
)


def statement(question: Question, dialect: Dialect, hosts: list[str], start: datetime, end: datetime) -> str:
    """The question in one side's SQL. end: of the data, for questions that look back from it."""
    names = ", ".join(f"'{m}'" for m in METRICS[: question.metrics])
    chosen = f"metric_name IN ({names})" + (f" AND labels['hostname'] IN ({', '.join(repr(h) for h in hosts)})" if hosts else "")
    of_series = f"series_id IN (SELECT series_id FROM {dialect.series} WHERE {chosen})"
    begin, stop = (start, start + timedelta(hours=question.hours)) if question.hours else (FIRST, end)
    window = f"time >= {dialect.literal.format(_text(begin))} AND time < {dialect.literal.format(_text(stop))}"
    described = f"(SELECT series_id, metric_name, labels['hostname'] AS host FROM {dialect.series} WHERE {chosen}) AS s"
    step = dialect.minute if question.shape in ("minute", "limit") else dialect.hour

    def per_series(*columns: str) -> str:
        grouped = "step, series_id" if columns[0].endswith("AS step") else "series_id"
        rows = f"SELECT {', '.join(columns)}, series_id FROM {dialect.points} WHERE {of_series} AND {window} GROUP BY {grouped}"
        return f"({rows}) AS a INNER JOIN {described} ON a.series_id = s.series_id"

    match question.shape:
        case "minute" | "hour" if dialect.joined:
            return (
                f"SELECT {step} AS step, metric_name, max(value) AS most FROM {dialect.points} AS p INNER JOIN {described} "
                f"ON p.series_id = s.series_id WHERE {window} GROUP BY step, metric_name ORDER BY step, metric_name"
            )
        case "minute" | "hour":
            source = per_series(f"{step} AS step", "max(value) AS largest")
            return f"SELECT step, metric_name, max(largest) AS most FROM {source} GROUP BY step, metric_name ORDER BY step, metric_name"
        case "host_hour":
            return f"SELECT step, host, metric_name, mean FROM {per_series(f'{step} AS step', 'avg(value) AS mean')} ORDER BY 1, 2, 3"
        case "high":
            return f"SELECT count(*), sum(value) FROM {dialect.points} WHERE {of_series} AND {window} AND value > 90"
        case "last":
            return f"SELECT host, metric_name, newest FROM {per_series(f'{dialect.last} AS newest')} ORDER BY host, metric_name"
        case _:
            return (
                f"SELECT {step} AS step, max(value) AS most FROM {dialect.points} WHERE {of_series} AND {window} "
                "GROUP BY step ORDER BY step DESC LIMIT 5"
            )


def _text(moment: date) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if isinstance(moment, datetime) else f"{moment:%Y-%m-%d} 00:00:00"


def clickhouse(folder: Path, days: list[date]) -> Any:
    """The same days in merged tables of ClickHouse."""
    from chdb import session

    described = tsbs.series_table()
    peer = session.Session(f"{folder}/chdb")
    peer.query("CREATE DATABASE tsbs ENGINE = Atomic")
    peer.query(
        "CREATE TABLE tsbs.series (series_id UInt64, metric_name String, labels Map(String, String)) ENGINE = MergeTree ORDER BY series_id"
    )
    peer.query(
        """CREATE TABLE tsbs.points (series_id UInt64 CODEC(ZSTD(1)), time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
               value Float64 CODEC(Gorilla, ZSTD(1))) ENGINE = MergeTree PARTITION BY toDate(time) ORDER BY (series_id, time)"""
    )
    with duckdb.connect() as connection:
        connection.register("described", described)
        connection.execute(f"COPY (SELECT series_id, metric_name, labels FROM described) TO '{folder}/series.parquet' (FORMAT parquet)")
        peer.query(f"INSERT INTO tsbs.series SELECT * FROM file('{folder}/series.parquet', Parquet)")
        for day in days:
            connection.register("points", tsbs.points_of(day))
            connection.execute(f"COPY points TO '{folder}/day.parquet' (FORMAT parquet)")
            peer.query(f"INSERT INTO tsbs.points SELECT series_id, time, value FROM file('{folder}/day.parquet', Parquet)")
            print(f"# {day} in ClickHouse", file=sys.stderr, flush=True)
    peer.query("OPTIMIZE TABLE tsbs.points FINAL")
    return peer


def measure(values: int = VALUES) -> dict[str, Any]:
    """Print the tables; geometric means of the ratios."""
    days = tsbs.days_of(values)
    with tempfile.TemporaryDirectory(prefix="lakebed-queries-") as name, tsbs.fill(Path(name), days) as lake:
        lake.connection.execute("SET threads = 2")
        against_clickhouse, size = _beside_clickhouse(lake, Path(name), days)
        against_victoria = promql.beside_victoria_metrics(lake, Path(name), days)
    return {
        "values": len(days) * len(tsbs.SERIES) * 86_400 // tsbs.STEP_S,
        "geomean_vs_chdb_mergetree": _geometric_mean(against_clickhouse),
        "bytes_vs_chdb_mergetree": size,
        "promql_vs_victoriametrics": _geometric_mean(against_victoria),
    }


def _beside_clickhouse(lake: Lake, folder: Path, days: list[date]) -> tuple[dict[str, float], float]:
    """Ratio of each question, and of bytes."""
    import chdb

    peer = clickhouse(folder, days)
    held = lake.query("SELECT count(*) AS n, sum(value) AS total FROM raw.metric_points").to_pylist()[0]
    answer = _rows(peer, "SELECT count(), sum(value) FROM tsbs.points")[0]
    if int(answer[0]) != held["n"] or not math.isclose(float(answer[1]), held["total"], rel_tol=1e-12):
        raise RuntimeError(f"ClickHouse holds {answer}, the lake {held}")
    size = int(_rows(peer, "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'points'")[0][0])
    ours = sum(f.stat().st_size for f in Path(folder, "lake", "store", "raw_metric_points").rglob("settled_*.parquet"))
    settings = "DoubleDelta, Gorilla, ZSTD(1); threads as it likes"
    print(f"# {held['n']:,} values; chDB {chdb.__version__} ({settings}), DuckDB {duckdb.__version__} (2 threads)")
    print(f"# {ours / held['n']:.3f} and {size / held['n']:.3f} bytes a value")
    ratios = {}
    for question in QUESTIONS:
        mine, theirs = _timed(question, lake, peer, days)
        ratios[question.name] = mine / theirs
        print(f"{question.name:24}{mine * 1000:>10.1f} ms{theirs * 1000:>10.1f} ms{mine / theirs:>8.2f}", flush=True)
    peer.close()
    return ratios, ours / size


def _rows(peer: Any, query: str) -> list[list[Any]]:
    found: list[list[Any]] = json.loads(str(peer.query(query, "JSONCompact")))["data"]
    return found


def _geometric_mean(ratios: Mapping[str, float]) -> float:
    return math.exp(statistics.fmean(math.log(r) for r in ratios.values()))


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
        answer = _rows(peer, statement(question, CLICKHOUSE, hosts, start, end))
        second = time.perf_counter() - started
        _refuse_other_answers(question, rows, answer)
        if number:
            mine.append(first)
            theirs.append(second)
    return statistics.median(mine), statistics.median(theirs)


def _refuse_other_answers(question: Question, rows: list[tuple[Any, ...]], answer: list[list[Any]]) -> None:
    """Raise unless both gave the same rows in the same order. A sum of nothing is NULL here and 0 there."""

    def same(mine: Any, theirs: Any) -> bool:
        if isinstance(mine, float) or (mine is None and question.shape == "high"):
            return math.isclose(mine or 0.0, float(theirs), rel_tol=1e-9)
        return str(mine) == str(theirs)

    pairs = zip(rows, answer, strict=False)
    if len(rows) != len(answer) or not all(len(a) == len(b) and all(map(same, a, b)) for a, b in pairs):
        raise RuntimeError(f"{question.name}: the answers differ: {rows[:3]} and {answer[:3]}")


if __name__ == "__main__":
    print(json.dumps(measure(*(int(a) for a in sys.argv[1:]))))
