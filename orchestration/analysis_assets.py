"""One asset per analysis. An analysis looks back from the last closed day: a range run does not repeat it for every day."""

from collections.abc import Iterator, Sequence

from dagster import AssetExecutionContext, AssetsDefinition, DailyPartitionsDefinition, MaterializeResult, multi_asset

from orchestration.analyses import ANALYSES, Analysis
from orchestration.analysing import analyse, inputs_of
from orchestration.derived_assets import RETRY
from orchestration.metadata import key_of, spec_of, table_facts
from orchestration.partitions import ONE_RUN, today, window
from orchestration.pictures import picture
from orchestration.resources import Platform
from warehouse.contracts import CONTRACTS


def analysis_assets(partitions: DailyPartitionsDefinition) -> Sequence[AssetsDefinition]:
    """All of them."""
    return [_asset(analysis, partitions) for analysis in ANALYSES]


def _asset(analysis: Analysis, partitions: DailyPartitionsDefinition) -> AssetsDefinition:
    deps = [name for name in inputs_of(analysis) if not name.startswith("meta.")]

    @multi_asset(
        name=f"analyse__{analysis.name}",
        specs=[spec_of(CONTRACTS[table], partitions, deps=deps) for table in analysis.tables],
        backfill_policy=ONE_RUN,
        retry_policy=RETRY,
        description=analysis.run.__doc__,
    )
    def build(context: AssetExecutionContext, platform: Platform) -> Iterator[MaterializeResult]:
        platform.report(f"analyse {analysis.name}")
        result = analyse(
            platform.lake,
            platform.settings,
            analysis,
            window(context),
            today=today(),
            scenario=platform.scenario,
            force=platform.force,
            run_id=context.run.run_id,
        )
        for table in analysis.tables:
            facts: dict[str, object] = {"rows_written": result.rows.get(table, 0), **table_facts(platform.lake, CONTRACTS[table])}
            facts["looks_back_from"] = ", ".join(map(str, result.days)) or "no day of this window is the last closed day of the data"
            chart = picture(platform.lake, table, result.days[-1]) if result.days else None
            if chart is not None:
                facts["picture"] = chart
            yield MaterializeResult(asset_key=key_of(table), metadata=facts)

    return build
