"""A PostgreSQL server that dies in the middle of a commit: a clear error, and after its restart nothing is lost, doubled or torn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import psycopg
import pytest

from tests.integration import servers
from tests.lakes import DAY, at, day_slice, points_unit, stored
from warehouse.errors import LakebedError
from warehouse.lake.lake import Lake
from warehouse.settings import parse
from warehouse.tiers.settle import settle

pytestmark = [pytest.mark.faults, pytest.mark.server]
TODAY = date(2026, 3, 20)
SETTINGS = {"memory_limit": "512MiB", "threads": 2}


@pytest.fixture(scope="module")
def cluster(program: Callable[[str, str], str]) -> Iterator[servers.PostgresCluster]:
    """A server that this module stops and starts."""
    with servers.PostgresCluster.created(program("initdb", "postgresql"), program("postgres", "postgresql")) as made:
        yield made


@pytest.fixture
def dsn(cluster: servers.PostgresCluster, request: pytest.FixtureRequest) -> str:
    """An empty database of a test."""
    name = "t_" + re.sub(r"\W", "_", request.node.name.lower())[:40]
    with psycopg.connect(cluster.dsn, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    return cluster.dsn.replace("dbname=postgres", f"dbname={name}")


def opened(dsn: str, folder: Path) -> Lake:
    return Lake.open(parse({"lake": {"catalog": f"postgres:{dsn}", **SETTINGS}}, folder / "lakebed.toml"))


def points(value: float, rows: int = 200) -> list[tuple[int, object, float]]:
    return [(i % 5, at("2026-03-01 10:00") + timedelta(seconds=i), value + i) for i in range(rows)]


def settled(lake: Lake) -> None:
    lake.set_states("raw.metric_points", dict.fromkeys(lake.states("raw.metric_points"), ("passed", None)))
    settle(lake, today=TODAY, tables=["raw.metric_points"])


OPERATIONS: dict[str, Callable[[Lake], object]] = {
    "land": lambda lake: lake.land(points_unit("late", [(9, at("2026-03-01 11:00"), 9.0)])),
    "replace": lambda lake: lake.land(points_unit("new", points(1000.0), slice=day_slice())),
    "settle": settled,
}
STOPS = [
    ("immediate", "land", "registered"),
    ("immediate", "land", "logged"),
    ("immediate", "replace", "deleted"),
    ("immediate", "settle", "replacing"),
    ("kill", "land", "locked"),
    ("kill", "replace", "logged"),
]


@pytest.mark.parametrize(("how", "operation", "step"), STOPS)
def test_a_server_that_stops_in_a_commit_changes_nothing(
    cluster: servers.PostgresCluster, dsn: str, tmp_path: Path, how: str, operation: str, step: str
) -> None:
    with opened(dsn, tmp_path) as lake:
        lake.land(points_unit("first", points(0.0)))
        before = stored(lake)
        lake.step = once(step, lambda: cluster.stop(how))
        try:
            with pytest.raises(LakebedError, match=r"(?i)postgres\w* catalog") as failed:
                OPERATIONS[operation](lake)
            assert servers.POSTGRES_PASSWORD not in str(failed.value)
        finally:
            cluster.start()
        assert stored(lake) == before
        OPERATIONS[operation](lake)
        done = stored(lake)
    with opened(dsn, tmp_path) as lake:
        assert stored(lake) == done
        assert len(done) == len(before) + (operation == "land")
        assert (done == before) == (operation == "settle")
        assert lake.states("raw.metric_points")[DAY].row_count == len(done)


def once(step: str, act: Callable[[], None]) -> Callable[[str], None]:
    """A hook that acts when it comes to a step for the first time."""
    done: list[str] = []

    def hook(name: str) -> None:
        if name == step and not done:
            done.append(name)
            act()

    return hook


@pytest.mark.parametrize("operation", ["land", "replace"])
def test_a_commit_whose_answer_was_lost_is_recognised(cluster: servers.PostgresCluster, dsn: str, tmp_path: Path, operation: str) -> None:
    """The server ends the sender's connection when the commit is done, before it answers."""
    with opened(dsn, tmp_path) as lake:
        lake.land(points_unit("first", points(0.0)))
        with servers.AnswerLost(dsn) as proxy, opened(proxy.dsn, tmp_path) as cut:
            cut.step = once("logged", proxy.cut_after_commit)
            with pytest.raises(LakebedError):
                OPERATIONS[operation](cut)
        assert proxy.commits == 1
        done = stored(lake)
        assert len(done) == (201 if operation == "land" else 200)
        again = OPERATIONS[operation](lake)
        assert again.already  # type: ignore[attr-defined]
        assert stored(lake) == done
        for file in duckdb.sql(f"FROM glob('{tmp_path}/lake/**/day=2026*/*.parquet')").fetchall():
            assert Path(file[0]).is_file()


def test_a_lock_that_was_lost_lets_nothing_be_doubled(dsn: str, tmp_path: Path) -> None:
    with opened(dsn, tmp_path) as mine, opened(dsn, tmp_path) as other:
        mine.land(points_unit("first", points(0.0)))

        def intrude() -> None:
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(
                    """SELECT pg_terminate_backend(pid) FROM pg_locks
                       WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
                )
            OPERATIONS["land"](other)

        mine.step = once("logged", intrude)
        with pytest.raises(LakebedError, match="lock"):
            OPERATIONS["land"](mine)
        assert len(stored(mine)) == 201
        assert OPERATIONS["land"](mine).already  # type: ignore[attr-defined]
