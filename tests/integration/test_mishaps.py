"""What befalls one source from outside (a file that is gone or closed, memory that is short) stops no other, and is told."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.landing import Ingest, read_sources
from sources.inbox import DONE
from tests.lakes import day_slice, open_lake
from warehouse.lake import Unit
from warehouse.lake.lake import Lake
from warehouse.settings import parse

LOGS = {"kind": "table", "table": "raw.logs", "columns": {"time": "ts", "body": "msg", "severity_text": "level", "service": "svc"}}
SOURCES = {"first": LOGS | {"inbox": "first"}, "second": LOGS | {"path": "second/*.ndjson"}}


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """A lake, and two files for the first of two sources and one for the second."""
    for file in ("first/a.ndjson", "first/b.ndjson", "second/c.ndjson"):
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"ts": "2026-03-01 10:00:00", "msg": file, "level": "INFO", "svc": "shop"}) + "\n")
        os.utime(path, (path.stat().st_mtime - 3600,) * 2)
    with open_lake(tmp_path) as opened:
        yield opened


def read(lake: Lake, folder: Path, **named: Any) -> Ingest:
    return read_sources(lake, parse({"sources": SOURCES}, folder / "lakebed.toml"), day_slice(), **named)


def bodies(lake: Lake) -> list[str]:
    return [body for (body,) in lake.connection.execute("SELECT body FROM raw.logs ORDER BY ALL").fetchall()]


MISHAPS = [
    (FileNotFoundError(2, "No such file or directory", "/somewhere/a.ndjson"), "a.ndjson: No such file or directory"),
    (PermissionError(13, "Permission denied", "/somewhere/a.ndjson"), "a.ndjson: Permission denied"),
    (OSError("disk is on fire"), "disk is on fire"),
    (duckdb.IOException("cannot open http://me:hush@host/a"), "cannot open http://***host/a"),
    (duckdb.OutOfMemoryException("no memory"), "no memory"),
]


@pytest.mark.parametrize(("mishap", "said"), MISHAPS, ids=[type(m).__name__ for m, _ in MISHAPS])
def test_a_mishap_of_one_file_is_told_and_made_good_by_the_next_pass(
    lake: Lake, tmp_path: Path, mishap: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    land = lake.land

    def ill(unit: Unit, **named: Any) -> Any:
        if unit.origin.endswith("a.ndjson"):
            raise mishap
        return land(unit, **named)

    with monkeypatch.context() as broken:
        broken.setattr(lake, "land", ill)
        result = read(lake, tmp_path)
    assert [(f.source, f.origin, f.message) for f in result.failures] == [("first", "inbox/a.ndjson", said)]
    assert bodies(lake) == ["first/b.ndjson", "second/c.ndjson"]
    told = "SELECT table_name, success, details FROM meta.check_results ORDER BY ALL"
    assert lake.connection.execute(told).fetchall() == [
        ("source:first", False, f"inbox/a.ndjson: {said}"),
        ("source:second", True, None),
    ]
    assert read(lake, tmp_path).failures == []
    assert bodies(lake) == ["first/a.ndjson", "first/b.ndjson", "second/c.ndjson"]


def test_a_file_that_goes_between_listing_and_reading_stops_nothing(lake: Lake, tmp_path: Path) -> None:
    def remove(message: str) -> None:
        if message.endswith("a.ndjson"):
            (tmp_path / "first" / "a.ndjson").unlink()

    result = read(lake, tmp_path, progress=remove)
    assert [(f.source, "a.ndjson" in f.origin) for f in result.failures] == [("first", True)]
    assert bodies(lake) == ["first/b.ndjson", "second/c.ndjson"]


def test_a_file_that_landed_and_cannot_be_moved_is_moved_by_the_next_pass(lake: Lake, tmp_path: Path) -> None:
    done = tmp_path / "first" / DONE
    done.write_text("in the way")
    assert [f.origin for f in read(lake, tmp_path).failures] == ["inbox/a.ndjson", "inbox/b.ndjson"]
    done.unlink()
    result = read(lake, tmp_path)
    assert (result.failures, result.rows) == ([], {})
    assert sorted(file.name for file in done.iterdir()) == ["a.ndjson", "b.ndjson"]
    assert len(bodies(lake)) == 3


@pytest.mark.parametrize("error", [duckdb.InterruptException("interrupted"), ValueError("a mistake of ours")])
def test_an_interrupt_and_a_mistake_of_ours_are_raised(
    lake: Lake, tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ill(_unit: Unit, **_named: Any) -> Any:
        raise error

    monkeypatch.setattr(lake, "land", ill)
    with pytest.raises(type(error)):
        read(lake, tmp_path)


def test_a_source_that_cannot_be_listed_stops_no_other(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sources

    units = sources.units

    def closed(name: str, *arguments: Any, **named: Any) -> Iterator[Unit]:
        if name == "first":
            raise PermissionError(13, "Permission denied", "/somewhere/first")
        yield from units(name, *arguments, **named)

    monkeypatch.setattr(sources, "units", closed)
    assert [(f.source, f.message) for f in read(lake, tmp_path).failures] == [("first", "first: Permission denied")]
    assert bodies(lake) == ["second/c.ndjson"]
