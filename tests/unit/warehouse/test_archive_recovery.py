"""A catalog that is lost, empty or damaged comes back from a backup; what was written since is kept, and what is not proved is said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from lakebed.cli import doctor
from tests.lakes import at, open_lake, points_unit, stored
from warehouse.archive.backup import backup_catalog
from warehouse.archive.records import recorded_bundles
from warehouse.archive.recovery import catalog_problem, recover_catalog
from warehouse.archive.sealing import seal
from warehouse.archive.verifying import verify
from warehouse.errors import ArchiveError, LakeError
from warehouse.lake.lake import Lake
from warehouse.lake.maintenance import tidy

TABLE = "raw.metric_points"
DAYS = [date(2026, 3, n) for n in (1, 2, 3)]
LATE = [(9, at("2026-03-01 11:00"), 9.0)]


def lose(catalog: Path) -> None:
    catalog.unlink()


def empty(catalog: Path) -> None:
    catalog.write_bytes(b"")


def truncate(catalog: Path) -> None:
    catalog.write_bytes(catalog.read_bytes()[: catalog.stat().st_size // 2])


def overwrite(catalog: Path) -> None:
    catalog.write_bytes(b"\0" * catalog.stat().st_size)


@pytest.fixture
def written(lake: Lake) -> Lake:
    """Three days and a sealed one, a backup, and then a batch and a sealed day more; closed."""
    lake.land(points_unit("b1", [(n, at(f"{d} 10:0{n}"), n / 7) for d in DAYS for n in range(5)]))
    seal(lake, TABLE, DAYS[0])
    backup_catalog(lake)
    lake.land(points_unit("late", LATE, source="t"))
    seal(lake, TABLE, DAYS[1])
    lake.connection.execute("CHECKPOINT")
    lake.close()
    return lake


@pytest.mark.parametrize("damage", [lose, empty, truncate, overwrite])
def test_a_lake_comes_back_and_says_what_is_not_proved(written: Lake, damage: Callable[[Path], None], tmp_path: Path) -> None:
    catalog = Path(written.catalog.address)
    for end in ("-wal", "-shm"):
        catalog.with_name(catalog.name + end).unlink(missing_ok=True)
    damage(catalog)
    (finding,) = doctor.catalog(written.settings)
    assert (finding.level, "doctor --repair" in finding.remedy) == ("problem", True)
    with pytest.raises(LakeError):
        open_lake(tmp_path)
    told = list(recover_catalog(written.settings))
    assert any("not proved: 1 rows of raw.metric_points from t (file late)" in line for line in told)
    assert any("1 bundle(s) that were sealed since are recorded again" in line for line in told)
    with open_lake(tmp_path) as lake:
        assert len(stored(lake)) == 15
        assert len(recorded_bundles(lake)) == 2
        assert verify(lake).problems == []
        aside = next(tmp_path.glob("lake.set-aside-*"))
        assert list(aside.glob("store/raw_metric_points/day=2026-03-01/*.parquet"))
        lake.land(points_unit("late", LATE, source="t"))
        assert len(stored(lake)) == 16
    assert list(recover_catalog(written.settings)) == []


@pytest.mark.parametrize("step", ["kept catalog.sqlite as", "the catalog is that of", "moved "])
def test_a_recovery_that_dies_is_gone_on_with(written: Lake, tmp_path: Path, step: str) -> None:
    truncate(Path(written.catalog.address))
    dying = recover_catalog(written.settings)
    next(line for line in dying if line.startswith(step))
    dying.close()  # type: ignore[attr-defined]
    (finding,) = doctor.catalog(written.settings)
    assert (finding.level, "doctor --repair" in finding.remedy) == ("problem", True)
    if step != "kept catalog.sqlite as":
        with open_lake(tmp_path) as lake, pytest.raises(LakeError, match="was not finished"):
            tidy(lake)
    told = list(recover_catalog(written.settings))
    assert any("not proved: 1 rows of raw.metric_points from t (file late)" in line for line in told)
    assert any("1 bundle(s) that were sealed since are recorded again" in line for line in told)
    with open_lake(tmp_path) as lake:
        tidy(lake)
        assert len(stored(lake)) == 15
        assert len(recorded_bundles(lake)) == 2
        assert verify(lake).problems == []
    (aside,) = tmp_path.glob("lake.set-aside-*")
    assert list(aside.glob("store/raw_metric_points/day=2026-03-01/*.parquet"))
    assert list(recover_catalog(written.settings)) == []


def test_manifests_that_cannot_be_read_are_told_and_passed_over(written: Lake, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    newer = archive / "catalog" / "99990101T000000000000"
    newer.mkdir()
    (newer / "manifest.json").write_text("{")
    sealed = next(archive.glob(f"{TABLE}/day={DAYS[1]}/*/manifest.json"))
    sealed.write_bytes(b"\xff{")
    Path(written.catalog.address).unlink()
    told = list(recover_catalog(written.settings))
    assert [f"{newer.name}/manifest.json" in line for line in told if "a backup is of no use" in line] == [True]
    assert [sealed.parent.name in line for line in told if "its manifest cannot be read" in line] == [True]
    with open_lake(tmp_path) as lake:
        assert len(recorded_bundles(lake)) == 1


def test_a_sound_catalog_and_an_empty_place_are_left_alone(written: Lake, tmp_path: Path) -> None:
    before = Path(written.catalog.address).read_bytes()
    assert list(recover_catalog(written.settings)) == []
    assert Path(written.catalog.address).read_bytes() == before
    with open_lake(tmp_path / "new") as fresh:
        assert catalog_problem(fresh.settings) is None


def test_damaged_backups_are_passed_over_and_without_any_nothing_is_changed(written: Lake) -> None:
    catalog = Path(written.catalog.address)
    truncate(catalog)
    damaged = catalog.read_bytes()
    backup = next((written.settings.root / "archive" / "catalog").rglob("catalog.parquet"))
    backup.write_bytes(backup.read_bytes()[:-1])
    with pytest.raises(ArchiveError, match="no sound backup"):
        list(recover_catalog(written.settings))
    assert catalog.read_bytes() == damaged


def test_files_that_went_since_the_backup_block_their_day(written: Lake, tmp_path: Path) -> None:
    Path(written.catalog.address).unlink()
    for day in (DAYS[0], DAYS[2]):
        for file in (tmp_path / "lake" / "store" / "raw_metric_points" / f"day={day}").glob("*.parquet"):
            file.unlink()
    told = list(recover_catalog(written.settings))
    assert any(line.startswith("healed: 5 rows of raw.metric_points 2026-03-01") for line in told)
    assert any(line.startswith("not proved: 5 rows of raw.metric_points 2026-03-03") for line in told)
    with open_lake(tmp_path) as lake:
        assert lake.states(TABLE)[DAYS[2]].state == "blocked"
