"""A process that settles a large day holds a small part of it, and does so when settling is the first that it does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.lakes import DAY, day_slice, open_lake
from warehouse.lake import Part, Unit
from warehouse.lake.lake import Lake

ROWS = 4_000_000
"""96 MB of series, time and value; 430 MB as the writer would have it in memory."""
SAMPLES = f"""
SELECT (i % 400)::UBIGINT AS series_id, TIMESTAMP '{DAY}' + to_milliseconds(i // 400 * 8000) AS time,
       CASE WHEN i % 400 < 8 THEN hash(i) % 1000 ELSE i % 400 END::DOUBLE AS value
FROM range({{first}}, {{first}} + {ROWS} // 4) AS r(i)"""
CHILD = """
import json, sys
from pathlib import Path
from benchmarks.processes import Peak, tree_mib
from warehouse.lake.lake import Lake
from warehouse.settings import load
from warehouse.tiers.encoding import metrics, writing
from warehouse.tiers.settle import settle
metrics.CHUNK_ROWS = writing.ROW_GROUP_ROWS = int(sys.argv[2])
with Lake.open(load(Path(sys.argv[1]))) as lake, Peak() as peak:
    before = tree_mib(peak.process)
    days = settle(lake).days
print(json.dumps([days, peak.mib - before]))
"""


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Lake]:
    """A lake with a large day, in four files that all cover the whole of it."""

    def parts(connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        for number in range(4):
            yield Part("raw.metric_points", connection.sql(SAMPLES.format(first=number * ROWS // 4)))

    with open_lake(tmp_path) as lake:
        lake.land(Unit("s", "batch" * 13, "large", parts, slice=day_slice()))
        lake.set_states("raw.metric_points", {DAY: ("passed", None)})
        yield lake


def settled(folder: Path, rows_at_once: int) -> tuple[int, float]:
    """Days that a new process settles, and the most MiB that it took for it."""
    file = folder / "lakebed.toml"
    file.write_text('[lake]\nmemory_limit = "200MiB"\nthreads = 2\n')
    done = subprocess.run([sys.executable, "-c", CHILD, str(file), str(rows_at_once)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    days, mib = json.loads(done.stdout.splitlines()[-1])
    return days, mib


def test_a_large_day_settles_in_little_memory(large: Lake, tmp_path: Path) -> None:
    query = "SELECT count(*), bit_xor(hash(series_id, time, value)), sum(value) FROM raw.metric_points"
    before = large.connection.execute(query).fetchone()
    days, mib = settled(tmp_path, 131_072)
    assert days == 1
    assert mib < 400, "it takes 214; 1,000 with all rows at once"
    assert large.connection.execute(query).fetchone() == before
    (dense,) = large.connection.execute("SELECT count(value) FROM store.raw_metric_points").fetchone() or (None,)
    assert dense == 0, "all are integers"
    assert settled(tmp_path, 131_072)[0] == 0
