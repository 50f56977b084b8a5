"""The Dagster instance of a configuration: history of runs and checks in a folder beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dagster import DagsterInstance

from warehouse.settings import Settings

HOME = ".dagster"
SETTINGS = """# Dagster's own settings; see docs/orchestration.md
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
    with DagsterInstance.from_config(str(home_of(settings))) as instance:
        yield instance
