"""A PostgreSQL server that dies in the middle of a commit: a clear error, and after its restart nothing is lost, doubled or torn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest

from tests.integration import servers
from tests.lakes import DAY, at, day_slice, points_unit, stored
from warehouse.errors import LakebedError
from warehouse.lake.lake import Lake
from warehouse.lake.transaction import LOGS, Written
from warehouse.settings import parse
from warehouse.tiers.settle import Settled, settle

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


def settled(lake: Lake) -> Settled:
    lake.set_states("raw.metric_points", dict.fromkeys(lake.states("raw.metric_points"), ("passed", None)))
    return settle(lake, today=TODAY, tables=["raw.metric_points"])


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


def test_a_server_that_stops_at_a_commit_says_what_became_of_it(
    cluster: servers.PostgresCluster, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(dsn, tmp_path) as lake:
        lake.land(points_unit("first", points(0.0)))
        commit = Written.commit

        def stopped(written: Written) -> None:
            cluster.stop("immediate")
            commit(written)

        lake.step = once("replacing", lambda: monkeypatch.setattr(Written, "commit", stopped))
        try:
            with pytest.raises(LakebedError, match="as a whole or not at all") as failed:
                settled(lake)
            assert servers.POSTGRES_PASSWORD not in str(failed.value)
        finally:
            cluster.start()


LOST_ANSWERS = [("land", "logged"), ("replace", "logged"), ("settle", "replacing")]


@pytest.mark.parametrize(("operation", "step"), LOST_ANSWERS)
def test_a_commit_whose_answer_was_lost_is_recognised(
    cluster: servers.PostgresCluster, dsn: str, tmp_path: Path, operation: str, step: str
) -> None:
    """The server ends the sender's connection when the commit is done, before it answers."""
    with opened(dsn, tmp_path) as lake:
        lake.land(points_unit("first", points(0.0)))
        with servers.AnswerLost(dsn) as proxy, opened(proxy.dsn, tmp_path) as cut:
            cut.step = once(step, proxy.cut_after_commit)
            with pytest.raises(LakebedError):
                OPERATIONS[operation](cut)
        assert proxy.commits == 1
        done = stored(lake)
        assert len(done) == (201 if operation == "land" else 200)
        again = OPERATIONS[operation](lake)
        assert again.days == 0 if isinstance(again, Settled) else again.already  # type: ignore[attr-defined]
        assert stored(lake) == done
        for log in LOGS:
            lake.connection.execute(f"FROM {log}").fetchall()  # fails where a file is gone


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
