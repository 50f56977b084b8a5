"""Contracts of `meta.*`: the platform about itself. Append-only records (`log`), and configuration seen by SQL (`entity`)."""

from __future__ import annotations

from warehouse.contracts.core import count_of, number, text
from warehouse.contracts.model import Column, Contract


def _instant(name: str, description: str, *, required: bool = False) -> Column:
    return Column(name, "TIMESTAMP", description, "UTC", required=required)


INGEST_LOG = Contract(
    "meta",
    "ingest_log",
    "What each committed batch brought to each table: read = landed + collapsed + quarantined",
    (
        text("batch_id", "Content hash of the batch", required=True),
        text("source", "Source, or the derived table itself", required=True),
        text("table_name", "Table written", required=True),
        text("slice", "Days or window replaced; NULL for appended batches"),
        text("origin", "File or window the batch came from"),
        count_of("origin_offset", "Bytes of the file consumed so far (growing files)", "By"),
        text("origin_digest", "sha256 of those bytes"),
        count_of("rows_read", "Rows the source gave", "1", required=True),
        count_of("rows_landed", "Rows written", "1", required=True),
        count_of("rows_collapsed", "Rows equal to one that is there", "1", required=True),
        count_of("rows_quarantined", "Rows in quarantine", "1", required=True),
        count_of("bytes_read", "Bytes read from outside", "By"),
        text("supersedes", "Batches that this one replaced, separated by blanks"),
        _instant("started_at", "Start of reading", required=True),
        _instant("committed_at", "Commit", required=True),
        text("run_id", "Run"),
    ),
    grain=("batch_id", "source", "table_name", "committed_at"),
    time_column="committed_at",
    shape="log",
)

DAY_STATE = Contract(
    "meta",
    "day_state",
    "State of each table's day: version, whether its checks passed, and the versions of inputs it was built from",
    (
        text("table_name", "Table", required=True),
        Column("day", "DATE", "Day; 1970-01-01 for tables without days", required=True),
        count_of("version", "Raised by every commit that touches the day", "1", required=True),
        text("state", "unchecked, passed, blocked or waved", required=True),
        count_of("row_count", "Rows of the day after the commit", "1", required=True),
        text("inputs", "Fingerprint of the versions of the input days (derived tables)"),
        text("reason", "Why it is blocked or was waved through"),
        _instant("changed_at", "When this state began", required=True),
        text("run_id", "Run"),
        count_of("sequence", "Order of the records", required=True),
    ),
    grain=("table_name", "day"),
    time_column="changed_at",
    shape="log",
)

CHECK_RESULTS = Contract(
    "meta",
    "check_results",
    "Result of every expectation per table and day",
    (
        text("table_name", "Table", required=True),
        Column("day", "DATE", "Day checked", required=True),
        count_of("version", "Version of the day that was checked", "1", required=True),
        text("check_name", "Expectation", required=True),
        text("severity", "error or warn", required=True),
        Column("success", "BOOLEAN", "Whether it held", required=True),
        count_of("unexpected_count", "Rows or values that broke it", "1"),
        text("details", "Great Expectations' own result as JSON, shortened"),
        _instant("checked_at", "When", required=True),
        text("run_id", "Run"),
    ),
    grain=("table_name", "day", "check_name", "checked_at"),
    time_column="checked_at",
    shape="log",
)

RUNS = Contract(
    "meta",
    "runs",
    "Runs of the platform, from start to end",
    (
        text("run_id", "Run", required=True),
        text("job", "Job or command", required=True),
        text("status", "started, success, failure or dead", required=True),
        text("partitions", "Days of the run"),
        text("error", "First error of a failed run"),
        number("duration_s", "Seconds from start to end", "s"),
        _instant("recorded_at", "When this status was recorded", required=True),
    ),
    grain=("run_id", "status", "recorded_at"),
    time_column="recorded_at",
    shape="log",
)

QUERY_LOG = Contract(
    "meta",
    "query_log",
    "Queries that people ran through `lakebed sql`",
    (
        text("query_id", "UUID", required=True),
        _instant("started_at", "Start", required=True),
        number("duration_s", "Seconds", "s"),
        text("user_name", "Operating system user"),
        text("query", "SQL text", required=True),
        text("tables", "Tables it reads, separated by blanks"),
        count_of("rows_returned", "Rows", "1"),
        text("error", "Error, when it failed"),
    ),
    grain=("query_id",),
    time_column="started_at",
    shape="log",
)

SERVICE_MAP = Contract(
    "meta",
    "service_map",
    "[[service_map]] of the configuration: pattern to service and team",
    (
        count_of("rank", "Order in the file; the first match wins", required=True),
        text("pattern", "Regular expression (RE2) over the raw service name or resource id", required=True),
        text("service", "Conformed service; NULL keeps the name"),
        text("team", "Team"),
    ),
    grain=("rank",),
    time_column=None,
    shape="entity",
)

CAPACITY_LIMITS = Contract(
    "meta",
    "capacity_limits",
    "[[capacity]] of the configuration: which metric uses a resource and what its limit is",
    (
        count_of("rank", "Order in the file", required=True),
        text("kind", "disk, cpu, memory, pool, or any other: licence, quota, ...", required=True),
        text("usage_metric", "Metric that measures the use", required=True),
        Column("usage_labels", "MAP(VARCHAR, VARCHAR)", "Labels that the usage series must have", required=True),
        text("limit_metric", "Metric that gives the limit"),
        text("limit_label", "Label of the usage series that gives the limit"),
        number("limit_value", "Limit as a number"),
        text("unit", "Unit of use and limit"),
        number("lead_time_days", "Days it takes to add capacity", "d", required=True),
        text("resource_label", "Label that names the resource; the default order applies when NULL"),
    ),
    grain=("rank",),
    time_column=None,
    shape="entity",
)

