"""The scrub: every flipped bit in lake and archive is found before anything is made of it, and healed where a bundle holds the rows."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestration.deriving import derive
from tests.lakes import age, at, change_unread_byte, open_lake, points_unit, stored
from transforms.model import load_models, macros
from warehouse.archive.file_hashes import damages, forget_removed, live_files, record_new, recorded
from warehouse.archive.records import recorded_bundles
from warehouse.archive.restoring import restore_into_lake
from warehouse.archive.scrubbing import scrub
from warehouse.archive.sealing import seal
from warehouse.errors import ArchiveError
from warehouse.lake.lake import Lake
from warehouse.lake.maintenance import tidy
from warehouse.lake.partitions import SomeRows
from warehouse.lake.removal import erase
from warehouse.lake.rewriting import rewrite
from warehouse.lake.state import append_states

TABLE = "raw.metric_points"
DAYS = [date(2026, 3, n) for n in (1, 2, 3)]
FLIPS = 25


@pytest.fixture
def landed(lake: Lake) -> Lake:
    """Three settled days and their hashes."""
    lake.land(points_unit("b1", [(n, at(f"{d} 10:0{n}"), n / 7) for d in DAYS for n in range(5)]))
    for table in (TABLE, "raw.metric_series"):
        lake.set_states(table, dict.fromkeys(lake.states(table), ("passed", None)))
    rewrite(lake, TABLE, DAYS)
    assert record_new(lake) == 4
    assert record_new(lake) == 0
    return lake


def path_of(lake: Lake, day: date, table: str = TABLE) -> Path:
    """A day's file."""
    (file,) = live_files(lake, [table], [day])
    return Path(lake.catalog.data_path) / file.path


