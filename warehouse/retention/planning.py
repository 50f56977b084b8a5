"""From the lake to a plan and back: what is there, the plan made from it, and plans as they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from warehouse.contracts import CONTRACTS, contract
from warehouse.contracts.ddl import quarantine_name
from warehouse.errors import RetentionError
from warehouse.lake.lake import Lake
from warehouse.lake.partitions import partitions
from warehouse.lake.state import DayState, utc_now
from warehouse.retention.budget import Budget, within_budget
from warehouse.retention.holds import all_holds, incident_windows
from warehouse.retention.impact import Impact, impacts
from warehouse.retention.past_queries import past_queries
from warehouse.retention.policy import NO_RULE, Decision, Filters, Piece, Plan, make_plan
from warehouse.retention.pricing import Pricing, archived_tables, hot_days
from warehouse.retention.rows import RowClass, filter_condition
from warehouse.retention.worth import Uses, worths

UNKNOWN = DayState(0, "unchecked", 0, None, 0)


def pieces(lake: Lake) -> list[Piece]:
    """Every (table, day) of raw, core, mart and quarantine that has rows. Sizes in bytes.

    Rows of a quarantine table belong to the day on which they were set aside; its size is shared out by rows, and the number of rows
    stands for the version."""
    by_storage = {c.storage_name: c for c in CONTRACTS.values() if c.schema != "meta"}
    found = []
    states: dict[str, dict[date, DayState]] = {}
    for part in partitions(lake.connection, list(by_storage)):
        table = by_storage[part.storage_name]
        if table.full_name not in states:
            states[table.full_name] = lake.states(table.full_name)
        state = states[table.full_name].get(part.day, UNKNOWN)
        if part.row_count:
            found.append(Piece(table.full_name, part.day, state.version, state.state, part.row_count, part.bytes, table.has_day))
    return found + _quarantined(lake)


def _quarantined(lake: Lake) -> list[Piece]:
    names = sorted({quarantine_name(c) for c in CONTRACTS.values() if c.schema != "meta"})
    found = []
    for part in partitions(lake.connection, names):
        rows = lake.connection.execute(f"SELECT CAST(quarantined_at AS DATE), count(*) FROM {part.storage_name} GROUP BY ALL").fetchall()
        total = sum(r[1] for r in rows)
        found += [Piece(part.storage_name, day, count, "passed", count, part.bytes * count // max(total, 1)) for day, count in rows]
    return found


@dataclass(frozen=True, slots=True)
class Outlook:
    """A plan with what it means: impacts on past queries, the budget that it keeps to (None: the rules alone decide), the price of what is
    archived already, and how many older queries were not looked at."""

    plan: Plan
    impacts: tuple[Impact, ...]
    budget: Budget | None
    archive_cost: float
    queries_skipped: int

    @property
    def cost_before(self) -> float:
        """Price of a month as it is, the archive included."""
        return self.archive_cost + sum(d.cost_before for d in self.plan.decisions)

    @property
    def cost_after(self) -> float:
        """Price of a month once the plan was applied."""
        return self.archive_cost + sum(d.cost_after for d in self.plan.decisions)


def plan_retention(lake: Lake, *, today: date | None = None, store: bool = True, budget: float | None = None) -> Plan:
    """The plan for today (UTC), stored under its id so that it can be applied; a plan that is stored already is not stored again.

    budget: most that storage may cost a month, in the currency of the prices; default: that of [retention], or none."""
    return outlook(lake, today=today, store=store, budget=budget).plan


def outlook(lake: Lake, *, today: date | None = None, store: bool = True, budget: float | None = None) -> Outlook:
    """The plan of `plan_retention`, with its impacts."""
    day = today or datetime.now(UTC).date()
    settings = lake.settings
    found, holds, past = pieces(lake), all_holds(lake, day), past_queries(lake, day)
    pricing = Pricing(settings.storage_price, hot_days(found, settings.publish), archived_tables(lake))
    plan = make_plan(
        found,
        settings.retention.rules,
        holds,
        day,
        count=lambda table, days: count_rows(lake, table, days),
        service_map=settings.service_map,
    )
    plan = replace(plan, decisions=tuple(pricing.priced(d) for d in plan.decisions), currency=settings.storage_price.currency)
    amount, kept_to = budget if budget is not None else settings.retention.monthly_budget, None
    if amount is not None:
        incidents = incident_windows(lake, day)
        uses = Uses(past.queries, incidents, settings.models.history_days, measured_capacity=bool(settings.capacity))
        plan, kept_to = within_budget(plan, worths(plan.decisions, uses, day), pricing, amount)
    if store and not _is_stored(lake, plan.plan_id):
        now, currency = utc_now(lake.connection), settings.storage_price.currency
        lake.append_log("meta.retention_plans", [_record(plan.plan_id, d, now, currency) for d in plan.decisions])
    return Outlook(plan, tuple(impacts(plan.decisions, past.queries, day)), kept_to, pricing.archive_cost, past.skipped)


def _record(plan_id: str, d: Decision, now: datetime, currency: str) -> tuple[object, ...]:
    costs = d.cost_before, d.cost_after, currency
    return (plan_id, d.table, d.day, d.version, d.action, d.rule, d.row_count, d.bytes, now, None, d.rows_key or None, *costs)


def count_rows(lake: Lake, table: str, days: Mapping[date, Filters]) -> dict[date, tuple[int, ...]]:
    """Rows of a table's days per filter, in order of precedence, and last those that none takes. Days with equal filters are one pass."""
    definition = contract(table)
    alike: dict[Filters, list[date]] = {}
    for day, filters in days.items():
        alike.setdefault(filters, []).append(day)
    found: dict[date, list[int]] = {}
    for filters, named in alike.items():
        written = [filter_condition(definition, f, lake.settings.service_map) for f in filters]
        cases = " ".join(f"WHEN ({condition}) THEN {n}" for n, (condition, _) in enumerate(written))
        rows = lake.connection.execute(
            f"""SELECT day, CASE {cases} ELSE {len(filters)} END AS place, count(*) FROM {table}
                WHERE day >= ? AND day <= ? AND list_contains(?, day) GROUP BY ALL""",
            [*(v for _, values in written for v in values), min(named), max(named), named],
        ).fetchall()
        for day, place, count in rows:
            found.setdefault(day, [0] * (len(filters) + 1))[place] = int(count)
    return {day: tuple(counts) for day, counts in found.items()}


