"""Contracts of `mart.*` about capacity: when limits are reached, what to do by when, and how far that can be trusted."""

from __future__ import annotations

from warehouse.contracts.core import SERVICE, TEAM, count_of, number, text
from warehouse.contracts.mart import AS_OF, STATUS, instant
from warehouse.contracts.model import Column, Contract, Expectation
from warehouse.contracts.raw import in_slice

RESOURCE = text("resource_id", "Resource", required=True)
RESOURCE_KIND = text("resource_kind", "disk, cpu, memory, pool, licence, ...: the `kind` of its [[capacity]] rule")
MEAN = number("mean", "Expected use")
BANDS = (
    number("lo_80", "Lower bound, 80%"),
    number("hi_80", "Upper bound, 80%"),
    number("lo_95", "Lower bound, 95%"),
    number("hi_95", "Upper bound, 95%"),
)
EXHAUSTION = (
    instant("exhaustion_p10", "Date by which the limit is reached with 10% probability"),
    instant("exhaustion_p50", "Date by which the limit is reached with 50% probability"),
    instant("exhaustion_p90", "Date by which the limit is reached with 90% probability"),
)
P_EXCEED_BY_LEAD_TIME = number("p_exceed_by_lead_time", "Probability of exceeding the limit within the lead time", "1")
HEADROOM_AT_LEAD_TIME = number("headroom_at_lead_time", "limit minus the highest forecast mean of the last day of the lead time")
ADD_CAPACITY = number(
    "add_capacity",
    "Capacity to add so that the risk until the lead time stays under the target; NULL where use stands still at its limit, which hides "
    "what is wanted",
)
ADD_COST = number("add_cost_per_month", "Price of the addition", "billing_currency/mo")
PRICE_CURRENCY = text("billing_currency", "Currency of the price")
INTERVAL_ORDERED = Expectation(
    "interval_ordered",
    "no_rows",
    "error",
    "lo_95 <= lo_80 <= hi_80 <= hi_95",
    sql="SELECT * FROM {batch} AS b WHERE lo_95 > lo_80 OR lo_80 > hi_80 OR hi_80 > hi_95",
)


def shares_valid(*columns: str) -> Expectation:
    """Probabilities and shares lie within 0 and 1."""
    outside = " OR ".join(f"{column} NOT BETWEEN 0 AND 1" for column in columns)
    return Expectation(
        "shares_valid", "no_rows", "error", f"within 0 and 1: {', '.join(columns)}", sql=f"SELECT * FROM {{batch}} AS b WHERE {outside}"
    )


def capacity_mart(
    name: str,
    description: str,
    columns: tuple[Column, ...],
    grain: tuple[str, ...],
    expectations: tuple[Expectation, ...] = (),
) -> Contract:
    """A table that the capacity analyses fill: one answer per day that they look back from."""
    return Contract(
        "mart",
        name,
        description,
        (AS_OF, *columns, STATUS),
        grain=("day", *grain),
        time_column="day",
        sort_key=grain,
        may_be_empty=True,
        row_rules=(in_slice(),),
        expectations=expectations,
        owner="sre",
        tags=("capacity",),
    )


CAPACITY_FORECASTS = capacity_mart(
    "capacity_forecasts",
    "Forecast use of each resource with a limit, with prediction intervals and the chance of reaching the limit",
    (
        RESOURCE,
        instant("time", "Time that is forecast", required=True),
        text("model", "Member or combination of members"),
        MEAN,
        *BANDS,
        number("p_exceed", "Probability of being at or over the limit at that time", "1"),
        number("p_exceeded_by", "Probability of having reached the limit by then", "1"),
    ),
    ("resource_id", "time"),
    (INTERVAL_ORDERED, shares_valid("p_exceed", "p_exceeded_by")),
)

