"""Days without rows, and why: what a zero in the history means, told from the states of the days that it was to be built from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from warehouse.contracts import CONTRACTS, Contract
from warehouse.contracts.ddl import quarantine_name
from warehouse.lake.state import NO_DAY, USABLE, DayState

if TYPE_CHECKING:
    from warehouse.lake.lake import Lake

States = Mapping[str, Mapping[date, DayState]]


@dataclass(frozen=True, slots=True)
class EmptyDays:
    """Consecutive days (both ends inclusive) of a table that have no rows for one reason. expected: nothing is wrong with that."""

    table: str
    first: date
    last: date
    reason: str
    expected: bool

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1


def empty_days(lake: Lake, first: date | None, today: date) -> list[EmptyDays]:
    """Every partition from `first` to `today` (inclusive) that has no rows, grouped; nothing when the lake has no data yet."""
    if first is None:
        return []
    states = {name: lake.states(name) for name, c in CONTRACTS.items() if c.has_day and c.schema != "meta"}
    quarantined = _quarantined(lake)
    inputs, analysed = _inputs()
    found: list[EmptyDays] = []
    for name in states:
        explain = _explainer(CONTRACTS[name], states, quarantined, inputs.get(name), name in analysed, today)
        found += _grouped(name, first, today, states[name], explain)
    return found


def _grouped(
    table: str, first: date, today: date, states: Mapping[date, DayState], explain: Callable[[date], tuple[str, bool]]
) -> Iterator[EmptyDays]:
    run: EmptyDays | None = None
    for offset in range((today - first).days + 1):
        day = first + timedelta(days=offset)
        if day in states and states[day].row_count:
            continue
        reason, expected = explain(day)
        if run and run.reason == reason and run.last == day - timedelta(days=1):
            run = EmptyDays(table, run.first, day, reason, expected)
            continue
        if run:
            yield run
        run = EmptyDays(table, day, day, reason, expected)
    if run:
        yield run


def _explainer(
    contract: Contract,
    states: States,
    quarantined: Mapping[tuple[str, date], int],
    inputs: Mapping[str, int] | None,
    analysed: bool,
    today: date,
) -> Callable[[date], tuple[str, bool]]:
    name = contract.full_name

    def explain(day: date) -> tuple[str, bool]:
        state = states[name].get(day)
        if state is not None and state.state == "dropped":
            return "dropped by retention", True
        if (name, day) in quarantined:
            return f"every row of the day is in quarantine ({quarantined[name, day]:,} rows)", False
        if contract.schema == "raw":
            return ("the day is open and nothing has come yet" if day == today else "no source brought rows for the day"), True
        if analysed:
            return _of_analysis(state)
        return _of_model(contract, day, state, states, inputs or {})

    return explain


def _of_analysis(state: DayState | None) -> tuple[str, bool]:
    if state is None:
        return "an analysis looks back from the last closed day of the data, and this day is not it", True
    return "analysed, and nothing was found", True


def _of_model(contract: Contract, day: date, state: DayState | None, states: States, inputs: Mapping[str, int]) -> tuple[str, bool]:
    """Why a SQL model gave nothing: its inputs (table: days of lookback) were empty, must not be read, or hold nothing that counts."""
    dated = [name for name in inputs if name in states]
    here = {name: states[name].get(day) for name in dated}
    waiting = [f"{name} is {s.state}" for name, s in here.items() if s and s.row_count and s.state not in (*USABLE, "dropped")]
    if waiting:
        return f"waits: {', '.join(waiting)}", False
    if not any(s and s.row_count for s in here.values()):
        return f"no input: {', '.join(dated) or 'nothing it reads'} {'has' if len(dated) == 1 else 'have'} no rows on the day", True
    if state is None:
        return "its inputs have rows, but it has not been built: `lakebed run` does it", False
    return "built; none of its inputs' rows belong in it", contract.may_be_empty


def _inputs() -> tuple[dict[str, dict[str, int]], set[str]]:
    """Inputs with their lookback of every SQL model, and the tables that analyses fill."""
    from orchestration.analyses import ANALYSES
    from transforms.model import load_models

    return {name: dict(model.lookback) for name, model in load_models().items()}, {t for a in ANALYSES for t in a.tables}


def _quarantined(lake: Lake) -> dict[tuple[str, date], int]:
    """Rows in quarantine by raw table and day."""
    found: dict[tuple[str, date], int] = {}
    for name, contract in CONTRACTS.items():
        if contract.schema == "raw" and contract.has_day:
            query = f"SELECT day, count(*) FROM {quarantine_name(contract)} WHERE day <> ? GROUP BY ALL"  # noqa: S608 - a contract's name
            rows = lake.connection.execute(query, [NO_DAY]).fetchall()
            found |= {(name, day): count for day, count in rows}
    return found