def stored_plan(lake: Lake, plan_id: str) -> tuple[Plan, set[tuple[str, date, str]]]:
    """A stored plan, and the (table, day, class of rows) it was applied to already. Raises RetentionError when there is none of this id."""
    rows = lake.connection.execute(
        """SELECT table_name, day, version, action, rule, row_count, bytes, rows, coalesce(cost_before, 0), coalesce(cost_after, 0),
                  applied_at FROM meta.retention_plans WHERE plan_id = ? ORDER BY table_name, day, rows""",
        [plan_id],
    ).fetchall()
    if not rows:
        raise RetentionError(f"there is no plan {plan_id}; `lakebed retention plan` makes one and says its id")
    decisions = tuple(_decision(r) for r in rows if r[10] is None)
    uncovered = tuple(sorted({d.table for d in decisions if d.rule == NO_RULE}))
    return Plan(plan_id, decisions, uncovered), {(r[0], r[1], r[7] or "") for r in rows if r[10] is not None}


def _decision(row: tuple[Any, ...]) -> Decision:
    table, day, version, action, rule, row_count, size, rows, before, after = row[:10]
    return Decision(table, day, version, action, rule, row_count, size, RowClass.decode(rows) if rows else None, before, after)


def _is_stored(lake: Lake, plan_id: str) -> bool:
    return lake.connection.execute("SELECT 1 FROM meta.retention_plans WHERE plan_id = ? LIMIT 1", [plan_id]).fetchone() is not None


def is_quarantine(table: str) -> bool:
    """Whether a plan's table is a quarantine table."""
    return table.startswith("quarantine.")
