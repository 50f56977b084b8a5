"""Contracts of `mart.*`: one table per question that people ask. Those about capacity are in `capacity`."""

from __future__ import annotations

from warehouse.contracts.core import MONEY, SERVICE, TEAM, count_of, number, text
from warehouse.contracts.model import Column, Contract, Expectation
from warehouse.contracts.raw import DAY, in_slice

AS_OF = Column("day", "DATE", "Day that the analysis looks back from; the partition column", required=True)
STATUS = text("status", "ok, not_enough_data or failed:<reason>; anything but ok carries nulls", required=True)
CURRENCY = text("billing_currency", "ISO 4217 currency", required=True)


def instant(name: str, description: str, *, required: bool = False) -> Column:
    """A time in UTC."""
    return Column(name, "TIMESTAMP", description, "UTC", required=required)


SERVICE_HEALTH_DAILY = Contract(
    "mart",
    "service_health_daily",
    "Requests, errors, latency, log errors and incidents per service and day",
    (
        SERVICE,
        TEAM,
        count_of("request_count", "Server and consumer spans, or entry spans where a service has neither; NULL without spans", "1"),
        count_of("error_count", "Of these, with status ERROR", "1"),
        number("error_ratio", "error_count / request_count", "1"),
        number("latency_p50_ms", "Median duration", "ms"),
        number("latency_p95_ms", "95th percentile of the duration", "ms"),
        number("latency_p99_ms", "99th percentile of the duration", "ms"),
        count_of("log_count", "Log records", "1"),
        count_of("log_error_count", "Log records of severity ERROR or FATAL", "1"),
        count_of("incident_count", "Incidents opened", "1"),
        number("incident_minutes", "Minutes of the day with an open incident, each incident counted", "min"),
        DAY,
    ),
    grain=("day", "service"),
    time_column="day",
    sort_key=("service",),
    may_be_empty=True,
    row_rules=(in_slice(),),
    expectations=(
        Expectation("error_ratio_valid", "between", "error", "a ratio is within 0 and 1", ("error_ratio",), minimum=0, maximum=1),
        Expectation(
            "percentiles_ordered",
            "no_rows",
            "error",
            "p50 <= p95 <= p99",
            sql="SELECT * FROM {batch} AS b WHERE latency_p50_ms > latency_p95_ms OR latency_p95_ms > latency_p99_ms",
        ),
    ),
    owner="sre",
    tags=("health",),
)

TRENDS = Contract(
    "mart",
    "trends",
    "Trend of each service's latency, errors, logs, cost and of each resource's use, false discoveries controlled",
    (
        AS_OF,
        text("series_id", "service/measure or resource_id", required=True),
        text("subject", "service, resource or metric", required=True),
        SERVICE,
        text(
            "measure",
            "latency_p95_ms, error_ratio, request_count, log_error_count, effective_cost, used_mean, ...",
            required=True,
        ),
        text("unit", "Unit of the measure"),
        number("mean", "Mean over the history looked at"),
        number("slope_per_day", "Robust slope (Theil-Sen)", "unit/d"),
        number("slope_lo", "Lower bound of the 95% interval of the slope"),
        number("slope_hi", "Upper bound of the 95% interval of the slope"),
        number("p_value", "Mann-Kendall p-value"),
        number("q_value", "p-value after control of the false discovery rate (Benjamini-Hochberg)"),
        number("seasonal_strength", "0 none to 1 pure season"),
        text("trend_class", "rising, falling, flat, ..."),
        count_of("history_days", "Days of history looked at", "d"),
        STATUS,
    ),
    grain=("day", "series_id"),
    time_column="day",
    sort_key=("series_id",),
    may_be_empty=True,
    row_rules=(in_slice(),),
    owner="sre",
    tags=("trends",),
)

CHANGE_POINTS = Contract(
    "mart",
    "change_points",
    "Level shifts, and the deploy, release or configuration change nearest to each",
    (
        AS_OF,
        text("series_id", "service/measure", required=True),
        SERVICE,
        text("measure", "What shifted", required=True),
        instant("time", "When", required=True),
        number("before", "Level before"),
        number("after", "Level after"),
        number("relative_change", "after / before - 1", "1"),
        number("relative_change_lo", "Lower end of its 95% interval; NULL where the noise is a random walk or a level crosses zero", "1"),
        number("relative_change_hi", "Upper end of its 95% interval", "1"),
        number("p_value", "p-value of the shift"),
        number("q_value", "p-value after control of the false discovery rate"),
        text("change_id", "Nearest change, within a day, of the service or of what it depends on"),
        text("change_kind", "deploy, release, config ..."),
        text("change_title", "What it was"),
        text("change_service", "Service that was changed"),
        number("change_distance_h", "Hours from that change to the shift; negative where the change came later", "h"),
        STATUS,
    ),
    grain=("day", "series_id", "time"),
    time_column="day",
    sort_key=("series_id", "time"),
    may_be_empty=True,
    row_rules=(in_slice(),),
    owner="sre",
    tags=("trends",),
)

