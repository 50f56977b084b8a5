"""Backups of the catalog: consistent, sealed, drilled; damage to one is found; the oldest go."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.lakes import DAY, at, open_lake, points_unit, stored
from warehouse.archive.backup import backup_catalog, check_copy, list_backups, occurrences, opened
from warehouse.archive.drilling import CATALOG_TABLE, drill
from warehouse.archive.keys import SIGNING
from warehouse.archive.sealing import seal
from warehouse.archive.storage import storage_of
from warehouse.archive.verifying import verify
from warehouse.errors import ArchiveError
from warehouse.lake.identity import CHUNK
from warehouse.lake.lake import Lake
from warehouse.lake.parquet_keys import ENCRYPTION

POINTS = [(n, at(f"2026-03-01 10:0{n}"), n / 7) for n in range(5)]


def folder(lake: Lake) -> Path:
    """The archive."""
    return Path(lake.settings.resolve(lake.settings.archive.path))


def test_a_backup_is_the_catalog_of_its_moment(lake: Lake, tmp_path: Path) -> None:
    lake.land(points_unit("b1", POINTS))
    expected = stored(lake)
    backup = backup_catalog(lake)
    lake.land(points_unit("b2", [(9, at("2026-03-01 11:00"), 9.0)]))
    with opened(storage_of(lake), backup) as copy:
        assert check_copy("sqlite", copy) == backup.snapshot
        lake.close()
        catalog = Path(lake.catalog.address)
        for file in catalog.parent.glob(f"{catalog.name}*"):
            file.unlink()
        shutil.copyfile(copy, catalog)
    with open_lake(tmp_path) as again:
        assert stored(again) == expected


def test_the_oldest_go_and_drills_restore_the_newest(tmp_path: Path, empty_lake: Path) -> None:
    shutil.copytree(empty_lake, tmp_path, dirs_exist_ok=True)
    with open_lake(tmp_path, archive={"keep_backups": 2, "read_price_per_gb": 1000.0, "currency": "EUR"}) as lake:
        lake.land(points_unit("b1", POINTS))
        seal(lake, "raw.metric_points", DAY)
        made = [backup_catalog(lake) for _ in range(4)]
        assert list_backups(storage_of(lake)) == made[2:]
        assert verify(lake).problems == []
        bundle, backup = drill(lake)
        assert (backup.table, backup.bundle_id, backup.equal, backup.row_count) == (
            CATALOG_TABLE,
            made[-1].backup_id,
            True,
            made[-1].snapshot,
        )
        assert backup.cost == pytest.approx(made[-1].bytes / 1e6)
        rows = lake.connection.execute("SELECT bundle_id, cost, currency FROM meta.restore_drills ORDER BY cost").fetchall()
        assert rows == sorted([(d.bundle_id, d.cost, "EUR") for d in (bundle, backup)], key=lambda r: r[1])


def test_damage_to_a_backup_is_found_and_never_restored(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SIGNING, "a key")
    backup = backup_catalog(lake)
    path = folder(lake) / backup.path / "catalog.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    assert [p.kind for p in verify(lake).problems] == ["changed backup"]
    with pytest.raises(ArchiveError, match="is not what was sealed"), opened(storage_of(lake), backup):
        pass
    assert [(d.table, d.equal) for d in drill(lake)] == [(CATALOG_TABLE, False)]
    path.write_bytes(content)
    manifest = folder(lake) / backup.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"snapshot": ', '"snapshot": 1'))
    assert [p.kind for p in verify(lake).problems] == ["forged backup"]
    path.unlink()
    assert [p.kind for p in verify(lake).problems] == ["damaged backup"]


def test_backups_are_encrypted_as_bundles_are(tmp_path: Path, empty_lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(empty_lake, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv(ENCRYPTION, "cd" * 16)
    with open_lake(tmp_path, archive={"encrypt": True}) as lake:
        backup = backup_catalog(lake)
        with opened(storage_of(lake), backup) as copy:
            assert copy.read_bytes().startswith(b"SQLite format 3")
        assert (folder(lake) / backup.path / "catalog.parquet").read_bytes()[:4] == b"PARE"
        monkeypatch.delenv(ENCRYPTION)
        with pytest.raises(ArchiveError, match=f"set {ENCRYPTION}"), opened(storage_of(lake), backup):
            pass


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be looked at" * 40])
def test_what_is_no_catalog_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "copy").write_bytes(content)
    with pytest.raises(ArchiveError, match="is no catalog"):
        check_copy("sqlite", tmp_path / "copy")


def test_a_backup_that_dies_leaves_the_older_ones(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    first = backup_catalog(lake)

    def refuse(*_arguments: object, **_options: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("warehouse.archive.backup._pack", refuse)
    with pytest.raises(sqlite3.OperationalError):
        backup_catalog(lake)
    assert list_backups(storage_of(lake)) == [first]
    assert verify(lake).problems == []


@pytest.mark.parametrize("start", [0, CHUNK - 3, CHUNK, 2 * CHUNK - 1])
def test_a_value_is_counted_wherever_it_stands(tmp_path: Path, start: int) -> None:
    (tmp_path / "copy").write_bytes(b"." * start + b"bob@x" + b"." * CHUNK + b"bob@x")
    assert occurrences(tmp_path / "copy", b"bob@x") == 2
    assert occurrences(tmp_path / "copy", b"eve") == 0


def test_what_a_dead_backup_left_goes_after_a_day(lake: Lake) -> None:
    left = folder(lake) / "catalog" / "20200101T000000000000" / "catalog.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"x")
    backup_catalog(lake)
    assert left.exists()
    os.utime(left, (0, 0))
    backup_catalog(lake)
    assert not left.parent.exists()
