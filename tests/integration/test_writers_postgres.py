"""Two writers on a PostgreSQL catalog, where commits of different tables do not wait for each other."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.contract_rows import row, write
from tests.lakes import DAY, at, day_slice, points_unit, stored
from warehouse.contracts import contract
from warehouse.lake.lake import Lake
from warehouse.lake.maintenance import tidy
from warehouse.lake.state import DayState
from warehouse.settings import Settings, parse

LOGS = contract("raw.logs")
pytestmark = pytest.mark.server


@pytest.fixture
def settings(postgres_dsn: str, tmp_path: Path) -> Settings:
    return parse({"lake": {"catalog": f"postgres:{postgres_dsn}", "memory_limit": "512MiB", "threads": 2}}, tmp_path / "lakebed.toml")


def test_a_commit_of_nothing_takes_no_other_for_its_own(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with Lake.open(settings) as mine, Lake.open(settings) as other:
        mine.land(points_unit("b0", [(1, at("2026-03-01 10:00"), 1.0)]))
        assert not mine.memory.of("s").has("b1")
        record = mine.record_states

        def meanwhile(table: str, states: Mapping[date, Any], run_id: str | None) -> dict[date, DayState]:
            write(other, LOGS, [row(LOGS, 1)], batch="b1")
            return record(table, states, run_id)

        monkeypatch.setattr(mine, "record_states", meanwhile)
        mine.set_states("raw.metric_points", {DAY: ("passed", None)}, versions={DAY: 99})
        assert mine.memory.of("s").has("b1")
        assert mine.states("raw.logs") == other.states("raw.logs")
        assert mine.states("raw.logs")[DAY].row_count == 1


def test_statistics_of_files_have_an_index(settings: Settings, postgres_dsn: str) -> None:
    Lake.open(settings).close()
    with psycopg.connect(postgres_dsn) as connection:
        found = connection.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'ducklake_file_column_stats'").fetchall()
    assert [d.endswith("(table_id, column_id)") for (d,) in found] == [True]


def test_orphans_go_between_writers_and_not_beside_them(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with Lake.open(settings) as lake, Lake.open(settings) as other, ExitStack() as writer:
        orphan = Path(lake.folder("store.raw_metric_points"), "day=2026-03-01", "orphan.parquet")
        orphan.parent.mkdir(parents=True)
        orphan.write_bytes(b"PAR1")
        os.utime(orphan, (time.time() - 90_000,) * 2)
        writer.enter_context(other.catalog.present())
        done = tidy(lake, patience_s=0)
        assert (done.removed_orphans, done.orphans_left, orphan.exists()) == (0, 1, True)

        def commits_meanwhile(_seconds: float) -> None:
            other.land(points_unit("b1", [(1, at("2026-03-01 10:00"), 1.0)]))
            writer.close()

        monkeypatch.setattr("warehouse.lake.catalog.time.sleep", commits_meanwhile)
        done = tidy(lake)
        assert (done.removed_orphans, done.orphans_left, orphan.exists()) == (1, 0, False)
        assert len(stored(other)) == 1


def test_a_conflict_is_tried_again_where_the_environment_says_which_server(
    settings: Settings, postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in conninfo_to_dict(postgres_dsn).items():
        monkeypatch.setenv({"dbname": "PGDATABASE"}.get(key, f"PG{key.upper()}"), str(value))
    lake = {"catalog": "postgres:", "memory_limit": "512MiB", "threads": 2}
    with Lake.open(settings) as other, Lake.open(parse({"lake": lake}, tmp_path / "lakebed.toml")) as mine:
        mine.land(points_unit("b0", [(1, at("2026-03-01 10:00"), 1.0)]))
        steps: list[str] = []

        def step(name: str) -> None:
            steps.append(name)
            if name == "logged" and steps.count("logged") == 1:
                other.connection.execute("DELETE FROM store.raw_metric_points")  # takes no lock

        mine.step = step
        mine.land(points_unit("b1", [(1, at("2026-03-01 11:00"), 2.0)], slice=day_slice()))
        assert steps.count("logged") == 2
        assert [r[3] for r in stored(mine)] == [2.0]
