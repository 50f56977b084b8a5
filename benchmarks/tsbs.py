"""The cpu-only set of TSBS (https://github.com/timescale/tsbs), in a settled lake and rolled up.

Ten gauges of a hundred hosts every 10 s, whole numbers that walk between 0 and 100, and a counter per host beside them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.model import load_models, macros
from warehouse.contracts.series import series_id
from warehouse.lake import Part, Slice, Unit
from warehouse.lake.lake import Lake
from warehouse.settings import parse
from warehouse.tiers.settle import settle

HOSTS, STEP_S = 100, 10
FIRST = date(2026, 3, 1)
START = datetime.combine(FIRST, datetime.min.time())
METRICS = tuple(f"usage_{n}" for n in ("user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"))
COUNTER = "requests_total"
SERIES = tuple((m, f"host_{h}") for m in (*METRICS, COUNTER) for h in range(HOSTS))
SCHEMA = pa.schema([("series_id", pa.uint64()), ("time", pa.timestamp("us")), ("value", pa.float64())])
ROLLUPS = ("core.metric_rollup_5m", "core.metric_rollup_1h")
PER_DAY = 10_000_000
"""More than a counter grows in a day."""


def days_of(values: int) -> list[date]:
    """As many whole days as the values fill."""
    return [FIRST + timedelta(days=i) for i in range(max(1, round(values / (len(SERIES) * 86_400 / STEP_S))))]


def series_ids() -> list[int]:
    """Of SERIES, in its order."""
    return [series_id("tsbs", m, {"hostname": h}) for m, h in SERIES]


def series_table() -> pa.Table:
    """Rows of raw.metric_series."""
    return pa.table(
        {
            "series_id": pa.array(series_ids(), pa.uint64()),
            "metric_name": [m for m, _ in SERIES],
            "labels": pa.array([[("hostname", h)] for _, h in SERIES], pa.map_(pa.string(), pa.string())),
            "kind": ["counter" if m == COUNTER else "gauge" for m, _ in SERIES],
            "is_monotonic": [m == COUNTER for m, _ in SERIES],
            "unit_scale": [1.0] * len(SERIES),
            "first_seen": [START] * len(SERIES),
            "last_seen": [START] * len(SERIES),
        }
    )


def times_of(day: date) -> npt.NDArray[np.int64]:
    """Scrapes of a day, microseconds since 1970."""
    start = int(np.datetime64(day, "us").astype(np.int64))
    return start + np.arange(86_400 // STEP_S, dtype=np.int64) * STEP_S * 1_000_000


def values_of(day: date) -> npt.NDArray[np.float64]:
    """A day's values: a row per scrape, a column per series."""
    dice = np.random.default_rng(day.toordinal())
    steps, gauges = 86_400 // STEP_S, HOSTS * len(METRICS)
    walk = 50 + np.cumsum(dice.normal(0, 1, (steps, gauges)), axis=0)
    requests = (day - FIRST).days * PER_DAY + np.cumsum(dice.integers(0, 1000, (steps, HOSTS)), axis=0)
    return np.hstack([np.rint(100 - np.abs(np.mod(walk, 200) - 100)), requests.astype(np.float64)])


def points_of(day: date) -> pa.Table:
    """A day of all series, by time as it would arrive."""
    times, values, ids = times_of(day), values_of(day), np.array(series_ids(), np.uint64)
    return pa.table({"series_id": np.tile(ids, len(times)), "time": np.repeat(times, len(ids)), "value": values.ravel()}).cast(SCHEMA)


def fill(folder: Path, days: list[date]) -> Lake:
    """A lake with the days landed, settled and rolled up."""
    lake = Lake.open(parse({"lake": {"memory_limit": "4GiB"}}, folder / "lakebed.toml"))
    described = series_table()
    for number, day in enumerate(days):
        points = points_of(day)

        def parts(_connection: duckdb.DuckDBPyConnection, points: pa.Table = points, first: bool = number == 0) -> Iterator[Part]:
            if first:
                yield Part("raw.metric_series", described.to_reader())
            yield Part("raw.metric_points", points.to_reader())

        lake.land(Unit("tsbs", f"{day}", f"{day}", parts))
        print(f"# {day} landed", file=sys.stderr, flush=True)
    for table in ("raw.metric_series", "raw.metric_points"):
        _pass(lake, table)
    settle(lake, tables=["raw.metric_points"], progress=lambda text: print(f"# {text}", file=sys.stderr, flush=True))
    lake.connection.execute(macros())
    for table in ROLLUPS:
        for day in days:
            window = {"window_start": _midnight(day), "window_end": _midnight(day) + timedelta(days=1)}
            lake.replace_slice(
                table, Slice(day, day + timedelta(days=1)), load_models()[table].sql, parameters=window, inputs={day: f"{day}"}
            )
            print(f"# {table} {day}", file=sys.stderr, flush=True)
        _pass(lake, table)
    return lake


def _pass(lake: Lake, table: str) -> None:
    lake.set_states(table, dict.fromkeys(lake.states(table), ("passed", None)))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time())
