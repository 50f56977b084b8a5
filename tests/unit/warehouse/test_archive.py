"""Sealed bundles: written whole, proved, restored equal; every kind of damage is found and says which rows it touches."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.lakes import DAY, at, open_lake, points_unit, stored
from warehouse.archive.records import recorded_bundles
from warehouse.archive.restoring import restore, restore_into_lake
from warehouse.archive.sealing import seal
from warehouse.archive.verifying import verify
from warehouse.contracts import contract
from warehouse.errors import ArchiveError, LakeError
from warehouse.lake.lake import Lake
from warehouse.retention.rows import RowClass, RowFilter, class_condition

TABLE = "raw.metric_points"
NEXT = date(2026, 3, 2)
LAST = date(2026, 3, 3)
POINTS = [(n, at(f"2026-03-0{d} 10:0{n}"), n / 7 + d) for d in (1, 2, 3) for n in range(5)]


@pytest.fixture
def sealed(lake: Lake) -> Lake:
    """A lake with three sealed days of five points each."""
    lake.land(points_unit("b1", POINTS))
    for day in (DAY, NEXT, LAST):
        seal(lake, TABLE, day)
    return lake


def folder(lake: Lake, day: date) -> Path:
    """The folder of a day's newest bundle."""
    path = [b.path for b in recorded_bundles(lake) if b.day == day][-1]
    return Path(lake.settings.resolve(lake.settings.archive.path)) / path


def rows_file(lake: Lake, day: date) -> Path:
    """Its Parquet file."""
    return next(folder(lake, day).glob("*.parquet"))


def flip(path: Path, position: int) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    content[position] ^= 0x10
    path.write_bytes(content)


def found(lake: Lake) -> set[tuple[str, date | None, int]]:
    """What verification says: kind, day, rows."""
    return {(p.kind, p.day, p.rows) for p in verify(lake).problems}


def test_a_sealed_day_verifies_and_is_readable_without_lakebed(sealed: Lake) -> None:
    result = verify(sealed)
    assert (result.bundles, result.files, result.rows, result.problems) == (3, 3, 15, [])
    manifest = json.loads((folder(sealed, NEXT) / "manifest.json").read_text())
    assert (manifest["table"], manifest["day"], manifest["row_count"]) == (TABLE, "2026-03-02", 5)
    assert (manifest["time_min"], manifest["time_max"]) == ("2026-03-02T10:00:00", "2026-03-02T10:04:00")
    assert [c["name"] for c in manifest["columns"]] == ["source", "series_id", "time", "value", "batch_id", "day"]
    with duckdb.connect() as plain:
        rows = plain.execute("SELECT series_id, time, value FROM read_parquet(?) ORDER BY ALL", [str(rows_file(sealed, NEXT))]).fetchall()
    assert rows == [p for p in POINTS if p[1].date() == NEXT]


def test_the_chain_runs_through_the_manifests(sealed: Lake) -> None:
    manifests = [json.loads((folder(sealed, d) / "manifest.json").read_text()) for d in (DAY, NEXT, LAST)]
    chain = recorded_bundles(sealed)
    assert manifests[0]["previous"] is None
    assert [m["previous"]["manifest_sha256"] for m in manifests[1:]] == [b.manifest_sha256 for b in chain[:2]]


def test_sealing_again_writes_nothing(sealed: Lake) -> None:
    assert seal(sealed, TABLE, DAY).already
    assert len(recorded_bundles(sealed)) == 3


def test_a_day_that_changed_gets_a_bundle_that_supersedes(sealed: Lake) -> None:
    sealed.land(points_unit("late", [(9, at("2026-03-01 11:00"), 9.0)]))
    again = seal(sealed, TABLE, DAY)
    assert [b.row_count for b in again.bundles] == [6]
    assert again.bundles[0].supersedes == (recorded_bundles(sealed)[0].bundle_id,)
    assert verify(sealed).problems == []


def test_a_flipped_bit_anywhere_is_found(sealed: Lake) -> None:
    path = rows_file(sealed, NEXT)
    content = path.read_bytes()
    for position in range(0, len(content), len(content) // 12):
        flip(path, position)
        assert found(sealed) == {("changed file", NEXT, 5)}
        path.write_bytes(content)
    assert found(sealed) == set()


def damage_missing(lake: Lake) -> None:
    rows_file(lake, NEXT).unlink()


def damage_truncated(lake: Lake) -> None:
    path = rows_file(lake, NEXT)
    path.write_bytes(path.read_bytes()[:-10])


def damage_manifest(lake: Lake) -> None:
    path = folder(lake, NEXT) / "manifest.json"
    path.write_text(path.read_text().replace('"row_count": 5', '"row_count": 4'))


def damage_no_manifest(lake: Lake) -> None:
    (folder(lake, NEXT) / "manifest.json").unlink()


def damage_bundle_gone(lake: Lake) -> None:
    for path in folder(lake, NEXT).iterdir():
        path.unlink()
    folder(lake, NEXT).rmdir()


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (damage_missing, "missing file"),
        (damage_truncated, "truncated file"),
        (damage_manifest, "edited manifest"),
        (damage_no_manifest, "missing manifest"),
        (damage_bundle_gone, "missing manifest"),
    ],
)
def test_damage_is_found_with_the_rows_it_touches_and_never_restored(
    sealed: Lake, tmp_path: Path, damage: Callable[[Lake], None], kind: str
) -> None:
    damage(sealed)
    assert found(sealed) == {(kind, NEXT, 5)}
    with pytest.raises(ArchiveError, match=r"5 rows of raw\.metric_points 2026-03-02"):
        restore(sealed, TABLE, NEXT, NEXT, tmp_path / "out")
    assert restore(sealed, TABLE, DAY, DAY, tmp_path / "out").rows == 5