CAPACITY_PLAN = capacity_mart(
    "capacity_plan",
    "When each resource runs out, how sure that is, what to add and to order by when, and how well such plans did before",
    (
        RESOURCE,
        SERVICE,
        TEAM,
        RESOURCE_KIND,
        text("unit", "Unit of limit, headroom and addition"),
        number("limit", "Capacity"),
        number("used_now", "Use on the last day of history (95th percentile)"),
        number("headroom_now", "limit minus the highest forecast mean of the first day to come, so that a daily peak counts"),
        number("lead_time_days", "Days it takes to add capacity", "d"),
        HEADROOM_AT_LEAD_TIME,
        P_EXCEED_BY_LEAD_TIME,
        *EXHAUSTION,
        instant("order_by", "Latest time to order, so that the risk is at its target when it arrives; NULL when not within the forecast"),
        ADD_CAPACITY,
        number("unit_price", "Price of one unit for 30 days", "billing_currency/mo"),
        ADD_COST,
        PRICE_CURRENCY,
        text("model", "Model behind the forecast"),
        count_of("decisions", "Past days at which the same plan was made again from the data up to then (mart.capacity_decisions)", "1"),
        number("warned_in_time", "Share of the times the limit was reached that the plan had warned of; NULL when it never was", "1"),
        number("false_warnings", "Share of the warnings after which the limit was not reached; NULL when there was none", "1"),
    ),
    ("resource_id",),
    (shares_valid("p_exceed_by_lead_time", "warned_in_time", "false_warnings"),),
)

CAPACITY_DECISIONS = capacity_mart(
    "capacity_decisions",
    "What the plan would have said on past days from the data up to then, and what came",
    (
        RESOURCE,
        SERVICE,
        RESOURCE_KIND,
        instant("cutoff", "End of the data that the plan was made from", required=True),
        number("lead_time_days", "Days it takes to add capacity", "d"),
        P_EXCEED_BY_LEAD_TIME,
        Column("warned", "BOOLEAN", "Whether that was above the accepted risk"),
        Column("reached", "BOOLEAN", "Whether use was at or over the limit within the lead time"),
        instant("reached_time", "When it first was"),
        Column("over_already", "BOOLEAN", "At or over the limit at the cutoff: not a decision, and left out of rates"),
    ),
    ("resource_id", "cutoff"),
    (shares_valid("p_exceed_by_lead_time"),),
)

CAPACITY_SCENARIOS = capacity_mart(
    "capacity_scenarios",
    "The capacity plan under what-if assumptions, beside that of mart.capacity_plan",
    (
        text("scenario", "What is assumed, such as growth=+30%, migration=2026-03-01", required=True),
        RESOURCE,
        SERVICE,
        TEAM,
        RESOURCE_KIND,
        text("unit", "Unit of limit, headroom and addition"),
        number("limit", "Capacity"),
        P_EXCEED_BY_LEAD_TIME,
        *EXHAUSTION,
        HEADROOM_AT_LEAD_TIME,
        ADD_CAPACITY,
        ADD_COST,
        PRICE_CURRENCY,
    ),
    ("scenario", "resource_id"),
    (shares_valid("p_exceed_by_lead_time"),),
)

CAPACITY_TOTALS = capacity_mart(
    "capacity_totals",
    "Forecast mean use of services, teams and everything, coherent: a total is the sum of its parts",
    (
        text("level", "service, team or all", required=True),
        text("name", "Service or team; all", required=True),
        text("resource_kind", "disk, cpu, memory, pool, licence, ...", required=True),
        text("unit", "Unit of use and limit; 1 where its rule names none", required=True),
        instant("time", "Day that is forecast", required=True),
        number("mean", "Expected mean use of the day (peaks of different hours do not add)"),
        *BANDS,
        number("limit", "Sum of the capacities"),
    ),
    ("level", "name", "resource_kind", "unit", "time"),
    (INTERVAL_ORDERED,),
)

