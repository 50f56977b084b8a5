"""The capacity plan under scenarios, beside the plan that stands; and the two side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from orchestration.capacity import LEAD_TIME, lead_times
from orchestration.scenarios import changes_of, parse_scenario
from warehouse.contracts import CONTRACTS
from warehouse.errors import ConfigError

if TYPE_CHECKING:
    from orchestration.history import History
    from warehouse.lake.lake import Lake

READS = ("mart.capacity_plan", "mart.capacity_forecasts", "mart.demand_drivers")
BANDS = ("mean", "lo_80", "hi_80", "lo_95", "hi_95")
DRIVER = "requests"
EXPLAINED = 0.5
"""Share of the changes of use from hour to hour that requests must explain for their elasticity to count. Below it use follows demand
later, or through something else, and the elasticity of the same hour says little about growth that lasts."""
COLUMNS = [name for name in CONTRACTS["mart.capacity_scenarios"].column_names if name != "day"]
SIDE_BY_SIDE = """
SELECT
    w.resource_id, b.exhaustion_p50 AS before, w.exhaustion_p50 AS after,
    b.p_exceed_by_lead_time AS p_before, w.p_exceed_by_lead_time AS p_after,
    w.add_capacity, w.unit, w.add_cost_per_month, w.billing_currency
FROM mart.capacity_scenarios AS w JOIN mart.capacity_plan AS b ON b.day = w.day AND b.resource_id = w.resource_id
WHERE
    w.scenario = $scenario AND w.status = 'ok' AND b.status = 'ok'
    AND w.day = (SELECT max(day) FROM mart.capacity_scenarios WHERE scenario = $scenario)
    AND (w.exhaustion_p50 IS DISTINCT FROM b.exhaustion_p50 OR w.add_capacity IS DISTINCT FROM b.add_capacity)
ORDER BY w.exhaustion_p50 NULLS LAST, w.p_exceed_by_lead_time DESC, w.resource_id"""


def plan_scenarios(history: History) -> dict[str, pl.DataFrame]:
    """Plan again with what a scenario assumes: the one asked for, and those that stand on the day, from the forecasts of that day."""
    from models.capacity import plan, what_if

    day = {"day": history.as_of}
    limits = history.select(f'SELECT * FROM {READS[0]} WHERE day = $day AND "limit" IS NOT NULL', day, reads=READS)
    drivers = history.select(
        f"""SELECT resource_id, elasticity FROM {READS[2]}
            WHERE day = $day AND driver = $driver AND status = 'ok' AND elasticity_lo > 0 AND r_squared >= $explained""",
        {**day, "driver": DRIVER, "explained": EXPLAINED},
        reads=READS,
    )
    forecasts = history.select(
        f"SELECT resource_id AS series_id, time, {', '.join(BANDS)}, status FROM {READS[1]} WHERE day = $day", day, reads=READS
    )
    first = (
        forecasts.sort("time").group_by(pl.col("series_id").alias("resource_id")).agg(pl.col("mean").drop_nulls().first().alias("first"))
    )
    named = limits.select("resource_id", "service", "resource_kind")
    resources = named.join(drivers, on="resource_id", how="left").join(first, on="resource_id", how="left", maintain_order="left")
    about = limits.select(
        "resource_id", "service", "team", "resource_kind", "unit_price", "billing_currency", pl.col("status").alias("said")
    )
    bounds = limits.select("resource_id", "limit", "unit", lead_times())
    found = [pl.DataFrame(schema={"scenario": pl.String, "resource_id": pl.String, "status": pl.String})]
    for text in scenarios_of(history):
        changes = changes_of(parse_scenario([text], history.settings), resources, history.settings)
        planned = plan(what_if(forecasts, changes), bounds, lead_time=LEAD_TIME, risk=history.settings.models.risk)
        found.append(
            planned.join(about, on="resource_id", how="left")
            .with_columns(
                pl.lit(text).alias("scenario"),
                (pl.col("add_capacity") * pl.col("unit_price")).alias("add_cost_per_month"),
                pl.when(pl.col("said") == "ok").then(pl.col("status")).otherwise(pl.col("said")).alias("status"),
            )
            .select(COLUMNS)
        )
    return {"mart.capacity_scenarios": history.dated(pl.concat(found, how="diagonal_relaxed"))}


def scenarios_of(history: History) -> list[str]:
    """What is asked for, and what stands on the day and can still be read: an event that the configuration has lost goes."""
    stands = history.select("SELECT DISTINCT scenario FROM mart.capacity_scenarios WHERE day = $day", {"day": history.as_of})
    texts = {history.scenario.text} - {""}
    for text in stands["scenario"]:
        try:
            texts.add(parse_scenario([text], history.settings).text)
        except ConfigError:
            continue
    return sorted(texts)


def side_by_side(lake: Lake, scenario: str) -> list[dict[str, Any]]:
    """What changes under a scenario, for each resource: before and after (when it most likely runs out), p_before and p_after (the chance
    within the lead time), add_capacity with its unit, add_cost_per_month with its billing_currency. The soonest first."""
    found: list[dict[str, Any]] = lake.query(SIDE_BY_SIDE, {"scenario": scenario}).to_pylist()
    return found


def services_with_limits(lake: Lake) -> list[str]:
    """Services that have a resource in the latest plan."""
    found = lake.query("SELECT DISTINCT service FROM mart.capacity_plan WHERE day = (SELECT max(day) FROM mart.capacity_plan)")
    return [service for service in found["service"].to_pylist() if service]
