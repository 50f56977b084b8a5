"""Contracts of `raw.*`: telemetry, incidents, changes and bills as they came, typed."""

from __future__ import annotations

from warehouse.contracts import encodings, log_columns
from warehouse.contracts.focus import ENUMERATIONS, FOCUS_COLUMNS, ISO_4217
from warehouse.contracts.model import Column, Contract, Expectation, RowRule

LABELS = "MAP(VARCHAR, VARCHAR)"
RATES = ("By/s", "1/s", "m/s")
"""Rates in OpenTelemetry's conventions and exporters: throughput, requests or packets, speed."""
UNITS = ("s", "By", "1", "Cel", "W", "J", "Hz", "V", "A", "m", "g", "K", "%", *RATES)

SOURCE = Column("source", "VARCHAR", "Key of the source in [sources.NAME]", required=True)
BATCH = Column("batch_id", "VARCHAR", "Content hash of the batch that brought the row", required=True)
DAY = Column("day", "DATE", "UTC day of the row's time; the partition column", required=True)
SERIES_ID = Column("series_id", "UBIGINT", "64-bit hash of source, metric name and sorted labels", required=True)


def time_column(description: str) -> Column:
    """The partition and sort time of an event table."""
    return Column("time", "TIMESTAMP", description, "UTC", required=True)


def in_slice(column: str = "day") -> RowRule:
    """Rows of another day than the slice asked for are not this slice's to write."""
    return RowRule("time_in_slice", f"{column} >= $slice_start AND {column} < $slice_end", "the row's time is inside the slice")


def volume(table: str) -> Expectation:
    """Rows of a day against the median of the same weekday in the eight weeks before; the open day is never too small."""
    return Expectation(
        "volume_like_same_weekday",
        "no_rows",
        "warn",
        "row count is within a third and three times the median of the same weekday in the last eight weeks",
        sql=f"""
            SELECT d.day, d.row_count, h.usual
            FROM (SELECT day, count(*) AS row_count FROM {{batch}} AS b GROUP BY day) AS d
            JOIN (SELECT n.day, median(p.row_count) AS usual, count(*) AS weeks
                  FROM meta.day_state AS n
                  JOIN meta.day_state AS p ON p.table_name = n.table_name AND p.day < n.day AND p.day >= n.day - INTERVAL 56 DAY
                       AND dayofweek(p.day) = dayofweek(n.day) AND p.row_count > 0
                  WHERE n.table_name = '{table}' AND n.day IN {{days}} GROUP BY n.day) AS h ON h.day = d.day
            WHERE h.weeks >= 2 AND ((d.row_count * 3 < h.usual AND d.day < current_date) OR d.row_count > h.usual * 3)""",
    )


def freshness(hours: int) -> Expectation:
    """The open day must not lag behind the clock; closed days are not asked."""
    return Expectation(
        "fresh",
        "no_rows",
        "warn",
        f"the newest row of the open day is at most {hours} h old",
        sql=f"""
            SELECT max(b.time) AS newest FROM {{batch}} AS b
            HAVING current_date IN {{days}}
               AND max(b.time) < (now() AT TIME ZONE 'UTC') - INTERVAL {hours} HOUR""",
    )


METRIC_SERIES = Contract(
    "raw",
    "metric_series",
    "Every time series that was ever seen: its name, labels, kind and unit",
    (
        SOURCE,
        SERIES_ID,
        Column("metric_name", "VARCHAR", "Name of the metric as the source gives it", required=True),
        Column("labels", LABELS, "Labels; OTLP resource and scope attributes as resource.* and scope.*", required=True),
        Column("kind", "VARCHAR", "gauge, counter, histogram, summary or unknown", required=True),
        Column("unit", "VARCHAR", "UCUM base unit of the values as stored; NULL when the source gives none"),
        Column("original_unit", "VARCHAR", "Unit as the source wrote it"),
        Column("unit_scale", "DOUBLE", "Stored value = original value * unit_scale", required=True),
        Column("temporality", "VARCHAR", "cumulative or delta for counters and histograms, else NULL"),
        Column("is_monotonic", "BOOLEAN", "Whether a sum only grows (OTLP) ; TRUE for Prometheus counters"),
        Column("description", "VARCHAR", "Help text of the metric"),
        Column("first_seen", "TIMESTAMP", "Time of the earliest sample that landed", "UTC", required=True),
        Column("last_seen", "TIMESTAMP", "Time of the latest sample that landed", "UTC", required=True),
        BATCH,
    ),
    grain=("source", "series_id"),
    time_column="last_seen",
    shape="entity",
    sort_key=("source", "metric_name", "series_id"),
    immutable=("metric_name", "labels"),
    merge=(("first_seen", "least"), ("last_seen", "greatest")),
    row_rules=(
        RowRule("metric_name_present", "metric_name <> ''", "the metric has a name"),
        RowRule(
            "kind_known",
            "kind IN ('gauge', 'counter', 'histogram', 'summary', 'unknown')",
            "the kind is one of the five",
        ),
        RowRule("seen_in_order", "first_seen <= last_seen", "first_seen is not after last_seen"),
    ),
    expectations=(
        Expectation(
            "unit_known", "in_set", "warn", "the unit is a UCUM base unit, or a rate of one, that Lakebed knows", ("unit",), values=UNITS
        ),
    ),
    tags=("metrics",),
)

