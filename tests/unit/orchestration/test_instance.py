"""The history of runs: quick while a run goes on, whole and free of side files afterwards, and nobody else's databases are touched."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from dagster import DagsterInstance, asset, materialize
from sqlalchemy import create_engine, text

from orchestration.instance import open_instance
from warehouse.settings import Settings, parse

SYNCHRONOUS_FULL, SYNCHRONOUS_NORMAL = 2, 1


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse({}, tmp_path / "lakebed.toml")


def materialize_once(instance: DagsterInstance) -> str:
    @asset
    def one() -> None: ...

    return materialize([one], instance=instance).run_id


def test_files_of_the_instance_are_held_open_and_closed_in_the_end(settings: Settings) -> None:
    home = settings.root / ".dagster"
    with open_instance(settings) as instance:
        materialize_once(instance)
        logs = {file.name for file in home.rglob("*.db-wal")}
        assert {"index.db-wal", "runs.db-wal"} <= logs
    assert not list(home.rglob("*.db-wal"))
    with open_instance(settings) as instance:
        assert len(instance.get_runs()) == 1


def test_history_is_there_for_others_while_it_is_written(settings: Settings) -> None:
    with open_instance(settings) as instance:
        run = materialize_once(instance)
        with sqlite3.connect(settings.root / ".dagster" / "history" / "runs.db") as other:
            assert other.execute("SELECT run_id, status FROM runs").fetchall() == [(run, "SUCCESS")]


def test_other_databases_keep_their_own_way(settings: Settings, tmp_path: Path) -> None:
    def synchronous(file: Path) -> int:
        engine = create_engine(f"sqlite:///{file}")
        with engine.connect() as connection:
            mode = connection.execute(text("PRAGMA synchronous")).scalar_one()
        engine.dispose()
        return int(mode)

    inside = settings.root / ".dagster" / "own.db"
    with open_instance(settings):
        assert synchronous(tmp_path / "catalog.db") == SYNCHRONOUS_FULL
        assert synchronous(inside) == SYNCHRONOUS_NORMAL
    assert synchronous(inside) == SYNCHRONOUS_FULL