def test_swapped_files_are_named(sealed: Lake) -> None:
    one, other = rows_file(sealed, DAY), rows_file(sealed, LAST)
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    problems = verify(sealed).problems
    assert {(p.kind, p.day) for p in problems} == {("swapped file", DAY), ("swapped file", LAST)}
    assert any(str(LAST) in p.detail for p in problems if p.day == DAY)


def test_added_files_and_bundles_are_found(sealed: Lake) -> None:
    (folder(sealed, DAY) / "rows-00001.parquet").write_bytes(rows_file(sealed, DAY).read_bytes())
    strange = folder(sealed, DAY).with_name("20260101T000000-deadbeef")
    strange.mkdir()
    (strange / "manifest.json").write_text("{}")
    (folder(sealed, DAY).parent / "note.txt").write_text("x")
    kinds = sorted((p.kind, Path(p.path).name) for p in verify(sealed).problems)
    assert kinds == [("added bundle", strange.name), ("added file", "note.txt"), ("added file", "rows-00001.parquet")]


def test_a_missing_last_bundle_and_reordered_records_are_found(sealed: Lake) -> None:
    damage = folder(sealed, LAST)
    damage.rename(damage.with_name("elsewhere"))
    assert found(sealed) == {("missing manifest", LAST, 5), ("added bundle", LAST, 5)}
    sealed.connection.execute("DELETE FROM store.meta_archive_bundles WHERE day = DATE '2026-03-02'")
    assert "broken chain" in {p.kind for p in verify(sealed).problems}


@pytest.mark.parametrize("target", ["beside", "beside.duckdb"])
def test_restored_rows_are_equal(sealed: Lake, tmp_path: Path, target: str) -> None:
    result = restore(sealed, TABLE, DAY, NEXT, tmp_path / target)
    assert (result.days, result.rows) == ([DAY, NEXT], 10)
    with duckdb.connect() as plain:
        if target.endswith(".duckdb"):
            plain.execute(f"ATTACH '{tmp_path / target}' AS beside")
            rows = plain.execute("SELECT source, series_id, time, value FROM beside.raw.metric_points ORDER BY ALL").fetchall()
        else:
            rows = plain.execute(
                f"SELECT source, series_id, time, value FROM '{tmp_path / target}/raw.metric_points/*/*.parquet' ORDER BY ALL"
            ).fetchall()
    assert rows == [r for r in stored(sealed) if r[2].date() <= NEXT]
    with pytest.raises(ArchiveError, match="already"):
        restore(sealed, TABLE, DAY, NEXT, tmp_path / target)


def test_a_service_is_found_by_the_labels_of_its_series(sealed: Lake, tmp_path: Path) -> None:
    sealed.connection.execute("UPDATE store.raw_metric_series SET labels = MAP {'job': 'api'} WHERE series_id = 3")
    assert restore(sealed, TABLE, DAY, LAST, tmp_path / "out", service="api").rows == 3


@pytest.mark.parametrize("service", ["api", "checkout", "check*"], ids=["as it came", "as it is called", "pattern"])
def test_a_service_is_whom_the_service_map_says_it_is(sealed: Lake, tmp_path: Path, service: str) -> None:
    """Restoring and retention mean the same rows by a service."""
    sealed.connection.execute("UPDATE store.raw_metric_series SET labels = MAP {'job': 'api'} WHERE series_id = 3")
    sealed.close()
    with open_lake(tmp_path, service_map=[{"pattern": "^api$", "service": "checkout"}]) as lake:
        assert restore(lake, TABLE, DAY, LAST, tmp_path / "out", service=service).rows == 3
        sql, values = class_condition(contract(TABLE), RowClass(RowFilter(services=(service,))), lake.settings.service_map)
        assert lake.connection.execute(f"SELECT count(*) FROM {TABLE} WHERE {sql}", list(values)).fetchone() == (3,)


def test_a_folder_of_lakebed_is_no_target(sealed: Lake) -> None:
    for target in (sealed.data_folder, folder(sealed, DAY)):
        with pytest.raises(ArchiveError, match="another folder"):
            restore(sealed, TABLE, DAY, DAY, Path(str(target)) / "out")


def test_days_that_the_lake_has_are_not_restored_into_it(sealed: Lake) -> None:
    with pytest.raises(ArchiveError, match="only days that retention dropped"):
        restore_into_lake(sealed, TABLE, DAY, LAST)


def test_a_seal_that_dies_leaves_no_bundle_or_a_whole_one(lake: Lake) -> None:
    lake.land(points_unit("b1", POINTS))

    def die_at(step: str) -> None:
        def die(name: str) -> None:
            if name == step:
                raise KeyboardInterrupt

        lake.step = die
        with pytest.raises(KeyboardInterrupt):
            seal(lake, TABLE, DAY)
        lake.step = lambda _name: None

    die_at("sealing")
    die_at("pending")
    assert recorded_bundles(lake) == []
    assert verify(lake).problems == []
    die_at("recorded")
    assert len(recorded_bundles(lake)) == 1
    assert verify(lake).problems == []
    assert seal(lake, TABLE, DAY).already


def test_nothing_to_seal_and_an_archive_in_the_lake_are_refused(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="no rows"):
        seal(lake, TABLE, DAY)
    lake.close()
    with open_lake(tmp_path, archive={"path": "lake/archive"}) as other:
        other.land(points_unit("b1", POINTS))
        with pytest.raises(LakeError, match="folder of its own"):
            seal(other, TABLE, DAY)


def test_pages_carry_checksums(sealed: Lake) -> None:
    path = rows_file(sealed, DAY)
    flip(path, 40)
    with pytest.raises((OSError, ValueError)):
        pq.read_table(path, page_checksum_verification=True)
