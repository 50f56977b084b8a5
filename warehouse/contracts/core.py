"""Contracts of `core.*` but rollups of samples: conformed tables that marts and models read. Derived, so no `source` filter on delete."""

from __future__ import annotations

from warehouse.contracts.model import Column, Contract, Expectation, RowRule
from warehouse.contracts.raw import DAY, SOURCE, in_slice, time_column

SERVICE = Column("service", "VARCHAR", "Conformed service; `unknown` where nothing names one", required=True)
TEAM = Column("team", "VARCHAR", "Team that owns the service, from [[service_map]]")
MONEY = "DECIMAL(38,12)"
SKETCH_TYPE = "MAP(INTEGER, BIGINT[])"
SKETCH_NOTE = (
    "Log buckets in runs: from a run's first bucket to the counts of it and of those after it. Bucket 0 holds zeros, else its sign "
    "is the value's and |bucket| - 32768 = ceil(ln |value| / ln 1.04); read with sketch_quantile (within 2%), merge with sketch_merge "
    "or by adding counts"
)
SKETCH = Column("duration_sketch", SKETCH_TYPE, f"Sketch of the durations in ns. {SKETCH_NOTE}", required=True)


def count_of(name: str, description: str, unit: str | None = None, *, required: bool = False) -> Column:
    """A whole number."""
    return Column(name, "BIGINT", description, unit, required=required)


def number(name: str, description: str, unit: str | None = None, *, required: bool = False) -> Column:
    """A measured value."""
    return Column(name, "DOUBLE", description, unit, required=required)


def text(name: str, description: str, *, required: bool = False) -> Column:
    """A text."""
    return Column(name, "VARCHAR", description, required=required)


SPAN_ROLLUP_5M = Contract(
    "core",
    "span_rollup_5m",
    "Rate, errors and duration per service and operation in five-minute buckets, with a mergeable duration sketch",
    (
        SOURCE,
        SERVICE,
        text("operation", "Span name", required=True),
        text("kind", "Span kind", required=True),
        Column("is_entry", "BOOLEAN", "Server or consumer span, or one without a parent in the same service", required=True),
        time_column("Start of the five minutes"),
        count_of("span_count", "Spans that started in the bucket", "1", required=True),
        count_of("error_count", "Spans with status ERROR", "1", required=True),
        count_of("duration_sum_ns", "Sum of durations", "ns", required=True),
        count_of("duration_min_ns", "Shortest duration", "ns", required=True),
        count_of("duration_max_ns", "Longest duration", "ns", required=True),
        SKETCH,
        DAY,
    ),
    grain=("source", "service", "operation", "kind", "is_entry", "time"),
    time_column="time",
    sort_key=("service", "operation", "time"),
    may_be_empty=True,
    row_rules=(in_slice(),),
    expectations=(
        Expectation(
            "errors_within_count",
            "no_rows",
            "error",
            "errors <= spans",
            sql="SELECT * FROM {batch} AS b WHERE error_count > span_count",
        ),
        Expectation(
            "sketch_complete",
            "no_rows",
            "error",
            "the sketch counts every span",
            sql="SELECT * FROM {batch} AS b WHERE list_sum(flatten(map_values(duration_sketch))) <> span_count",
        ),
    ),
    tags=("traces",),
)

LOG_ROLLUP_1H = Contract(
    "core",
    "log_rollup_1h",
    "Hourly counts of log records per service, severity and template",
    (
        SOURCE,
        SERVICE,
        text("severity", "Normalised severity", required=True),
        text("template", "Body with numbers, ids and addresses masked, at most 200 characters", required=True),
        time_column("Start of the hour"),
        count_of("log_count", "Records", "1", required=True),
        text("example", "One body, at most 500 characters"),
        DAY,
    ),
    grain=("source", "service", "severity", "template", "time"),
    time_column="time",
    sort_key=("service", "time", "severity"),
    may_be_empty=True,
    row_rules=(in_slice(), RowRule("count_positive", "log_count > 0", "a bucket holds at least one record")),
    tags=("logs",),
)

