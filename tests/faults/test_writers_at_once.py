"""Eight writers that commit small batches to one lake at once, with readers beside them: all succeed, no reader sees half a batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from warehouse.lake.lake import Lake
from warehouse.settings import load

pytestmark = [pytest.mark.faults, pytest.mark.server]

WRITERS, READERS, ROWS = 8, 2, 10
COMMITS = int(os.environ.get("LAKEBED_COMMITS", "12"))
WRITER = """
import sys, time
from datetime import timedelta
from pathlib import Path
from tests.lakes import at, points_unit
from warehouse.lake.lake import Lake
from warehouse.settings import load

number, commits, rows = map(int, sys.argv[2:5])
begin = at("2026-03-01 00:00") + timedelta(hours=number)
with Lake.open(load(Path(sys.argv[1]))) as lake:
    for i in range(commits):
        points = [(r, begin + timedelta(seconds=i), float(i)) for r in range(rows)]
        assert not lake.land(points_unit(f"{number}-{i}", points, source=f"s{number}")).already
"""
READER = """
import sys, time
from pathlib import Path
from warehouse.lake.lake import Lake
from warehouse.settings import load

stop, polls, last = Path(sys.argv[2]), 0, 0
with Lake.open(load(Path(sys.argv[1])), read_only=True) as lake:
    while not stop.exists() or polls == 0:
        batches, partial, logged, states = lake.connection.execute('''
            WITH b AS (SELECT batch_id, count(*) AS n FROM raw.metric_points GROUP BY ALL)
            SELECT (SELECT count(*) FROM b), (SELECT count(*) FROM b WHERE n <> $rows),
                (SELECT count(*) FROM meta.ingest_log WHERE table_name = 'raw.metric_points'),
                (SELECT coalesce(sum(row_count), 0) FROM meta.day_state WHERE table_name = 'raw.metric_points')''',
            {"rows": int(sys.argv[3])}).fetchone()
        if partial or batches != logged or states != batches * int(sys.argv[3]) or batches < last:
            sys.exit(f"half a state: {batches} batches, {partial} of them in part, {logged} logged, {states} rows counted, {last} before")
        polls, last = polls + 1, batches
        time.sleep(0.2)
print(polls)
"""


def test_every_commit_succeeds_beside_readers(tmp_path: Path, catalog: str) -> None:
    config, stop = tmp_path / "lakebed.toml", tmp_path / "stop"
    config.write_text(f'[lake]\ncatalog = "{catalog}"\nmemory_limit = "512MiB"\nthreads = 1\n')
    Lake.open(load(config)).close()
    with Processes(tmp_path) as processes:
        readers = [processes.start(READER, str(config), str(stop), str(ROWS)) for _ in range(READERS)]
        writers = [processes.start(WRITER, str(config), str(n), str(COMMITS), str(ROWS)) for n in range(WRITERS)]
        said = [processes.result(process) for process in writers]
        stop.touch()
        polls = [int(processes.result(process)) for process in readers]
    assert said == [""] * WRITERS
    assert min(polls) > 3
    with Lake.open(load(config)) as lake:
        stored = lake.connection.execute("SELECT count(*), count(DISTINCT (source, series_id, time)) FROM raw.metric_points").fetchone()
        assert stored == (WRITERS * COMMITS * ROWS,) * 2
        batches = lake.connection.execute("SELECT source, count(DISTINCT batch_id), count(*) FROM meta.ingest_log GROUP BY ALL").fetchall()
        assert sorted(batches) == [(f"s{n}", COMMITS, 2 * COMMITS) for n in range(WRITERS)]
        assert sum(s.row_count for s in lake.states("raw.metric_points").values()) == WRITERS * COMMITS * ROWS


class Processes:
    """Python processes of a test; those that still run when it ends are killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_error: object) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def start(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        """Run a script."""
        command = [sys.executable, "-c", script, *arguments]
        self.started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return self.started[-1]

    def result(self, process: subprocess.Popen[str]) -> str:
        """What it printed. AssertionError with its traceback when it failed."""
        output, errors = process.communicate(timeout=900 + 60 * COMMITS)
        assert process.returncode == 0, errors[-3000:]
        return output.strip()
