"""Files as units of work: what is new in them, what replaces what, what is left alone."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
import zstandard

from sources import files
from sources.files import InputFile, file_units, is_line_file
from warehouse.errors import SourceError
from warehouse.lake.connection import scratch
from warehouse.lake.identity import batch_id, file_digest
from warehouse.lake.unit import Former, Part, Unit
from warehouse.settings import LakeSettings, Settings
from warehouse.settings.sources import FileSourceSettings

LONG_AGO = time.time() - 86_400


@dataclass
class Lake:
    """A lake that remembers only batches and origins, and what was read."""

    batches: set[str] = field(default_factory=set)
    origins: dict[str, Former] = field(default_factory=dict)
    read: list[tuple[str, bytes, int]] = field(default_factory=list)

    def has(self, batch_id: str) -> bool:
        return batch_id in self.batches

    def has_size(self, size: int) -> bool:
        return any(f.offset == size for f in self.origins.values())

    def former_origins(self) -> tuple[str, ...]:
        return tuple(self.origins)

    def former(self, origin: str) -> Former | None:
        return self.origins.get(origin)

    def watermark(self, table: str) -> datetime | None:
        return None

    def commit(self, unit: Unit) -> None:
        list(unit.open(scratch()))
        self.batches -= set(unit.supersedes)
        self.batches.add(unit.batch_id)
        before = self.origins.get(unit.origin)
        kept = [b for b in (before.batch_ids if before else ()) if b not in unit.supersedes]
        self.origins[unit.origin] = Former((*kept, unit.batch_id), unit.offset, unit.digest)


@dataclass
class House:
    """A folder with a configuration, a lake and a reader of lines."""

    root: Path
    lake: Lake = field(default_factory=Lake)

    def write(self, name: str, content: bytes, *, age: float = 86_400) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (time.time() - age, time.time() - age))
        return path

    def units(self, *, rotates: bool = False, growing: Callable[[str], bool] = is_line_file, **inputs: object) -> list[Unit]:
        settings = FileSourceSettings.model_validate(inputs or {"path": "in/*"})
        config = Settings(root=self.root, data_root="data")

        def opener(file: InputFile, connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
            with file.plain_path() as path:
                self.lake.read.append((file.origin, path.read_bytes(), file.first_line))
                yield Part("raw.logs", pa.RecordBatchReader.from_batches(pa.schema([]), []))

        found = file_units("s", settings, config=config, known=self.lake, opener=opener, growing=growing, rotates=rotates)
        return [identified_unit(unit) for unit in found]

    def run(self, **options: object) -> list[tuple[str, bytes, int]]:
        self.lake.read.clear()
        for unit in self.units(**options):  # type: ignore[arg-type]
            if not self.lake.has(unit.batch_id):
                self.lake.commit(unit)
        return self.lake.read


def identified_unit(unit: Unit) -> Unit:
    """A unit with its batch id, also where its file was still being hashed."""
    if unit.identify is None:
        return unit
    batch, digest = unit.identify()
    return replace(unit, batch_id=batch, digest=digest)


@pytest.fixture(params=["small", "large"])
def house(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> House:
    """Everything holds for files of any size: large new ones are hashed while they are read."""
    if request.param == "large":
        monkeypatch.setattr(files, "LARGE", 0)
    return House(tmp_path)


def test_a_file_is_read_once_and_known_by_content(house: House) -> None:
    house.write("data/in/a.csv", b"x\n1\n")
    assert house.run() == [("in/a.csv", b"x\n1\n", 1)]
    assert house.run() == []
    house.write("data/in/b.csv", b"x\n1\n")
    assert house.run() == []


def test_the_batch_id_is_that_of_the_whole_content(house: House) -> None:
    path = house.write("data/in/a.csv", b"x\n1\n")
    assert [u.batch_id for u in house.units()] == [batch_id("file", "s", file_digest(path))]


def test_a_growing_file_is_read_on_with_its_line_numbers(house: House) -> None:
    house.write("data/in/a.jsonl", b"1\n2\n")
    house.run()
    house.write("data/in/a.jsonl", b"1\n2\n2\n")
    assert house.run() == [("in/a.jsonl", b"2\n", 3)]
    house.write("data/in/a.jsonl", b"1\n2\n2\n2\n", age=61)
    assert house.run() == [("in/a.jsonl", b"2\n", 4)]
    assert len(house.lake.origins["in/a.jsonl"].batch_ids) == 3


def test_a_line_that_is_still_being_written_waits(house: House) -> None:
    house.write("data/in/a.jsonl", b"1\n2", age=0)
    assert house.run() == [("in/a.jsonl", b"1\n", 1)]
    house.write("data/in/a.jsonl", b"1\n22\n", age=0)
    assert house.run() == [("in/a.jsonl", b"22\n", 2)]


def test_a_settled_file_is_read_to_its_end_and_again_if_that_was_not_the_end_of_a_line(house: House) -> None:
    house.write("data/in/a.jsonl", b"1\n2")
    assert house.run() == [("in/a.jsonl", b"1\n2", 1)]
    first = house.lake.origins["in/a.jsonl"].batch_ids
    house.write("data/in/a.jsonl", b"1\n22\n")
    assert house.run() == [("in/a.jsonl", b"1\n22\n", 1)]
    assert not set(first) & house.lake.batches


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_new_content_under_an_old_name_replaces(house: House, name: str) -> None:
    house.write(f"data/in/{name}", b"1\n2\n")
    house.run()
    former = house.lake.origins[f"in/{name}"].batch_ids
    house.write(f"data/in/{name}", b"1\n3\n")
    (unit,) = house.units()
    assert unit.supersedes == former
    assert house.run() == [(f"in/{name}", b"1\n3\n", 1)]


def test_what_does_not_grow_is_read_whole_when_it_got_longer(house: House) -> None:
    house.write("data/in/a.parquet", b"1\n")
    house.run()
    house.write("data/in/a.parquet", b"1\n2\n")
    assert house.run() == [("in/a.parquet", b"1\n2\n", 1)]
    assert len(house.lake.batches) == 1


def test_a_rotated_log_keeps_its_former_rows_and_is_read_on_under_its_new_name(house: House) -> None:
    house.write("data/in/app.log", b"a1\na2\n")
    house.run(rotates=True)
    house.write("data/in/app.log.1", b"a1\na2\na3\n")
    house.write("data/in/app.log", b"b1\n")
    assert house.run(rotates=True) == [("in/app.log", b"b1\n", 1), ("in/app.log.1", b"a3\n", 3)]
    assert len(house.lake.batches) == 3
    assert house.run(rotates=True) == []


def test_a_rotated_log_is_read_on_while_nothing_has_its_old_name(house: House) -> None:
    path = house.write("data/in/app.log", b"a1\na2\n")
    house.run(rotates=True)
    path.rename(path.with_name("app.log.1"))
    assert house.run(rotates=True) == []
    house.write("data/in/app.log.1", b"a1\na2\na3\n")
    assert house.run(rotates=True) == [("in/app.log.1", b"a3\n", 3)]
    house.write("data/in/app.log", b"b1\n")
    assert house.run(rotates=True) == [("in/app.log", b"b1\n", 1)]
    assert len(house.lake.batches) == 3


def test_a_log_that_is_new_for_sure_is_hashed_while_it_is_read(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGE", 5)
    house.write("data/in/app.log", b"a1\na2\na3\n")
    house.run(rotates=True)
    house.write("data/in/other.log", b"b1\nb2\n")
    settings = FileSourceSettings.model_validate({"path": "in/*"})
    config = Settings(root=house.root, data_root="data")
    (unit,) = file_units("s", settings, config=config, known=house.lake, opener=lambda *_: iter(()), growing=is_line_file, rotates=True)
    assert unit.identify is not None, "no former log is short enough to be its beginning"


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, lambda b: gzip.compress(b[:4]) + gzip.compress(b[4:])])
def test_compressed_files_are_read_plain(house: House, pack: Callable[[bytes], bytes]) -> None:
    suffix = "zst" if pack is zstandard.compress else "gz"
    house.write(f"data/in/a.csv.{suffix}", pack(b"x\n1\n2\n"))
    house.write("data/in/unnamed", pack(b"y\n1\n"))
    assert [r[:2] for r in house.run()] == [(f"in/a.csv.{suffix}", b"x\n1\n2\n"), ("in/unnamed", b"y\n1\n")]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_cut_compressed_file_says_how_far_it_was_good(house: House, pack: Callable[[bytes], bytes]) -> None:
    lines = b"".join(b"%d:%s\n" % (n, os.urandom(8).hex().encode()) for n in range(20_000))
    suffix = "zst" if pack is zstandard.compress else "gz"
    house.write(f"data/in/a.csv.{suffix}", pack(lines)[:-200])
    with pytest.raises(
        SourceError,
        match=rf"in/a.csv.{suffix}: the compressed data is cut or damaged after at least 1?\d{{4}} whole lines",
    ):
        house.run()
    assert not house.lake.batches


@pytest.mark.parametrize("content", [b"", b"no gzip at all"])
def test_what_only_claims_to_be_compressed_is_an_error(house: House, content: bytes) -> None:
    house.write("data/in/a.csv.gz", content)
    with pytest.raises(SourceError, match=r"in/a\.csv\.gz"):
        house.run()


def test_a_bomb_is_stopped_at_the_bound(house: House) -> None:
    house.write("data/in/a.csv.gz", gzip.compress(bytes(10_000_000)))
    with pytest.raises(SourceError, match=r"expands beyond 1000000 bytes.*max_expanded_bytes"):
        house.run(path="in/*", max_expanded_bytes=1_000_000)


def test_a_file_that_is_written_again_while_it_is_read_is_refused(house: House) -> None:
    path = house.write("data/in/a.parquet", b"1\n")
    (unit,) = house.units()
    path.write_bytes(b"22\n")
    with pytest.raises(SourceError, match="changed while it was read"):
        list(unit.open(scratch()))


def test_a_process_that_ends_does_not_wait_for_a_file_that_is_being_hashed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless")
    program = (
        "from sources.files import InputFile, _new_unit; from warehouse.settings import LakeSettings; import sys\n"
        "_new_unit('s', InputFile(sys.argv[1], 'endless', LakeSettings(), 1, 0), lambda *_: iter(()), offset=1)"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path / "endless")], check=False, timeout=20)
    assert ended.returncode == 0


def test_an_error_while_hashing_reaches_who_asks_for_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"1\n")
    unit = files._new_unit("s", InputFile(str(path), "in/a.log", LakeSettings(), 3, 0), lambda *_: iter(()), offset=3)
    assert unit.identify is not None
    with pytest.raises(SourceError, match=r"in/a\.log: changed while it was read"):
        unit.identify()


def test_lines_that_arrive_after_the_listing_are_not_read(house: House) -> None:
    path = house.write("data/in/a.jsonl", b"1\n")
    (unit,) = house.units()
    path.write_bytes(b"1\n2\n")
    house.lake.commit(unit)
    assert house.lake.read == [("in/a.jsonl", b"1\n", 1)]
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert house.run() == [("in/a.jsonl", b"2\n", 2)]


def test_an_empty_line_file_is_a_batch_of_nothing(house: House) -> None:
    house.write("data/in/a.log", b"")
    assert house.run() == [("in/a.log", b"", 1)]
    house.write("data/in/a.log", b"1\n")
    assert house.run() == [("in/a.log", b"1\n", 1)]


def test_patterns_reach_into_folders_and_origins_hold_no_absolute_path(house: House) -> None:
    house.write("data/in/x/y/a.csv", b"1\n")
    house.write("other/b.csv", b"2\n")
    read = house.run(path=["in/**/*.csv", str(house.root / "other" / "*.csv")])
    assert [r[0] for r in read] == ["in/x/y/a.csv", "other/b.csv"]


def test_a_pattern_without_its_folder_and_a_missing_file_are_errors(house: House) -> None:
    with pytest.raises(SourceError, match="there is no nowhere"):
        house.units(path="nowhere/*.csv")
    with pytest.raises(SourceError, match=r"missing\.csv"):
        house.units(path="missing.csv")
    house.write("data/in/a.csv", b"1\n")
    with pytest.raises(SourceError, match=r"in: is not a file.*`in/\*`"):
        house.units(path="in")
    assert house.units(path="in/*.tsv") == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jsonl", True),
        ("app.log", True),
        ("app.log.1", True),
        ("app.log.2024-01-02", True),
        ("a.parquet", False),
        ("a.json", False),
    ],
)
def test_line_files_by_name(name: str, expected: bool) -> None:
    assert is_line_file(name) is expected
