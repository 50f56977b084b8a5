"""Erasing a subject: gone from the lake, quarantine and every bundle; the chain holds; a legal hold refuses; drills tell the truth."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.lakes import DAY, at, change_unread_byte, points_unit, stored
from warehouse.archive.drilling import drill, drill_problem
from warehouse.archive.erasing import erase_subject
from warehouse.archive.file_hashes import record_new
from warehouse.archive.records import active_bundles, recorded_bundles
from warehouse.archive.restoring import restore
from warehouse.archive.sealing import ROWS_FILE, seal
from warehouse.archive.storage import Folder
from warehouse.archive.verifying import verify
from warehouse.errors import ArchiveError, RetentionError
from warehouse.lake.lake import Lake
from warehouse.retention.applying import apply_plan
from warehouse.retention.holds import add_hold
from warehouse.retention.planning import plan_retention

TABLE = "raw.metric_points"
TODAY = date(2026, 4, 1)
SUBJECT = 3


@pytest.fixture
def spread(lake: Lake) -> Lake:
    """The subject in an archived and dropped day (two bundles), in a day of the lake that was sealed twice, and in quarantine."""
    days = ("2026-03-01", "2026-03-20")
    lake.land(points_unit("b1", [(n, at(f"{d} 10:0{n}"), float(n)) for d in days for n in range(5)]))
    pass_all(lake)
    apply_plan(lake, plan_retention(lake, today=TODAY).plan_id, today=TODAY)
    lake.land(points_unit("late", [(n, at(f"2026-03-01 11:0{n}"), float(n)) for n in (2, SUBJECT)]))
    apply_plan(lake, plan_retention(lake, today=TODAY).plan_id, today=TODAY)
    seal(lake, TABLE, date(2026, 3, 20))
    lake.land(points_unit("more", [(SUBJECT, at("2026-03-20 12:00"), 1.0), (SUBJECT, at("1969-01-01 12:00"), 1.0)]))
    seal(lake, TABLE, date(2026, 3, 20))
    return lake


def pass_all(lake: Lake) -> None:
    """Every day's checks pass."""
    for table in (TABLE, "raw.metric_series"):
        lake.set_states(table, dict.fromkeys(lake.states(table), ("passed", None)))


def erase(lake: Lake, *, do: bool = True) -> dict[str, int]:
    """Erase series 3."""
    result = erase_subject(lake, TABLE, "series_id", str(SUBJECT), reason="request 7", do=do)
    return {p.name.partition("/")[0] if "archive" not in p.name else "archive": 0 for p in result.places} | {
        "rows": sum(p.rows for p in result.places)
    }


def everything(lake: Lake, folder: Path) -> set[int]:
    """The series that any bundle of the archive can still give back, and those of the lake."""
    import duckdb

    root = lake.settings.resolve(lake.settings.archive.path)
    with duckdb.connect() as plain:
        sealed = plain.execute(f"SELECT DISTINCT series_id FROM read_parquet('{root}/*/*/*/*.parquet')").fetchall()
    back = restore(lake, TABLE, DAY, date(2026, 3, 20), folder)
    with duckdb.connect() as plain:
        restored = plain.execute(f"SELECT DISTINCT series_id FROM read_parquet({back.paths})").fetchall()
    return {r[0] for r in sealed} | {r[0] for r in restored} | {r[1] for r in stored(lake)}


def test_counting_changes_nothing(spread: Lake) -> None:
    before = (stored(spread), recorded_bundles(spread))
    assert erase(spread, do=False)["rows"] == 2 + 1 + 1 + 3 + 1
    assert (stored(spread), recorded_bundles(spread)) == before


def test_a_subject_is_gone_from_every_place_and_the_chain_holds(spread: Lake, tmp_path: Path) -> None:
    assert set(erase(spread)) == {"lake raw.metric_points 2026-03-20", "archive", "quarantine.metric_points", "rows"}
    assert SUBJECT not in everything(spread, tmp_path / "out")
    assert everything(spread, tmp_path / "again") == {0, 1, 2, 4}
    result = verify(spread)
    assert result.problems == []
    assert result.erased == 4
    assert spread.connection.execute("SELECT count(*) FROM quarantine.metric_points").fetchone() == (0,)
    assert spread.states(TABLE)[date(2026, 3, 20)].state == "unchecked"
    assert spread.states(TABLE)[date(2026, 3, 20)].row_count == 4
    assert spread.states(TABLE)[DAY].state == "dropped"
    assert erase(spread) == {"rows": 0}


def test_a_second_subject_of_the_same_days_leaves_nothing_in_doubt(lake: Lake) -> None:
    lake.land(points_unit("b1", [(n, at(f"2026-03-01 10:0{n}"), float(n)) for n in range(5)]))
    seal(lake, TABLE, DAY)
    for subject in ("3", "2"):
        erase_subject(lake, TABLE, "series_id", subject, reason="request")
    result = verify(lake)
    assert (result.problems, result.erased) == ([], 2)


