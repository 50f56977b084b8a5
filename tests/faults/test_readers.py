"""Readers of the published file while it is published again and again: never an error, never a mixed state."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from tests.lakes import DAY, at, day_slice, open_lake, points_unit
from warehouse.lake import Slice
from warehouse.lake.lake import Lake
from warehouse.tiers.publish import publish

pytestmark = [pytest.mark.faults]

READERS, PUBLISHES, ROWS = 8, 50, 500
READER = """
import pathlib, sys, time, duckdb
path, stop, polls = sys.argv[1], pathlib.Path(sys.argv[2]), 0
seen = set()
while not stop.exists():
    with duckdb.connect(path, read_only=True) as connection:
        rows = connection.execute(
            "SELECT (SELECT count(DISTINCT value) FROM raw.metric_points), (SELECT count(*) FROM raw.metric_points), "
            "(SELECT max(value) FROM raw.metric_points), (SELECT max(max) FROM core.metric_rollup_1h)"
        ).fetchone()
    if rows[0] != 1 or rows[1] != int(sys.argv[3]) or rows[2] != rows[3]:
        sys.exit(f"mixed: {rows}")
    seen.add(rows[2])
    polls += 1
    time.sleep(0.2)
print(polls, len(seen))
"""
ROLLUP = """
SELECT source, series_id, date_trunc('hour', time) AS time, count(*) AS count, 0::BIGINT AS nonfinite_count, sum(value) AS sum,
    min(value) AS min, max(value) AS max, day FROM raw.metric_points WHERE day >= $start AND day < $end GROUP BY ALL ORDER BY ALL"""


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """A lake whose second version is published already."""
    with open_lake(tmp_path) as opened:
        advance(opened, 0)
        yield opened


def advance(lake: Lake, number: int) -> None:
    """Every sample of the day becomes `number`, and so does the rollup's maximum; then both are published."""
    points = [(i % 10, at("2026-03-01 10:00") + timedelta(seconds=i), float(number)) for i in range(ROWS)]
    lake.land(points_unit(f"b{number}", points, slice=day_slice()), allow_shrink=True)
    bounds = {"start": DAY, "end": DAY + timedelta(days=1)}
    lake.replace_slice("core.metric_rollup_1h", Slice(**bounds), ROLLUP, parameters=bounds, inputs={DAY: str(number)})
    for table in ("raw.metric_series", "raw.metric_points", "core.metric_rollup_1h"):
        lake.set_states(table, dict.fromkeys(lake.states(table), ("passed", None)))
    publish(lake)


def test_readers_see_one_state_or_the_next(lake: Lake, tmp_path: Path) -> None:
    path, stop = tmp_path / "warehouse.duckdb", tmp_path / "stop"
    command = [sys.executable, "-c", READER, str(path), str(stop), str(ROWS)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(READERS)]
    try:
        for number in range(1, PUBLISHES + 1):
            advance(lake, number)
    finally:
        stop.touch()
    for reader in readers:
        output, errors = reader.communicate(timeout=60)
        assert reader.returncode == 0, errors
        polls, states = map(int, output.split())
        assert polls >= states > 3
    assert path.stat().st_mode & 0o777 == 0o444
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("SELECT max(value) FROM raw.metric_points").fetchone() == (float(PUBLISHES),)
        described = connection.execute(
            "SELECT count(*) FROM duckdb_columns() WHERE NOT internal AND comment IS NULL AND schema_name = 'raw'"
        )
        assert described.fetchone() == (0,)
