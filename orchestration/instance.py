"""The Dagster instance of a configuration: history of runs and checks in a folder beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from dagster import DagsterInstance
from filelock import FileLock
from sqlalchemy import event
from sqlalchemy.engine import Engine

from warehouse.settings import Settings

HOME = ".dagster"
OPENING_S = 120.0
SETTINGS = """# Dagster's own settings for this configuration: written when they are missing, then yours to change.
telemetry:
  enabled: false
nux:
  enabled: false
run_monitoring:
  enabled: true
  start_timeout_seconds: 300
  poll_interval_seconds: 60
run_retries:
  enabled: true
  max_retries: 1
retention:
  schedule:
    purge_after_days: 30
  sensor:
    purge_after_days: 7
"""


def home_of(settings: Settings) -> Path:
    """DAGSTER_HOME of a configuration, created with its dagster.yaml when missing."""
    home = (settings.root / HOME).resolve()
    home.mkdir(parents=True, exist_ok=True)
    file = home / "dagster.yaml"
    if not file.is_file():
        file.write_text(SETTINGS, encoding="utf-8")
    return home


@contextmanager
def open_instance(settings: Settings) -> Iterator[DagsterInstance]:
    """The instance, closed at the end."""
    home = home_of(settings)
    with quick_commits(home), _opened(home) as instance:
        yield instance


def _opened(home: Path) -> DagsterInstance:
    """The instance with its tables made, by one process at a time: two that are the first at once would make them under each other."""
    with FileLock(str(home / ".opening.lock"), timeout=OPENING_S):
        instance = DagsterInstance.from_config(str(home))
        _ = instance.run_storage, instance.event_log_storage, instance.schedule_storage  # each makes its tables when first asked for
    return instance


@contextmanager
def quick_commits(home: Path) -> Iterator[None]:
    """While this lasts, commits to the SQLite files of an instance do not wait for the disk.

    Dagster opens and closes a connection per event, and the last one to close a file in WAL mode copies the log into it: 35 ms per
    partition and asset, 13 ms when a connection stays open and only checkpoints are synced (measured over 60 of them, 2 shared cores).
    A power cut may take the newest history, never the files; what is done is read from the lake."""
    with ExitStack() as stack:
        held: set[Path] = set()

        def connected(connection: object, _record: object) -> None:
            if not isinstance(connection, sqlite3.Connection) or home not in (file := _file(connection)).parents:
                return
            connection.execute("PRAGMA synchronous = NORMAL")
            if file not in held and connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
                held.add(file)
                keeper = stack.enter_context(closing(sqlite3.connect(file, check_same_thread=False)))
                keeper.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the log is opened by the first read

        event.listen(Engine, "connect", connected)
        stack.callback(event.remove, Engine, "connect", connected)
        yield


def _file(connection: sqlite3.Connection) -> Path:
    """The file behind a connection, the empty path where there is none."""
    return Path(connection.execute("PRAGMA database_list").fetchone()[2])