RESOURCE_USAGE_1H = Contract(
    "core",
    "resource_usage_1h",
    "Hourly use and limit of every resource that [[capacity]] describes: the history of capacity, idleness and right sizes",
    (
        text("resource_id", "Resource with its suffix /kind", required=True),
        text("resource_kind", "disk, cpu, memory, pool, quota, licence, ...: the `kind` of its [[capacity]] rule", required=True),
        SERVICE,
        TEAM,
        time_column("Start of the hour"),
        number("used_mean", "Mean use in the hour, in `unit`; series of one resource added up"),
        number("used_max", "Largest use in the hour, in `unit`; series of one resource added up"),
        number("capacity", "Limit in the hour, in `unit`; NULL where nothing gave one within a day"),
        text("unit", "Unit of use and limit"),
        number("lead_time_days", "Days it takes to add capacity", "d"),
        DAY,
    ),
    grain=("resource_id", "time"),
    time_column="time",
    sort_key=("resource_id", "time"),
    may_be_empty=True,
    row_rules=(in_slice(),),
    expectations=(
        Expectation("capacity_positive", "between", "warn", "a limit is above zero", ("capacity",), minimum=1e-300),
        Expectation(
            "mean_not_above_max",
            "no_rows",
            "error",
            "mean <= max",
            sql="SELECT * FROM {batch} AS b WHERE used_mean > used_max + 1e-9 * (1 + abs(used_max))",
        ),
    ),
    tags=("capacity",),
)

RESOURCES = Contract(
    "core",
    "resources",
    "Resources that telemetry, limits or bills named on a day: service, team, capacity and price",
    (
        text(
            "resource_id",
            "Provider's id, pod, host or instance; with suffix /kind a limited part of it: its disk, cpu, licences, ...",
            required=True,
        ),
        text("resource_kind", "disk, cpu, memory, pool, or the bill's resource type"),
        SERVICE,
        TEAM,
        text("provider", "Cloud provider"),
        text("region", "Region"),
        number("capacity", "Limit on the day, in `unit`"),
        text("unit", "Unit of capacity, use and price; of a resource as a whole the ConsumedUnit of its bill"),
        number("used_mean", "Mean use on the day, in `unit`"),
        number("used_max", "Largest use on the day, in `unit`"),
        number(
            "unit_price",
            "Price of one unit: of a capacity for 30 days, of a billed whole EffectiveCost / ConsumedQuantity of 30 days; else [[price]]",
            "billing_currency",
        ),
        text("billing_currency", "ISO 4217 currency of the price"),
        text("price_source", "bill, config or NULL"),
        number(
            "effective_cost_30d",
            "Amortised cost of the 30 days up to this one, all charges; on the row of the whole only",
            "billing_currency",
        ),
        DAY,
    ),
    grain=("day", "resource_id"),
    time_column="day",
    sort_key=("resource_id",),
    may_be_empty=True,
    row_rules=(in_slice(),),
    tags=("capacity", "costs"),
)

