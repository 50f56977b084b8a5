"""Assets of the nightly retention (keep, archive or drop; settle; tidy) and of the weekly restore drill."""

from collections.abc import Sequence
from datetime import timedelta

from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    MaterializeResult,
    MetadataValue,
    asset,
)

from orchestration.metadata import markdown_table
from orchestration.resources import Platform

RETAINED, SETTLED, TIDIED = AssetKey(["lake", "retained"]), AssetKey(["lake", "settled"]), AssetKey(["lake", "tidied"])
PRUNED = AssetKey(["dagster", "history"])
FINGERPRINTED, SCRUBBED = AssetKey(["lake", "fingerprinted"]), AssetKey(["lake", "scrubbed"])
BACKED_UP = AssetKey(["archive", "catalog"])
VERIFIED, DRILLED = AssetKey(["archive", "verified"]), AssetKey(["archive", "restore_drill"])
OWNERS = ["team:platform"]


@asset(
    key=RETAINED,
    group_name="retention",
    kinds={"parquet", "ducklake"},
    owners=OWNERS,
    check_specs=[AssetCheckSpec("drills_current", asset=RETAINED, description="A restore was tried lately, and what came back was equal")],
)
def retained(context: AssetExecutionContext, platform: Platform) -> MaterializeResult:  # type: ignore[type-arg]
    """Make the plan of the day and apply it: what is past its rule is archived, read back and dropped; holds beat rules."""
    from warehouse.archive.drilling import drill_problem
    from warehouse.retention.applying import apply_plan
    from warehouse.retention.planning import outlook
    from warehouse.retention.telling import summary

    found = outlook(platform.lake)
    plan = found.plan
    result = apply_plan(platform.lake, plan.plan_id, run_id=context.run.run_id, progress=platform.report)
    rules: dict[str, int] = {}
    for decision in plan.decisions:
        rules[decision.rule] = rules.get(decision.rule, 0) + 1
    problem = drill_problem(platform.lake)
    kept = len(plan.of("keep"))
    return MaterializeResult(
        metadata={
            "summary": f"kept {kept:,}, archived {result.archived:,}, dropped {result.dropped:,} partitions ({result.bytes:,} bytes)",
            "plan": plan.plan_id,
            "rows_dropped": result.rows,
            "bytes_dropped": result.bytes,
            "currency": plan.currency,
            "cost_before": found.cost_before,
            "cost_after": found.cost_after,
            "why": MetadataValue.md("\n".join(f"- {line}" for line in summary(found))),
            "rules": MetadataValue.md(markdown_table({"rule": "partitions"}, dict(sorted(rules.items())))),
        },
        check_results=[
            AssetCheckResult(check_name="drills_current", passed=problem is None, metadata={"problem": problem} if problem else {})
        ],
    )


@asset(key=SETTLED, group_name="retention", deps=[RETAINED], kinds={"parquet", "ducklake"}, owners=OWNERS)
def settled(context: AssetExecutionContext, platform: Platform) -> MaterializeResult:  # type: ignore[type-arg]
    """Days past the hot window as one sorted file per table, with exactly the rows that landed."""
    from warehouse.archive.scrubbing import set_aside_damaged
    from warehouse.tiers.settle import settle, unsettled

    outstanding = unsettled(platform.lake)
    set_aside_damaged(platform.lake, {u.table for u in outstanding}, {u.day for u in outstanding}, context.run.run_id)
    result = settle(platform.lake, progress=platform.report)
    return MaterializeResult(
        metadata={
            "summary": f"{result.days:,} days: {result.files_before:,} files became {result.days:,}, "
            f"{result.bytes_before:,} bytes became {result.bytes_after:,}",
            "rows": result.rows,
            "bytes_before": result.bytes_before,
            "bytes_after": result.bytes_after,
            "seconds": result.seconds,
        }
    )


@asset(key=TIDIED, group_name="retention", deps=[SETTLED], kinds={"ducklake"}, owners=OWNERS)
def tidied(context: AssetExecutionContext, platform: Platform) -> MaterializeResult:  # type: ignore[type-arg]
    """Logs pruned and merged; snapshots, unneeded files and orphans that are over a day old removed."""
    from warehouse.lake.maintenance import tidy

    result = tidy(platform.lake)
    return MaterializeResult(
        metadata={
            "summary": f"{result.pruned_records:,} old records left out, {result.merged_logs} logs merged, "
            f"{result.expired_snapshots:,} snapshots expired, {result.removed_files + result.removed_orphans:,} files removed"
            + (f"; {result.orphans_left:,} orphans left: writers are at work" if result.orphans_left else ""),
            "orphans": result.removed_orphans,
            "orphans_left": result.orphans_left,
        }
    )


@asset(
    key=VERIFIED,
    group_name="drill",
    deps=[RETAINED],
    kinds={"parquet"},
    owners=OWNERS,
    check_specs=[AssetCheckSpec("as_sealed", asset=VERIFIED, description="Every file, manifest and link of the chain is as it was sealed")],
)
def verified(context: AssetExecutionContext, platform: Platform) -> MaterializeResult:  # type: ignore[type-arg]
    """Every sealed bundle compared with its hashes."""
    from warehouse.archive.verifying import verify
    from warehouse.archive.views import refresh_views

    result = verify(platform.lake, progress=platform.report)
    if not result.problems:
        refresh_views(platform.lake)
    problems = {f"{p.kind}: {p.path}": f"{p.rows} rows of {p.table} {p.day} in doubt; {p.detail}" for p in result.problems[:50]}
    return MaterializeResult(
        metadata={
            "summary": f"{result.bundles:,} bundles, {result.rows:,} rows as sealed; {len(result.problems)} problems"
            + (f"; {result.abandoned_left:,} abandoned bundles left: writers are at work" if result.abandoned_left else ""),
            "seconds": result.seconds,
        },
        check_results=[
            AssetCheckResult(
                check_name="as_sealed",
                passed=not problems,
                metadata={"problems": MetadataValue.md(markdown_table({"what": "rows"}, problems))} if problems else {},
            )
        ],
    )


