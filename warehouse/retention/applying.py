"""The executor: does what one stored plan says and nothing else. What is to be archived is sealed and read back before it is dropped;
every partition is one transaction; the first doubt stops it, and running it again goes on from there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from warehouse.archive.sealing import seal
from warehouse.archive.views import refresh_views
from warehouse.contracts import contract
from warehouse.errors import RetentionError
from warehouse.lake.lake import Lake
from warehouse.lake.maintenance import merge_files
from warehouse.lake.partitions import partition
from warehouse.lake.removal import drop, drop_quarantined
from warehouse.retention.holds import all_holds
from warehouse.retention.planning import is_quarantine, pieces, stored_plan
from warehouse.retention.policy import Decision, Plan

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
    outstanding = [d for d in plan.decisions if d.action != "keep" and (d.table, d.day) not in done]
    result = Applied(plan_id, done_before=len(done))
    day = today or datetime.now(UTC).date()
    _refuse_doubts(lake, plan, outstanding, day)
    for number, decision in enumerate(outstanding, 1):
        progress(f"{decision.action} {decision.table} {decision.day} ({number} of {len(outstanding)})")
        if number % LOOK_AGAIN == 0:
            _refuse_held(lake, plan_id, outstanding[number - 1 :], day)
            for log in GROWING_LOGS:
                merge_files(lake, log)
        _carry_out(lake, plan_id, decision, result, run_id)
    if result.archived:
        refresh_views(lake)
    result.seconds = time.monotonic() - started
    return result


def _carry_out(lake: Lake, plan_id: str, decision: Decision, result: Applied, run_id: str | None) -> None:
    table, day = decision.table, decision.day
    if is_quarantine(table):
        if decision.action == "archive":
            raise RetentionError(f"{table}: quarantine cannot be archived; set archive = false in its rule")
        result.rows += drop_quarantined(lake, table, day, plan_id)
    else:
        present = partition(lake.connection, contract(table).storage_name, day)
        if decision.action == "archive":
            sealed = seal(lake, table, day, run_id=run_id)
            if sealed.present != present:
                raise RetentionError(f"{table} {day} was written while it was sealed; nothing of it was dropped. Make a new plan")
            result.archived += 1
        result.rows += drop(lake, table, day, plan_id, present=present, run_id=run_id)
    result.dropped += 1
    result.bytes += decision.bytes


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
    holds = all_holds(lake, today)
    for decision in outstanding:
        for hold in holds:
            if hold.covers(decision.table, decision.day, today):
                raise RetentionError(f"{decision.table} {decision.day} is under {hold.label}, placed after plan {plan_id}. Make a new plan")
