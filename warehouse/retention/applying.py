"""The executor: does what one stored plan says and nothing else. What is to be archived is sealed and read back before it is dropped;
every partition is one transaction; the first doubt stops it, and running it again goes on from there."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby

from warehouse.archive.file_hashes import refuse_damaged
from warehouse.archive.sealing import seal
from warehouse.archive.views import refresh_views
from warehouse.contracts import contract
from warehouse.errors import RetentionError
from warehouse.lake.lake import Lake
from warehouse.lake.logs import merge_files
from warehouse.lake.partitions import SomeRows, partition
from warehouse.lake.removal import drop, drop_quarantined
from warehouse.retention.holds import all_holds
from warehouse.retention.planning import is_quarantine, pieces, stored_plan
from warehouse.retention.policy import Decision, Plan
from warehouse.retention.rows import class_condition, fingerprint

LOOK_AGAIN = 16
GROWING_LOGS = ("store.meta_archive_bundles", "store.meta_retention_plans", "store.meta_day_state")


@dataclass(slots=True)
class Applied:
    """What applying a plan did. bytes: that the lake no longer needs; done_before: partitions that an earlier, stopped run had done."""

    plan_id: str
    archived: int = 0
    dropped: int = 0
    rows: int = 0
    bytes: int = 0
    done_before: int = 0
    seconds: float = 0.0


def apply_plan(
    lake: Lake,
    plan_id: str,
    *,
    today: date | None = None,
    run_id: str | None = None,
    progress: Callable[[str], None] = lambda _message: None,
) -> Applied:
    """Do a stored plan.

    Raises RetentionError, before anything is done, when a rule is missing for a table, a day has another version than planned, or a hold
    was placed since; and ArchiveError when what was sealed cannot be read back equal."""
    started = time.monotonic()
    plan, done = stored_plan(lake, plan_id)
    going = [d for d in plan.decisions if d.action != "keep" and (d.table, d.day, d.rows_key) not in done]
    outstanding = [list(group) for _, group in groupby(going, key=lambda d: (d.table, d.day))]
    result = Applied(plan_id, done_before=len({(table, day) for table, day, _ in done}))
    day = today or datetime.now(UTC).date()
    _refuse_doubts(lake, plan, going, day)
    for number, decisions in enumerate(outstanding, 1):
        actions = " and ".join(dict.fromkeys(d.action for d in decisions))
        progress(f"{actions} {decisions[0].table} {decisions[0].day} ({number} of {len(outstanding)})")
        if number % LOOK_AGAIN == 0:
            _refuse_held(lake, plan_id, [d for group in outstanding[number - 1 :] for d in group], day)
            for log in GROWING_LOGS:
                merge_files(lake, log)
        _carry_out(lake, plan_id, decisions, result, run_id)
    result.seconds = time.monotonic() - started
    return result


def _carry_out(lake: Lake, plan_id: str, decisions: Sequence[Decision], result: Applied, run_id: str | None) -> None:
    """All that a plan says about one partition. Several classes of its rows are one bundle and one drop."""
    table, day = decisions[0].table, decisions[0].day
    to_archive = [d for d in decisions if d.action == "archive"]
    if is_quarantine(table):
        if to_archive:
            raise RetentionError(f"{table}: quarantine cannot be archived; set archive = false in its rule")
        result.rows += drop_quarantined(lake, table, day, plan_id)
    else:
        present = partition(lake.connection, contract(table).storage_name, day)
        if to_archive:
            sealed = seal(lake, table, day, some=_rows_of(lake, to_archive), run_id=run_id)
            if sealed.present != present:
                raise RetentionError(f"{table} {day} was written while it was sealed; nothing of it was dropped. Make a new plan")
            result.archived += 1
            refresh_views(lake)  # before the rows go from the lake: whatever dies in between, they can be queried
        elif decisions[0].rows is not None:
            refuse_damaged(lake, table, day)
        classes = [d.rows_key for d in decisions]
        result.rows += drop(lake, table, day, plan_id, present=present, some=_rows_of(lake, decisions), classes=classes, run_id=run_id)
    result.dropped += 1
    result.bytes += sum(d.bytes for d in decisions)


def _rows_of(lake: Lake, decisions: Sequence[Decision]) -> SomeRows | None:
    """The rows that decisions on one partition mean; None for all of it.

    Raises RetentionError when they are not as many as were planned, or [[service_map]] has another meaning by now."""
    table, day = decisions[0].table, decisions[0].day
    classes = [d.rows for d in decisions if d.rows is not None]
    if not classes:
        return None
    service_map = lake.settings.service_map
    if any(c.service_map not in (None, fingerprint(service_map)) for c in classes):
        raise RetentionError(f"{table} {day}: [[service_map]] was changed since the plan was made. Make a new plan")
    written = [class_condition(contract(table), c, service_map) for c in classes]
    condition = " OR ".join(f"({sql})" for sql, _ in written)
    values = tuple(v for _, bound in written for v in bound)
    row = lake.connection.execute(f"SELECT count(*) FROM {table} WHERE day = ? AND ({condition})", [day, *values]).fetchone()
    planned = sum(d.row_count for d in decisions)
    if row is None or row[0] != planned:
        raise RetentionError(f"{table} {day} has {row and row[0]} rows of those planned, and {planned} were planned. Make a new plan")
    return SomeRows(condition, values, planned)


def _refuse_doubts(lake: Lake, plan: Plan, outstanding: list[Decision], today: date) -> None:
    if plan.uncovered:
        raise RetentionError(
            f"plan {plan.plan_id} has no rule for {', '.join(plan.uncovered)}; add a rule to [retention] (keep_days absent keeps for ever)"
        )
    present = {(p.table, p.day): p.version for p in pieces(lake)}
    for decision in outstanding:
        version = present.get((decision.table, decision.day))
        if version != decision.version:
            raise RetentionError(
                f"{decision.table} {decision.day} has version {version} and plan {plan.plan_id} was made for {decision.version}; "
                "nothing was done. Make a new plan"
            )
    _refuse_held(lake, plan.plan_id, outstanding, today)


def _refuse_held(lake: Lake, plan_id: str, outstanding: list[Decision], today: date) -> None:
    """A hold on services that the plan knew of is among what a class leaves out."""
    holds = all_holds(lake, today)
    for decision in outstanding:
        spared = decision.rows.unless if decision.rows is not None else ()
        for hold in holds:
            if hold.covers(decision.table, decision.day, today) and (not hold.services or hold.filter not in spared):
                raise RetentionError(f"{decision.table} {decision.day} is under {hold.label}, placed after plan {plan_id}. Make a new plan")
