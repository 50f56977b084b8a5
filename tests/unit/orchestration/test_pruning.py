"""Dagster's storage: what old runs logged goes, every partition's state and the history by day stay, and runs that go on are left alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from dagster import (
    AssetCheckKey,
    AssetCheckResult,
    AssetKey,
    AssetSelection,
    DagsterInstance,
    DagsterRunStatus,
    DailyPartitionsDefinition,
    Definitions,
    asset,
    asset_check,
    define_asset_job,
)

from orchestration.instance import open_instance
from orchestration.pruning import prune
from warehouse.settings import parse

KEY, CHECK = AssetKey("days"), AssetCheckKey(AssetKey("days"), "sound")
DAYS = ("2026-03-01", "2026-03-02")
AT_ONCE, LATER = timedelta(), timedelta(days=1)


@asset(partitions_def=DailyPartitionsDefinition("2026-03-01"))
def days() -> None: ...


@asset_check(asset=days)
def sound() -> AssetCheckResult:
    return AssetCheckResult(passed=True)


JOB = Definitions([days], asset_checks=[sound], jobs=[define_asset_job("job", AssetSelection.all())]).resolve_job_def("job")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / ".dagster"


@pytest.fixture
def instance(home: Path) -> Iterator[DagsterInstance]:
    """Each day built twice, and a check after each."""
    with open_instance(parse({}, home.parent / "lakebed.toml")) as opened:
        for day in (*DAYS, *DAYS):
            assert JOB.execute_in_process(instance=opened, partition_key=day).success
        yield opened


def size(home: Path) -> int:
    return sum(file.stat().st_size for file in home.rglob("*") if file.is_file())


def in_index(home: Path, run_id: str) -> int:
    """Events of a run in the history over all runs."""
    with closing(sqlite3.connect(home / "history" / "runs" / "index.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM event_logs WHERE run_id = ?", [run_id]).fetchone()[0])


def test_logs_go_and_the_state_of_every_partition_stays(instance: DagsterInstance, home: Path) -> None:
    before, newest = size(home), instance.get_latest_materialization_event(KEY)
    checks = instance.event_log_storage.get_latest_asset_check_execution_by_key([CHECK])
    assert newest is not None
    assert prune(instance, AT_ONCE).logs == 4
    assert size(home) < before / 2
    assert instance.get_materialized_partitions(KEY) == set(DAYS)
    assert instance.get_latest_materialization_event(KEY) == newest
    assert instance.event_log_storage.get_latest_asset_check_execution_by_key([CHECK]) == checks
    assert newest.run_id in {run.run_id for run in instance.get_runs()}
    left = size(home)
    again = prune(instance, AT_ONCE)
    assert (again.logs, again.runs, again.events) == (0, 0, 0)
    assert size(home) <= left


def test_of_a_day_the_last_of_each_partition_stays_with_its_run(instance: DagsterInstance) -> None:
    """All four runs are of one day: the first two were superseded, and their records go with them."""
    runs = [run.run_id for run in instance.get_runs()]
    done = prune(instance, AT_ONCE)
    kept = instance.fetch_materializations(KEY, limit=10).records
    assert sorted(record.partition_key or "" for record in kept) == list(DAYS)
    assert {record.run_id for record in kept} == {run.run_id for run in instance.get_runs()} == set(runs[:2])
    assert done.runs == 2


def test_what_is_young_or_goes_on_is_not_touched(instance: DagsterInstance, home: Path) -> None:
    assert prune(instance, LATER).logs == 0
    run = instance.create_run_for_job(JOB, status=DagsterRunStatus.STARTED)
    instance.report_run_canceling(run)
    assert JOB.execute_in_process(instance=instance, partition_key=DAYS[0]).success
    events, mirrored = len(instance.all_logs(run.run_id)), in_index(home, run.run_id)
    assert min(events, mirrored) > 0
    prune(instance, AT_ONCE)
    assert (len(instance.all_logs(run.run_id)), in_index(home, run.run_id)) == (events, mirrored)
    newest = instance.get_latest_materialization_event(KEY)
    assert newest is not None
    assert newest.dagster_event is not None
    assert newest.dagster_event.partition == DAYS[0]
