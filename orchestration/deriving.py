"""Builds the days of derived tables that need it, from SQL models. Knows nothing of Dagster."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from warehouse.archive.scrubbing import set_aside_damaged
from warehouse.lake import Slice
from warehouse.lake.lake import Lake
from warehouse.lake.pending import pending_days
from warehouse.lake.state import NO_DAY

if TYPE_CHECKING:
    from transforms.model import Model


@dataclass(slots=True)
class Derived:
    """What building a table did: rows written, days built, days that wait and why."""

    table: str
    rows: int = 0
    built: list[date] = field(default_factory=list)
    waiting: dict[date, str] = field(default_factory=dict)


def derive(lake: Lake, model: Model, days: Iterable[date], *, run_id: str | None = None, force: bool = False) -> Derived:
    """Build the pending days of a SQL model, each run of consecutive days in one transaction.

    Files that they are built from are compared with their hashes first; a damaged day is healed or blocked, and what needs it waits."""
    wanted = list(days)
    pending = pending_days(lake, model.name, model.lookback, wanted, force=force)
    read = {day - timedelta(days=back) for day in pending.build for back in range(model.lookback_days + 1)}
    if read and set_aside_damaged(lake, model.inputs, {*read, NO_DAY}, run_id):
        pending = pending_days(lake, model.name, model.lookback, wanted, force=force)
    result = Derived(model.name, waiting=pending.waiting)
    for window in pending.slices():
        inputs = {day: mark for day, mark in pending.build.items() if window.start <= day < window.end}
        landed = lake.replace_slice(model.name, window, model.sql, parameters=bounds(window), inputs=inputs, run_id=run_id)
        result.rows += landed.tables.get(model.name, 0)
        result.built += sorted(inputs)
    return result


def bounds(window: Slice) -> dict[str, object]:
    """The parameters of a model: half-open, at midnight UTC."""
    return {"window_start": datetime.combine(window.start, time()), "window_end": datetime.combine(window.end, time())}