PRICES = Contract(
    "meta",
    "prices",
    "[[price]] of the configuration, for resources that no bill prices",
    (
        count_of("rank", "Order in the file", required=True),
        text("kind", "Resource kind", required=True),
        text("pattern", "Regular expression (RE2) over resource_id; NULL for all", required=False),
        number("unit_price", "Price of one unit for 30 days", "currency", required=True),
        text("unit", "Unit priced"),
        text("currency", "ISO 4217", required=True),
    ),
    grain=("rank",),
    time_column=None,
    shape="entity",
)

RETENTION_PLANS = Contract(
    "meta",
    "retention_plans",
    "Every partition, or class of its rows, in every retention plan: what happens to it, which rule said so, and what it costs",
    (
        text("plan_id", "Hash of the plan's content", required=True),
        text("table_name", "Table", required=True),
        Column("day", "DATE", "Day", required=True),
        count_of("version", "Version of the day when it was planned", required=True),
        text("action", "keep, archive or drop", required=True),
        text("rule", "The rule that decided, or the hold", required=True),
        count_of("row_count", "Rows", "1"),
        count_of("bytes", "Bytes in the lake", "By"),
        _instant("planned_at", "When the plan was made", required=True),
        _instant("applied_at", "When it was applied to this day"),
        text("rows", "The class of the day's rows that is meant, as JSON; NULL for the whole day"),
        number("cost_before", "Price of storing it for a month as it is", "currency"),
        number("cost_after", "Price of storing it for a month as the plan leaves it", "currency"),
        text("currency", "ISO 4217"),
    ),
    grain=("plan_id", "table_name", "day", "rows", "applied_at"),
    time_column="planned_at",
    shape="log",
)

HOLDS = Contract(
    "meta",
    "holds",
    "Holds placed on days: manual, legal or for an incident; a hold beats every rule",
    (
        text("hold_id", "Id", required=True),
        text("reason", "Why", required=True),
        text("tables", "Tables, separated by blanks; * for all", required=True),
        Column("from_day", "DATE", "First day held", required=True),
        Column("to_day", "DATE", "Last day held", required=True),
        Column("expires", "DATE", "Day on which the hold ends by itself"),
        Column("active", "BOOLEAN", "FALSE records the removal", required=True),
        text("placed_by", "User"),
        _instant("changed_at", "When", required=True),
        text("kind", "manual, or legal: a legal hold refuses erasure too"),
        text("services", "Services whose rows are held, as a JSON list; NULL for all"),
    ),
    grain=("hold_id", "changed_at"),
    time_column="changed_at",
    shape="log",
)

ARCHIVE_BUNDLES = Contract(
    "meta",
    "archive_bundles",
    "Sealed bundles: where, what, and the hash chain",
    (
        text("bundle_id", "Id", required=True),
        text("table_name", "Table", required=True),
        Column("day", "DATE", "Day", required=True),
        text("path", "Folder of the bundle, relative to the archive", required=True),
        text("manifest_sha256", "sha256 of manifest.json", required=True),
        text("previous_sha256", "sha256 of the manifest before it in the chain"),
        count_of("row_count", "Rows", "1", required=True),
        count_of("bytes", "Bytes", "By", required=True),
        text("rows_digest", "Order-free digest of all rows", required=True),
        _instant("sealed_at", "When", required=True),
        text("supersedes", "Bundles of the same day that this one stands for, separated by blanks"),
        count_of("rows_erased", "Rows of the superseded bundles that were erased; their files are gone, a tombstone says so", "1"),
        text("column_names", "Columns of its files, separated by blanks; NULL in records older than this column"),
        text("encryption_key", "Fingerprint of the key that its files are encrypted with; NULL when they are not"),
    ),
    grain=("bundle_id",),
    time_column="sealed_at",
    shape="log",
)

RESTORE_DRILLS = Contract(
    "meta",
    "restore_drills",
    "Restores tried on a schedule, compared with what was sealed",
    (
        text("drill_id", "Id", required=True),
        text("bundle_id", "Bundle, or backup of the catalog", required=True),
        count_of("row_count", "Rows restored; of a backup its newest snapshot", "1", required=True),
        count_of("bytes", "Bytes read", "By", required=True),
        number("duration_s", "Seconds", "s", required=True),
        Column("equal", "BOOLEAN", "Whether all rows came back equal", required=True),
        text("details", "What differed"),
        _instant("drilled_at", "When", required=True),
        number("cost", "Price of reading these bytes, by archive.read_price_per_gb", "currency"),
        text("currency", "ISO 4217"),
    ),
    grain=("drill_id",),
    time_column="drilled_at",
    shape="log",
)

FILE_HASHES = Contract(
    "meta",
    "file_hashes",
    "What the lake's own files were when they were first seen; the scrub compares",
    (
        text("path", "File, relative to the data path", required=True),
        text("storage_name", "Table that it belongs to, as it is stored", required=True),
        Column("day", "DATE", "Day; 1970-01-01 for tables without days", required=True),
        text("sha256", "sha256 of the file; 64 zeros: it was damaged before it was first seen", required=True),
        _instant("recorded_at", "When", required=True),
    ),
    grain=("path",),
    time_column="recorded_at",
    shape="log",
)

META = (
    INGEST_LOG,
    DAY_STATE,
    CHECK_RESULTS,
    RUNS,
    QUERY_LOG,
    SERVICE_MAP,
    CAPACITY_LIMITS,
    PRICES,
    RETENTION_PLANS,
    HOLDS,
    ARCHIVE_BUNDLES,
    RESTORE_DRILLS,
    FILE_HASHES,
)
