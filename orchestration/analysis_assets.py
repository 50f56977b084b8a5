"""One asset per analysis, without partitions: an analysis looks back from the last closed day of the data, whatever days are built."""

from collections.abc import Iterator, Sequence
from typing import Any

from dagster import AssetExecutionContext, AssetsDefinition, MaterializeResult, multi_asset

from orchestration.analyses import ANALYSES, Analysis
from orchestration.analysing import analyse, inputs_of
from orchestration.derived_assets import RETRY
from orchestration.metadata import key_of, spec_of, table_facts
from orchestration.partitions import today
from orchestration.pictures import picture
from orchestration.resources import Platform
from warehouse.contracts import CONTRACTS


def analysis_assets() -> Sequence[AssetsDefinition]:
    """All of them."""
    return [_asset(analysis) for analysis in ANALYSES]


def _asset(analysis: Analysis) -> AssetsDefinition:
    deps = [name for name in inputs_of(analysis) if not name.startswith("meta.")]

    @multi_asset(
        name=f"analyse__{analysis.name}",
        specs=[spec_of(CONTRACTS[table], None, deps=deps) for table in analysis.tables],
        retry_policy=RETRY,
        description=analysis.run.__doc__,
    )
    def build(context: AssetExecutionContext, platform: Platform) -> Iterator[MaterializeResult[None]]:
        platform.report(f"analyse {analysis.name}")
        result = analyse(
            platform.lake,
            platform.settings,
            analysis,
            today=today(),
            scenario=platform.what_if,
            force=platform.force,
            run_id=context.run.run_id,
        )
        for table in analysis.tables:
            facts: dict[str, Any] = {"rows_written": result.rows.get(table, 0), **table_facts(platform.lake, CONTRACTS[table])}
            facts["looks_back_from"] = ", ".join(map(str, result.days)) or "nothing has changed since the last look"
            chart = picture(platform.lake, table, result.days[-1]) if result.days else None
            if chart is not None:
                facts["picture"] = chart
            yield MaterializeResult(asset_key=key_of(table), metadata=facts)

    return build
