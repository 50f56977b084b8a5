"""One asset per SQL model: its dependencies are the tables that its query reads."""

from dagster import AssetExecutionContext, AssetsDefinition, Backoff, DailyPartitionsDefinition, MaterializeResult, RetryPolicy, multi_asset

from orchestration.deriving import derive
from orchestration.metadata import derived_facts, spec_of
from orchestration.partitions import ONE_RUN, window
from orchestration.planning import days_of
from orchestration.resources import Platform
from transforms.model import Model
from warehouse.contracts import CONTRACTS

RETRY = RetryPolicy(max_retries=2, delay=2, backoff=Backoff.EXPONENTIAL)


def sql_asset(model: Model, partitions: DailyPartitionsDefinition) -> AssetsDefinition:
    """The asset of a SQL model; a run builds the days of its window that need it."""
    contract = CONTRACTS[model.name]
    deps = [name for name in model.inputs if CONTRACTS[name].schema != "meta"]

    @multi_asset(
        name=model.name.replace(".", "__"),
        specs=[spec_of(contract, partitions, deps=deps)],
        backfill_policy=ONE_RUN,
        retry_policy=RETRY,
    )
    def build(context: AssetExecutionContext, platform: Platform) -> MaterializeResult[None]:
        platform.report(model.name)
        result = derive(platform.lake, model, days_of(window(context)), run_id=context.run.run_id, force=platform.force)
        return MaterializeResult(metadata=derived_facts(platform.lake, contract, result))

    return build
