"""Asset checks from contracts: per table one that blocks and one that warns, each with Great Expectations' own results."""

import json
from collections.abc import Collection, Iterator
from datetime import date
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    MetadataValue,
    multi_asset_check,
)

from orchestration.checks.validation import Verdict, validate_days
from orchestration.metadata import key_of, markdown_table
from orchestration.partitions import clip, has_window, today, window
from orchestration.resources import Platform
from warehouse.contracts import CONTRACTS, Contract
from warehouse.lake.state import USABLE

ERRORS, WARNINGS = "errors", "warnings"


def table_checks(contract: Contract, *, partitioned: bool) -> AssetChecksDefinition:
    """Validate the days that were written since they were last checked: those of the run's window, or all up to today where the run or the
    asset has none."""
    key = key_of(contract.full_name)
    specs = [
        AssetCheckSpec(ERRORS, asset=key, blocking=True, description="Expectations whose failure keeps the day out of what is downstream"),
        AssetCheckSpec(WARNINGS, asset=key, description="Expectations that deserve a look"),
    ]

    @multi_asset_check(name=f"check__{contract.schema}__{contract.name}", specs=specs)
    def check(context: AssetCheckExecutionContext, platform: Platform) -> Iterator[AssetCheckResult]:
        windowed = partitioned and contract.has_day and has_window(context)

        def within(days: list[date]) -> list[date]:
            return clip(days, window(context)) if windowed else sorted(d for d in days if d <= today())

        states = platform.lake.states(contract.full_name)
        chosen = within([d for d, s in states.items() if s.state == "unchecked" or (platform.force and windowed)])
        platform.report(f"check {contract.full_name}")
        verdict = validate_days(platform.lake, platform.validator, contract, chosen, run_id=context.run.run_id) if chosen else None
        after = platform.lake.states(contract.full_name)
        still = within([d for d, s in after.items() if s.state == "blocked"])
        yield _result(key, ERRORS, _severity(bool(within([d for d, s in after.items() if s.state in USABLE]))), "error", verdict, still)
        yield _result(key, WARNINGS, AssetCheckSeverity.WARN, "warn", verdict, [])

    return check


def sources_check() -> AssetChecksDefinition:
    """Whether every source could be read when it was last asked; it does not block, since what did land is good."""
    key = key_of("raw.metric_series")

    @multi_asset_check(
        name="check__sources",
        specs=[AssetCheckSpec("sources_readable", asset=key, description="Every configured source was read without an error")],
    )
    def check(context: AssetCheckExecutionContext, platform: Platform) -> Iterator[AssetCheckResult]:
        rows = platform.lake.connection.execute(
            """SELECT table_name, details FROM meta.check_results WHERE starts_with(table_name, 'source:')
               QUALIFY row_number() OVER (PARTITION BY table_name ORDER BY checked_at DESC) = 1 AND NOT success"""
        ).fetchall()
        configured = {f"source:{name}" for name in platform.settings.sources}
        failed = {str(name).removeprefix("source:"): details for name, details in rows if name in configured}
        metadata = {"failed": MetadataValue.md(markdown_table({"source": "why"}, failed))} if failed else {}
        yield AssetCheckResult(asset_key=key, check_name="sources_readable", passed=not failed, metadata=metadata)

    return check


def all_checks(unpartitioned: Collection[str]) -> list[AssetChecksDefinition]:
    """Checks of every raw, core and mart table, and of the sources. unpartitioned: tables whose assets have no partitions."""
    tables = [c for c in CONTRACTS.values() if c.schema != "meta"]
    return [*(table_checks(c, partitioned=c.full_name not in unpartitioned) for c in tables), sources_check()]


def _severity(some_usable: bool) -> AssetCheckSeverity:
    """Dagster would hold back every day of a run for one that is blocked, in this run and all later ones that span it. Downstream leaves
    blocked days out by itself, so a failure stops the run only when no day of its window may be read."""
    return AssetCheckSeverity.WARN if some_usable else AssetCheckSeverity.ERROR


def _result(
    key: AssetKey, name: str, severity: AssetCheckSeverity, level: str, verdict: Verdict | None, blocked: list[date]
) -> AssetCheckResult:
    outcomes = [o for o in verdict.outcomes if o.severity == level] if verdict else []
    metadata: dict[str, Any] = {"expectations": len(outcomes)}
    if verdict is None:
        metadata["note"] = "no day in this window was written since it was last checked"
    else:
        metadata["days"] = len(verdict.days)
        metadata["results"] = MetadataValue.json({o.name: {"success": o.success, "result": _plain(o.result)} for o in outcomes})
        failed = {
            o.name: f"{len(verdict.failed_days[o.name])} day(s): {json.dumps(o.result, default=str)[:300]}"
            for o in outcomes
            if not o.success
        }
        if failed:
            metadata["failed"] = MetadataValue.md(markdown_table({"expectation": "result"}, failed))
    if blocked:
        metadata["blocked_days"] = ", ".join(map(str, blocked[:31]))
    passed = not blocked and all(o.success for o in outcomes)
    return AssetCheckResult(asset_key=key, check_name=name, passed=passed, severity=severity, metadata=metadata)


def _plain(result: dict[str, object]) -> object:
    return json.loads(json.dumps(result, default=str))
