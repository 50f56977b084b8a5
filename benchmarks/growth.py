"""`python -m benchmarks.growth [DAYS ...]`: what a daily run costs on a lake with 400 days, beside one with 30.

Each lake is filled with days of one table source (files of samples of every five minutes) and looked after as the nightly job does it, with
its history aged by two days so that what waits a day is removed, too. Then the lakes take turns: one more day each, one `lakebed run` each,
round after round; medians count, of wall time and of processor time. Analyses look back over the same 28 days in all lakes.

Besides: what catalog, folders and Dagster's storage hold per day, and how much is left of RUNS further runs that find nothing new once they
were looked after, too."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from orchestration.instance import open_instance
from orchestration.pruning import prune
from warehouse.archive.file_hashes import forget_removed, record_new
from warehouse.lake.lake import Lake
from warehouse.lake.maintenance import tidy
from warehouse.settings import load
from warehouse.tiers.settle import settle

DAYS, SERIES, STEP_S, ROUNDS, RUNS = (30, 400), 150, 300, 5, 8
AGED = timedelta(days=2)

CONFIG = """
[models]
history_days = 28
[sources.plant]
kind = "table"
table = "raw.metric_points"
path = "samples/*.csv"
columns = { time = "time", metric_name = "metric", value = "value" }
labels = { instance = "instance", service = "service" }
settle_seconds = 0
"""


@dataclass(slots=True)
class Grown:
    """A lake of so many days, the last of them, and seconds (wall, processor) of the daily runs on top of it."""

    folder: Path
    days: int
    last: date
    seconds: list[tuple[float, float]] = field(default_factory=list)


def write_day(folder: Path, day: date) -> None:
    """One file of samples."""
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (SELECT TIMESTAMP '{day}' + to_seconds((i // {SERIES}) * {STEP_S}) AS time, 'load_' || (i % {SERIES} % 10) AS metric,
                             'host-' || (i % {SERIES} // 10) AS instance, 'service-' || (i % {SERIES} % 7) AS service,
                             round(50 + 20 * sin(i / 4000.0) + (hash(i + {day.toordinal()}) % 1000) / 100.0, 2) AS value
                      FROM range({SERIES * 86_400 // STEP_S}) AS r(i)) TO '{folder}/samples/{day}.csv' (HEADER)"""
        )


def lakebed(folder: Path, *arguments: str) -> tuple[float, float]:
    """Wall and processor seconds that a command takes. Raises RuntimeError with what it printed when it fails."""
    command = [str(Path(sys.executable).with_name("lakebed")), *arguments, "--config", str(folder / "lakebed.toml")]
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - started, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def grow(folder: Path, days: int) -> Grown:
    """Fill a lake with days that end before those of the rounds."""
    (folder / "samples").mkdir(parents=True)
    (folder / "lakebed.toml").write_text(CONFIG)
    last = datetime.now(UTC).date() - timedelta(days=ROUNDS + 1)
    first = last - timedelta(days=days - 1)
    for offset in range(days):
        write_day(folder, first + timedelta(days=offset))
    lakebed(folder, "run", "--from", str(first), "--to", str(last))
    look_after(folder)
    return Grown(folder, days, last)


def look_after(folder: Path) -> None:
    """What the nightly job does for lake and Dagster, as if two days had passed since the last run and since each step."""
    settings = load(folder / "lakebed.toml")
    with Lake.open(settings) as lake:
        settle(lake)
        record_new(lake)
        for table, column in (("ducklake_snapshot", "snapshot_time"), ("ducklake_files_scheduled_for_deletion", "schedule_start")) * 2:
            tidy(lake)
            then = (datetime.now(UTC) - AGED).strftime("%Y-%m-%d %H:%M:%S.%f") + "+00"
            lake.connection.execute(f"UPDATE __ducklake_metadata_lake.{table} SET {column} = ?", [then])
        tidy(lake)
        forget_removed(lake)
    with open_instance(settings) as instance:
        prune(instance, timedelta())


def one_more_day(lake: Grown, round_number: int) -> None:
    """A daily run, timed."""
    day = lake.last + timedelta(days=round_number)
    write_day(lake.folder, day)
    lake.seconds.append(lakebed(lake.folder, "run", "--from", str(day), "--to", str(day)))


def sizes(folder: Path) -> dict[str, float]:
    """What a lake consists of: rows of the catalog's tables and its bytes in use, files of the lake, bytes of Dagster's storage."""
    with closing(sqlite3.connect(folder / "lake" / "catalog.sqlite")) as catalog:
        tables = [name for (name,) in catalog.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: catalog.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}
        pages, free, size = (catalog.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size"))
    dagster = sum(file.stat().st_size for file in (folder / ".dagster").rglob("*") if file.is_file())
    live = {f"{name.removeprefix('ducklake_')}_rows": rows[name] for name in ("ducklake_data_file", "ducklake_file_column_stats")}
    live["snapshots"] = rows["ducklake_snapshot"]
    files = sum(1 for _ in (folder / "lake").rglob("*.parquet"))
    return {"catalog_bytes": (pages - free) * size, "catalog_rows": sum(rows.values()), **live, "files": files, "dagster_bytes": dagster}


def left_by_idle_runs(lake: Grown) -> dict[str, float]:
    """What one run that finds nothing new adds for good: RUNS of them, looked after."""
    look_after(lake.folder)
    before = sizes(lake.folder)
    for _ in range(RUNS):
        lakebed(lake.folder, "run", "--from", str(lake.last), "--to", str(lake.last))
    look_after(lake.folder)
    return {name: (value - before[name]) / RUNS for name, value in sizes(lake.folder).items()}


def main(numbers: tuple[int, ...]) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="lakebed-growth-") as root:
        lakes = [grow(Path(root, str(days)), days) for days in numbers]
        for round_number in range(1, ROUNDS + 1):
            for lake in lakes:
                one_more_day(lake, round_number)
        found: dict[str, object] = {}
        for lake in lakes:
            wall, cpu = (statistics.median(s[i] for s in lake.seconds) for i in (0, 1))
            idle = left_by_idle_runs(lake)
            days = lake.days + ROUNDS
            found[str(lake.days)] = {
                "daily_s": round(wall, 2),
                "daily_cpu_s": round(cpu, 2),
                "per_day": {name: round(value / days, 1) for name, value in sizes(lake.folder).items()},
                "per_idle_run": {name: round(value, 1) for name, value in idle.items()},
            }
            print(f"{lake.days} days: {json.dumps(found[str(lake.days)])}", flush=True)
        few, many = lakes[0], lakes[-1]
        ratios = [statistics.median(m[i] / f[i] for m, f in zip(many.seconds, few.seconds, strict=True)) for i in (0, 1)]
        name = f"daily_{numbers[-1]}_vs_{numbers[0]}"
        print(json.dumps({name: round(ratios[0], 3), f"{name}_cpu": round(ratios[1], 3), "load": os.getloadavg()[0], "lakes": found}))


if __name__ == "__main__":
    main(tuple(int(a) for a in sys.argv[1:]) or DAYS)
