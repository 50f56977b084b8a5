"""Runs analyses for the days that need one, and writes what they find. Knows nothing of Dagster."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from orchestration.analyses import ANALYSED, ANALYSES, Analysis
from orchestration.history import History, epoch_ends, unusable_days
from orchestration.scenarios import Scenario
from transforms.model import load_frames, load_models
from warehouse.contracts import CONTRACTS
from warehouse.lake import Slice
from warehouse.lake.pending import pending_days
from warehouse.lake.state import USABLE

if TYPE_CHECKING:
    from warehouse.lake.lake import Lake
    from warehouse.settings import Settings

NO_SCENARIO = Scenario()


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
    scenario: Scenario = NO_SCENARIO,
    force: bool = False,
    run_id: str | None = None,
) -> Analysed:
    """Look back from the last closed day of the data, and from the end of each earlier stretch of data.

    A day is left alone, unless forced, when all tables of the analysis hold what it would find: neither its inputs nor what is configured
    has changed since. What an analysis found under a scenario instead of the plain result (`roi`) is found again without it by the next
    that has none; what stands beside the plain result (`capacity_scenarios`) stays."""
    result = Analysed()
    marks, result.waiting = _pending(lake, settings, analysis, today, scenario, force)
    for as_of, mark in marks.items():
        marts = analysis.run(History(lake, settings, as_of, scenario))
        for table in analysis.tables:
            landed = lake.replace_slice(
                table, Slice(as_of, as_of + timedelta(days=1)), marts[table].to_arrow().to_reader(), inputs={as_of: mark}, run_id=run_id
            )
            result.rows[table] = result.rows.get(table, 0) + landed.tables.get(table, 0)
        result.days.append(as_of)
    return result


def has_work(lake: Lake, settings: Settings, *, today: date, scenario: Scenario = NO_SCENARIO) -> bool:
    """Whether an analysis has a day to look back from, or a day up to today that was analysed waits for its check.

    Reads states, how long logs of feedback are, and which scenarios stand; no data."""
    unchecked = any(day <= today and state.state == "unchecked" for table in ANALYSED for day, state in lake.states(table).items())
    return unchecked or any(_pending(lake, settings, analysis, today, scenario)[0] for analysis in ANALYSES)


def _pending(
    lake: Lake, settings: Settings, analysis: Analysis, today: date, scenario: Scenario, force: bool = False
) -> tuple[dict[date, str], dict[date, str]]:
    """Days to look back from with the mark that all tables get, and days that wait with the reason."""
    lookback = dict.fromkeys(inputs_of(analysis), analysis.days(settings.models.history_days) - 1)
    days = _days_to_analyse(lake, analysis, today)
    readable = USABLE if analysis.own_day else ("passed", "waved", "blocked", "unchecked")
    found = pending_days(lake, analysis.tables[0], lookback, days, force=True, usable=readable, need_day=False)
    marks = {day: _mark(lake, settings, analysis, day, inputs, scenario) for day, inputs in found.build.items()}
    return {day: mark for day, mark in marks.items() if force or _lacks(lake, analysis, day, mark)}, found.waiting


def _lacks(lake: Lake, analysis: Analysis, day: date, mark: str) -> bool:
    """Whether a table of an analysis does not hold what this mark stands for. What retention has dropped is not found again from less."""
    held = [lake.states(table, [day]).get(day) for table in analysis.tables]
    return any(own is None or (own.inputs != mark and own.state != "dropped") for own in held)


def _mark(lake: Lake, settings: Settings, analysis: Analysis, as_of: date, inputs: str, scenario: Scenario) -> str:
    """Fingerprint of all that decides what an analysis finds: versions of its input days, which of them it may read, its settings."""
    history = History(lake, settings, as_of, scenario)
    window = history.last(analysis.days(settings.models.history_days))
    unusable = {table: [str(day) for day in unusable_days(lake, table, window)] for table in inputs_of(analysis)}
    facts = {
        "inputs": inputs,
        "unusable": {table: days for table, days in unusable.items() if days},
        "settings": settings.model_dump(mode="json", include=set(analysis.settings)),
        "scenario": analysis.scenario(history),
        "records": {table: _record_count(lake, table) for table in inputs_of(analysis) if CONTRACTS[table].shape == "log"},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _record_count(lake: Lake, log: str) -> int:
    """How many records a log holds: its version, since what people said is never taken out of it."""
    row = lake.connection.execute(f"SELECT count(*) FROM {log}").fetchone()
    return int(row[0]) if row else 0


def _days_to_analyse(lake: Lake, analysis: Analysis, today: date) -> Iterable[date]:
    """The last days of stretches of data; raw days that are not derived yet belong to their stretch. What no model reads (changes) only
    explains what others show: a repository that is older and younger than the data makes no stretch of its own, and joins none."""
    derived_from = {table for model in load_models().values() for table in model.inputs}
    raw = {name for name, contract in CONTRACTS.items() if contract.schema == "raw"}
    tables = (set(inputs_of(analysis)) - raw) | (raw & derived_from)
    days = {d for table in tables if not table.startswith("meta.") for d in lake.states(table)}
    return epoch_ends(days, before=today)
