"""What a run has to do: which tables to check and to build, in which ranges of days. Decides on the states of days alone, and knows neither
Dagster nor an open lake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from warehouse.lake import Slice
from warehouse.lake.pending import pending_days
from warehouse.lake.state import NO_DAY, USABLE, DayState

if TYPE_CHECKING:
    from transforms.model import Model

RANGE_DAYS = 30
LONG_RANGE_DAYS, LONG_RANGE_ROWS = 92, 10_000_000
"""A range may be as long as a quarter where its days hold no more rows than that, over all tables."""
GAP_DAYS = 7
READABLE = (*USABLE, "unchecked")
States = Mapping[str, Mapping[date, DayState]]
Days = Mapping[str, frozenset[date]]


@dataclass(frozen=True, slots=True)
class Needs:
    """Days by table: `checks` were or will be written and not yet judged, `builds` are derived from inputs that have changed or will.

    rows: by day, as the lake holds them now, over all tables."""

    checks: Days
    builds: Days
    rows: Mapping[date, int] = field(default_factory=dict)

    @property
    def days(self) -> set[date]:
        """Every day that has work to do."""
        return {day for by_table in (self.checks, self.builds) for days in by_table.values() for day in days if day != NO_DAY}


@dataclass(frozen=True, slots=True)
class Work:
    """The steps of one run: tables to check and tables to build, in a half-open range of days.

    A run that builds nothing has no range: it checks every day of its tables that waits for it, however far apart they lie."""

    days: Slice | None
    checks: frozenset[str]
    builds: frozenset[str]

    def __str__(self) -> str:
        return f"days {self.days.start} to {self.days.end - timedelta(days=1)}" if self.days else f"check {', '.join(sorted(self.checks))}"


class _Foreseen:
    """The states of days as they will be when what is pending has been built."""

    def __init__(self, known: States) -> None:
        self._states = {table: dict(days) for table, days in known.items()}

    def states(self, table: str) -> Mapping[date, DayState]:
        """Latest state per day."""
        return self._states.get(table, {})

    def build(self, table: str, marks: Mapping[date, str]) -> None:
        """Days of a table are written from inputs with these fingerprints, and wait for their check."""
        own = self._states.setdefault(table, {})
        for day, mark in marks.items():
            own[day] = DayState(own[day].version + 1 if day in own else 1, "unchecked", 0, mark, 0)


def needs_of(known: States, tables: Iterable[str], models: Iterable[Model], *, until: date, force_within: Slice | None = None) -> Needs:
    """What has work to do up to and with the day `until`.

    known: day states per table. tables: those that are checked here. models: inputs before what reads them; what one builds counts for
    those that read it. force_within: days that are built, and checked where something is built, whether or not anything changed."""
    foreseen = _Foreseen(known)
    forced = set(days_of(force_within)) if force_within else set()
    builds: dict[str, frozenset[date]] = {}
    for model in models:
        marks = pending_days(foreseen, model.name, model.lookback, usable=READABLE).build
        if forced:
            marks |= pending_days(foreseen, model.name, model.lookback, forced, force=True, usable=READABLE).build
        marks = {day: mark for day, mark in marks.items() if day <= until}
        foreseen.build(model.name, marks)
        builds[model.name] = frozenset(marks)
    again = forced.intersection(day for days in builds.values() for day in days)
    checks = {
        table: frozenset(d for d, s in foreseen.states(table).items() if d <= until and (s.state == "unchecked" or d in again))
        for table in tables
    }
    rows: Counter[date] = Counter()
    for days in known.values():
        rows.update({day: state.row_count for day, state in days.items()})
    return Needs(_filled(checks), _filled(builds), rows)


def plan(needs: Needs) -> tuple[Work, ...]:
    """The runs that do all of it, in order.

    Ranges hold only days near which something is built. A table with days to check outside of them, or without days, is checked first
    and whole: checks alone leave no trace per day in Dagster, so their days need no range."""
    ranges = ranges_of((day for days in needs.builds.values() for day in days), rows=needs.rows)
    covered = {day for days in ranges for day in days_of(days)}
    apart = frozenset(table for table, days in needs.checks.items() if not days <= covered)
    first = Work(None, apart, frozenset())
    return (*([first] if apart else []), *(_in_range(needs, days, apart) for days in ranges))


def ranges_of(days: Iterable[date], *, gap: int = GAP_DAYS, rows: Mapping[date, int] | None = None) -> list[Slice]:
    """Days grouped into few ranges, without `gap` days or more between two of them: every run costs something, and so does every day of its
    range, with work or without. A range has at most 30 days, or 92 where its days are known to hold few `rows`."""
    found: list[Slice] = []
    held = 0
    for day in sorted(set(days)):
        own = rows.get(day, 0) if rows is not None else LONG_RANGE_ROWS + 1
        length = (day - found[-1].start).days if found else 0
        room = length < RANGE_DAYS or (length < LONG_RANGE_DAYS and held + own <= LONG_RANGE_ROWS)
        if found and room and (day - found[-1].end).days < gap:
            found[-1] = Slice(found[-1].start, day + timedelta(days=1))
            held += own
        else:
            found.append(Slice(day, day + timedelta(days=1)))
            held = own
    return found


def days_of(days: Slice) -> list[date]:
    """Every day of a slice."""
    return [days.start + timedelta(days=i) for i in range((days.end - days.start).days)]


def _in_range(needs: Needs, days: Slice, apart: frozenset[str]) -> Work:
    builds = _with_days(needs.builds, days)
    return Work(days, (_with_days(needs.checks, days) - apart) | builds, builds)


def _with_days(by_table: Days, within: Slice) -> frozenset[str]:
    return frozenset(table for table, days in by_table.items() if any(within.start <= d < within.end for d in days))


def _filled(by_table: Days) -> Days:
    return {table: days for table, days in by_table.items() if days}
