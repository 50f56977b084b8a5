"""The spool of queries: appended by many readers, loaded exactly once."""

from __future__ import annotations

import fcntl
import multiprocessing
import uuid
from pathlib import Path

import pytest

from warehouse.lake.lake import Lake
from warehouse.lake.query_log import QueryRecord, load_spool, record, spool_folder
from warehouse.settings import parse


def entry(query: str = "SELECT 1", **fields: object) -> QueryRecord:
    """A record with a fresh id."""
    values = {"duration_s": 0.5, "user_name": "ada", "tables": "raw.logs", "rows_returned": 1, "error": None, **fields}
    return QueryRecord(str(uuid.uuid4()), "2026-03-01T10:00:00.250000", query=query, **values)  # type: ignore[arg-type]


def logged(lake: Lake) -> list[str]:
    """Queries in the lake."""
    return [row[0] for row in lake.connection.execute("SELECT query FROM meta.query_log ORDER BY query").fetchall()]


def append(folder: str, name: int) -> None:
    """What one reader process does."""
    settings = parse({}, Path(folder) / "lakebed.toml")
    for number in range(50):
        record(settings, entry(f"reader {name} query {number:02} {'x' * 3000}"))


def test_records_arrive_as_they_were(lake: Lake) -> None:
    record(lake.settings, entry("SELECT 'é\n;' -- '", rows_returned=None, error="no"))
    assert load_spool(lake) == 1
    row = lake.connection.execute("SELECT * EXCLUDE (query_id) FROM meta.query_log").fetchall()
    assert [str(v) for v in row[0]] == ["2026-03-01 10:00:00.250000", "0.5", "ada", "SELECT 'é\n;' -- '", "raw.logs", "None", "no"]


def test_an_empty_or_missing_spool_is_nothing(lake: Lake) -> None:
    assert load_spool(lake) == 0
    record(lake.settings, entry())
    assert load_spool(lake) == 1
    assert load_spool(lake) == 0
    assert len(logged(lake)) == 1


def test_a_load_that_died_after_its_commit_doubles_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        record(lake.settings, entry(f"q{number}"))

    def dies(_path: Path, missing_ok: bool = False) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", dies)
        with pytest.raises(KeyboardInterrupt):
            load_spool(lake)
    assert logged(lake) == ["q0", "q1", "q2"]
    record(lake.settings, entry("q3"))
    assert load_spool(lake) == 1
    assert logged(lake) == ["q0", "q1", "q2", "q3"]
    assert list(spool_folder(lake.settings).glob("*.loading")) == []


def test_a_load_that_died_before_its_commit_loses_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    record(lake.settings, entry("q0"))

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "append_log", dies)
        with pytest.raises(KeyboardInterrupt):
            load_spool(lake)
    assert logged(lake) == []
    assert load_spool(lake) == 1
    assert logged(lake) == ["q0"]


def test_a_torn_line_costs_only_itself(lake: Lake) -> None:
    record(lake.settings, entry("before"))
    (file,) = spool_folder(lake.settings).glob("*.jsonl")
    with file.open("ab") as stream:
        stream.write(b'{"query_id": "torn", "que')
    record(lake.settings, entry("after"))
    assert load_spool(lake) == 2
    assert logged(lake) == ["after", "before"]
    assert (spool_folder(lake.settings) / "damaged.txt").read_text() == '{"query_id": "torn", "que\n'


def test_a_spool_that_the_loader_takes_while_a_reader_opens_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    record(lake.settings, entry("first"))
    (file,) = spool_folder(lake.settings).glob("*.jsonl")
    real, taken = fcntl.flock, file.with_suffix(".1.loading")

    def overtaken(stream: object, operation: int) -> None:
        if not taken.exists():
            file.rename(taken)
        real(stream, operation)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", overtaken)
        record(lake.settings, entry("second"))
    assert ("first" in taken.read_text(), "second" in taken.read_text()) == (True, False)
    assert load_spool(lake) == 2
    assert logged(lake) == ["first", "second"]


def test_readers_beside_a_loader_lose_nothing(lake: Lake) -> None:
    processes = [multiprocessing.get_context("spawn").Process(target=append, args=(str(lake.settings.root), n)) for n in range(3)]
    for process in processes:
        process.start()
    loaded = 0
    while any(p.is_alive() for p in processes):
        loaded += load_spool(lake)
    for process in processes:
        process.join()
        assert process.exitcode == 0
    loaded += load_spool(lake)
    assert loaded == 150
    assert len(set(logged(lake))) == 150