DEMAND_DRIVERS = capacity_mart(
    "demand_drivers",
    "How the use of a resource answers to the demand on its service",
    (
        RESOURCE,
        SERVICE,
        RESOURCE_KIND,
        text("driver", "What drives it, such as requests", required=True),
        number("elasticity", "Percent that use changes when the driver changes by one percent", "1"),
        number("elasticity_lo", "Lower bound of the 95% interval, robust to autocorrelation", "1"),
        number("elasticity_hi", "Upper bound of the 95% interval", "1"),
        number("r_squared", "Share of the variation of use that the drivers explain", "1"),
        count_of("observations", "Steps looked at", "1"),
    ),
    ("resource_id", "driver"),
)

SEASONAL_PEAKS = capacity_mart(
    "seasonal_peaks",
    "Days that stand out every year, every month or at a holiday, and when they come again",
    (
        RESOURCE,
        SERVICE,
        RESOURCE_KIND,
        text("occasion", "Black Friday, Christmas Day, Month end, ...", required=True),
        instant("last_time", "When it was last seen"),
        number("value", "Use then, in `unit`"),
        number("lift", "value divided by what the weeks around it had", "1"),
        instant("next_time", "When it comes next"),
        number("expected", "Use expected then, in `unit`"),
        text("unit", "Unit of both"),
    ),
    ("resource_id", "occasion"),
)

FORECAST_ACCURACY = capacity_mart(
    "forecast_accuracy",
    "How far past forecasts of capacity were from what came, said once, when the last day of a stretch ahead has come",
    (
        RESOURCE,
        text("model", "Member or combination of members that made the forecast"),
        Column("made_on", "DATE", "Last day that the forecast knew", required=True),
        count_of(
            "horizon_days", "The stretch: up to so many days ahead, after the next shorter one (1, 7, 14, 30, 60, ...)", "d", required=True
        ),
        count_of("observations", "Days of the stretch that could be compared", "1"),
        number("mase", "Mean absolute error over that of a week-ago forecast in the history before (Hyndman and Koehler 2006)", "1"),
        number("smape", "Symmetric mean absolute percentage error, 0 to 2", "1"),
        number("coverage_80", "Share of the days within the 80% interval", "1"),
        number("coverage_95", "Share of the days within the 95% interval", "1"),
        number("mase_seasonal_naive", "The same measure of the value a week before, over the same days", "1"),
    ),
    ("resource_id", "made_on", "horizon_days"),
    (
        shares_valid("coverage_80", "coverage_95"),
        Expectation(
            "accuracy_holds",
            "no_rows",
            "warn",
            "errors of the last 7 days are at most twice those of the 8 weeks before, or smaller than the seasonal naive ones",
            sql="""
                SELECT n.day, h.resource_id, h.horizon_days, h.mase, h.usual
                FROM (SELECT DISTINCT day FROM {batch} AS b) AS n
                JOIN LATERAL (
                    SELECT a.resource_id, a.horizon_days,
                        avg(a.mase) FILTER (a.day > n.day - INTERVAL 7 DAY) AS mase,
                        avg(a.mase_seasonal_naive) FILTER (a.day > n.day - INTERVAL 7 DAY) AS naive,
                        avg(a.mase) FILTER (a.day <= n.day - INTERVAL 7 DAY) AS usual,
                        count(*) FILTER (a.day <= n.day - INTERVAL 7 DAY) AS earlier
                    FROM mart.forecast_accuracy AS a WHERE a.day > n.day - INTERVAL 63 DAY AND a.day <= n.day GROUP BY ALL) AS h
                ON h.earlier >= 7 AND h.mase > 2 * h.usual AND h.mase > h.naive""",
        ),
    ),
)

CAPACITY = (
    CAPACITY_FORECASTS,
    FORECAST_ACCURACY,
    CAPACITY_PLAN,
    CAPACITY_DECISIONS,
    CAPACITY_SCENARIOS,
    CAPACITY_TOTALS,
    DEMAND_DRIVERS,
    SEASONAL_PEAKS,
)
