"""A real Prometheus with a day of history, read into a lake: samples per second, HTTP and commit included."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from sources import units
from tests.integration import backfill, servers
from warehouse.lake import Slice
from warehouse.lake.lake import Lake
from warehouse.settings import parse

SERIES, STEP_S = 200, 15


def samples_per_second(folder: Path) -> float | None:
    """Samples landed per second of wall time; None where prometheus and promtool are not installed."""
    program, promtool = shutil.which("prometheus"), shutil.which("promtool")
    if program is None or promtool is None:
        return None
    day = date(2026, 3, 1)
    start = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()) * 1000
    times = start + np.arange(86_400 // STEP_S, dtype=np.int64) * STEP_S * 1000
    dice = np.random.default_rng(0)
    series: backfill.Series = {("bench_value", (("instance", f"host-{i}"),)): (times, dice.random(len(times))) for i in range(SERIES)}
    tsdb = backfill.create_blocks(promtool, series, folder)
    with servers.prometheus(program, folder, data=tsdb) as server:
        source = {"kind": "prometheus", "url": server.url, "selectors": ["bench_value"]}
        config = parse({"sources": {"bench": source}}, folder / "lake" / "lakebed.toml")
        shutil.rmtree(config.root, ignore_errors=True)
        config.root.mkdir(parents=True)
        with Lake.open(config) as lake:
            started = time.perf_counter()
            window = Slice(day, day + timedelta(days=1))
            for unit in units("bench", config.sources["bench"], config=config, known=lake.known("bench"), window=window):
                lake.land(unit)
            seconds = time.perf_counter() - started
            row = lake.connection.execute("SELECT count(*) FROM raw.metric_points").fetchone()
    if row is None or row[0] != SERIES * len(times):
        raise RuntimeError(f"the lake holds {row} rows instead of {SERIES * len(times)}")
    return int(row[0]) / seconds