METRIC_POINTS = Contract(
    "raw",
    "metric_points",
    "Samples of gauges, counters and summary quantiles, at full resolution",
    (
        SOURCE,
        SERIES_ID,
        time_column("Sample time"),
        Column("value", "DOUBLE", "Sample value in the series' base unit", required=True),
        BATCH,
        DAY,
    ),
    grain=("source", "series_id", "time"),
    time_column="time",
    sort_key=("source", "series_id", "time"),
    encoding=encodings.SAMPLES,
    row_rules=(in_slice(),),
    expectations=(
        Expectation(
            "series_known",
            "no_rows",
            "error",
            "every sample belongs to a series in raw.metric_series",
            sql="SELECT DISTINCT b.source, b.series_id FROM {batch} AS b ANTI JOIN raw.metric_series AS s USING (source, series_id)",
        ),
        Expectation(
            "counters_finite",
            "no_rows",
            "error",
            "counters hold finite values of zero or more",
            sql="""SELECT b.source, b.series_id, b.time, b.value FROM {batch} AS b
                   SEMI JOIN (FROM raw.metric_series WHERE kind = 'counter' AND is_monotonic) AS s USING (source, series_id)
                   WHERE NOT isfinite(b.value) OR b.value < 0""",
        ),
        volume("raw.metric_points"),
        freshness(2),
    ),
    tags=("metrics",),
)

METRIC_HISTOGRAMS = Contract(
    "raw",
    "metric_histograms",
    "Histogram points, explicit and exponential",
    (
        SOURCE,
        SERIES_ID,
        time_column("Point time"),
        Column("count", "UBIGINT", "Observations in the point", "1", required=True),
        Column("sum", "DOUBLE", "Sum of the observations in the series' unit"),
        Column("min", "DOUBLE", "Smallest observation, where the source gives it"),
        Column("max", "DOUBLE", "Largest observation, where the source gives it"),
        Column("bounds", "DOUBLE[]", "Upper bounds of explicit buckets, without +Inf"),
        Column("bucket_counts", "UBIGINT[]", "Counts per explicit bucket, one more than bounds"),
        Column("scale", "INTEGER", "Scale of an exponential histogram: base = 2^(2^-scale)"),
        Column("zero_count", "UBIGINT", "Observations in the zero bucket"),
        Column("zero_threshold", "DOUBLE", "Half-width of the zero bucket"),
        Column("positive_offset", "INTEGER", "Index of the first positive bucket"),
        Column("positive_counts", "UBIGINT[]", "Counts of the positive buckets"),
        Column("negative_offset", "INTEGER", "Index of the first negative bucket"),
        Column("negative_counts", "UBIGINT[]", "Counts of the negative buckets"),
        BATCH,
        DAY,
    ),
    grain=("source", "series_id", "time"),
    time_column="time",
    sort_key=("source", "series_id", "time"),
    may_be_empty=True,
    row_rules=(
        in_slice(),
        RowRule(
            "buckets_fit_bounds",
            "bounds IS NULL OR bucket_counts IS NULL OR len(bucket_counts) = 0 OR len(bucket_counts) = len(bounds) + 1",
            "an explicit histogram has one bucket more than bounds",
        ),
    ),
    expectations=(
        Expectation(
            "series_known",
            "no_rows",
            "error",
            "every point belongs to a series in raw.metric_series",
            sql="SELECT DISTINCT b.source, b.series_id FROM {batch} AS b ANTI JOIN raw.metric_series AS s USING (source, series_id)",
        ),
        volume("raw.metric_histograms"),
    ),
    tags=("metrics",),
)