def test_a_legal_hold_refuses_and_a_manual_one_does_not(spread: Lake) -> None:
    before = (stored(spread), recorded_bundles(spread))
    add_hold(spread, reason="case 12", tables=["raw.*"], from_day=DAY, to_day=DAY, legal=True)
    with pytest.raises(RetentionError, match="case 12"):
        erase(spread)
    assert (stored(spread), recorded_bundles(spread)) == before
    add_hold(spread, reason="release", tables=["raw.*"], from_day=date(2026, 3, 20), to_day=date(2026, 3, 20))
    with pytest.raises(RetentionError, match="case 12"):
        erase(spread)


def test_a_damaged_day_is_not_written_anew_as_if_it_were_sound(spread: Lake) -> None:
    record_new(spread)
    change_unread_byte(spread, TABLE, date(2026, 3, 20))
    before = (stored(spread), recorded_bundles(spread))
    with pytest.raises(ArchiveError, match="2026-03-20: changed file"):
        erase(spread)
    assert (stored(spread), recorded_bundles(spread)) == before


@pytest.mark.parametrize("step", ["recorded", "erasing"])
def test_an_erasure_that_dies_is_completed_by_running_it_again(spread: Lake, tmp_path: Path, step: str) -> None:
    def die(name: str) -> None:
        if name == step:
            raise KeyboardInterrupt

    spread.step = die
    with pytest.raises(KeyboardInterrupt):
        erase(spread)
    spread.step = lambda _name: None
    assert verify(spread).problems == []
    erase(spread)
    assert SUBJECT not in everything(spread, tmp_path / "out")
    assert verify(spread).problems == []


def test_files_that_an_erasure_left_behind_their_tombstone_go_when_it_is_run_again(
    spread: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_storage: Folder, paths: list[str]) -> None:
        if any(p.endswith(ROWS_FILE) for p in paths):
            raise KeyboardInterrupt
        remove(_storage, paths)

    remove = Folder.remove
    with monkeypatch.context() as dying:
        dying.setattr(Folder, "remove", die)
        with pytest.raises(KeyboardInterrupt):
            erase(spread)
    erase(spread)
    assert verify(spread).problems == []
    assert SUBJECT not in everything(spread, tmp_path / "out")


def test_a_tombstone_that_nobody_recorded_is_found(spread: Lake) -> None:
    bundle = active_bundles(recorded_bundles(spread))[0]
    folder = Path(spread.settings.resolve(spread.settings.archive.path)) / bundle.path
    (folder / "tombstone.json").write_text('{"superseded_by": "nobody"}')
    next(folder.glob("*.parquet")).unlink()
    assert {p.kind for p in verify(spread).problems} == {"false tombstone", "missing file"}


def test_a_key_of_a_map_column_names_a_subject_and_other_columns_are_refused(lake: Lake) -> None:
    lake.land(points_unit("b1", [(n, at("2026-03-01 10:00"), 1.0) for n in range(3)]))
    result = erase_subject(lake, "raw.metric_series", "labels.n", "1", reason="r")
    assert [(p.name, p.rows) for p in result.places] == [("lake raw.metric_series", 1)]
    assert lake.connection.execute("SELECT count(*) FROM raw.metric_series").fetchone() == (2,)
    for column in ("nothing", "value.x", "series_id = 1 OR TRUE --"):
        with pytest.raises(ArchiveError, match="has no column"):
            erase_subject(lake, TABLE, column, "1", reason="r")


def test_a_value_is_data_and_never_sql(lake: Lake) -> None:
    lake.land(points_unit("b1", [(1, at("2026-03-01 10:00"), 1.0)]))
    assert erase_subject(lake, TABLE, "source", "' OR TRUE --", reason="r").places == []
    assert len(stored(lake)) == 1


def test_drills_are_recorded_and_fail_when_a_bundle_is_damaged(spread: Lake) -> None:
    assert [d.equal for d in drill(spread, sample=9)] == [True] * 3
    assert drill_problem(spread) is None
    bundle = active_bundles(recorded_bundles(spread))[0]
    path = next((Path(spread.settings.resolve(spread.settings.archive.path)) / bundle.path).glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    assert sorted(d.equal for d in drill(spread, sample=9)) == [False, True, True]
    assert "differed" in str(drill_problem(spread))
    row = spread.connection.execute("SELECT count(*), count(*) FILTER (equal) FROM meta.restore_drills").fetchone()
    assert row == (6, 5)


def test_an_overdue_drill_is_a_problem(spread: Lake) -> None:
    assert drill_problem(spread) is None
    drill(spread)
    spread.connection.execute("UPDATE store.meta_restore_drills SET drilled_at = drilled_at - ?", [timedelta(days=9)])
    assert "9 days" in str(drill_problem(spread))


def test_without_bundles_there_is_nothing_to_drill(lake: Lake) -> None:
    assert drill(lake) == []
    assert drill_problem(lake) is None
