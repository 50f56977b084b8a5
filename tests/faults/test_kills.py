"""kill -9 at every step and at any moment: nothing lost, torn or doubled, and no orphan outlives its day of grace."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from tests.faults.victim import DAYS, WORKER, Victim, orphans
from warehouse.lake.lake import Lake
from warehouse.settings import load

pytestmark = [pytest.mark.faults, pytest.mark.server]

STEPS = ("staged", "locked", "deleted", "registered", "logged", "committed")
KILLS = int(os.environ.get("LAKEBED_KILLS", "60"))
TABLES = ("raw.metric_points", "core.metric_rollup_1h")


def expected(files: dict[tuple[date, int], Path], contents: dict[date, int]) -> list[tuple[object, ...]]:
    """Day, rows, sum of row hashes of what the lake must hold."""
    with duckdb.connect() as connection:
        rows = []
        for day, content in sorted(contents.items()):
            row = connection.execute(
                f"SELECT count(*), sum(hash(series_id::UBIGINT, time::TIMESTAMP, value::DOUBLE)::HUGEINT) FROM '{files[day, content]}'"
            ).fetchone()
            assert row is not None
            rows.append((day, *row))
        return rows


def present(lake: Lake) -> list[tuple[object, ...]]:
    """Day, rows, sum of row hashes of what the lake holds."""
    return lake.connection.execute(
        "SELECT day, count(*), sum(hash(series_id, time, value)::HUGEINT) FROM raw.metric_points GROUP BY day ORDER BY day"
    ).fetchall()


def test_kills_lose_tear_and_double_nothing(tmp_path: Path, catalog: str, big_days: dict[tuple[date, int], Path]) -> None:
    victim = Victim(tmp_path, catalog)
    victim.operations = [(str(big_days[DAYS[i % len(DAYS)], i // len(DAYS) % 2]), str(DAYS[i % len(DAYS)])) for i in range(4 * KILLS)]
    dice = random.Random(20261123)
    kills = 0
    while kills < KILLS:
        at_step = kills % 2 == 0
        spec = {"die_at": STEPS[kills // 2 % len(STEPS)], "occurrence": dice.choice((1, 2))} if at_step else {}
        process = victim.start(len(victim.operations), **spec)
        if not at_step:
            time.sleep(dice.uniform(0.0, 2.5))
            process.kill()
        process.wait(timeout=120)
        assert process.returncode == -9, victim.errors()
        kills += 1
    total = victim.acknowledged() + len(DAYS)
    victim.finish(total)
    contents = {DAYS[i % len(DAYS)]: i // len(DAYS) % 2 for i in range(total)}
    with victim.lake() as lake:
        assert present(lake) == expected(big_days, contents)
        rolled = lake.connection.execute("SELECT day, sum(count)::BIGINT FROM core.metric_rollup_1h GROUP BY day ORDER BY day").fetchall()
        assert rolled == [(row[0], row[1]) for row in present(lake)]
        log = lake.connection.execute(
            "SELECT origin, count(*) FROM meta.ingest_log WHERE source = 'killed' GROUP BY ALL HAVING count(*) > 1"
        ).fetchall()
        assert log == []
        for table in TABLES:
            counted = dict(lake.connection.execute(f"SELECT day, count(*) FROM {table} GROUP BY day").fetchall())
            assert {d: s.row_count for d, s in lake.states(table).items()} == counted
        assert orphans(lake) == set()


@pytest.mark.parametrize("same_batch", [False, True], ids=["eight_days", "one_batch"])
def test_eight_processes_at_once(tmp_path: Path, catalog: str, same_batch: bool) -> None:
    days = [DAYS[0] + timedelta(days=i) for i in range(1 if same_batch else 8)]
    files = {}
    for day in days:
        for content in (0, 1):
            path = tmp_path / f"{day}.{content}.csv"
            with duckdb.connect() as connection:
                connection.execute(
                    f"""COPY (SELECT i % 100 AS series_id, TIMESTAMP '{day}' + to_seconds(i // 100) AS time, i * {content + 1}.5 AS value
                              FROM range(100000) AS t(i)) TO '{path}' (HEADER)"""
                )
            files[day, content] = path
    config = tmp_path / "lakebed.toml"
    config.write_text(f'[lake]\ncatalog = "{catalog}"\nmemory_limit = "512MiB"\nthreads = 1\n')
    Lake.open(load(config)).close()
    processes = []
    for number in range(8):
        day = days[0] if same_batch else days[number]
        operations = [(str(files[day, i % 2]), str(day)) for i in range(4)]
        spec = tmp_path / f"spec{number}.json"
        journal, ready = tmp_path / f"journal{number}", tmp_path / f"ready{number}"
        spec.write_text(
            json.dumps(
                {"config": str(config), "journal": str(journal), "ready": str(ready), "operations": operations[: 1 if same_batch else 4]}
            )
        )
        with (tmp_path / f"stderr{number}").open("wb") as errors:
            processes.append(subprocess.Popen([sys.executable, str(WORKER), str(spec)], stderr=errors))
    for number, process in enumerate(processes):
        assert process.wait(timeout=300) == 0, (tmp_path / f"stderr{number}").read_text()[-3000:]
    with Lake.open(load(config)) as lake:
        assert present(lake) == expected(files, dict.fromkeys(days, 0 if same_batch else 1))
        commits = lake.connection.execute("SELECT count(*) FROM meta.ingest_log WHERE source = 'killed'").fetchone()
        assert commits == (1 if same_batch else 32,)
