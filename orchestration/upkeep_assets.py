"""Assets that look after the platform: publishing, retention, the restore drill and the monthly report. They have no day of their own."""

from collections.abc import Sequence

from dagster import AssetExecutionContext, AssetKey, AssetsDefinition, MaterializeResult, MetadataValue, asset

from orchestration.resources import Platform
from orchestration.retention_assets import retention_assets
from warehouse.contracts import CONTRACTS

UPKEEP = ("publish", "retention", "drill", "report")
PUBLISHED = [AssetKey(["mart", name]) for name in ("service_health_daily", "cost_by_service_daily", "capacity_plan", "roi")]
REPORTED = [AssetKey(name.split(".")) for name in CONTRACTS if name.startswith("mart.")]


@asset(key=["hot", "warehouse"], group_name="publish", deps=PUBLISHED, kinds={"duckdb"}, owners=["team:platform"])
def hot_warehouse(context: AssetExecutionContext, platform: Platform) -> MaterializeResult[None]:
    """`warehouse.duckdb`: marts, rollups and the newest raw days as native tables, swapped in atomically."""
    from warehouse.tiers.publish import publish

    result = publish(platform.lake, progress=platform.report)
    return MaterializeResult(
        metadata={
            "path": MetadataValue.path(str(result.path)),
            "days_published": result.days,
            "rows_published": result.rows,
            "bytes": result.bytes,
            "seconds": result.seconds,
        }
    )


@asset(key=["report", "executive"], group_name="report", deps=REPORTED, kinds={"html", "pdf"}, owners=["team:platform"])
def executive_report(context: AssetExecutionContext, platform: Platform) -> MaterializeResult[None]:
    """Reports of the newest marts, as [report] of the configuration says: all, in every format, beside it."""
    from orchestration.reporting import write_reports

    written = write_reports(platform.settings)
    paths = [path for files in written.values() for path in files]
    return MaterializeResult(
        metadata={
            "summary": f"{', '.join(written)}: {len(paths)} files",
            "path": MetadataValue.path(str(paths[0])),
            "bytes": sum(p.stat().st_size for p in paths),
        }
    )


def upkeep_assets() -> Sequence[AssetsDefinition]:
    """All of them."""
    return [hot_warehouse, executive_report, *retention_assets()]
