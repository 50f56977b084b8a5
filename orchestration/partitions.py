"""Days as Dagster partitions: UTC, the open day included."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from dagster import BackfillPolicy, DailyPartitionsDefinition

from warehouse.lake import Slice

if TYPE_CHECKING:
    from dagster import AssetCheckExecutionContext, AssetExecutionContext

DEFAULT_HISTORY_DAYS = 90
ONE_RUN = BackfillPolicy.single_run()


def daily(start: date | None) -> DailyPartitionsDefinition:
    """Partitions from `start` (default: 90 days ago) up to today; the open day is one of them."""
    first = start or today() - timedelta(days=DEFAULT_HISTORY_DAYS)
    return DailyPartitionsDefinition(start_date=first.isoformat(), timezone="UTC", end_offset=1)


def today() -> date:
    """The UTC day."""
    return datetime.now(UTC).date()


def has_window(context: AssetExecutionContext | AssetCheckExecutionContext) -> bool:
    """Whether a step is asked for some days: a run of checks alone may not be."""
    return bool(context.has_partition_key or context.has_partition_key_range)


def window(context: AssetExecutionContext | AssetCheckExecutionContext) -> Slice:
    """The half-open range of days that a step is asked for."""
    bounds = context.partition_time_window
    return Slice(bounds.start.date(), bounds.end.date())


def clip(days: Iterable[date], within: Slice) -> list[date]:
    """Days that lie in a slice, in order."""
    return sorted(day for day in days if within.start <= day < within.end)
