"""What it is worth to have a partition in the lake instead of the archive: what was asked of days as old or of this day itself, what SLOs
and capacity plans lean on, what lies around incidents, and a little for being young. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from warehouse.contracts import CONTRACTS
from warehouse.retention.past_queries import PastQuery, Window
from warehouse.retention.policy import Decision, Hold

QUERY_HALF_LIFE_DAYS = 30.0
YOUTH_HALF_LIFE_DAYS = 30.0
INCIDENT_WORTH = 1.0
OBJECTIVE_WORTH = 0.5
YOUTH_WORTH = 0.1
TELEMETRY = frozenset({"metrics", "traces", "logs"})


@dataclass(frozen=True, slots=True)
class Worth:
    """Worth of a partition, counted in queries run today: one that was run a month ago counts a half. why: what it is made of."""

    value: float
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Uses:
    """What leans on days. incidents: their windows, with the margin that holds have; history_days: how far models look back;
    measured_capacity: whether [[capacity]] names metrics."""

    queries: Sequence[PastQuery] = ()
    incidents: Sequence[Hold] = ()
    history_days: int = 90
    measured_capacity: bool = False


def worths(decisions: Iterable[Decision], uses: Uses, today: date) -> list[Worth]:
    """The worth of each decision's rows, in their order."""
    asked = _asked(uses.queries, today)
    objectives = {"traces"} | ({"metrics"} if uses.measured_capacity else set())
    return [_worth(d, asked.get(d.table, {}), uses, objectives, today) for d in decisions]


def _asked(queries: Iterable[PastQuery], today: date) -> dict[str, dict[tuple[Window, ...], float]]:
    """Per table the windows that a query reads, as they were and as they move with time, with the runs' decayed number."""
    found: dict[str, dict[tuple[Window, ...], float]] = {}
    for query in queries:
        weight = query.times * 0.5 ** (max((today - query.ran).days, 0) / QUERY_HALF_LIFE_DAYS)
        for then, now in zip(query.windows, query.today(today), strict=True):
            of_table = found.setdefault(then.table, {})
            of_table[then, now] = of_table.get((then, now), 0.0) + weight
    return found


def _worth(decision: Decision, asked: Mapping[tuple[Window, ...], float], uses: Uses, objectives: set[str], today: date) -> Worth:
    day, age = decision.day, max((today - decision.day).days, 0)
    definition = CONTRACTS.get(decision.table)
    tags = set(definition.tags) if definition is not None else set()
    queried = sum(weight for windows, weight in asked.items() if any(w.first <= day <= w.last for w in windows))
    incident = bool(tags & TELEMETRY) and any(h.from_day <= day <= h.to_day for h in uses.incidents)
    objective = bool(tags & objectives) and age < uses.history_days
    parts = {
        "queried": queried,
        "around an incident": INCIDENT_WORTH * incident,
        "SLO or capacity": OBJECTIVE_WORTH * objective,
    }
    youth = YOUTH_WORTH * 0.5 ** (age / YOUTH_HALF_LIFE_DAYS)
    return Worth(sum(parts.values()) + youth, tuple(name for name, value in parts.items() if value))