COSTS_DAILY = Contract(
    "core",
    "costs_daily",
    "Charges per day, provider, account, service and resource: billed, amortised, contracted and list",
    (
        SOURCE,
        SERVICE,
        TEAM,
        text("provider", "ProviderName of FOCUS", required=True),
        text("billing_account_id", "BillingAccountId of FOCUS", required=True),
        text("sub_account_id", "SubAccountId of FOCUS"),
        text("provider_service", "ServiceName of FOCUS"),
        text("service_category", "ServiceCategory of FOCUS"),
        text("region", "RegionId of FOCUS"),
        text("resource_id", "ResourceId of FOCUS"),
        text("charge_category", "ChargeCategory of FOCUS", required=True),
        text("commitment_discount_id", "CommitmentDiscountId of FOCUS"),
        text("commitment_discount_status", "CommitmentDiscountStatus of FOCUS"),
        text("billing_currency", "BillingCurrency of FOCUS", required=True),
        Column("billed_cost", MONEY, "Sum of BilledCost", "billing_currency", required=True),
        Column("effective_cost", MONEY, "Sum of EffectiveCost (amortised)", "billing_currency", required=True),
        Column("contracted_cost", MONEY, "Sum of ContractedCost", "billing_currency"),
        Column("list_cost", MONEY, "Sum of ListCost", "billing_currency"),
        Column("consumed_quantity", MONEY, "Sum of ConsumedQuantity"),
        text("consumed_unit", "ConsumedUnit of FOCUS"),
        count_of("charge_count", "Rows of the bill", "1", required=True),
        DAY,
    ),
    grain=(
        "day",
        "source",
        "service",
        "provider",
        "billing_account_id",
        "sub_account_id",
        "provider_service",
        "service_category",
        "region",
        "resource_id",
        "charge_category",
        "commitment_discount_id",
        "commitment_discount_status",
        "billing_currency",
        "consumed_unit",
    ),
    time_column="day",
    sort_key=("service", "provider", "resource_id"),
    may_be_empty=True,
    row_rules=(in_slice(),),
    expectations=(
        Expectation(
            "reconciles_with_raw",
            "no_rows",
            "error",
            "billed cost of a day equals the sum over raw.costs to the last digit, where that day may be read",
            sql="""SELECT u.day, c.billed_cost, r.billed_cost AS raw_billed_cost
                   FROM (SELECT day FROM meta.day_state WHERE table_name = 'raw.costs' AND state IN ('passed', 'waved')
                         AND day IN {days}) AS u
                   LEFT JOIN (SELECT day, sum(billed_cost) AS billed_cost FROM {batch} AS b GROUP BY day) AS c ON c.day = u.day
                   LEFT JOIN (SELECT day, sum(BilledCost) AS billed_cost FROM raw.costs
                              WHERE day IN {days} GROUP BY day) AS r ON r.day = u.day
                   WHERE coalesce(c.billed_cost, 0) <> coalesce(r.billed_cost, 0)""",
        ),
    ),
    owner="finops",
    tags=("costs",),
)

INCIDENTS = Contract(
    "core",
    "incidents",
    "Incidents on the day they opened, conformed, with detection, acknowledgement and resolution times",
    (
        SOURCE,
        text("incident_id", "Id in the source's system", required=True),
        SERVICE,
        TEAM,
        text("title", "Title"),
        text("severity", "Severity as the source names it"),
        text("status", "triggered, acknowledged or resolved", required=True),
        Column("started_time", "TIMESTAMP", "When the fault began, where known", "UTC"),
        Column("opened_time", "TIMESTAMP", "When it was opened", "UTC", required=True),
        Column("acknowledged_time", "TIMESTAMP", "When a person took it", "UTC"),
        Column("resolved_time", "TIMESTAMP", "When it was resolved; NULL while open", "UTC"),
        number("detect_s", "opened - started", "s"),
        number("acknowledge_s", "acknowledged - opened", "s"),
        number("resolve_s", "resolved - opened", "s"),
        DAY,
    ),
    grain=("source", "incident_id"),
    time_column="opened_time",
    sort_key=("opened_time", "incident_id"),
    may_be_empty=True,
    row_rules=(in_slice(),),
    tags=("incidents",),
)

SERVICE_DEPENDENCIES_1D = Contract(
    "core",
    "service_dependencies_1d",
    "Calls from one service to another, from spans whose parent is in another service",
    (
        SOURCE,
        text("parent_service", "Caller", required=True),
        text("child_service", "Callee", required=True),
        count_of("call_count", "Calls", "1", required=True),
        count_of("error_count", "Calls that ended in an error", "1", required=True),
        count_of("duration_sum_ns", "Sum of the callee's durations", "ns", required=True),
        count_of("duration_max_ns", "Longest duration of the callee", "ns", required=True),
        DAY,
    ),
    grain=("day", "source", "parent_service", "child_service"),
    time_column="day",
    sort_key=("parent_service", "child_service"),
    may_be_empty=True,
    row_rules=(in_slice(),),
    tags=("traces",),
)

CORE = (SPAN_ROLLUP_5M, LOG_ROLLUP_1H, RESOURCE_USAGE_1H, RESOURCES, COSTS_DAILY, INCIDENTS, SERVICE_DEPENDENCIES_1D)
