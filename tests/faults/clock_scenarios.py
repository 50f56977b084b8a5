"""What must hold when the machine's clock is set: `python -m tests.faults.clock_scenarios NAME FOLDER`, run under libfaketime.

`set_clock` moves the clock of this process; `stamp` gives files the times that a machine with that clock would have given them."""

from __future__ import annotations

import os
import sys
import time
from datetime import date, timedelta
from pathlib import Path

from tests.lakes import DAY, at, day_slice, files_on_disk, open_lake, points_unit, stored
from warehouse.archive.records import finish_interrupted
from warehouse.archive.sealing import seal
from warehouse.archive.storage import storage_of
from warehouse.archive.verifying import verify
from warehouse.lake.lake import Lake
from warehouse.lake.maintenance import Tidied, tidy
from warehouse.retention.holds import add_hold, placed_holds, remove_hold

POINTS = [(n, at("2026-03-01 10:00") + timedelta(seconds=n), 1.0) for n in range(10)]
BACK = -3 * 86_400


def set_clock(offset_s: int) -> None:
    """Let this process's clock be so many seconds off."""
    before = time.time()
    Path(os.environ["FAKETIME_TIMESTAMP_FILE"]).write_text(f"{offset_s:+d}s")
    moved = time.time() - before
    assert offset_s == 0 or abs(moved) > 3000, "the clock did not move"


def stamp(lake: Lake, known: set[Path]) -> set[Path]:
    """Give the files that are not known yet the time of the clock; returns all."""
    files = files_on_disk(lake)
    for file in files - known:
        os.utime(file, (time.time(), time.time()))
    return files


def files_of_living_writers(folder: Path) -> None:
    """Staged while the clock was back: old at once when it is right again, and yet not removed."""
    with open_lake(folder) as lake, open_lake(folder) as other:
        lake.land(points_unit("b0", POINTS))
        known = files_on_disk(lake)
        set_clock(BACK)
        found: list[Tidied] = []

        def right_again(step: str) -> None:
            if step == "staged":
                stamp(lake, known)
                set_clock(0)
                found.append(tidy(other, patience_s=0))

        lake.step = right_again
        lake.land(points_unit("b1", [(n + 100, t, v) for n, t, v in POINTS]))
        assert [(t.removed_orphans, t.orphans_left > 0) for t in found] == [(0, True)]
        assert len(stored(lake)) == 2 * len(POINTS)
        orphan = files_on_disk(lake).pop().with_name("part_orphan.parquet")
        orphan.write_bytes(b"of a dead writer")
        os.utime(orphan, (time.time() + BACK,) * 2)
        assert tidy(lake).removed_orphans == 1
        assert not orphan.exists()


def snapshots_that_readers_are_on(folder: Path) -> None:
    """A snapshot goes a day after the next one came, whatever the clock was when it was made."""
    set_clock(BACK)
    with open_lake(folder) as lake, open_lake(folder) as reader:
        lake.land(points_unit("b0", POINTS, slice=day_slice()))
        set_clock(0)
        reader.connection.execute("BEGIN")
        before = stored(reader)
        lake.land(points_unit("b1", [(n, t, 2.0) for n, t, _ in POINTS], slice=day_slice()))
        newest = lake.snapshot()
        set_clock(BACK)
        lake.land(points_unit("b2", [(n, t, 3.0) for n, t, _ in POINTS], slice=day_slice()))
        set_clock(0)
        tidy(lake)
        kept = lake.connection.execute("SELECT count(*) FROM ducklake_snapshots('lake') WHERE snapshot_id >= ?", [newest - 1]).fetchone()
        assert kept == (lake.snapshot() - newest + 2,)
        assert stored(reader) == before
        reader.connection.execute("ROLLBACK")
        assert {v for *_, v in stored(reader)} == {3.0}
        set_clock(2 * 86_400)
        assert tidy(lake).expired_snapshots > 0
        assert {v for *_, v in stored(reader)} == {3.0}


def what_was_read_of_a_file(folder: Path) -> None:
    """The latest commit says how far a file was read, and not the one with the latest time."""
    with open_lake(folder) as lake:
        lake.land(points_unit("b1", POINTS[:3], origin="f", offset=100, digest="one"))
        set_clock(-7200)
        lake.land(points_unit("b2", POINTS[3:6], origin="f", offset=200, digest="two"))
        set_clock(BACK)
        lake.land(points_unit("b3", POINTS[6:], origin="f", offset=300, digest="three", supersedes=("b1",)))
    with open_lake(folder) as lake:
        known = lake.known("s")
        former = known.former("f")
        assert former is not None
        assert (former.offset, former.digest, set(former.batch_ids)) == (300, "three", {"b2", "b3"})
        assert not known.has("b1")


def holds(folder: Path) -> None:
    """A hold that was lifted by a clock that is behind is lifted."""
    with open_lake(folder) as lake:
        hold = add_hold(lake, reason="an audit", tables=["raw.logs"], from_day=DAY, to_day=DAY)
        set_clock(BACK)
        remove_hold(lake, hold.hold_id)
        assert placed_holds(lake) == []


def the_chain_of_bundles(folder: Path) -> None:
    """Bundles follow each other as they were sealed; one that is being sealed is not taken for abandoned."""
    with open_lake(folder) as lake, open_lake(folder) as other:
        days = [date(2026, 3, 1 + n) for n in range(4)]
        for n in range(len(days)):
            lake.land(points_unit(f"b{n}", [(s, t + timedelta(days=n), v) for s, t, v in POINTS]))
        for day, offset in zip(days, (0, -7200, BACK, 0), strict=True):
            set_clock(offset)
            seal(lake, "raw.metric_points", day)
        assert verify(lake).problems == []
        lake.land(points_unit("late", [(77, at("2026-03-01 12:00"), 1.0)]))

        def looks_old(step: str) -> None:
            if step == "sealing":
                for file in storage_of(lake).folder.rglob("*"):  # type: ignore[attr-defined]
                    os.utime(file, (time.time() + BACK,) * 2)
                finish_interrupted(other, storage_of(other))

        lake.step = looks_old
        assert seal(lake, "raw.metric_points", DAY).bundles[0].row_count == len(POINTS) + 1
        assert verify(other).problems == []


SCENARIOS = {
    f.__name__: f for f in (files_of_living_writers, snapshots_that_readers_are_on, what_was_read_of_a_file, holds, the_chain_of_bundles)
}

if __name__ == "__main__":
    set_clock(0)
    SCENARIOS[sys.argv[1]](Path(sys.argv[2]))
