"""The raw tables as one step: every source is read once and may fill several tables in one transaction."""

from collections.abc import Iterator
from typing import Any

from dagster import AssetExecutionContext, AssetsDefinition, DailyPartitionsDefinition, MaterializeResult, MetadataValue, multi_asset

from orchestration.landing import Ingest, read_sources
from orchestration.metadata import key_of, markdown_table, spec_of, table_facts
from orchestration.partitions import ONE_RUN, window
from orchestration.resources import Platform
from warehouse.contracts import CONTRACTS

RAW_TABLES = tuple(name for name, c in CONTRACTS.items() if c.schema == "raw")


def raw_assets(partitions: DailyPartitionsDefinition) -> AssetsDefinition:
    """The multi-asset `ingest`. A source that fails does not stop the others: the check `sources_readable` says so."""

    @multi_asset(
        name="read_sources",
        specs=[spec_of(CONTRACTS[name], partitions) for name in RAW_TABLES],
        backfill_policy=ONE_RUN,
        description="Reads every configured source and lands what is new, each unit in one transaction.",
    )
    def ingest(context: AssetExecutionContext, platform: Platform) -> Iterator[MaterializeResult[None]]:
        result = read_sources(
            platform.lake,
            platform.settings,
            window(context),
            run_id=context.run.run_id,
            allow_shrink=platform.allow_shrink,
            progress=platform.report,
        )
        for failure in result.failures:
            context.log.error("source %s: %s %s", failure.source, failure.origin, failure.message)
        for name in RAW_TABLES:
            yield MaterializeResult(asset_key=key_of(name), metadata=_facts(platform, name, result))

    return ingest


def _facts(platform: Platform, name: str, result: Ingest) -> dict[str, Any]:
    facts: dict[str, Any] = {"rows_landed": result.rows.get(name, 0), **table_facts(platform.lake, CONTRACTS[name])}
    days = result.days.get(name, set())
    if days:
        facts["days_touched"] = len(days)
    if result.failures:
        rows = {f.source: f"{f.origin} {f.message}" for f in result.failures}
        facts["sources_failed"] = MetadataValue.md(markdown_table({"source": "why"}, rows))
    return facts
