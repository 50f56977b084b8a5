"""Tidying: what is over a day old goes, what is younger stays, rows never change."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lakes import age, at, files_on_disk, open_lake, points_unit, stored
from warehouse.errors import LakeError
from warehouse.lake.lake import Lake
from warehouse.lake.logs import MERGE_FROM_FILES, merge_files
from warehouse.lake.maintenance import tidy
from warehouse.lake.state import NO_DAY

A = (1, at("2026-03-01 10:00"), 1.0)
HOUR = 3600.0


def orphan(lake: Lake, hours: float) -> Path:
    """A file that a writer left under a table's path some hours ago."""
    path = Path(lake.folder("store.raw_metric_points")) / "day=2026-03-01" / f"part_{hours}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"PAR1")
    os.utime(path, (time.time() - hours * HOUR,) * 2)
    return path


def test_orphans_live_a_day_and_no_longer(lake: Lake) -> None:
    lake.land(points_unit("b1", [A]))
    old, young = orphan(lake, 25), orphan(lake, 23)
    for file in files_on_disk(lake) - {old, young}:
        os.utime(file, (time.time() - 400 * HOUR,) * 2)
    assert tidy(lake).removed_orphans == 1
    assert not old.exists()
    assert young.exists()
    assert [r[1:] for r in stored(lake)] == [A]


def test_orphans_that_are_left_beside_writers_are_told(lake: Lake) -> None:
    file = orphan(lake, 25)
    with lake.catalog.present():
        done = tidy(lake, patience_s=0)
    assert (done.removed_orphans, done.orphans_left) == (0, 1)
    assert file.exists()


def test_a_moment_without_writers_is_waited_for(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    file, writer = orphan(lake, 25), ExitStack()
    writer.enter_context(lake.catalog.present())

    def commits_meanwhile(_seconds: float) -> None:
        with lake.catalog.lock(("raw.logs",), timeout=0):
            writer.close()

    monkeypatch.setattr("warehouse.lake.catalog.time.sleep", commits_meanwhile)
    done = tidy(lake)
    assert (done.removed_orphans, done.orphans_left) == (1, 0)
    assert not file.exists()


def test_logs_of_many_commits_become_one_file_with_the_same_rows(lake: Lake) -> None:
    for i in range(MERGE_FROM_FILES):
        lake.append_log("meta.runs", [(f"r{i}", "job", "success", None, None, float(i), at("2026-03-01 10:00"))])
    before = lake.connection.execute("FROM meta.runs ORDER BY ALL").fetchall()
    assert merge_files(lake, "store.meta_runs")
    assert lake.connection.execute("FROM meta.runs ORDER BY ALL").fetchall() == before
    row = lake.connection.execute("SELECT count(*) FROM ducklake_list_files('lake', 'meta_runs', schema => 'store')").fetchone()
    assert row == (1,)
    assert not merge_files(lake, "store.meta_runs")


def test_a_log_that_grew_while_it_was_merged_is_left_alone(lake: Lake) -> None:
    for i in range(MERGE_FROM_FILES):
        lake.append_log("meta.runs", [(f"r{i}", "job", "success", None, None, 1.0, at("2026-03-01 10:00"))])
    real, files = lake.catalog.lock, files_on_disk(lake)

    def late(names: tuple[str, ...], *, timeout: float = 1.0):  # type: ignore[no-untyped-def]
        if "maintenance" in names:
            with open_lake(lake.settings.root) as other:
                other.append_log("meta.runs", [("late", "job", "success", None, None, 1.0, at("2026-03-01 10:00"))])
        return real(names, timeout=timeout)

    object.__setattr__(lake, "catalog", _with_lock(lake, late))
    assert not merge_files(lake, "store.meta_runs")
    assert lake.connection.execute("SELECT count(*) FROM meta.runs").fetchone() == (MERGE_FROM_FILES + 1,)
    assert len(files_on_disk(lake) - files) == 1


def _with_lock(lake: Lake, lock: object) -> object:
    class Catalog:
        kind, address, data_path, present = lake.catalog.kind, lake.catalog.address, lake.catalog.data_path, lake.catalog.present

    catalog = Catalog()
    catalog.lock = lock  # type: ignore[attr-defined]
    return catalog


def test_snapshots_of_this_day_stay(lake: Lake) -> None:
    for i in range(3):
        lake.land(points_unit(f"b{i}", [(1, at(f"2026-03-01 1{i}:00"), 1.0)]))
    assert tidy(lake).expired_snapshots == 0


def test_replaced_files_go_when_their_snapshots_have_expired_and_another_day_has_passed(lake: Lake) -> None:
    lake.land(points_unit("b1", [A]))
    lake.replace_slice("core.resources", None, "SELECT * FROM core.resources")
    for i in range(MERGE_FROM_FILES):
        lake.append_log("meta.runs", [(f"r{i}", "job", "success", None, None, 1.0, at("2026-03-01 10:00"))])
    merge_files(lake, "store.meta_runs")
    files = len(files_on_disk(lake))
    age(lake, "ducklake_snapshot", "snapshot_time", 25)
    first = tidy(lake)
    assert first.expired_snapshots > 0
    assert (first.removed_files, len(files_on_disk(lake))) == (0, files)
    once = len(list(Path(lake.catalog.data_path).rglob(f"day={NO_DAY}/*.parquet")))  # of the row that taught the catalog about NULLs
    for hours, removed in ((3, 0), (23.9, 0), (49, MERGE_FROM_FILES + once)):
        age(lake, "ducklake_files_scheduled_for_deletion", "schedule_start", hours)
        assert tidy(lake).removed_files == removed
    assert [r[1:] for r in stored(lake)] == [A]
    assert lake.connection.execute("SELECT count(*) FROM meta.runs").fetchone() == (MERGE_FROM_FILES,)


def test_an_archive_inside_the_data_path_is_refused(lake: Lake, tmp_path: Path) -> None:
    lake.close()
    with open_lake(tmp_path, archive={"path": "lake/archive"}) as other, pytest.raises(LakeError, match="folder of its own"):
        tidy(other)


def test_an_interrupt_right_after_the_commit_loses_nothing(lake: Lake) -> None:
    def interrupt(name: str) -> None:
        if name == "committed":
            raise KeyboardInterrupt

    lake.step = interrupt
    with pytest.raises(KeyboardInterrupt):
        lake.land(points_unit("b1", [A]))
    lake.step = lambda _name: None
    assert [r[1:] for r in stored(lake)] == [A]
    assert lake.land(points_unit("b1", [A])).already
