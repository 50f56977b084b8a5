"""Which files come back when a COMMIT fails. (tests/faults/test_server_stops.py loses the answers of a real server.)"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import cast

import duckdb
import pytest

from tests.lakes import open_lake
from warehouse.lake.lake import Lake
from warehouse.lake.maintenance import tidy
from warehouse.lake.transaction import LOGS, Written

LOST = duckdb.TransactionException("server closed the connection unexpectedly")
REFUSED = duckdb.TransactionException("Transaction conflict - another came first")


class Connection:
    """As DuckDB's, of which a COMMIT does what a test says."""

    def __init__(self, commit: Callable[[], None]) -> None:
        self._commit = commit

    def execute(self, statement: str) -> None:
        if statement == "COMMIT":
            self._commit()


def written(folder: Path, commit: Callable[[], None]) -> Written:
    """For a PostgreSQL catalog, and folders of logs within `folder`."""
    lake = SimpleNamespace(
        connection=Connection(commit), catalog=SimpleNamespace(kind="postgres"), data_folder=folder, folder=lambda name: str(folder / name)
    )
    return Written(cast("Lake", lake), [])


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Where a commit writes, one file in each folder of a log."""
    paths = [tmp_path / name / "ducklake-1.parquet" for name in LOGS]
    for path in paths:
        path.parent.mkdir()
    return paths


def write(files: list[Path]) -> None:
    for path in files:
        path.write_text(path.parent.name)


def on_disk(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if not p.is_dir())


def deleted(files: list[Path], error: BaseException) -> Callable[[], None]:
    """What DuckLake does when a COMMIT fails."""

    def commit() -> None:
        for path in files:
            path.unlink(missing_ok=True)
        raise error

    return commit


@pytest.mark.parametrize("error", [LOST, KeyboardInterrupt()])
def test_what_a_failed_commit_deleted_is_written_again(tmp_path: Path, files: list[Path], error: BaseException) -> None:
    commit = written(tmp_path, deleted(files, error))
    write(files)
    with pytest.raises(type(error)):
        commit.commit()
    assert on_disk(tmp_path) == sorted(files)
    assert [p.read_text() for p in files] == list(LOGS)


def test_what_a_refused_commit_deleted_stays_away(tmp_path: Path, files: list[Path]) -> None:
    commit = written(tmp_path, deleted(files, REFUSED))
    write(files)
    with pytest.raises(duckdb.TransactionException, match="conflict"):
        commit.commit()
    assert on_disk(tmp_path) == []


def test_a_file_of_another_writer_may_go_before_it_is_opened(tmp_path: Path, files: list[Path]) -> None:
    done = []
    commit = written(tmp_path, lambda: done.append("COMMIT"))
    write(files)
    files[0].with_name("ducklake-2.parquet").symlink_to("gone")  # is listed and cannot be opened
    commit.commit()
    assert done == ["COMMIT"]


@pytest.mark.parametrize("lost", range(len(LOGS)))
def test_a_file_that_cannot_be_written_again_keeps_no_other_away(tmp_path: Path, files: list[Path], lost: int) -> None:
    def commit() -> None:
        for path in files:
            path.unlink()
        shutil.rmtree(files[lost].parent)
        raise LOST

    failing = written(tmp_path, commit)
    write(files)
    with pytest.raises(duckdb.TransactionException, match="server closed"):
        failing.commit()
    assert on_disk(tmp_path) == sorted(p for p in files if p != files[lost])


def test_two_processes_write_the_same_file_again(tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    together, sync, shared = Barrier(2, timeout=10), os.fsync, files[:1]

    def commit() -> None:
        together.wait()  # both have opened the file
        shared[0].unlink(missing_ok=True)
        together.wait()
        raise LOST

    def at_once(file: int) -> None:
        sync(file)
        together.wait()  # both have written, none has put it in its place

    monkeypatch.setattr(os, "fsync", at_once)
    writers = [written(tmp_path, commit) for _ in range(2)]
    write(shared)
    with ThreadPoolExecutor() as pool:
        errors = [f.exception() for f in [pool.submit(w.commit) for w in writers]]
    assert errors == [LOST, LOST]
    assert on_disk(tmp_path) == shared
    assert shared[0].read_text() == LOGS[0]


def test_what_a_killed_process_was_writing_again_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_file: int) -> None:
        raise SystemExit

    with open_lake(tmp_path) as lake:
        folder = Path(lake.catalog.data_path, "store")
        file = folder / LOGS[0] / "ducklake-1.parquet"
        file.parent.mkdir(parents=True)
        before = on_disk(folder)
        failing = written(folder, deleted([file], LOST))
        write([file])
        monkeypatch.setattr(os, "fsync", killed)
        with pytest.raises(SystemExit):
            failing.commit()
        (left,) = set(on_disk(folder)) - set(before)
        os.utime(left, (0, 0))
        assert tidy(lake).removed_orphans == 1
        assert on_disk(folder) == before
