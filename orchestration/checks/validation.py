"""Validates days, finds which day broke an expectation, and records the verdicts: meta.check_results and the state of each day."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from orchestration.checks.engine import Outcome
from orchestration.checks.suite import suite_of
from warehouse.contracts import Contract, Expectation
from warehouse.lake import Slice
from warehouse.lake.lake import Lake
from warehouse.lake.state import NO_DAY

MAX_DETAILS = 2_000


class Validates(Protocol):
    """What `validate_days` needs of a validator."""

    def validate(self, contract: Contract, expectations: Sequence[Expectation], days: Slice) -> list[Outcome]:
        """Outcomes in the order of the expectations."""
        ...


@dataclass(slots=True)
class Verdict:
    """What the checks of one table said about a range of days."""

    table: str
    days: tuple[date, ...]
    outcomes: list[Outcome] = field(default_factory=list)
    failed_days: dict[str, set[date]] = field(default_factory=dict)

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

    The range is validated as a whole; only where something fails is it halved until the days are known."""
    states = lake.states(contract.full_name, days)
    ordered = tuple(sorted(states))
    verdict = Verdict(contract.full_name, ordered)
    if not ordered:
        return verdict
    suite = suite_of(contract)
    verdict.outcomes = validator.validate(contract, suite.expectations, span(ordered))
    for expectation, outcome in zip(suite.expectations, verdict.outcomes, strict=True):
        if not outcome.success:
            verdict.failed_days[outcome.name] = _failed_days(validator, contract, expectation, ordered)
    _record(lake, verdict, {day: s.version for day, s in states.items()}, run_id)
    blocked = verdict.blocked
    lake.set_states(
        contract.full_name,
        {
            day: ("blocked", blocked[day]) if day in blocked else ("passed", None)
            for day in ordered
            if states[day].state not in ("waved", "dropped") and states[day].state != ("blocked" if day in blocked else "passed")
        },
        run_id=run_id,
    )
    return verdict


def span(days: Sequence[date]) -> Slice:
    """The half-open range from the first to the last of ordered days."""
    return Slice(days[0], days[-1] + timedelta(days=1))


def _failed_days(validator: Validates, contract: Contract, expectation: Expectation, days: Sequence[date]) -> set[date]:
    """Which of the days break an expectation that the whole range breaks; all of them when no smaller range does."""
    if len(days) == 1 or days[0] == NO_DAY:
        return set(days)
    middle = len(days) // 2
    found: set[date] = set()
    for half in (days[:middle], days[middle:]):
        if not validator.validate(contract, [expectation], span(half))[0].success:
            found |= _failed_days(validator, contract, expectation, half)
    return found or set(days)


def _record(lake: Lake, verdict: Verdict, versions: dict[date, int], run_id: str | None) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    rows = []
    for outcome in verdict.outcomes:
        failed = verdict.failed_days.get(outcome.name, set())
        details = json.dumps(outcome.result, default=str)[:MAX_DETAILS]
        for day in verdict.days:
            ok = day not in failed
            count = 0 if ok else outcome.unexpected_count
            rows.append(
                (
                    verdict.table,
                    day,
                    versions[day],
                    outcome.name,
                    outcome.severity,
                    ok,
                    count,
                    None if ok else details,
                    now,
                    run_id,
                )
            )
    lake.append_log("meta.check_results", rows)
