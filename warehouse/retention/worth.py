"""What it is worth to have a partition in the lake instead of the archive: what was asked of days as old or of this day itself, what SLOs
and capacity plans lean on, what lies around incidents, and a little for being young. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate

from warehouse.contracts import CONTRACTS
from warehouse.retention.past_queries import PastQuery, Window
from warehouse.retention.policy import Decision, Hold

QUERY_HALF_LIFE_DAYS = 30.0
YOUTH_HALF_LIFE_DAYS = 30.0
INCIDENT_WORTH = 1.0
OBJECTIVE_WORTH = 0.5
YOUTH_WORTH = 0.1
NOTHING = 1e-9
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
    return [_worth(d, asked.get(d.table), uses, objectives, today) for d in decisions]


@dataclass(frozen=True, slots=True)
class Asked:
    """How often a table's days are asked for: from each of these days (as ordinals) to the next, so many decayed runs."""

    starts: list[int]
    weights: list[float]

    def on(self, day: date) -> float:
        """Decayed runs that read a day."""
        place = bisect_right(self.starts, day.toordinal()) - 1
        return self.weights[place] if place >= 0 else 0.0


def _asked(queries: Iterable[PastQuery], today: date) -> dict[str, Asked]:
    """Per table, the runs of queries that read a day as it was then, or a day as old as that; either counts once."""
    changes: dict[str, dict[int, float]] = {}
    for query in queries:
        weight = query.times * 0.5 ** (max((today - query.ran).days, 0) / QUERY_HALF_LIFE_DAYS)
        for then, now in zip(query.windows, query.today(today), strict=True):
            of_table = changes.setdefault(then.table, {})
            for first, last in _united(then, now):
                of_table[first] = of_table.get(first, 0.0) + weight
                of_table[last + 1] = of_table.get(last + 1, 0.0) - weight
    found = {}
    for table, by_day in changes.items():
        starts = sorted(by_day)
        sums = accumulate(by_day[start] for start in starts)
        found[table] = Asked(starts, [w if w > NOTHING else 0.0 for w in sums])
    return found


def _united(one: Window, other: Window) -> list[tuple[int, int]]:
    """Two windows as ranges of ordinals that do not overlap."""
    (a, b), (c, d) = sorted((w.first.toordinal(), w.last.toordinal()) for w in (one, other))
    return [(a, max(b, d))] if c <= b + 1 else [(a, b), (c, d)]


def _worth(decision: Decision, asked: Asked | None, uses: Uses, objectives: set[str], today: date) -> Worth:
    day, age = decision.day, max((today - decision.day).days, 0)
    definition = CONTRACTS.get(decision.table)
    tags = set(definition.tags) if definition is not None else set()
    incident = bool(tags & TELEMETRY) and any(h.from_day <= day <= h.to_day for h in uses.incidents)
    objective = bool(tags & objectives) and age < uses.history_days
    parts = {
        "queried": asked.on(day) if asked is not None else 0.0,
        "around an incident": INCIDENT_WORTH * incident,
        "SLO or capacity": OBJECTIVE_WORTH * objective,
    }
    youth = YOUTH_WORTH * 0.5 ** (age / YOUTH_HALF_LIFE_DAYS)
    return Worth(sum(parts.values()) + youth, tuple(name for name, value in parts.items() if value))
