"""`python -m benchmarks.growth [DAYS ...]`: what a daily run costs on a lake with 400 days, beside one with 30.

Each lake is filled with days of one table source (files of samples of every five minutes), settled, and then gets three more days, one
`lakebed run` each; the median counts. Besides: what the catalog and the folders hold per day."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from warehouse.lake.lake import Lake
from warehouse.lake.partitions import partitions
from warehouse.settings import load

DAYS, SERIES, STEP_S, MORE = (30, 400), 150, 300, 3

CONFIG = """
[sources.plant]
kind = "table"
table = "raw.metric_points"
path = "samples/*.csv"
columns = { time = "time", metric_name = "metric", value = "value" }
labels = { instance = "instance", service = "service" }
settle_seconds = 0
"""


def write_day(folder: Path, day: date) -> None:
    """One file of samples."""
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (SELECT TIMESTAMP '{day}' + to_seconds((i // {SERIES}) * {STEP_S}) AS time, 'load_' || (i % {SERIES} % 10) AS metric,
                             'host-' || (i % {SERIES} // 10) AS instance, 'service-' || (i % {SERIES} % 7) AS service,
                             round(50 + 20 * sin(i / 4000.0) + (hash(i + {day.toordinal()}) % 1000) / 100.0, 2) AS value
                      FROM range({SERIES * 86_400 // STEP_S}) AS r(i)) TO '{folder}/samples/{day}.csv' (HEADER)"""
        )


def lakebed(folder: Path, *arguments: str) -> float:
    """Seconds that a command takes. Raises RuntimeError with what it printed when it fails."""
    command = [str(Path(sys.executable).with_name("lakebed")), *arguments, "--config", str(folder / "lakebed.toml")]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - started


def daily(folder: Path, days: int) -> dict[str, float]:
    """Median seconds of a daily run on top of so many days, and what the lake consists of by then."""
    from warehouse.tiers.settle import settle

    (folder / "samples").mkdir(parents=True)
    (folder / "lakebed.toml").write_text(CONFIG)
    last = datetime.now(UTC).date() - timedelta(days=MORE + 1)
    first = last - timedelta(days=days - 1)
    for offset in range(days):
        write_day(folder, first + timedelta(days=offset))
    lakebed(folder, "run", "--from", str(first), "--to", str(last))
    with Lake.open(load(folder / "lakebed.toml")) as lake:
        settle(lake)
    seconds = []
    for offset in range(1, MORE + 1):
        day = last + timedelta(days=offset)
        write_day(folder, day)
        seconds.append(lakebed(folder, "run", "--from", str(day), "--to", str(day)))
    with Lake.open(load(folder / "lakebed.toml"), read_only=True) as lake:
        files = sum(len(p.files) for p in partitions(lake.connection))
    catalog = (folder / "lake" / "catalog.sqlite").stat().st_size
    return {
        "days": days,
        "daily_s": statistics.median(seconds),
        "files_per_day": files / days,
        "catalog_kib_per_day": catalog / 1024 / days,
    }


def main(numbers: tuple[int, ...]) -> None:
    """Measure and print."""
    found = []
    for days in numbers:
        with tempfile.TemporaryDirectory(prefix="lakebed-growth-") as folder:
            found.append(daily(Path(folder), days))
            print("  ".join(f"{name} {value:,.1f}" for name, value in found[-1].items()), flush=True)
    print(json.dumps({f"daily_{numbers[-1]}_vs_{numbers[0]}": found[-1]["daily_s"] / found[0]["daily_s"]}))


if __name__ == "__main__":
    main(tuple(int(a) for a in sys.argv[1:]) or DAYS)