SPANS = Contract(
    "raw",
    "spans",
    "Spans of distributed traces",
    (
        SOURCE,
        Column(
            "trace_id",
            "VARCHAR",
            "Trace id, 32 lower-case hex digits (other ids as the source writes them)",
            required=True,
        ),
        Column(
            "span_id",
            "VARCHAR",
            "Span id, 16 lower-case hex digits (other ids as the source writes them)",
            required=True,
        ),
        Column("parent_span_id", "VARCHAR", "Span id of the parent; NULL for a root"),
        Column("service", "VARCHAR", "service.name of the resource, as it came", required=True),
        Column("name", "VARCHAR", "Operation name", required=True),
        Column("kind", "VARCHAR", "INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER or UNSPECIFIED", required=True),
        time_column("Start of the span, cut to us"),
        Column("time_unix_nano", "BIGINT", "Start of the span", "ns", required=True),
        Column("duration_ns", "BIGINT", "End minus start", "ns", required=True),
        Column("status_code", "VARCHAR", "UNSET, OK or ERROR", required=True),
        Column("status_message", "VARCHAR", "Status description"),
        Column("trace_state", "VARCHAR", "W3C trace state"),
        Column("scope_name", "VARCHAR", "Instrumentation scope"),
        Column("scope_version", "VARCHAR", "Version of the instrumentation scope"),
        Column("resource_attributes", LABELS, "Resource attributes; values that are not text as JSON"),
        Column("attributes", LABELS, "Span attributes; values that are not text as JSON"),
        Column("events", f"STRUCT(time_unix_nano BIGINT, name VARCHAR, attributes {LABELS})[]", "Span events"),
        Column(
            "links",
            f"STRUCT(trace_id VARCHAR, span_id VARCHAR, trace_state VARCHAR, attributes {LABELS})[]",
            "Links to other spans",
        ),
        BATCH,
        DAY,
    ),
    grain=("source", "trace_id", "span_id"),
    time_column="time",
    sort_key=("service", "time", "trace_id", "span_id"),
    encoding=encodings.SPANS,
    row_rules=(
        in_slice(),
        RowRule("ids_present", "trace_id <> '' AND span_id <> ''", "trace and span id are present"),
        RowRule("duration_not_negative", "duration_ns >= 0", "the span does not end before it starts"),
        RowRule("status_known", "status_code IN ('UNSET', 'OK', 'ERROR')", "the status is one of the three"),
    ),
    expectations=(
        Expectation(
            "parent_known",
            "no_rows",
            "warn",
            "every span is a root or its parent is in the same trace",
            sql="""SELECT b.day, b.source, b.trace_id, b.span_id, b.parent_span_id FROM {batch} AS b
                   ANTI JOIN (SELECT source, trace_id, span_id AS parent_span_id FROM raw.spans
                              WHERE day IN {days_around}) AS p
                   USING (source, trace_id, parent_span_id)
                   WHERE b.parent_span_id IS NOT NULL""",
        ),
        volume("raw.spans"),
        freshness(2),
    ),
    tags=("traces",),
)

LOGS = Contract(
    "raw",
    "logs",
    "Log records, every line kept",
    (
        SOURCE,
        Column(
            "log_id",
            "UUID",
            "From source, original file identity and ordinal, so equal lines all survive",
            required=True,
        ),
        time_column("Time of the record, cut to us; of its arrival where it has none"),
        Column("time_unix_nano", "BIGINT", "Time of the record", "ns", required=True),
        Column("observed_time_unix_nano", "BIGINT", "When the collector saw it", "ns"),
        Column("service", "VARCHAR", "service.name or the source's own mapping, as it came", required=True),
        Column("severity", "VARCHAR", "TRACE, DEBUG, INFO, WARN, ERROR, FATAL or UNKNOWN", required=True),
        Column("severity_text", "VARCHAR", "Severity as the source wrote it"),
        Column("severity_number", "INTEGER", "OpenTelemetry severity number 1-24"),
        Column("body", "VARCHAR", "The message"),
        Column("trace_id", "VARCHAR", "Trace that the record belongs to"),
        Column("span_id", "VARCHAR", "Span that the record belongs to"),
        Column("event_name", "VARCHAR", "Name of an OpenTelemetry event"),
        Column("scope_name", "VARCHAR", "Instrumentation scope or logger"),
        Column("resource_attributes", LABELS, "Resource attributes; values that are not text as JSON"),
        Column("attributes", LABELS, "Record attributes; values that are not text as JSON"),
        BATCH,
        DAY,
    ),
    grain=("source", "log_id"),
    time_column="time",
    sort_key=("service", "time", "log_id"),
    encoding=log_columns.LOGS,
    collapse=False,
    row_rules=(
        in_slice(),
        RowRule(
            "severity_known",
            "severity IN ('TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL', 'UNKNOWN')",
            "the severity is one of the seven",
        ),
    ),
    expectations=(volume("raw.logs"), freshness(2)),
    tags=("logs",),
)

