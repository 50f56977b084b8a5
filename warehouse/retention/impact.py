"""Which past queries a plan would have hurt, if its days had left before they ran. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal

from warehouse.contracts import CONTRACTS
from warehouse.retention.past_queries import PastQuery
from warehouse.retention.policy import Decision

Verdict = Literal["fails", "loses resolution"]


@dataclass(frozen=True, slots=True)
class Impact:
    """A query that reads days which the plan takes out of the lake, as old as those that it read when it ran.

    fails: rows that it reads are gone, and no rollup of that day is left; loses resolution: a rollup is left for each such day.
    times: runs that were hurt; last_ran: the newest; first, last: the days (of today) that leave."""

    query: str
    verdict: Verdict
    tables: tuple[str, ...]
    times: int
    last_ran: date
    first: date
    last: date


def impacts(decisions: Iterable[Decision], queries: Iterable[PastQuery], today: date) -> list[Impact]:
    """The queries hurt, each once with its worse verdict; failing ones first, then those that were run most often."""
    leaving: dict[str, set[date]] = {}
    kept: dict[str, set[date]] = {}
    for decision in decisions:
        (kept if decision.action == "keep" else leaving).setdefault(decision.table, set()).add(decision.day)
    ordered = {table: sorted(days) for table, days in leaving.items()}
    coarser = {table: set().union(*(kept.get(r, set()) for r in rollups_of(table))) for table in ordered}
    found: dict[str, Impact] = {}
    for query in queries:
        one = _impact(query, ordered, coarser, today)
        if one is not None:
            found[query.text] = _worse(found[query.text], one) if query.text in found else one
    return sorted(found.values(), key=lambda i: (i.verdict, -i.times, i.query))


def rollups_of(table: str) -> list[str]:
    """The rollups of a raw table's signal; none of other tables."""
    definition = CONTRACTS.get(table)
    if definition is None or definition.schema != "raw":
        return []
    return [name for name, c in CONTRACTS.items() if c.schema == "core" and "_rollup_" in c.name and set(c.tags) & set(definition.tags)]


def _impact(query: PastQuery, leaving: dict[str, list[date]], coarser: dict[str, set[date]], today: date) -> Impact | None:
    lost: dict[str, list[date]] = {}
    for window in query.today(today):
        days = leaving.get(window.table, [])
        hit = days[bisect_left(days, window.first) : bisect_right(days, window.last)]
        if hit:
            lost.setdefault(window.table, []).extend(hit)
    if not lost:
        return None
    fails = any(day not in coarser[table] for table, days in lost.items() for day in days)
    everything = [day for days in lost.values() for day in days]
    verdict: Verdict = "fails" if fails else "loses resolution"
    return Impact(query.text, verdict, tuple(sorted(lost)), query.times, query.ran, min(everything), max(everything))


def _worse(a: Impact, b: Impact) -> Impact:
    return Impact(
        a.query,
        "fails" if "fails" in (a.verdict, b.verdict) else "loses resolution",
        tuple(sorted({*a.tables, *b.tables})),
        a.times + b.times,
        max(a.last_ran, b.last_ran),
        min(a.first, b.first),
        max(a.last, b.last),
    )
