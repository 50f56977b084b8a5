"""Erasing a value everywhere: every place that holds it is found, listed and cleared, or it is said until when it stays."""

from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest

from lakebed.cli import doctor
from tests.lakes import at, points_unit
from warehouse.archive.backup import backup_catalog, list_backups
from warehouse.archive.erasing import _remains, erase_everywhere, erase_subject
from warehouse.archive.sealing import seal
from warehouse.archive.storage import storage_of
from warehouse.archive.verifying import verify
from warehouse.archive.views import refresh_views
from warehouse.errors import RetentionError
from warehouse.lake.lake import Lake
from warehouse.lake.query_log import QueryRecord, record
from warehouse.retention.holds import add_hold
from warehouse.tiers.publish import publish

TABLE = "raw.metric_points"
DAYS = [date(2026, 3, n) for n in (1, 2)]
SUBJECT = "bob@example.org"


@pytest.fixture
def spread(lake: Lake) -> Lake:
    """The subject as a label of series 3, with points in the lake, in bundles, in a rollup, in warehouse.duckdb, in a query."""
    lake.land(points_unit("b1", [(n, at(f"{d} 10:0{n}"), float(n)) for d in DAYS for n in range(5)]))
    lake.connection.execute("UPDATE store.raw_metric_series SET labels = MAP {'user': ?} WHERE series_id = 3", [SUBJECT])
    for day in DAYS:
        seal(lake, TABLE, day)
    refresh_views(lake)
    for table in (TABLE, "raw.metric_series"):
        lake.set_states(table, dict.fromkeys(lake.states(table), ("passed", None)))
    publish(lake)
    backup_catalog(lake)
    for number, text in enumerate((f"SELECT '{SUBJECT}'", "SELECT 1")):
        record(lake.settings, QueryRecord(f"q{number}", "2026-03-01T00:00:00", 0.1, "me", text, "", 1, None))
    return lake


def hot(lake: Lake) -> Path:
    """warehouse.duckdb."""
    return Path(lake.settings.resolve(lake.settings.publish.path))


def places(lake: Lake, *, do: bool) -> dict[str, int]:
    """What an erasure lists, bundles by their day."""
    found = erase_everywhere(lake, SUBJECT, reason="request", do=do)
    named = {p.name.rpartition("/")[0] if p.name.startswith("archive ") else p.name: p.rows for p in found.places}
    return {name: rows for name, rows in named.items() if name != "archive catalog"}


EVERYWHERE = {
    "warehouse.duckdb raw.metric_points": 2,
    "warehouse.duckdb raw.metric_series": 1,
    "archive raw.metric_points/day=2026-03-01": 1,
    "archive raw.metric_points/day=2026-03-02": 1,
    "lake raw.metric_points 2026-03-01": 1,
    "lake raw.metric_points 2026-03-02": 1,
    "lake raw.metric_series": 1,
    "meta.query_log": 1,
}


def test_every_place_is_listed_and_counting_changes_nothing(spread: Lake) -> None:
    assert places(spread, do=False) == EVERYWHERE
    assert places(spread, do=False) == EVERYWHERE


def test_every_place_is_cleared(spread: Lake) -> None:
    before = hot(spread).read_bytes()
    assert SUBJECT.encode() in before
    assert places(spread, do=True) == EVERYWHERE
    assert places(spread, do=False) == {}
    assert verify(spread).problems == []
    assert SUBJECT.encode() not in hot(spread).read_bytes()
    assert oct(hot(spread).stat().st_mode)[-3:] == "444"
    with duckdb.connect(str(hot(spread)), read_only=True) as plain:
        assert plain.execute("SELECT count(*), count(DISTINCT series_id) FROM raw.metric_points").fetchone() == (8, 4)
        comments = plain.execute("SELECT count(*) FROM duckdb_columns() WHERE schema_name = 'raw' AND comment IS NOT NULL").fetchone()
    assert comments is not None
    assert comments[0] > 0
    tables = ("raw.metric_points", "archive.metric_points", "meta.query_log")
    assert [spread.connection.execute(f"SELECT count(*) FROM {t}").fetchone() for t in tables] == [(8,), (8,), (1,)]
    publish(spread)


def test_what_a_dying_erasure_leaves_beside_the_published_file_is_swept(spread: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(building: Path, target: Path) -> None:
        building.with_name(building.name.replace(str(os.getpid()), "999999999")).write_bytes(building.read_bytes())
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(Path, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            places(spread, do=True)
    (left,) = doctor.stale_buildings(spread.settings)
    places(spread, do=True)
    assert not left.exists()


def test_backups_that_hold_the_value_give_way_to_one_of_now(spread: Lake) -> None:
    (old,) = list_backups(storage_of(spread))
    found = erase_everywhere(spread, SUBJECT, reason="request", do=False)
    assert [p.rows > 0 for p in found.places if p.name == f"archive {old.path}"] == [True]
    assert list_backups(storage_of(spread)) == [old]
    erase_everywhere(spread, SUBJECT, reason="request")
    (new,) = list_backups(storage_of(spread))
    assert new.snapshot > old.snapshot


def test_backups_give_way_when_rows_of_one_table_are_erased_too(spread: Lake) -> None:
    (old,) = list_backups(storage_of(spread))
    found = erase_subject(spread, "raw.metric_series", "labels.user", SUBJECT, reason="request")
    assert [p.rows > 0 for p in found.places if p.name == f"archive {old.path}"] == [True]
    assert old not in list_backups(storage_of(spread))


def test_a_legal_hold_on_any_place_refuses_before_anything_is_done(spread: Lake) -> None:
    hold = add_hold(spread, reason="case 12", tables=["raw.metric_points"], from_day=DAYS[1], to_day=DAYS[1], legal=True)
    with pytest.raises(RetentionError, match=f"2026-03-02 is under .*{hold.hold_id}.*nothing was erased"):
        places(spread, do=True)
    assert SUBJECT.encode() in hot(spread).read_bytes()
    assert verify(spread).erased == 0


def test_it_is_said_until_when_replaced_files_stay() -> None:
    notes = _remains(datetime(2026, 3, 1, 12, 0))
    assert "until the clean-up of 2026-03-03 02:30 UTC" in notes[0]
    assert "go with that of 2026-03-05 02:30 UTC" in notes[0]
