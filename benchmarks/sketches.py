"""`python -m benchmarks.sketches [--scale X]`: percentiles from hourly sketches of 15 s scrapes against `approx_quantile` on the samples.

Samples are plain Parquet: a file per day, sorted by series and time, zstd 9. Rollups are built by the models that build them in the lake,
and written as settling writes them; bytes of the sketch side are those of a file with what percentiles need (series_id, time, sketch).
Errors are against exact quantiles, for gauges of many shapes, some of them negative or zero. Time is processor time, as machines are
shared; the ratio of wall times stands beside it."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.model import load_models, macros
from warehouse.contracts import contract
from warehouse.contracts.ddl import plain_schema
from warehouse.contracts.series import series_id as identity
from warehouse.tiers.encoding import rollups

Values = npt.NDArray[np.floating[Any]]
START = datetime.fromisoformat("2026-01-01")
SCRAPE_S, PER_DAY = 15, 5760
SERIES, DAYS, ROUNDS = 500, 4, 9
PARQUET = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 9, ROW_GROUP_SIZE 524288"
SKETCH_COLUMNS = "series_id, time, value_sketch"
QUANTILES = (0.5, 0.95, 0.99)
QUESTIONS = {"each series": "series_id", "fifty groups": "series_id % 50", "all series": "0"}


def _wave(rng: np.random.Generator, n: int) -> Values:
    """A daily rhythm between -1 and 1."""
    found: Values = np.sin(2 * np.pi * (np.arange(n) / PER_DAY + rng.random()))
    return found


SHAPES: Mapping[str, Callable[[np.random.Generator, int], Values]] = {
    "cpu percent": lambda rng, n: np.clip(40 + 20 * _wave(rng, n) + rng.normal(0, 8, n), 0, 100),
    "memory bytes": lambda rng, n: (4e9 + 1e9 * _wave(rng, n) + np.cumsum(rng.normal(0, 1e6, n))) // 4096 * 4096,
    "temperature, tenths": lambda rng, n: np.round(35 + 5 * _wave(rng, n) + rng.normal(0, 1.5, n), 1),
    "temperature below zero": lambda rng, n: np.round(-12 + 4 * _wave(rng, n) + rng.normal(0, 0.5, n), 2),
    "queue length": lambda rng, n: rng.poisson(3 + 2 * _wave(rng, n)).astype(np.float64),
    "latency, log-normal": lambda rng, n: rng.lognormal(-3, 0.8, n),
    "bursts over zero": lambda rng, n: np.where(rng.random(n) < 0.02, rng.pareto(1.5, n) * 1e6, 0.0),
    "offset around zero": lambda rng, n: rng.normal(0, 5, n) + 3 * _wave(rng, n),
    "constant": lambda rng, n: np.full(n, float(rng.integers(1, 1000))),
    "ratio, slow walk": lambda rng, n: np.abs(np.cumsum(rng.normal(0, 1e-3, n))) + 0.5,
    "requests, whole numbers": lambda rng, n: np.round(rng.gamma(2.0, 50, n) + 100 * (1 + _wave(rng, n))),
    "load average": lambda rng, n: np.round(np.abs(4 + 2 * _wave(rng, n) + np.convolve(rng.normal(0, 2, n), np.ones(20) / 20, "same")), 2),
}


def fill(connection: duckdb.DuckDBPyConnection, series: int) -> None:
    """Gauges in raw.metric_points and raw.metric_series, shapes in turn (their names are the metric's), and their rollups."""
    for schema in ("raw", "core"):
        connection.execute(f"CREATE SCHEMA {schema}")
    for table in ("raw.metric_points", "raw.metric_series", "core.metric_rollup_5m", "core.metric_rollup_1h"):
        connection.execute(plain_schema(contract(table)))
    connection.execute(macros())
    rng = np.random.default_rng(0)
    names = list(SHAPES)
    for number in range(series):
        name = names[number % len(names)]
        series_id = identity("s", name, {"host": str(number)})
        values = SHAPES[name](rng, PER_DAY * DAYS)
        connection.register("one_series", pa.table({"i": np.arange(len(values)), "value": values}))
        connection.execute(
            """INSERT INTO raw.metric_points BY NAME SELECT 's' AS source, ?::UBIGINT AS series_id, value, 'b' AS batch_id,
               ?::TIMESTAMP + to_seconds(i * ?) AS time, time::DATE AS day FROM one_series""",
            [series_id, START, SCRAPE_S],
        )
        connection.execute(
            """INSERT INTO raw.metric_series BY NAME SELECT 's' AS source, ?::UBIGINT AS series_id, ? AS metric_name, 'gauge' AS kind,
               MAP {}::MAP (VARCHAR, VARCHAR) AS labels, 1.0 AS unit_scale, ?::TIMESTAMP AS first_seen, first_seen AS last_seen,
               'b' AS batch_id""",
            [series_id, name, START],
        )
    for day in range(DAYS):
        window = {"window_start": START + timedelta(days=day), "window_end": START + timedelta(days=day + 1)}
        for table in ("core.metric_rollup_5m", "core.metric_rollup_1h"):
            connection.execute(f"INSERT INTO {table} BY NAME {load_models()[table].sql}", window)


def days_of(table: str, columns: str, where: str) -> Iterator[tuple[int, str]]:
    """Number and sorted rows of each day."""
    for number in range(DAYS):
        day = START.date() + timedelta(days=number)
        yield number, f"SELECT {columns} FROM {table} WHERE day = DATE '{day}' AND {where} ORDER BY source, series_id, time"


def write_samples(connection: duckdb.DuckDBPyConnection, folder: Path, where: str = "TRUE") -> int:
    """A plain file of samples for each day in `folder`; their bytes."""
    folder.mkdir()
    for number, rows in days_of("raw.metric_points", "series_id, time, value", where):
        connection.execute(f"COPY ({rows}) TO '{folder / f'{number}.parquet'}' ({PARQUET})")
    return size_of(folder)


def write_rollup(connection: duckdb.DuckDBPyConnection, folder: Path, table: str, columns: str, where: str = "TRUE") -> int:
    """The settled files of a rollup for each day in `folder`; their bytes."""
    folder.mkdir()
    numbers = count()
    for _, rows in days_of(table, columns, where):
        rollups.encode(connection.execute(rows).to_arrow_reader(20_000), lambda: folder / f"{next(numbers)}.parquet")
    return size_of(folder)


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(file.stat().st_size for file in folder.iterdir())


def on_sketches(files: str, group: str) -> str:
    """Percentiles of groups from sketches: buckets added up, then the first bucket past each rank."""
    found = ", ".join(f"sketch_value(min(bucket) FILTER (WHERE upto > {q} * (total - 1))) AS q{i}" for i, q in enumerate(QUANTILES))
    return f"""
        WITH runs AS (
            SELECT {group} AS g, unnest(map_keys(value_sketch)) AS first_bucket, unnest(map_values(value_sketch)) AS counts FROM '{files}'
        ),
        entries AS (SELECT g, unnest(range(first_bucket, first_bucket + len(counts))) AS bucket, unnest(counts) AS n FROM runs),
        merged AS (SELECT g, bucket, sum(n)::BIGINT AS n FROM entries WHERE n > 0 GROUP BY g, bucket),
        passed AS (
            SELECT g, bucket, sum(n) OVER (PARTITION BY g ORDER BY bucket ROWS UNBOUNDED PRECEDING) AS upto,
            sum(n) OVER (PARTITION BY g) AS total FROM merged
        )
        SELECT g, {found} FROM passed GROUP BY g ORDER BY g"""


def on_samples(files: str, group: str) -> str:
    """The same from samples, by `approx_quantile`."""
    listed = ", ".join(map(str, QUANTILES))
    return f"SELECT {group} AS g, approx_quantile(value, [{listed}]) FROM '{files}' GROUP BY g ORDER BY g"


def exactly(files: str, group: str) -> str:
    """The same from samples, exactly: the value at rank floor(q * (n - 1))."""
    ranks = ", ".join(f"ranked_value(ordered, {q})" for q in QUANTILES)
    return f"SELECT g, {ranks} FROM (SELECT {group} AS g, list_sort(list(value)) AS ordered FROM '{files}' GROUP BY g) ORDER BY g"


def worst_error(connection: duckdb.DuckDBPyConnection, sketches: str, samples: str, group: str) -> float:
    """Largest relative error over groups and percentiles. Raises AssertionError when the groups differ."""
    found = connection.execute(on_sketches(sketches, group)).fetchall()
    exact = connection.execute(exactly(samples, group)).fetchall()
    assert [row[0] for row in found] == [row[0] for row in exact], "the two sides answer for different groups"
    pairs = ((a, b) for one, two in zip(found, exact, strict=True) for a, b in zip(one[1:], two[1:], strict=True))
    return max(0.0 if a == b else abs(a - b) / abs(b) if b else 1.0 for a, b in pairs)


def seconds(connection: duckdb.DuckDBPyConnection, *queries: str) -> list[tuple[float, float]]:
    """Processor and wall seconds of queries that are run in turn, medians."""
    taken: list[list[tuple[float, float]]] = [[] for _ in queries]
    for _ in range(ROUNDS):
        for query, times in zip(queries, taken, strict=True):
            processor, wall = time.process_time(), time.perf_counter()
            connection.execute(query).fetchall()
            times.append((time.process_time() - processor, time.perf_counter() - wall))
    return [(statistics.median(p for p, _ in times), statistics.median(w for _, w in times)) for times in taken]


def by_shape(connection: duckdb.DuckDBPyConnection, folder: Path) -> Iterator[tuple[str, float, float]]:
    """Shape, bytes of a sample, bytes of an hour's sketch with its keys."""
    for number, shape in enumerate(SHAPES):
        of_shape = f"series_id IN (SELECT series_id FROM raw.metric_series WHERE metric_name = '{shape}')"
        counted = connection.execute(f"SELECT count(*) FROM core.metric_rollup_1h WHERE {of_shape}").fetchone()
        hours = counted[0] if counted else 0
        if hours:
            samples = write_samples(connection, folder / f"samples_{number}", of_shape)
            sketches = write_rollup(connection, folder / f"sketches_{number}", "core.metric_rollup_1h", SKETCH_COLUMNS, of_shape)
            yield shape, samples / (hours * 3600 / SCRAPE_S), sketches / hours


def measure(scale: float = 1.0) -> dict[str, float]:
    """Ratios of bytes (samples / sketches) and time (sketches / approx_quantile on samples), and the largest error; prints as it goes."""
    series = max(len(SHAPES), round(SERIES * scale))
    with tempfile.TemporaryDirectory(prefix="lakebed-sketches-") as name, duckdb.connect() as connection:
        folder = Path(name)
        fill(connection, series)
        print(f"{series} series, {DAYS} days of {SCRAPE_S} s scrapes, {series * DAYS * PER_DAY:,} samples, duckdb {duckdb.__version__}")
        print(f"\n{'shape':26}{'B/sample':>10}{'B/sketch':>10}{'ratio':>8}")
        for shape, sample, sketch in by_shape(connection, folder):
            print(f"{shape:26}{sample:10.2f}{sketch:10.1f}{sample * 3600 / SCRAPE_S / sketch:8.1f}")
        result = _bytes(connection, folder)
        result |= _times(str(folder / "samples/*.parquet"), str(folder / "sketches/*.parquet"))
    return result


def _bytes(connection: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, float]:
    samples = write_samples(connection, folder / "samples")
    sketches = write_rollup(connection, folder / "sketches", "core.metric_rollup_1h", SKETCH_COLUMNS)
    hours = write_rollup(connection, folder / "hours", "core.metric_rollup_1h", "* EXCLUDE (day)")
    fine = write_rollup(connection, folder / "fine", "core.metric_rollup_5m", "* EXCLUDE (day)")
    print(f"\nbytes: samples {samples:,}, hourly sketches with keys {sketches:,}; all columns of hours {hours:,}, of five minutes {fine:,}")
    return {
        "sketch_bytes_ratio": round(samples / sketches, 2),
        "rollup_1h_bytes_ratio": round(samples / hours, 2),
        "rollup_5m_bytes_ratio": round(samples / fine, 2),
    }


def _times(samples: str, sketches: str) -> dict[str, float]:
    print(f"\n{'p50, p95, p99 of':20}{'samples, cpu s':>16}{'sketches, cpu s':>17}{'ratio':>8}{'wall ratio':>12}{'error':>9}")
    ratios, walls, errors = [], [], []
    with duckdb.connect() as connection:
        connection.execute(macros())
        for question, group in QUESTIONS.items():
            errors.append(worst_error(connection, sketches, samples, group))
            raw, rolled = seconds(connection, on_samples(samples, group), on_sketches(sketches, group))
            ratios.append(rolled[0] / raw[0])
            walls.append(rolled[1] / raw[1])
            print(f"{question:20}{raw[0]:16.3f}{rolled[0]:17.3f}{ratios[-1]:8.3f}{walls[-1]:12.3f}{errors[-1]:9.4f}")
    return {
        "sketch_time_ratio": round(statistics.geometric_mean(ratios), 3),
        "sketch_time_ratio_worst": round(max(ratios), 3),
        "sketch_wall_time_ratio": round(statistics.geometric_mean(walls), 3),
        "sketch_error": round(max(errors), 5),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 500 series")
    print(json.dumps(measure(parser.parse_args(arguments).scale)))


if __name__ == "__main__":
    main()
