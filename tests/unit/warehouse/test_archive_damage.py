"""Whatever single change is made to an archive is found, and said of which rows."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from tests.lakes import DAY, at, open_lake, points_unit
from warehouse.archive.erasing import erase_subject
from warehouse.archive.keys import SIGNING
from warehouse.archive.records import recorded_bundles
from warehouse.archive.sealing import seal
from warehouse.archive.verifying import Problem, verify
from warehouse.lake.lake import Lake
from warehouse.lake.parquet_keys import ENCRYPTION

TABLE = "raw.metric_points"
DAYS = [date(2026, 3, n) for n in (1, 2, 3, 4)]
PER_DAY = 5
FLIPS = 12


@pytest.fixture(scope="module", params=["plain", "encrypted"])
def archived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """Four sealed days, one of them sealed again after an erasure, with a key for the head and the tombstone."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(SIGNING, "a key")
        environment.setenv(ENCRYPTION, "ab" * 32)
        archive = {"encrypt": request.param == "encrypted"}
        with open_lake(tmp_path_factory.mktemp("archived"), archive=archive) as lake:
            lake.land(points_unit("b", [(n, at(f"{d} 10:0{n}"), n / 7) for d in DAYS for n in range(PER_DAY)]))
            lake.land(points_unit("subject", [(99, at(f"{DAYS[3]} 12:00"), 1.0)]))
            for day in DAYS:
                seal(lake, TABLE, day)
            erase_subject(lake, TABLE, "series_id", "99", reason="request")
            assert verify(lake).problems == []
            yield lake


@pytest.fixture
def root(archived: Lake, tmp_path: Path) -> Iterator[Path]:
    """The archive's folder; afterwards it is as it was."""
    folder = Path(archived.settings.resolve(archived.settings.archive.path))
    shutil.copytree(folder, tmp_path / "sound")
    yield folder
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "sound", folder)
    assert verify(archived).problems == []


def objects(root: Path, pattern: str) -> list[Path]:
    """Objects of one kind, in order."""
    return sorted(p for p in root.rglob(pattern) if p.is_file())


def bundle(lake: Lake, root: Path, day: date) -> Path:
    """Folder of a day's newest bundle."""
    return root / [b.path for b in recorded_bundles(lake) if b.day == day][-1]


@pytest.mark.parametrize("pattern", ["*.parquet", "manifest.json", "tombstone.json", "head.json"])
def test_every_flipped_bit_is_found(archived: Lake, root: Path, pattern: str) -> None:
    chance = random.Random(pattern)
    files = objects(root, pattern)
    assert files
    for _ in range(FLIPS):
        path = chance.choice(files)
        content = path.read_bytes()
        damaged = bytearray(content)
        bit = chance.randrange(len(content) * 8)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        problems = verify(archived).problems
        assert problems, f"bit {bit} of {path.name}"
        if pattern != "head.json":
            day = date.fromisoformat(path.parent.parent.name.removeprefix("day="))
            assert {p.day for p in problems} == {day}
            assert max(p.rows for p in problems) >= PER_DAY
        path.write_bytes(content)


def remove(lake: Lake, root: Path) -> None:
    next(bundle(lake, root, DAYS[1]).glob("*.parquet")).unlink()


def remove_bundle(lake: Lake, root: Path) -> None:
    shutil.rmtree(bundle(lake, root, DAYS[1]))


def truncate(lake: Lake, root: Path) -> None:
    path = next(bundle(lake, root, DAYS[1]).glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1])


def empty(lake: Lake, root: Path) -> None:
    next(bundle(lake, root, DAYS[1]).glob("*.parquet")).write_bytes(b"")


def append(lake: Lake, root: Path) -> None:
    with next(bundle(lake, root, DAYS[1]).glob("*.parquet")).open("ab") as stream:
        stream.write(b"\0")


def add(lake: Lake, root: Path) -> None:
    shutil.copy(next(bundle(lake, root, DAYS[0]).glob("*.parquet")), bundle(lake, root, DAYS[1]) / "rows-00001.parquet")


def add_deep(lake: Lake, root: Path) -> None:
    (bundle(lake, root, DAYS[1]) / "more").mkdir()
    (bundle(lake, root, DAYS[1]) / "more" / "rows-00000.parquet").write_bytes(b"x")