ANOMALIES = Contract(
    "mart",
    "anomalies",
    "Hours in which a service or resource left its expected course",
    (
        AS_OF,
        text("series_id", "service/measure", required=True),
        SERVICE,
        text("measure", "What deviated", required=True),
        instant("time", "Hour", required=True),
        number("value", "Observed"),
        number("expected", "Expected"),
        number("score", "0 to 1, calibrated on the series' own past", "1"),
        STATUS,
    ),
    grain=("day", "series_id", "time"),
    time_column="day",
    sort_key=("series_id", "time"),
    may_be_empty=True,
    row_rules=(in_slice(),),
    owner="sre",
    tags=("anomalies",),
)

COST_BY_SERVICE_DAILY = Contract(
    "mart",
    "cost_by_service_daily",
    "Cost per service, team and provider: billed, amortised and list, and what was saved",
    (
        DAY,
        SERVICE,
        TEAM,
        text("provider", "Cloud provider", required=True),
        CURRENCY,
        Column("billed_cost", MONEY, "On the invoice", "billing_currency", required=True),
        Column("effective_cost", MONEY, "Amortised", "billing_currency", required=True),
        Column("list_cost", MONEY, "At list price", "billing_currency"),
        Column("unused_commitment_cost", MONEY, "Amortised cost of commitments that nothing used", "billing_currency"),
        count_of("resource_count", "Resources charged", "1"),
    ),
    grain=("day", "service", "team", "provider", "billing_currency"),
    time_column="day",
    sort_key=("service", "provider"),
    may_be_empty=True,
    row_rules=(in_slice(),),
    owner="finops",
    tags=("costs",),
)

COST_OPPORTUNITIES = Contract(
    "mart",
    "cost_opportunities",
    "What could be saved: idle and oversized resources, unused commitments, sudden rises",
    (
        AS_OF,
        text("opportunity_id", "kind/subject", required=True),
        text("kind", "idle, oversized, undersized, unused_commitment or cost_anomaly", required=True),
        text("resource_id", "Resource, commitment or service"),
        text("resource_kind", "cpu, memory, disk, commitment, ..."),
        SERVICE,
        TEAM,
        text("policy", "Rule or policy that found it"),
        number("allocated", "What is paid for, in `unit`"),
        number("recommended", "What would do, in `unit`"),
        text("unit", "Unit of both"),
        number("saving_per_month", "Saving per 30 days", "billing_currency/mo"),
        text("billing_currency", "ISO 4217 currency"),
        number("confidence", "0 to 1", "1"),
        text("evidence", "What was seen, in words and numbers"),
        STATUS,
    ),
    grain=("day", "opportunity_id"),
    time_column="day",
    sort_key=("opportunity_id",),
    may_be_empty=True,
    row_rules=(in_slice(),),
    owner="finops",
    tags=("costs",),
)

INCIDENT_METRICS_MONTHLY = Contract(
    "mart",
    "incident_metrics_monthly",
    "Incidents per month and service: count, MTTD, MTTA, MTTR and how many had no known start",
    (
        AS_OF,
        Column("month", "DATE", "First day of the month; the twelve months before the day's own are there, too", required=True),
        SERVICE,
        TEAM,
        count_of("incident_count", "Incidents opened", "1", required=True),
        count_of("open_count", "Of these not resolved by the end of the day", "1", required=True),
        number("mttd_s", "Mean of opened - started where started is known", "s"),
        number("mtta_s", "Mean of acknowledged - opened", "s"),
        number("mttr_s", "Mean of resolved - opened", "s"),
        count_of("unknown_start_count", "Incidents left out of MTTD", "1", required=True),
    ),
    grain=("day", "month", "service"),
    time_column="day",
    sort_key=("month", "service"),
    may_be_empty=True,
    row_rules=(in_slice(),),
    owner="sre",
    tags=("incidents",),
)

ROI = Contract(
    "mart",
    "roi",
    "Whether the observability that is paid for is worth it: NPV, payback, IRR and what they rest on",
    (
        AS_OF,
        text("item", "npv, payback_months, irr, p_positive, benefit:<name>, input:<name> or sensitivity:<name>", required=True),
        number("p05", "5% quantile"),
        number("p10", "10% quantile"),
        number("p50", "Median, or the value itself"),
        number("p90", "90% quantile"),
        number("p95", "95% quantile"),
        text("unit", "currency, months, ratio, ..."),
        text("provenance", "measured, configured or assumed (inputs only)"),
        text("evidence", "Where an input comes from"),
        STATUS,
    ),
    grain=("day", "item"),
    time_column="day",
    sort_key=("item",),
    may_be_empty=True,
    row_rules=(in_slice(),),
    owner="finance",
    tags=("roi",),
)

MART = (
    SERVICE_HEALTH_DAILY,
    TRENDS,
    CHANGE_POINTS,
    ANOMALIES,
    COST_BY_SERVICE_DAILY,
    COST_OPPORTUNITIES,
    INCIDENT_METRICS_MONTHLY,
    ROI,
)
