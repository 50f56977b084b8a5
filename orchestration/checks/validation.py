"""Validates days, finds which day broke an expectation, and records the verdicts: meta.check_results and the state of each day."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from orchestration.checks.engine import Outcome
from orchestration.checks.suite import suite_of
from warehouse.contracts import Contract, Expectation
from warehouse.lake import Slice
from warehouse.lake.lake import Lake

MAX_DETAILS = 2_000


class Validates(Protocol):
    """What `validate_days` needs of a validator."""

    def validate(self, contract: Contract, expectations: Sequence[Expectation], days: Slice) -> list[Outcome]:
        """Outcomes in the order of the expectations."""
        ...


@dataclass(slots=True)
class Verdict:
    """What the checks of one table said about a range of days. failed_days: per expectation the days that break it, each with its own
    outcome."""

    table: str
    days: tuple[date, ...]
    outcomes: list[Outcome] = field(default_factory=list)
    failed_days: dict[str, dict[date, Outcome]] = field(default_factory=dict)

    def failures(self, severity: str) -> list[Outcome]:
        """Expectations of a severity that failed somewhere in the range."""
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

    The range is validated as a whole; only where something fails is it halved until the days are known. A day that is written again
    meanwhile stays unchecked."""
    states = lake.states(contract.full_name, days)
    ordered = tuple(sorted(states))
    verdict = Verdict(contract.full_name, ordered)
    if not ordered:
        return verdict
    suite = suite_of(contract)
    outcomes = validator.validate(contract, suite.expectations, span(ordered))
    failed = [(e, o) for e, o in zip(suite.expectations, outcomes, strict=True) if not o.success]
    verdict.failed_days = _failed_days(validator, contract, failed, ordered)
    verdict.outcomes = [o if o.success or verdict.failed_days[o.name] else _acquitted(o) for o in outcomes]
    versions = {day: s.version for day, s in states.items()}
    _record(lake, verdict, versions, run_id)
    blocked = verdict.blocked
    judged: dict[date, tuple[str, str | None]] = {day: ("blocked", blocked[day]) if day in blocked else ("passed", None) for day in ordered}
    kept = {day for day in ordered if states[day].state in ("waved", "dropped", judged[day][0])}
    news = {day: state for day, state in judged.items() if day not in kept}
    lake.set_states(contract.full_name, news, versions=versions, run_id=run_id)
    return verdict


def span(days: Sequence[date]) -> Slice:
    """The half-open range from the first to the last of ordered days."""
    return Slice(days[0], days[-1] + timedelta(days=1))


def _failed_days(
    validator: Validates, contract: Contract, failed: Sequence[tuple[Expectation, Outcome]], days: Sequence[date]
) -> dict[str, dict[date, Outcome]]:
    """Which of the days break what their range as a whole breaks.

    Where neither half of consecutive days does, all of them are to blame; where there are gaps between them, a day that is not asked is."""
    if len(days) == 1 or not failed:
        return {e.name: {days[0]: o} for e, o in failed}
    found: dict[str, dict[date, Outcome]] = {e.name: {} for e, _ in failed}
    middle = len(days) // 2
    for half in (days[:middle], days[middle:]):
        outcomes = validator.validate(contract, [e for e, _ in failed], span(half))
        still = [(e, o) for (e, _), o in zip(failed, outcomes, strict=True) if not o.success]
        for name, by_day in _failed_days(validator, contract, still, half).items():
            found[name] |= by_day
    consecutive = (days[-1] - days[0]).days == len(days) - 1
    return {e.name: found[e.name] or (dict.fromkeys(days, o) if consecutive else {}) for e, o in failed}


def _acquitted(outcome: Outcome) -> Outcome:
    """What failed only on days between those that were asked for."""
    return replace(outcome, success=True, unexpected_count=0, result={"note": "only days that were not asked for break it"})


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
