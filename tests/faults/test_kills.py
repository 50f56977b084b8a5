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

from tests.faults.conftest import DAYS
from tests.lakes import files_on_disk
from warehouse.lake.lake import Lake
from warehouse.lake.maintenance import tidy
from warehouse.settings import load

pytestmark = [pytest.mark.faults, pytest.mark.server]

WORKER = Path(__file__).with_name("worker.py")
STEPS = ("staged", "locked", "deleted", "registered", "logged", "committed")
KILLS = int(os.environ.get("LAKEBED_KILLS", "60"))
TABLES = ("raw.metric_points", "core.metric_rollup_1h")


class Victim:
    """Runs the worker, kills it, and knows what it had acknowledged."""

    def __init__(self, folder: Path, catalog: str, files: dict[tuple[date, int], Path]) -> None:
        self.folder, self.files, self.worker = folder, files, WORKER
        self.config = folder / "lakebed.toml"
        self.config.write_text(f'[lake]\ncatalog = "{catalog}"\nmemory_limit = "1GiB"\n')
        self.journal = folder / "journal"
        self.operations = [(str(files[DAYS[i % len(DAYS)], i // len(DAYS) % 2]), str(DAYS[i % len(DAYS)])) for i in range(4 * KILLS)]

    def start(self, operations: int, **spec: object) -> subprocess.Popen[bytes]:
        """Start the worker; it has begun to work when this returns."""
        ready, file = self.folder / "ready", self.folder / "spec.json"
        ready.unlink(missing_ok=True)
        file.write_text(
            json.dumps(
                {
                    "config": str(self.config),
                    "journal": str(self.journal),
                    "ready": str(ready),
                    "operations": self.operations[:operations],
                    **spec,
                }
            )
        )
        with (self.folder / "stderr").open("ab") as errors:
            process = subprocess.Popen([sys.executable, str(self.worker), str(file)], stderr=errors)
        while not ready.exists() and process.poll() is None:
            time.sleep(0.01)
        return process

    def acknowledged(self) -> int:
        """How many operations the journal holds."""
        return len(self.journal.read_text().split()) if self.journal.exists() else 0

    def finish(self, operations: int) -> None:
        """Let it do everything that is left, in peace."""
        process = self.start(operations)
        assert process.wait(timeout=300) == 0, (self.folder / "stderr").read_text()[-3000:]

    def lake(self) -> Lake:
        """The lake that it works on."""
        return Lake.open(load(self.config))


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


def orphans(lake: Lake) -> set[Path]:
    """Parquet files under the data path that no snapshot knows, after what is over a day old was cleaned up."""
    for file in files_on_disk(lake):
        os.utime(file, (time.time() - 90_000,) * 2)
    tidy(lake)
    registered = [
        f"""SELECT s.path || t.path || f.path FROM __ducklake_metadata_lake.{files} AS f
            JOIN __ducklake_metadata_lake.ducklake_table AS t USING (table_id)
            JOIN __ducklake_metadata_lake.ducklake_schema AS s USING (schema_id)"""
        for files in ("ducklake_data_file", "ducklake_delete_file")
    ]
    scheduled = "SELECT path FROM __ducklake_metadata_lake.ducklake_files_scheduled_for_deletion"
    known = lake.connection.execute(" UNION ".join([*registered, scheduled])).fetchall()
    assert lake.data_folder is not None
    names = {row[0] for row in known}
    return {f for f in files_on_disk(lake) if str(f.relative_to(lake.data_folder)) not in names}


def test_kills_lose_tear_and_double_nothing(tmp_path: Path, catalog: str, big_days: dict[tuple[date, int], Path]) -> None:
    victim = Victim(tmp_path, catalog, big_days)
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
        assert process.returncode == -9, (tmp_path / "stderr").read_text()[-3000:]
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
