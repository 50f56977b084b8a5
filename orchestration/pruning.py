"""Dagster's own storage kept small: what old runs logged goes, what they say of assets stays.

Of every partition and check the last record of each day on which there was one is kept for ever, with the record of the run that it
names, so that the UI shows all of the history, day by day. Whatever belongs to a run that has not ended is left alone."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol, cast

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter
from sqlalchemy import Column, Connection, DateTime, Integer, MetaData, String, Table, delete, func, or_, select, union

ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
OF_ASSETS = ("ASSET_MATERIALIZATION", "ASSET_OBSERVATION")
EVALUATION = "ASSET_CHECK_EVALUATION"
LOOSE_SHARE = 4
BUSY_S = 5.0

_SCHEMA = MetaData()
_EVENTS = Table(
    "event_logs",
    _SCHEMA,
    Column("id", Integer, primary_key=True),
    Column("run_id", String),
    Column("dagster_event_type", String),
    Column("timestamp", DateTime),
    Column("asset_key", String),
    Column("partition", String),
)
_CHECKS = Table(
    "asset_check_executions",
    _SCHEMA,
    Column("id", Integer, primary_key=True),
    Column("asset_key", String),
    Column("check_name", String),
    Column("partition", String),
    Column("run_id", String),
    Column("execution_status", String),
    Column("evaluation_event_timestamp", DateTime),
    Column("evaluation_event_storage_id", Integer),
)
_TAGS = Table("asset_event_tags", _SCHEMA, Column("event_id", Integer), Column("event_timestamp", DateTime))
_RUNS = Table("runs", _SCHEMA, Column("run_id", String))
_RUN_TAGS = Table("run_tags", _SCHEMA, Column("run_id", String))


class _Sharded(Protocol):
    """An event log that has a SQLite file per run."""

    def path_for_shard(self, run_id: str) -> str:
        """Where the file is."""
        ...


class _OfEvents(Protocol):
    """A storage of events in a database."""

    def index_connection(self) -> AbstractContextManager[Connection]:
        """A connection to the history over all runs, in a transaction that ends with the block."""
        ...


class _OfRuns(Protocol):
    """A storage of runs in a database."""

    def connect(self) -> AbstractContextManager[Connection]:
        """A connection, in a transaction that ends with the block."""
        ...


@dataclass(slots=True)
class Pruned:
    """What went: logs of runs, whole runs with their records, and events of the history over all runs."""

    logs: int = 0
    runs: int = 0
    events: int = 0


def prune(instance: DagsterInstance, older_than: timedelta) -> Pruned:
    """Remove what runs that ended before that have logged, and of what was recorded before that all that the history by day does without.

    Killed anywhere, the next call does the rest; with nothing left to remove, nothing is written."""
    before = datetime.now(UTC) - older_than
    unfinished = [run.run_id for run in instance.get_runs(RunsFilter(statuses=[s for s in DagsterRunStatus if s not in ENDED]))]
    result = Pruned()
    with cast("_OfEvents", instance.event_log_storage).index_connection() as connection:
        result.events = _thin(connection, before.replace(tzinfo=None), unfinished)
        named = set(connection.execute(union(select(_EVENTS.c.run_id), select(_CHECKS.c.run_id))).scalars())
    for record in instance.get_run_records(RunsFilter(statuses=ENDED, updated_before=before)):
        run_id = record.dagster_run.run_id
        result.logs += _remove_log(instance, run_id)
        if run_id not in named:
            instance.run_storage.delete_run(run_id)
            result.runs += 1
    with cast("_OfRuns", instance.run_storage).connect() as connection:
        connection.execute(delete(_RUN_TAGS).where(_RUN_TAGS.c.run_id.not_in(select(_RUNS.c.run_id))))
    _give_back(instance)
    return result


def _thin(connection: Connection, before: datetime, unfinished: list[str]) -> int:
    """Delete old events and check executions over all runs but those needed; how many. The newest event stays whatever it is: SQLite gives
    its number again, and what follows the log by number would miss what comes next."""
    day = func.date(_EVENTS.c.timestamp)
    lasting = _EVENTS.c.dagster_event_type.in_(OF_ASSETS)
    latest = select(func.max(_EVENTS.c.id)).where(lasting)
    latest = latest.group_by(_EVENTS.c.dagster_event_type, _EVENTS.c.asset_key, _EVENTS.c.partition, day)
    evaluated = select(func.max(_CHECKS.c.id)).where(_CHECKS.c.execution_status != "PLANNED")
    evaluated = evaluated.group_by(
        _CHECKS.c.asset_key, _CHECKS.c.check_name, _CHECKS.c.partition, func.date(_CHECKS.c.evaluation_event_timestamp)
    )
    checks = delete(_CHECKS).where(
        _CHECKS.c.evaluation_event_timestamp < before, _CHECKS.c.run_id.not_in(unfinished), _CHECKS.c.id.not_in(evaluated)
    )
    shown = select(_CHECKS.c.evaluation_event_storage_id).where(_CHECKS.c.evaluation_event_storage_id.is_not(None))
    kept = or_(_EVENTS.c.id.in_(latest), (_EVENTS.c.dagster_event_type == EVALUATION) & _EVENTS.c.id.in_(shown))
    events = delete(_EVENTS).where(
        _EVENTS.c.timestamp < before,
        _EVENTS.c.run_id.not_in(unfinished),
        _EVENTS.c.id < select(func.max(_EVENTS.c.id)).scalar_subquery(),
        ~kept,
    )
    tags = delete(_TAGS).where(_TAGS.c.event_timestamp < before, _TAGS.c.event_id.not_in(select(_EVENTS.c.id)))
    return sum(connection.execute(statement).rowcount for statement in (checks, events, tags))


def _remove_log(instance: DagsterInstance, run_id: str) -> bool:
    """Delete a run's file of events, where it has one, and what its steps printed."""
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    file = _shard(instance, run_id)
    if file is None or not file.is_file():
        return False
    for part in (file, *(file.with_name(file.name + suffix) for suffix in ("-wal", "-shm"))):
        part.unlink(missing_ok=True)
    return True


def _shard(instance: DagsterInstance, name: str) -> Path | None:
    storage = instance.event_log_storage
    return Path(cast("_Sharded", storage).path_for_shard(name)) if storage.is_run_sharded else None


def _give_back(instance: DagsterInstance) -> None:
    """Shrink the file of the history over all runs when a good part of it is empty. One that is busy is shrunk another night."""
    file = _shard(instance, "index")
    if file is None:
        return
    with closing(sqlite3.connect(file, timeout=BUSY_S)) as connection:
        pages, free = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
        if free * LOOSE_SHARE < pages:
            return
        try:
            connection.execute("VACUUM")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
