"""Assets that look after the platform: publishing, retention, the restore drill and the monthly report. They have no day of their own."""

from collections.abc import Sequence

from dagster import AssetExecutionContext, AssetKey, AssetsDefinition, MaterializeResult, MetadataValue, asset

from orchestration.resources import Platform
from orchestration.retention_assets import retention_assets

UPKEEP = ("publish", "retention", "drill", "report")
PUBLISHED = [AssetKey(["mart", name]) for name in ("service_health_daily", "cost_by_service_daily", "capacity_plan", "roi")]


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


def upkeep_assets() -> Sequence[AssetsDefinition]:
    """All of them."""
    return [hot_warehouse, *retention_assets()]
