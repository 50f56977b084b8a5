"""Two `lakebed run` over the same lake and days at the same moment: both end well, and nothing is there twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from warehouse.lake.lake import Lake
from warehouse.settings import load

pytestmark = [pytest.mark.faults, pytest.mark.server]
DAYS, ROWS = 3, 400
SOURCE = """
[sources.load]
kind = "table"
table = "raw.metric_points"
path = "load/*.csv"
columns = { time = "at", value = "v", metric_name = "'load'" }
labels = { host = "h" }
"""


def test_two_runs_at_once_double_nothing(tmp_path: Path, catalog: str) -> None:
    config, folder = tmp_path / "lakebed.toml", tmp_path / "load"
    config.write_text(f'[lake]\ncatalog = "{catalog}"\nmemory_limit = "512MiB"\nthreads = 1\n{SOURCE}')
    folder.mkdir()
    for day in range(1, DAYS + 1):
        rows = "".join(f"2026-03-0{day} {i // 60 % 24:02d}:{i % 60:02d}:00,{i % 7}.5,h{i % 3}\n" for i in range(ROWS))
        (folder / f"{day}.csv").write_text("at,v,h\n" + rows)
        os.utime(folder / f"{day}.csv", (1e9, 1e9))
    command = [sys.executable, "-c", "from lakebed.cli import main; main()", "run", "--config", str(config)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    said = [run.communicate(timeout=600)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    with Lake.open(load(config)) as lake:
        query = "SELECT count(*), count(DISTINCT (source, series_id, time)), sum(value) FROM raw.metric_points"
        stored = lake.connection.execute(query).fetchone()
        total = float(DAYS * sum(i % 7 + 0.5 for i in range(ROWS)))
        assert stored == (DAYS * ROWS, DAYS * ROWS, total)
        doubled = "SELECT count(*) FROM (SELECT 1 FROM {} GROUP BY {} HAVING count(*) > 1)"
        for table, grain in (("meta.ingest_log", "source, batch_id, table_name"), ("core.metric_rollup_1h", "source, series_id, time")):
            assert lake.connection.execute(doubled.format(table, grain)).fetchone() == (0,), table
        assert lake.connection.execute("SELECT sum(count)::BIGINT FROM core.metric_rollup_1h").fetchone() == (DAYS * ROWS,)
        counted = dict(lake.connection.execute("SELECT day, count(*) FROM raw.metric_points GROUP BY day").fetchall())
        states = lake.states("raw.metric_points")
        assert {day: s.row_count for day, s in states.items()} == counted
        assert {s.state for s in states.values()} <= {"passed"}
