"""`archive.<table>`: the rows of the bundles that count, through the read-only door too, reading only the days asked for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from tests.lakes import at, open_lake, points_unit, stored
from warehouse.archive.erasing import erase_subject
from warehouse.archive.records import recorded_bundles
from warehouse.archive.restoring import restore, restore_into_lake
from warehouse.archive.sealing import seal
from warehouse.archive.views import refresh_views
from warehouse.errors import ArchiveError, QueryError
from warehouse.lake.lake import Lake
from warehouse.lake.parquet_keys import ENCRYPTION
from warehouse.lake.query import query

TABLE = "raw.metric_points"
DAYS = [date(2026, 3, n) for n in (1, 2, 3)]
POINTS = [(n, at(f"{d} 10:0{n}"), n / 7) for d in DAYS for n in range(5)]
ARCHIVED = "SELECT source, series_id, time, value FROM archive.metric_points ORDER BY ALL"


@pytest.fixture
def sealed(lake: Lake) -> Lake:
    """Three sealed days, their view made."""
    lake.land(points_unit("b1", POINTS))
    for day in DAYS:
        seal(lake, TABLE, day)
    refresh_views(lake)
    return lake


def archived(lake: Lake) -> list[tuple[object, ...]]:
    """The archived rows, as `lakebed sql` sees them."""
    return [tuple(row.values()) for row in query(lake.settings, ARCHIVED).to_pylist()]


def drop(lake: Lake, day: date) -> None:
    """What retention does to a sealed day."""
    lake.connection.execute("DELETE FROM store.raw_metric_points WHERE day = ?", [day])
    lake.set_states(TABLE, {day: ("dropped", "test")})


def test_archived_rows_are_those_that_were_sealed(sealed: Lake) -> None:
    assert archived(sealed) == stored(sealed)
    assert refresh_views(sealed) == []


def test_a_condition_on_the_day_leaves_other_files_unopened(sealed: Lake) -> None:
    root = Path(sealed.settings.resolve(sealed.settings.archive.path))
    for bundle in recorded_bundles(sealed)[1:]:
        next((root / bundle.path).glob("*.parquet")).write_bytes(b"not parquet")
    assert query(sealed.settings, f"SELECT count(*) AS n FROM archive.metric_points WHERE day = DATE '{DAYS[0]}'").to_pydict() == {"n": [5]}
    with pytest.raises(QueryError):
        query(sealed.settings, "SELECT sum(value) FROM archive.metric_points")


def test_bundles_that_are_superseded_do_not_count_and_supplements_do(sealed: Lake) -> None:
    sealed.land(points_unit("late", [(9, at("2026-03-01 11:00"), 9.0)]))
    seal(sealed, TABLE, DAYS[0])
    assert refresh_views(sealed) == ["archive.metric_points"]
    assert archived(sealed) == stored(sealed)
    drop(sealed, DAYS[0])
    sealed.land(points_unit("later", [(9, at("2026-03-01 11:00"), 10.0), (8, at("2026-03-01 12:00"), 8.0)]))
    seal(sealed, TABLE, DAYS[0])
    refresh_views(sealed)
    rows = [(r[1], r[3]) for r in archived(sealed) if r[2] >= at("2026-03-01 11:00") and r[2] < at("2026-03-02")]  # type: ignore[operator]
    assert rows == [(8, 8.0), (9, 10.0)]
    assert len(archived(sealed)) == 17


def test_erased_rows_are_gone_and_the_view_still_answers(sealed: Lake) -> None:
    erase_subject(sealed, TABLE, "series_id", "3", reason="request")
    assert {r[1] for r in archived(sealed)} == {0, 1, 2, 4}
    assert len(archived(sealed)) == 12


def test_rows_that_are_sealed_while_a_day_is_restored_are_in_the_view(sealed: Lake) -> None:
    drop(sealed, DAYS[0])
    sealed.land(points_unit("late", [(9, at("2026-03-01 11:00"), 9.0)]))
    restore_into_lake(sealed, TABLE, DAYS[0], DAYS[0])
    assert archived(sealed) == stored(sealed)
    assert len(archived(sealed)) == 16


def test_the_view_answers_after_an_erasure_that_died_was_finished(sealed: Lake) -> None:
    def die(name: str) -> None:
        if name == "recorded":
            raise KeyboardInterrupt

    sealed.step = die
    with pytest.raises(KeyboardInterrupt):
        erase_subject(sealed, TABLE, "series_id", "3", reason="request")
    sealed.step = lambda _name: None
    erase_subject(sealed, TABLE, "series_id", "77", reason="request")
    assert len(archived(sealed)) == 14


def test_an_erasure_does_not_bring_old_values_back(sealed: Lake, tmp_path: Path) -> None:
    drop(sealed, DAYS[0])
    sealed.land(points_unit("later", [(4, at("2026-03-01 10:04"), 99.0)]))
    seal(sealed, TABLE, DAYS[0])
    erase_subject(sealed, TABLE, "series_id", "3", reason="request")
    expected = [(0, 0.0), (1, 1 / 7), (2, 2 / 7), (4, 99.0)]
    assert [(r[1], r[3]) for r in archived(sealed) if r[2] < at("2026-03-02")] == expected  # type: ignore[operator]
    back = restore(sealed, TABLE, DAYS[0], DAYS[0], tmp_path / "out")
    assert duckdb.sql(f"SELECT series_id, value FROM read_parquet({back.paths}) ORDER BY ALL").fetchall() == expected


def test_columns_that_a_bundle_lacks_are_null(sealed: Lake) -> None:
    bundle = recorded_bundles(sealed)[0]
    root = Path(sealed.settings.resolve(sealed.settings.archive.path))
    path = root / bundle.path / "rows-00000.parquet"
    with duckdb.connect() as plain:
        plain.execute(f"COPY (SELECT * EXCLUDE batch_id FROM '{path}') TO '{path}.new' (FORMAT parquet)")
    Path(f"{path}.new").replace(path)
    names = " ".join(c for c in bundle.columns if c != "batch_id")
    sealed.connection.execute("UPDATE store.meta_archive_bundles SET column_names = ? WHERE bundle_id = ?", [names, bundle.bundle_id])
    refresh_views(sealed)
    found = query(sealed.settings, "SELECT day, count(batch_id) AS n FROM archive.metric_points GROUP BY day ORDER BY day").to_pydict()
    assert found["n"] == [0, 5, 5]


@pytest.fixture
def encrypted(tmp_path: Path, empty_lake: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """Three encrypted bundles."""
    shutil.copytree(empty_lake, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv(ENCRYPTION, "ab" * 32)
    with open_lake(tmp_path, archive={"encrypt": True}) as lake:
        lake.land(points_unit("b1", POINTS))
        for day in DAYS:
            seal(lake, TABLE, day)
        yield lake


def test_encrypted_bundles_are_read_with_their_key(encrypted: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENCRYPTION)
    with pytest.raises(ArchiveError, match=f"set {ENCRYPTION}"):
        refresh_views(encrypted)
    monkeypatch.setenv(ENCRYPTION, "ab" * 32)
    refresh_views(encrypted)
    assert archived(encrypted) == stored(encrypted)
    monkeypatch.delenv(ENCRYPTION)
    with pytest.raises(QueryError, match="lakebed_"):
        archived(encrypted)