def flip(path: Path, bit: int | None = None) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    bit = len(content) * 4 if bit is None else bit
    content[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(content)


def test_every_flipped_bit_in_the_lake_is_found(landed: Lake) -> None:
    chance = random.Random(7)
    for _ in range(FLIPS):
        day = chance.choice(DAYS)
        path = path_of(landed, day)
        content = path.read_bytes()
        flip(path, chance.randrange(len(content) * 8))
        assert [(d.kind, d.file.day, d.file.rows) for d in damages(landed, live_files(landed))] == [("changed file", day, 5)]
        path.write_bytes(content)
    assert damages(landed, live_files(landed)) == []


def test_damage_is_not_sealed(landed: Lake) -> None:
    flip(path_of(landed, DAYS[1]))
    with pytest.raises(ArchiveError, match=r"raw\.metric_points 2026-03-02: changed file .* \(5 rows\)"):
        seal(landed, TABLE, DAYS[1])
    assert recorded_bundles(landed) == []


def test_damage_is_not_taken_for_what_was_sealed_before(landed: Lake) -> None:
    seal(landed, TABLE, DAYS[1])
    change_unread_byte(landed, TABLE, DAYS[1])
    with pytest.raises(ArchiveError, match=r"raw\.metric_points 2026-03-02: changed file"):
        seal(landed, TABLE, DAYS[1])


def test_damage_without_a_bundle_blocks_its_day_and_says_so(landed: Lake) -> None:
    flip(path_of(landed, DAYS[0]))
    path_of(landed, DAYS[1]).unlink()
    result = scrub(landed)
    assert [(f.kind, f.day, f.rows, f.healed) for f in result.findings] == [
        ("changed file", DAYS[0], 5, False),
        ("missing file", DAYS[1], 5, False),
    ]
    assert "no bundle holds it" in result.findings[0].outcome
    assert result.unhealed == 2
    assert [landed.states(TABLE)[d].state for d in DAYS] == ["blocked", "blocked", "passed"]


def test_damage_is_healed_from_a_bundle_of_the_same_version(landed: Lake) -> None:
    before = stored(landed)
    seal(landed, TABLE, DAYS[0])
    flip(path_of(landed, DAYS[0]))
    result = scrub(landed)
    assert [(f.day, f.healed) for f in result.findings] == [(DAYS[0], True)]
    assert "5 rows put back" in result.findings[0].outcome
    assert (result.unhealed, result.recorded) == (0, 1)
    assert stored(landed) == before
    assert scrub(landed).findings == []


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and nothing else PAR1"])
def test_files_that_cannot_be_opened_are_healed_too(landed: Lake, content: bytes | None) -> None:
    before = stored(landed)
    seal(landed, TABLE, DAYS[0])
    path = path_of(landed, DAYS[0])
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert [f.healed for f in scrub(landed).findings] == [True]
    assert stored(landed) == before
    assert scrub(landed).findings == []


def test_a_heal_that_dies_half_way_is_found_again(landed: Lake) -> None:
    before = stored(landed)
    seal(landed, TABLE, DAYS[0])
    flip(path_of(landed, DAYS[0]))

    def die(name: str) -> None:
        if name == "replacing":
            raise KeyboardInterrupt

    landed.step = die
    with pytest.raises(KeyboardInterrupt):
        scrub(landed)
    landed.step = lambda _name: None
    assert landed.states(TABLE)[DAYS[0]].state == "blocked"
    assert [f.healed for f in scrub(landed).findings] == [True]
    assert stored(landed) == before


def test_a_stand_in_of_a_file_without_a_hash_is_never_taken_for_sound(lake: Lake) -> None:
    lake.land(points_unit("b1", [(n, at(f"{DAYS[0]} 10:0{n}"), n / 7) for n in range(5)]))
    before = stored(lake)
    seal(lake, TABLE, DAYS[0])
    path_of(lake, DAYS[0]).write_bytes(b"PAR1 and nothing else PAR1")

    def die(name: str) -> None:
        if name == "replacing":
            raise KeyboardInterrupt

    lake.step = die
    with pytest.raises(KeyboardInterrupt):
        scrub(lake)
    lake.step = lambda _name: None
    record_new(lake)
    assert [(f.kind, f.healed) for f in scrub(lake).findings] == [("changed file", True)]
    assert stored(lake) == before


def test_a_bundle_that_is_older_than_the_day_does_not_heal_it(landed: Lake) -> None:
    seal(landed, TABLE, DAYS[0])
    landed.land(points_unit("late", [(9, at("2026-03-01 11:00"), 9.0)]))
    erase(landed, TABLE, DAYS[0], "series_id = ?", (4,), reason="as many rows as were sealed, but not those")
    record_new(landed)
    for file in live_files(landed, [TABLE], [DAYS[0]]):
        flip(Path(landed.catalog.data_path) / file.path)
    assert not any(f.healed for f in scrub(landed).findings)


def test_what_stayed_of_a_day_is_not_replaced_by_the_as_many_rows_that_were_archived(lake: Lake) -> None:
    lake.land(points_unit("b1", [(n, at(f"{DAYS[0]} 10:0{n}"), n / 7) for n in range(6)]))
    seal(lake, TABLE, DAYS[0], some=SomeRows("series_id < 3", (), 3))
    rewrite(lake, TABLE, DAYS[:1])
    lake.connection.execute("DELETE FROM store.raw_metric_points WHERE series_id < 3")
    state = lake.states(TABLE)[DAYS[0]]
    append_states(
        lake.connection, lake.memory.next_sequence(), TABLE, {DAYS[0]: (state.version, "dropped", 3, state.inputs, "plan p")}, None
    )
    before = stored(lake)
    record_new(lake)
    path = Path(lake.catalog.data_path) / live_files(lake, [TABLE], [DAYS[0]])[0].path
    content = path.read_bytes()
    flip(path)
    (finding,) = scrub(lake).findings
    assert not finding.healed
    assert "hold those and not the ones that stayed" in finding.outcome
    assert "blocked" not in finding.outcome
    assert lake.states(TABLE)[DAYS[0]].state == "dropped"
    path.write_bytes(content)
    assert stored(lake) == before


def test_a_restored_day_is_healed_again(landed: Lake) -> None:
    before = stored(landed)
    seal(landed, TABLE, DAYS[0])
    landed.connection.execute("DELETE FROM store.raw_metric_points WHERE day = ?", [DAYS[0]])
    landed.set_states(TABLE, {DAYS[0]: ("dropped", "test")})
    restore_into_lake(landed, TABLE, DAYS[0], DAYS[0])
    record_new(landed)
    flip(path_of(landed, DAYS[0]))
    assert [f.healed for f in scrub(landed).findings] == [True]
    assert stored(landed) == before


def test_damage_to_bundles_is_told_with_the_lake_s(landed: Lake) -> None:
    seal(landed, TABLE, DAYS[0])
    root = Path(landed.settings.resolve(landed.settings.archive.path))
    flip(next(root.rglob("*.parquet")))
    result = scrub(landed)
    assert [(p.kind, p.day, p.rows) for p in result.archive.problems] == [("changed file", DAYS[0], 5)]
    assert result.unhealed == 1


def test_nothing_is_derived_from_damage(landed: Lake) -> None:
    landed.connection.execute(macros())
    model = load_models()["core.metric_rollup_5m"]
    flip(path_of(landed, DAYS[1]))
    result = derive(landed, model, DAYS)
    assert result.built == [DAYS[0]]
    assert landed.states(TABLE)[DAYS[1]].state == "blocked"


def test_a_file_that_cannot_be_read_is_not_recorded_as_sound(lake: Lake) -> None:
    lake.land(points_unit("b1", [(n, at(f"{DAYS[0]} 10:0{n}"), n / 7) for n in range(5)]))
    path_of(lake, DAYS[0]).write_bytes(b"PAR1 and nothing else PAR1")
    result = scrub(lake)
    assert [(f.kind, f.day) for f in result.findings] == [("unreadable file", DAYS[0])]
    assert result.recorded == 1


def test_hashes_of_replaced_files_go_once_the_files_are_gone(landed: Lake) -> None:
    (old,) = live_files(landed, [TABLE], DAYS[:1])
    erase(landed, TABLE, DAYS[0], "series_id = ?", (1,), reason="request 1")
    assert record_new(landed) == 1
    assert forget_removed(landed) == 0
    age(landed, "ducklake_snapshot", "snapshot_time", 25)
    tidy(landed)
    assert forget_removed(landed) == 0, "the file waits for its deletion"
    age(landed, "ducklake_files_scheduled_for_deletion", "schedule_start", 49)
    tidy(landed)
    assert forget_removed(landed) == 1
    assert not recorded(landed, [old])
    assert len(recorded(landed, live_files(landed))) == len(live_files(landed)) == 4
    assert forget_removed(landed) == 0
    flip(path_of(landed, DAYS[1]))
    assert [d.file.day for d in damages(landed, live_files(landed))] == [DAYS[1]]


def test_a_file_that_is_hashed_while_old_hashes_are_forgotten_keeps_its_hash(landed: Lake) -> None:
    """Another writer commits and hashes right after the first of the questions that are asked."""
    held, asked = landed.connection, list[Any]()

    class Interrupted:
        def execute(self, *query: Any) -> Any:
            if asked:
                return held.execute(*query)
            asked.append(held.execute(*query).fetchall())
            with open_lake(landed.settings.root) as other:
                other.land(points_unit("b2", [(1, at("2026-03-09 10:00"), 1.0)]))
                assert record_new(other) > 0
            return SimpleNamespace(fetchall=lambda: asked[0])

    landed.connection = Interrupted()  # type: ignore[assignment]
    forgotten = forget_removed(landed)
    landed.connection = held
    assert forgotten == 0
    assert record_new(landed) == 0