def swap_files(lake: Lake, root: Path) -> None:
    one, other = (next(bundle(lake, root, d).glob("*.parquet")) for d in DAYS[1:3])
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def swap_bundles(lake: Lake, root: Path) -> None:
    one, other = (bundle(lake, root, d) for d in DAYS[1:3])
    one.rename(root / "aside")
    other.rename(one)
    (root / "aside").rename(other)


def swap_manifests(lake: Lake, root: Path) -> None:
    one, other = (bundle(lake, root, d) / "manifest.json" for d in DAYS[1:3])
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def copy_bundle(lake: Lake, root: Path) -> None:
    path = bundle(lake, root, DAYS[1])
    shutil.copytree(path, path.with_name("20260101T000000-00000000"))


def bury_without_a_request(lake: Lake, root: Path) -> None:
    shutil.copy(objects(root, "tombstone.json")[0], bundle(lake, root, DAYS[1]) / "tombstone.json")
    remove(lake, root)


def bring_back_what_was_erased(lake: Lake, root: Path) -> None:
    tomb = objects(root, "tombstone.json")[0].parent
    shutil.copy(next(bundle(lake, root, DAYS[3]).glob("*.parquet")), tomb / "rows-00000.parquet")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (remove, {("missing file", DAYS[1], PER_DAY)}),
        (remove_bundle, {("missing manifest", DAYS[1], PER_DAY)}),
        (truncate, {("truncated file", DAYS[1], PER_DAY)}),
        (empty, {("truncated file", DAYS[1], PER_DAY)}),
        (append, {("changed file", DAYS[1], PER_DAY)}),
        (add, {("added file", DAYS[1], 0)}),
        (add_deep, {("added file", DAYS[1], 0)}),
        (swap_files, {("swapped file", DAYS[1], PER_DAY), ("swapped file", DAYS[2], PER_DAY)}),
        (swap_bundles, {("edited manifest", DAYS[1], PER_DAY), ("edited manifest", DAYS[2], PER_DAY)}),
        (swap_manifests, {("edited manifest", DAYS[1], PER_DAY), ("edited manifest", DAYS[2], PER_DAY)}),
        (copy_bundle, {("added bundle", DAYS[1], PER_DAY)}),
        (
            bury_without_a_request,
            {("false tombstone", DAYS[1], PER_DAY), ("missing file", DAYS[1], PER_DAY)},
        ),
        (bring_back_what_was_erased, {("added file", DAYS[3], 0)}),
    ],
)
def test_every_change_says_which_rows_it_touches(
    archived: Lake, root: Path, change: Callable[[Lake, Path], None], expected: set[tuple[str, date, int]]
) -> None:
    change(archived, root)
    problems: list[Problem] = verify(archived).problems
    assert {(p.kind, p.day, p.rows) for p in problems} == expected
    assert {p.table for p in problems} == {TABLE}


def test_reordered_and_rolled_back_records_are_found(archived: Lake, root: Path) -> None:
    connection = archived.connection
    rows = connection.execute("FROM store.meta_archive_bundles").to_arrow_table()
    first, second = (b.bundle_id for b in recorded_bundles(archived)[1:3])
    hashes = {b.bundle_id: b.manifest_sha256 for b in recorded_bundles(archived)}
    changes = (
        f"UPDATE store.meta_archive_bundles SET previous_sha256 = '{hashes[second]}' WHERE bundle_id = '{first}'",
        f"UPDATE store.meta_archive_bundles SET day = DATE '2020-01-01' WHERE bundle_id = '{first}'",
        f"UPDATE store.meta_archive_bundles SET row_count = 1 WHERE bundle_id = '{first}'",
        f"DELETE FROM store.meta_archive_bundles WHERE bundle_id = '{recorded_bundles(archived)[-1].bundle_id}'",
        f"DELETE FROM store.meta_archive_bundles WHERE bundle_id = '{first}'",
        "DELETE FROM store.meta_archive_bundles",
    )
    for change in changes:
        connection.execute(change)
        assert verify(archived).problems, change
        connection.execute("DELETE FROM store.meta_archive_bundles")
        connection.register("sound", rows)
        connection.execute("INSERT INTO store.meta_archive_bundles FROM sound")
        connection.unregister("sound")
    assert json.loads((root / "head.json").read_text())["count"] == len(DAYS) + 1
    assert DAY in {b.day for b in recorded_bundles(archived)}