INCIDENTS = Contract(
    "raw",
    "incidents",
    "Incidents and alerts with their life cycle",
    (
        SOURCE,
        Column("incident_id", "VARCHAR", "Id in the source's system", required=True),
        Column("title", "VARCHAR", "Title or alert name"),
        Column("service", "VARCHAR", "Service as the source names it"),
        Column("severity", "VARCHAR", "Severity, priority or urgency as the source names it"),
        Column("status", "VARCHAR", "triggered, acknowledged or resolved", required=True),
        Column("started_time", "TIMESTAMP", "When the fault began, where known", "UTC"),
        Column("opened_time", "TIMESTAMP", "When the incident was opened", "UTC", required=True),
        Column("acknowledged_time", "TIMESTAMP", "When a person took it", "UTC"),
        Column("resolved_time", "TIMESTAMP", "When it was resolved; NULL while open", "UTC"),
        Column("description", "VARCHAR", "Text of the incident"),
        Column("url", "VARCHAR", "Where to read more"),
        Column("labels", LABELS, "Alert labels and further fields"),
        BATCH,
        DAY,
    ),
    grain=("source", "incident_id"),
    time_column="opened_time",
    shape="snapshot",
    sort_key=("opened_time", "incident_id"),
    dirties=("opened_time", "resolved_time"),
    may_be_empty=True,
    row_rules=(
        in_slice(),
        RowRule("incident_id_present", "incident_id <> ''", "the incident has an id"),
        RowRule("status_known", "status IN ('triggered', 'acknowledged', 'resolved')", "the status is one of the three"),
        RowRule(
            "times_in_order",
            "coalesce(resolved_time >= opened_time, TRUE) AND coalesce(acknowledged_time >= opened_time, TRUE)",
            "an incident is not acknowledged or resolved before it opens",
        ),
    ),
    tags=("incidents",),
)

CHANGES = Contract(
    "raw",
    "changes",
    "Deploys, releases, commits and configuration changes",
    (
        SOURCE,
        Column("change_id", "VARCHAR", "Id in the source's system", required=True),
        Column("kind", "VARCHAR", "deploy, release, config, commit or migration", required=True),
        Column("service", "VARCHAR", "Service that was changed, as the source names it"),
        time_column("When the change took effect"),
        Column("version", "VARCHAR", "Version, tag or revision"),
        Column("title", "VARCHAR", "One line about the change"),
        Column("committed_time", "TIMESTAMP", "When the change was written (DORA lead time starts here)", "UTC"),
        Column("labels", LABELS, "Further fields"),
        BATCH,
        DAY,
    ),
    grain=("source", "change_id"),
    time_column="time",
    shape="snapshot",
    sort_key=("time", "change_id"),
    may_be_empty=True,
    row_rules=(
        in_slice(),
        RowRule("change_id_present", "change_id <> ''", "the change has an id"),
        RowRule(
            "kind_known",
            "kind IN ('deploy', 'release', 'config', 'commit', 'migration')",
            "the kind is one of the five",
        ),
    ),
    tags=("changes",),
)


def _focus_rules() -> tuple[RowRule, ...]:
    enums = tuple(
        RowRule(
            f"{column}_allowed",
            f"{column} IS NULL OR {column} IN ({', '.join(repr(v) for v in values)})",
            f"{column} holds a value that FOCUS allows",
        )
        for column, values in ENUMERATIONS.items()
    )
    return (
        in_slice(),
        RowRule(
            "currency_iso_4217",
            f"BillingCurrency IN ({', '.join(repr(c) for c in ISO_4217)})",
            "BillingCurrency is in ISO 4217",
        ),
        RowRule("charge_period_in_order", "ChargePeriodStart < ChargePeriodEnd", "a charge period ends after it starts"),
        RowRule("billing_period_in_order", "BillingPeriodStart < BillingPeriodEnd", "a billing period ends after it starts"),
        *enums,
    )


COSTS = Contract(
    "raw",
    "costs",
    "Cloud bills under the column names of FOCUS, normalised from 1.0 to 1.4",
    (
        SOURCE,
        Column(
            "charge_id",
            "UUID",
            "From source, file identity and ordinal: equal charges are separate facts",
            required=True,
        ),
        *FOCUS_COLUMNS,
        Column("focus_version", "VARCHAR", "Version or dialect that the row was written in", required=True),
        BATCH,
        DAY,
    ),
    grain=("source", "charge_id"),
    time_column="ChargePeriodStart",
    sort_key=("ChargePeriodStart", "ResourceId", "charge_id"),
    collapse=False,
    row_rules=_focus_rules(),
    expectations=(volume("raw.costs"),),
    may_be_empty=True,
    owner="finops",
    tags=("costs",),
)

RAW = (METRIC_SERIES, METRIC_POINTS, METRIC_HISTOGRAMS, SPANS, LOGS, INCIDENTS, CHANGES, COSTS)
