"""Which days of a derived table are to be built: those whose inputs are newer than what they were built from, and may be read.

A day waits while any input day that it reads is unchecked or blocked (its last good state stays), and is left alone once an input was
dropped by retention: what cannot be read again is never built from less."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Protocol

from warehouse.contracts import CONTRACTS
from warehouse.lake.state import NO_DAY, USABLE, DayState, fingerprint
from warehouse.lake.unit import Slice


class KnowsDays(Protocol):
    """Whoever can say in which state the days of a table are: the lake, or a forecast of what it will hold."""

    def states(self, table: str) -> Mapping[date, DayState]:
        """Latest state per day."""
        ...


@dataclass(slots=True)
class Pending:
    """build: day -> fingerprint of its inputs; waiting: day -> what it waits for; current: days that need nothing."""

    build: dict[date, str] = field(default_factory=dict)
    waiting: dict[date, str] = field(default_factory=dict)
    current: set[date] = field(default_factory=set)

    def slices(self) -> list[Slice]:
        """The days to build as maximal runs of consecutive days."""
        return runs_of_days(self.build)


def runs_of_days(days: Iterable[date], *, longest: int | None = None) -> list[Slice]:
    """Consecutive days as half-open slices, none longer than `longest` days."""
    found: list[Slice] = []
    for day in sorted(days):
        last = found[-1] if found else None
        if last and last.end == day and (longest is None or (last.end - last.start).days < longest):
            found[-1] = Slice(last.start, day + timedelta(days=1))
        else:
            found.append(Slice(day, day + timedelta(days=1)))
    return found


def pending_days(
    lake: KnowsDays,
    table: str,
    inputs: Mapping[str, int],
    days: Iterable[date] | None = None,
    *,
    force: bool = False,
    usable: Collection[str] = USABLE,
    need_day: bool = True,
) -> Pending:
    """Decide for each of `days`; None looks at every day that an input has.

    inputs: tables read, with how many days before a day are read of each. Inputs without days count through their version when they are
    configuration; of the others (series) only the state counts, since every sample moves their last_seen. A day without any input data
    on it needs nothing. force builds days whose inputs have not changed, too. usable: the states in which an input may be read.
    need_day: whether a day needs input on the day itself, or any day of its lookback will do (analyses)."""
    by_day = [name for name in inputs if CONTRACTS[name].has_day]
    states = {name: lake.states(name) for name in by_day}
    configuration = {
        (name, NO_DAY): lake.states(name).get(NO_DAY, DayState(0, "passed", 0, None, 0)).version
        for name in inputs
        if CONTRACTS[name].schema == "meta"
    }
    own = lake.states(table)
    result = Pending()
    closed = _closed_entity(lake, inputs, usable)
    for day in sorted({d for known in states.values() for d in known}) if days is None else days:
        _decide(result, day, inputs, states, configuration, own.get(day), force, usable, need_day)
    if closed is not None:
        result.waiting |= dict.fromkeys(result.build, closed)
        result.build.clear()
    return result


def _closed_entity(lake: KnowsDays, inputs: Iterable[str], usable: Collection[str]) -> str | None:
    """Why a table without days that is read (series) may not be, if so: it is read whole, so every day waits for it."""
    for name in inputs:
        state = None if CONTRACTS[name].has_day or CONTRACTS[name].schema == "meta" else lake.states(name).get(NO_DAY)
        if state is not None and state.state not in usable:
            return f"{name} is {state.state}"
    return None


def _decide(
    result: Pending,
    day: date,
    inputs: Mapping[str, int],
    states: Mapping[str, Mapping[date, DayState]],
    configuration: Mapping[tuple[str, date], int],
    own: DayState | None,
    force: bool,
    usable: Collection[str],
    need_day: bool,
) -> None:
    read = {
        (name, d): known[d]
        for name, known in states.items()
        for d in (day - timedelta(days=i) for i in range(inputs[name] + 1))
        if d in known
    }
    if not read or (need_day and not any(d == day for _, d in read)):
        result.current.add(day)
        return
    if need_day and any(state.state == "dropped" and d == day for (_, d), state in read.items()):
        result.current.add(day)
        return
    unusable = [f"{name} {d} is {state.state}" for (name, d), state in read.items() if state.state not in (*usable, "dropped")]
    if unusable:
        result.waiting[day] = unusable[0]
        return
    mark = fingerprint({**{key: state.version for key, state in read.items()}, **configuration})
    if own is not None and own.inputs == mark and not force:
        result.current.add(day)
    else:
        result.build[day] = mark
