"""Runs analyses for the days that need one, and writes what they find. Knows nothing of Dagster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from orchestration.history import History, epoch_ends
from transforms.model import load_frames, load_models
from warehouse.contracts import CONTRACTS
from warehouse.lake import Slice
from warehouse.lake.pending import pending_days

if TYPE_CHECKING:
    from orchestration.analyses import Analysis
    from warehouse.lake.lake import Lake
    from warehouse.settings import Settings


@dataclass(slots=True)
class Analysed:
    """Rows written per table, the days analysed, and days that wait and why."""

    rows: dict[str, int] = field(default_factory=dict)
    days: list[date] = field(default_factory=list)
    waiting: dict[date, str] = field(default_factory=dict)


def inputs_of(analysis: Analysis) -> tuple[str, ...]:
    """Tables with days and configuration that an analysis reads, through its frames and directly."""
    frames = load_frames()
    return tuple(dict.fromkeys([*(t for f in analysis.frames for t in frames[f].inputs), *analysis.reads]))


def analyse(
    lake: Lake,
    settings: Settings,
    analysis: Analysis,
    *,
    today: date,
    scenario: Mapping[str, float] | None = None,
    force: bool = False,
    run_id: str | None = None,
) -> Analysed:
    """Look back from the last closed day of the data, and from the end of each earlier stretch of data.

    A day whose inputs have not changed since it was analysed is left alone, unless forced or under a scenario."""
    result = Analysed()
    for as_of in _days_to_analyse(lake, analysis, today):
        mark = _mark(lake, settings, analysis, as_of, force or bool(scenario), result)
        if mark is None:
            continue
        history = History(lake, settings, as_of, dict(scenario or {}))
        marts = analysis.run(history)
        for table in analysis.tables:
            landed = lake.replace_slice(
                table, Slice(as_of, as_of + timedelta(days=1)), marts[table].to_arrow().to_reader(), inputs={as_of: mark}, run_id=run_id
            )
            result.rows[table] = result.rows.get(table, 0) + landed.tables.get(table, 0)
        result.days.append(as_of)
    return result


def _days_to_analyse(lake: Lake, analysis: Analysis, today: date) -> Iterable[date]:
    """The last days of stretches of data; raw days that are not derived yet belong to their stretch. What no model reads (changes) only
    explains what others show: a repository that is older and younger than the data makes no stretch of its own, and joins none."""
    derived_from = {table for model in load_models().values() for table in model.inputs}
    raw = {name for name, contract in CONTRACTS.items() if contract.schema == "raw"}
    tables = (set(inputs_of(analysis)) - raw) | (raw & derived_from)
    days = {d for table in tables if not table.startswith("meta.") for d in lake.states(table)}
    return epoch_ends(days, before=today)


def _mark(lake: Lake, settings: Settings, analysis: Analysis, as_of: date, force: bool, result: Analysed) -> str | None:
    """Fingerprint of what the analysis would read, None when there is nothing to do."""
    lookback = dict.fromkeys(inputs_of(analysis), settings.models.history_days - 1)
    pending = pending_days(
        lake, analysis.tables[0], lookback, [as_of], force=force, usable=("passed", "waved", "blocked", "unchecked"), need_day=False
    )
    result.waiting.update(pending.waiting)
    return pending.build.get(as_of)