@asset(
    key=DRILLED,
    group_name="drill",
    deps=[VERIFIED],
    kinds={"parquet"},
    owners=OWNERS,
    check_specs=[AssetCheckSpec("restored_equal", asset=DRILLED, description="What was restored equals what was sealed")],
)
def restore_drill(context: AssetExecutionContext, platform: Platform) -> MaterializeResult:  # type: ignore[type-arg]
    """Random bundles restored and compared row for row; results in meta.restore_drills."""
    from warehouse.archive.drilling import CATALOG_TABLE, drill

    drills = drill(platform.lake, progress=platform.report)
    differing = {f"{d.table} {d.day}": d.details for d in drills if not d.equal}
    bundles = [d for d in drills if d.table != CATALOG_TABLE]
    rows, seconds, cost = sum(d.row_count for d in bundles), sum(d.duration_s for d in drills), sum(d.cost for d in drills)
    catalog = " and the catalog" if len(bundles) < len(drills) else ""
    told = f"{len(bundles)} bundles, {rows:,} rows restored{catalog} in {seconds:.1f} s, {len(differing)} differ"
    return MaterializeResult(
        metadata={"summary": told if drills else "no bundle yet", "rows": rows, "seconds": seconds, "cost": cost},
        check_results=[
            AssetCheckResult(
                check_name="restored_equal",
                passed=not differing,
                metadata={"differing": MetadataValue.md(markdown_table({"bundle": "why"}, differing))} if differing else {},
            )
        ],
    )


@asset(
    key=SCRUBBED,
    group_name="drill",
    deps=[VERIFIED],
    kinds={"parquet", "ducklake"},
    owners=OWNERS,
    check_specs=[
        AssetCheckSpec("as_written", asset=SCRUBBED, description="Every file of lake and archive is what was written, or was healed")
    ],
)
def scrubbed(context: AssetExecutionContext, platform: Platform) -> MaterializeResult:  # type: ignore[type-arg]
    """Every file of the lake and of the archive read again and compared with its hash; damage healed from bundles, else the day blocked."""
    from warehouse.archive.scrubbing import scrub

    result = scrub(platform.lake, run_id=context.run.run_id, progress=platform.report)
    damage = {f"{f.kind}: {f.path}": f"{f.rows} rows of {f.table} {f.day}; {f.outcome}" for f in result.findings[:50]}
    damage |= {f"{p.kind}: {p.path}": f"{p.rows} rows of {p.table} {p.day}; {p.detail}" for p in result.archive.problems[:50]}
    healed = sum(f.healed for f in result.findings)
    return MaterializeResult(
        metadata={
            "summary": f"{result.files:,} files of the lake, {result.archive.files:,} of the archive; "
            f"{healed} healed, {result.unhealed} damaged",
            "recorded": result.recorded,
            "seconds": result.seconds,
        },
        check_results=[
            AssetCheckResult(
                check_name="as_written",
                passed=not result.unhealed,
                metadata={"damage": MetadataValue.md(markdown_table({"what": "rows and outcome"}, damage))} if damage else {},
            )
        ],
    )


@asset(key=FINGERPRINTED, group_name="retention", deps=[SETTLED], kinds={"parquet", "ducklake"}, owners=OWNERS)
def fingerprinted(context: AssetExecutionContext, platform: Platform) -> MaterializeResult:  # type: ignore[type-arg]
    """The sha256 of every file that is new in the lake, by which the scrub and whoever archives or derives knows damage from data."""
    from warehouse.archive.file_hashes import forget_removed, record_new

    recorded, forgotten = record_new(platform.lake), forget_removed(platform.lake)
    return MaterializeResult(metadata={"summary": f"{recorded:,} new files, {forgotten:,} that are gone", "files": recorded})


@asset(key=BACKED_UP, group_name="retention", deps=[TIDIED], kinds={"sqlite", "parquet"}, owners=OWNERS)
def backed_up(context: AssetExecutionContext, platform: Platform) -> MaterializeResult:  # type: ignore[type-arg]
    """A copy of the lake's catalog as of one moment, sealed in the archive and read back; the oldest go."""
    from warehouse.archive.backup import backup_catalog

    backup = backup_catalog(platform.lake)
    return MaterializeResult(
        metadata={
            "summary": f"snapshot {backup.snapshot:,} with {backup.data_files:,} files of data; {backup.bytes:,} bytes",
            "backup": backup.backup_id,
            "bytes": backup.bytes,
        }
    )


@asset(key=PRUNED, group_name="retention", kinds={"dagster"}, owners=OWNERS)
def pruned_history(context: AssetExecutionContext, platform: Platform) -> MaterializeResult:  # type: ignore[type-arg]
    """Events and logs of old runs removed from Dagster's own storage; what they say of assets stays, day by day."""
    from orchestration.pruning import prune

    result = prune(context.instance, timedelta(days=platform.settings.upkeep.run_days))
    return MaterializeResult(
        metadata={"summary": f"logs of {result.logs:,} runs, {result.events:,} events and {result.runs:,} runs removed"}
    )


def retention_assets() -> Sequence[AssetsDefinition]:
    """All of them."""
    return [retained, settled, fingerprinted, tidied, backed_up, pruned_history, verified, scrubbed, restore_drill]
