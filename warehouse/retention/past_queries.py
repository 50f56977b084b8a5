"""Which days people's queries read, from the text of the query log: tables, and the days that conditions on the day or the time column
leave. What cannot be read from the text counts as all days, so a query is rather said to need too much than too little."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from warehouse.contracts import CONTRACTS
from warehouse.lake.lake import Lake
from warehouse.retention.sql_times import instant

LOOK_BACK_DAYS = 180
MOST_QUERIES = 5_000
ANALYZE = re.compile(r"EXPLAIN\s*\(?\s*ANALY[SZ]E\b")
TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Window:
    """Days of a table, both ends included; date.min and date.max where the query sets no end."""

    table: str
    first: date = date.min
    last: date = date.max

    def moved(self, by: timedelta) -> Window:
        """The same days so much later; ends that are not set stay so, none leaves the calendar."""
        first = self.first if self.first == date.min else _later(self.first, by)
        return Window(self.table, first, self.last if self.last == date.max else _later(self.last, by))


@dataclass(frozen=True, slots=True)
class PastQuery:
    """A query that was run so many times on a day, and the days that it read then."""

    text: str
    ran: date
    times: int
    windows: tuple[Window, ...]

    def today(self, today: date) -> tuple[Window, ...]:
        """The days that are as old today as those read were then."""
        return tuple(w.moved(today - self.ran) for w in self.windows)


@dataclass(frozen=True, slots=True)
class PastQueries:
    """The newest queries that did not fail; skipped: how many older ones were not looked at."""

    queries: tuple[PastQuery, ...] = ()
    skipped: int = 0


def past_queries(lake: Lake, today: date) -> PastQueries:
    """What meta.query_log says of the last 180 days, newest first, at most 5,000 different (query, day)."""
    rows = lake.connection.execute(
        """SELECT query, started_at::DATE AS ran, count(*) AS times, any_value(tables), max(started_at) AS last
           FROM meta.query_log WHERE error IS NULL AND started_at >= ? GROUP BY query, ran ORDER BY last DESC, query""",
        [datetime.combine(today - timedelta(days=LOOK_BACK_DAYS), datetime.min.time())],
    ).fetchall()
    read = [
        PastQuery(text, ran, times, windows_of(text, last, (tables or "").split()))
        for text, ran, times, tables, last in rows[:MOST_QUERIES]
    ]
    return PastQueries(tuple(q for q in read if q.windows), sum(r[2] for r in rows[MOST_QUERIES:]))


def _later(day: date, by: timedelta) -> date:
    return date.fromordinal(min(max(day.toordinal() + by.days, date.min.toordinal()), date.max.toordinal()))


def windows_of(text: str, ran: datetime, tables: Sequence[str] = ()) -> tuple[Window, ...]:
    """The days of each table that a query read when it ran. tables: those that the log says it read; all days of one that the text does
    not show."""
    if text.lstrip().upper().startswith("EXPLAIN"):
        runs = ANALYZE.match(text.lstrip().upper()) is not None
        return tuple(Window(t) for t in dict.fromkeys(tables)) if runs else ()
    try:
        found = list(_windows(sqlglot.parse_one(text, dialect="duckdb"), ran))
    except (SqlglotError, RecursionError, OverflowError):
        found = []
    shown = {w.table for w in found}
    return tuple(dict.fromkeys([*found, *(Window(t) for t in tables if t not in shown)]))


def _windows(tree: exp.Expr, ran: datetime) -> Iterator[Window]:
    for table in tree.find_all(exp.Table):
        if not table.db:
            continue
        name, select = f"{table.db}.{table.name}".lower(), table.find_ancestor(exp.Select)
        conditions = list(_conjuncts(select)) if select is not None and _reads(select, table) else []
        first, last = date.min, date.max
        for condition in conditions:
            lower, upper = _bounds(condition, name, table.alias_or_name, ran)
            first, last = max(first, lower), min(last, upper)
        if first <= last:
            yield Window(name, first, last)


def _reads(select: exp.Select, table: exp.Table) -> bool:
    """Whether a SELECT reads the table itself, and not through a subquery in its FROM: only then do its conditions bind the rows."""
    sources = [select.args.get("from_"), *(select.args.get("joins") or [])]
    return any(source is not None and source.this is table for source in sources)


def _conjuncts(select: exp.Select) -> Iterator[exp.Expr]:
    where = select.args.get("where")
    outstanding = [where.this] if where is not None else []
    while outstanding:
        node = outstanding.pop().unnest()
        if isinstance(node, exp.And):
            outstanding += [node.left, node.right]
        else:
            yield node


def _bounds(node: exp.Expr, table: str, alias: str, ran: datetime) -> tuple[date, date]:
    """First and last day that a condition leaves of a table."""
    everything = date.min, date.max
    if isinstance(node, exp.Between) and _is_time(node.this, table, alias):
        low, high = instant(node.args["low"], ran), instant(node.args["high"], ran)
        return (low.date() if low else date.min), (high.date() if high else date.max)
    if isinstance(node, exp.In) and _is_time(node.this, table, alias):
        values = [instant(v, ran) for v in node.expressions]
        known = [v.date() for v in values if v is not None]
        return (min(known), max(known)) if known and len(known) == len(values) else everything
    if not isinstance(node, exp.EQ | exp.GT | exp.GTE | exp.LT | exp.LTE):
        return everything
    left_is_time = _is_time(node.left, table, alias)
    if not left_is_time and not _is_time(node.right, table, alias):
        return everything
    value = instant(node.right if left_is_time else node.left, ran)
    if value is None:
        return everything
    if isinstance(node, exp.EQ):
        return value.date(), value.date()
    if isinstance(node, exp.GT | exp.GTE) == left_is_time:
        return value.date(), date.max
    strict = isinstance(node, exp.LT | exp.GT)
    return date.min, (value - TICK if strict else value).date()


def _is_time(node: exp.Expr, table: str, alias: str) -> bool:
    """Whether an expression is the table's day or time column, or its day."""
    node = node.unnest()
    if isinstance(node, exp.Cast) and node.to.is_type("date"):
        node = node.this.unnest()
    definition = CONTRACTS.get(table)
    if not isinstance(node, exp.Column) or definition is None or (node.table and node.table != alias):
        return False
    return node.name.lower() in {"day", (definition.time_column or "day").lower()} & {c.lower() for c in definition.column_names}
