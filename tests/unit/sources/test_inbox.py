"""The inbox: what is ready, what is left alone, and where files go."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from sources.files import InputFile, file_units
from sources.inbox import accept, deliveries, reject
from warehouse.errors import SourceError
from warehouse.lake.connection import scratch
from warehouse.lake.unit import Former, Part, Unit
from warehouse.settings import Settings
from warehouse.settings.sources import FileSourceSettings


class Nothing:
    """A lake that knows nothing."""

    def has(self, batch_id: str) -> bool:
        return False

    def has_size(self, size: int) -> bool:
        return False

    def former_origins(self) -> tuple[str, ...]:
        return ()

    def former(self, origin: str) -> Former | None:
        return None

    def watermark(self, table: str) -> datetime | None:
        return None


def aged(path: Path, content: bytes = b"1\n", age: float = 60.0) -> Path:
    path.write_bytes(content)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def units(folder: Path) -> list[Unit]:
    settings = FileSourceSettings.model_validate({"inbox": folder.name})

    def opener(file: InputFile, connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        yield from ()

    return list(file_units("s", settings, config=Settings(root=folder.parent), known=Nothing(), opener=opener))


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def test_only_settled_files_are_ready(inbox: Path) -> None:
    aged(inbox / "b.csv")
    aged(inbox / "a.csv")
    aged(inbox / "fresh.csv", age=0)
    aged(inbox / ".hidden.csv")
    aged(inbox / "c.csv.part")
    (inbox / "done").mkdir()
    aged(inbox / "done" / "d.csv")
    assert [d.path.name for d in deliveries(inbox, 2.0)] == ["a.csv", "b.csv"]


def test_a_time_in_the_future_does_not_hold_a_file_back(inbox: Path) -> None:
    aged(inbox / "a.csv", age=-86_400)
    assert [d.path.name for d in deliveries(inbox, 2.0)] == ["a.csv"]


def test_symbolic_links_and_pipes_are_refused_and_only_the_link_moves(inbox: Path, tmp_path: Path) -> None:
    secret = aged(tmp_path / "secret.csv")
    (inbox / "link.csv").symlink_to(secret)
    os.mkfifo(inbox / "pipe.csv")
    found = units(inbox)
    assert [u.origin for u in found] == ["inbox/link.csv", "inbox/pipe.csv"]
    with pytest.raises(SourceError, match=r"inbox/link.csv: is a symbolic link"):
        list(found[0].open(scratch()))
    assert found[0].inbox_file is not None
    moved = reject(found[0].inbox_file, "inbox/link.csv: is a symbolic link")
    assert moved.is_symlink()
    assert secret.exists()
    assert (inbox / "rejected" / "link.csv.reason.txt").read_text() == "inbox/link.csv: is a symbolic link\n"


def test_taken_files_move_to_done_and_never_over_each_other(inbox: Path) -> None:
    for content in (b"1\n", b"2\n"):
        aged(inbox / "a.csv", content)
        (unit,) = units(inbox)
        accept(unit)
    assert (inbox / "done" / "a.csv").read_bytes() == b"1\n"
    assert (inbox / "done" / "a.csv.2").read_bytes() == b"2\n"
    assert units(inbox) == []


def test_a_missing_inbox_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="the inbox nowhere does not exist"):
        list(deliveries(tmp_path / "nowhere", 2.0))
