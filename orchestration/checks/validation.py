"""Validates days, finds which day broke an expectation, and records the verdicts: meta.check_results and the state of each day."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Protocol

from orchestration.checks.engine import Outcome
from orchestration.checks.suite import suite_of
from warehouse.contracts import Contract, Expectation
from warehouse.lake.lake import Lake
from warehouse.lake.state import DayState

MAX_DETAILS = 2_000
ROWS_AT_ONCE = 20_000_000


class Validates(Protocol):
    """What `validate_days` needs of a validator."""

    def validate(self, contract: Contract, expectations: Sequence[Expectation], days: Sequence[date]) -> list[Outcome]:
        """Outcomes in the order of the expectations."""
        ...

    def blame(self, contract: Contract, expectation: Expectation, days: Sequence[date]) -> dict[date, int]:
        """How many rows of which days violate an expectation; empty when that cannot be told at once."""
        ...


@dataclass(slots=True)
class Verdict:
    """What the checks of one table said about some days. failed_days: per expectation the days that break it, each with its own
    outcome."""

    table: str
    days: tuple[date, ...] = ()
    outcomes: list[Outcome] = field(default_factory=list)
    failed_days: dict[str, dict[date, Outcome]] = field(default_factory=dict)

    def add(self, other: Verdict) -> None:
        """Take in the verdict on other days of the table."""
        before = self.outcomes or other.outcomes
        self.outcomes = [theirs if ours.success else ours for ours, theirs in zip(before, other.outcomes, strict=True)]
        self.days += other.days
        for name, by_day in other.failed_days.items():
            self.failed_days.setdefault(name, {}).update(by_day)

    def failures(self, severity: str) -> list[Outcome]:
        """Expectations of a severity that failed on some day."""
        return [o for o in self.outcomes if o.severity == severity and not o.success]

    @property
    def blocked(self) -> dict[date, str]:
        """Days that must stay out of what is downstream, with the names of what failed."""
        found: dict[date, list[str]] = {}
        for outcome in self.failures("error"):
            for day in self.failed_days[outcome.name]:
                found.setdefault(day, []).append(outcome.name)
        return {day: ", ".join(names) for day, names in found.items()}


def validate_days(lake: Lake, validator: Validates, contract: Contract, days: Sequence[date], *, run_id: str | None = None) -> Verdict:
    """Validate days that have data, record every result per day, and set each day passed or blocked (waved days stay waved).

    These days and none between them, however far apart they lie; about ROWS_AT_ONCE rows at a time, whose verdict stands whatever becomes
    of the rest. Rows are validated as a whole; only where something fails are the days to blame looked for. A day that
    is written again meanwhile stays unchecked."""
    states = lake.states(contract.full_name, days)
    verdict = Verdict(contract.full_name)
    for part in _parts({day: states[day].row_count for day in sorted(states)}):
        verdict.add(_validate(lake, validator, contract, {day: states[day] for day in part}, run_id))
    return verdict


def _validate(lake: Lake, validator: Validates, contract: Contract, states: Mapping[date, DayState], run_id: str | None) -> Verdict:
    days = tuple(states)
    suite = suite_of(contract)
    outcomes = validator.validate(contract, suite.expectations, days)
    failed = [(e, o) for e, o in zip(suite.expectations, outcomes, strict=True) if not o.success]
    verdict = Verdict(contract.full_name, days, outcomes, _failed_days(validator, contract, failed, days))
    versions = {day: s.version for day, s in states.items()}
    _record(lake, verdict, versions, run_id)
    blocked = verdict.blocked
    judged: dict[date, tuple[str, str | None]] = {day: ("blocked", blocked[day]) if day in blocked else ("passed", None) for day in days}
    kept = {day for day in days if states[day].state in ("waved", "dropped", judged[day][0])}
    news = {day: state for day, state in judged.items() if day not in kept}
    lake.set_states(contract.full_name, news, versions=versions, run_id=run_id)
    return verdict


def _parts(rows: Mapping[date, int]) -> Iterator[list[date]]:
    """Days in order, as few parts as hold at most ROWS_AT_ONCE rows each; a day with more is a part of its own."""
    part: list[date] = []
    held = 0
    for day, count in rows.items():
        if part and held + count > ROWS_AT_ONCE:
            yield part
            part, held = [], 0
        part.append(day)
        held += count
    if part:
        yield part


def _failed_days(
    validator: Validates, contract: Contract, failed: Sequence[tuple[Expectation, Outcome]], days: Sequence[date]
) -> dict[str, dict[date, Outcome]]:
    """Which of the days break what they break as a whole: those of the rows at fault, where the rows say it."""
    if len(days) == 1:
        return {e.name: {days[0]: o} for e, o in failed}
    found: dict[str, dict[date, Outcome]] = {}
    untold: list[tuple[Expectation, Outcome]] = []
    for expectation, outcome in failed:
        rows = validator.blame(contract, expectation, days)
        found[expectation.name] = {day: replace(outcome, unexpected_count=n, result={"observed_value": n}) for day, n in rows.items()}
        untold += [] if rows else [(expectation, outcome)]
    return found | _halved(validator, contract, untold, days)


def _halved(
    validator: Validates, contract: Contract, failed: Sequence[tuple[Expectation, Outcome]], days: Sequence[date]
) -> dict[str, dict[date, Outcome]]:
    """Days to blame by asking for ever fewer of them. Where neither half of them fails, all of them are to blame."""
    if len(days) == 1 or not failed:
        return {e.name: {days[0]: o} for e, o in failed}
    found: dict[str, dict[date, Outcome]] = {e.name: {} for e, _ in failed}
    middle = len(days) // 2
    for half in (days[:middle], days[middle:]):
        outcomes = validator.validate(contract, [e for e, _ in failed], half)
        still = [(e, o) for (e, _), o in zip(failed, outcomes, strict=True) if not o.success]
        for name, by_day in _halved(validator, contract, still, half).items():
            found[name] |= by_day
    return {e.name: found[e.name] or dict.fromkeys(days, o) for e, o in failed}


def _record(lake: Lake, verdict: Verdict, versions: dict[date, int], run_id: str | None) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    rows: list[tuple[object, ...]] = []
    for outcome in verdict.outcomes:
        failed = verdict.failed_days.get(outcome.name, {})
        for day in verdict.days:
            own = failed.get(day)
            count, details = (own.unexpected_count, json.dumps(own.result, default=str)[:MAX_DETAILS]) if own else (0, None)
            rows.append((verdict.table, day, versions[day], outcome.name, outcome.severity, own is None, count, details, now, run_id))
    lake.append_log("meta.check_results", rows)
