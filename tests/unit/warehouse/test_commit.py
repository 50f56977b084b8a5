"""What a commit leaves behind when it is refused, fails, or is not alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.lakes import at, files_on_disk, open_lake, points_unit, stored
from warehouse.errors import LakeError
from warehouse.lake import scratch
from warehouse.lake.connection import SPILL, sweep_spills
from warehouse.lake.lake import Lake
from warehouse.settings import LakeSettings

A = (1, at("2026-03-01 10:00"), 1.0)
B = (1, at("2026-03-01 10:01"), 2.0)


@pytest.fixture
def lake(tmp_path: Path) -> Any:
    with open_lake(tmp_path) as lake:
        yield lake


def fail_once(lake: Lake, step: str, error: Exception) -> None:
    """Raise at a step of the next commit, once."""
    left = [error]

    def at_step(name: str) -> None:
        if name == step and left:
            raise left.pop()

    lake.step = at_step


def test_a_refused_commit_is_tried_again_with_what_was_staged(lake: Lake) -> None:
    lake.land(points_unit("b1", [A]))
    fail_once(lake, "logged", duckdb.TransactionException("TransactionContext Error: Conflict on commit"))
    landed = lake.land(points_unit("b2", [A, B]))
    assert landed.tables["raw.metric_points"] == 1
    assert [row[1:] for row in stored(lake)] == [A, B]
    counts = (
        "SELECT rows_read, rows_landed, rows_collapsed, rows_quarantined FROM meta.ingest_log WHERE batch_id = 'b2' ORDER BY table_name"
    )
    assert lake.connection.execute(counts).fetchall() == [(2, 1, 1, 0), (1, 1, 0, 0)]
    registered = lake.connection.execute(
        "SELECT count(*) FROM ducklake_list_files('lake', 'raw_metric_points', schema => 'store')"
    ).fetchone()
    assert registered == (len(files_on_disk(lake, "store/raw_metric_points/**/*.parquet")),)


def test_a_commit_whose_answer_was_lost_keeps_its_files(lake: Lake) -> None:
    fail_once(lake, "committed", duckdb.TransactionException("TransactionContext Error: the connection was lost"))
    with pytest.raises(LakeError, match="the connection was lost"):
        lake.land(points_unit("b1", [A]))
    assert [row[1:] for row in stored(lake)] == [A]
    assert lake.land(points_unit("b1", [A])).already


def test_connections_spill_into_folders_of_their_own(tmp_path: Path) -> None:
    settings = LakeSettings(memory_limit="80MiB", temp_directory=str(tmp_path), threads=2)
    both = [scratch(settings), scratch(settings)]
    for number, connection in enumerate(both):
        connection.execute(f"CREATE TEMP TABLE t AS SELECT {number} AS n, hash(i) AS h, i FROM range(3_000_000) AS r(i)")
    assert len(list(tmp_path.glob(f"{SPILL}*"))) == 2
    for number, connection in enumerate(both):
        assert connection.execute("SELECT count(*) FROM t WHERE n <> ? OR h <> hash(i)", [number]).fetchone() == (0,)
        connection.close()
    assert list(tmp_path.iterdir()) == []


def test_what_dead_processes_spilled_is_swept(tmp_path: Path) -> None:
    settings = LakeSettings(temp_directory=str(tmp_path))
    dead, own = tmp_path / f"{SPILL}4194399-a", tmp_path / f"{SPILL}1-b"
    for folder in (dead, own):
        folder.mkdir()
    assert sweep_spills(settings, older_than_s=3600) == 0
    assert sweep_spills(settings, older_than_s=0) == 1
    assert list(tmp_path.iterdir()) == [own]
