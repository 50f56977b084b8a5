"""Disks that are full, read-only or lose the catalog: a clear error, the lake as it was, and all is well once there is room again."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from tests.lakes import DAY, at, open_lake, points_unit, stored
from warehouse.archive.sealing import seal
from warehouse.errors import DiskFullError, LakebedError, LakeError
from warehouse.lake.lake import Lake
from warehouse.tiers.publish import publish
from warehouse.tiers.settle import settle

pytestmark = [pytest.mark.faults]
TODAY = date(2026, 3, 20)
ROWS = 60_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def opened(disk: Path, *, min_free: str = "0MiB", **place: str) -> Lake:
    """A lake on the disk that spills elsewhere."""
    place = {"temp_directory": str(disk.parent / "spill"), **place}
    return open_lake(disk, lake={"memory_limit": "1GiB", "threads": 2, "min_free": min_free, **place})


def land(lake: Lake, batch: str, hour: int) -> None:
    """A batch that takes about 2 MB."""
    start = at(f"2026-03-01 {hour:02d}:00")
    lake.land(points_unit(batch, [(i % 50, start + timedelta(microseconds=i), i * 0.37 + i * 7919 % 997) for i in range(ROWS)]))
    for table in ("raw.metric_points", "raw.metric_series"):
        lake.set_states(table, dict.fromkeys(lake.states(table), ("passed", None)))


def fill(disk: Path, *, leaving: int) -> Path:
    """Fill the disk but for so many bytes."""
    filler = disk / "filler"
    stat = os.statvfs(disk)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(stat.f_bavail * stat.f_frsize - leaving, 1))
    return filler


OPERATIONS: dict[str, Callable[[Lake], object]] = {
    "land": lambda lake: land(lake, "b2", 12),
    "settle": lambda lake: settle(lake, today=TODAY, tables=["raw.metric_points"]),
    "seal": lambda lake: seal(lake, "raw.metric_points", DAY),
    "publish": publish,
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("leaving", [4096, 200_000])
def test_a_full_disk_changes_nothing_and_is_made_good_by_room(disk: Path, operation: str, leaving: int) -> None:
    with opened(disk) as lake:
        land(lake, "b0", 10)
        land(lake, "b1", 11)
        before = stored(lake)
        filler = fill(disk, leaving=leaving)
        said = failure(OPERATIONS[operation], lake)
        filler.unlink()
        assert said is None or re.search(r"(?i)space|full|i/o error", said), said
        assert stored(lake) == before or (said is None and operation == "land")
        OPERATIONS[operation](lake)
        assert len(stored(lake)) == len(before) + (ROWS if operation == "land" else 0)
        assert operation == "land" or stored(lake) == before


def failure(operation: Callable[[Lake], object], lake: Lake) -> str | None:
    """What an operation says when it fails."""
    try:
        operation(lake)
    except (LakebedError, duckdb.Error, OSError) as error:
        return str(error)
    return None


def test_writing_stops_before_the_disk_is_full(disk: Path) -> None:
    with opened(disk, min_free="40MiB") as lake:
        land(lake, "b0", 10)
        before = stored(lake)
        fill(disk, leaving=30 * 2**20)
        for operation in ("land", "settle", "publish"):
            with pytest.raises(DiskFullError, match=r"lake\.min_free"):
                OPERATIONS[operation](lake)
        assert stored(lake) == before


def test_a_read_only_data_path_is_said_and_changes_nothing(disk: Path) -> None:
    with opened(disk, catalog=f"sqlite:{disk.parent}/catalog.sqlite") as lake:
        land(lake, "b0", 10)
        before = stored(lake)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for operation in OPERATIONS.values():
            with pytest.raises((LakebedError, duckdb.Error, OSError), match=r"(?i)read-?only"):
                operation(lake)
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        assert stored(lake) == before
        land(lake, "b1", 11)


def test_a_lake_without_its_catalog_is_not_begun_anew(tmp_path: Path) -> None:
    with open_lake(tmp_path) as lake:
        lake.land(points_unit("b0", [(1, at("2026-03-01 10:00"), 1.0)]))
    catalog = tmp_path / "lake" / "catalog.sqlite"
    kept = catalog.read_bytes()
    catalog.unlink()
    with pytest.raises(LakeError, match="is lost"):
        open_lake(tmp_path)
    assert not catalog.exists()
    catalog.write_bytes(kept[: len(kept) // 2])
    with pytest.raises(LakeError, match=r"(?i)malformed|corrupt|catalog"):
        open_lake(tmp_path)
    catalog.write_bytes(kept)
    with open_lake(tmp_path) as lake:
        assert len(stored(lake)) == 1
