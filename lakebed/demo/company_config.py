"""The `lakebed.toml` that a platform engineer of the simulated company would have written."""

from __future__ import annotations

from lakebed.demo.company import SERVICES

HEAD = """\
# Lakebed on the simulated company "Larkspur Outfitters". Paths are relative to this file.
data_root = "inputs"

[lake]
path = "lake"
catalog = "sqlite:lake/catalog.sqlite"

[publish]
path = "warehouse.duckdb"

[archive]
path = "archive"

[[retention.rules]]  # the first rule that covers a table decides
tables = "raw.logs"
keep_days = 80

[[retention.rules]]
tables = "raw.spans"
keep_days = 80

[[retention.rules]]
tables = "raw.*"

[[retention.rules]]
tables = "core.*"
keep_days = 760
archive = false

[[retention.rules]]
tables = "mart.*"

[[retention.rules]]
tables = "quarantine.*"
keep_days = 90
archive = false

[models]
history_days = 90
horizon_days = 60

[sources.metrics]  # what the metric archive exports: long Parquet files
kind = "table"
table = "raw.metric_points"
path = "metrics/*.parquet"
columns = { time = "time", metric_name = "metric", value = "value", kind = "kind", unit = "unit" }

[sources.metrics.labels]
"cloud.resource_id" = "cloud.resource_id"
"host.name" = "host.name"
"service.name" = "service.name"
"cloud.region" = "cloud.region"
team = "team"
quantile = "quantile"
device = "device"
pool = "pool"
limit = "limit"

[sources.otel_metrics]  # OpenTelemetry Collector, file exporter: JSON lines and length-prefixed protobuf
kind = "otlp"
path = ["otlp/metrics/*.jsonl.gz", "otlp/metrics/*.binpb"]

[sources.otel_traces]
kind = "otlp"
path = "otlp/traces/*.jsonl.gz"

[sources.otel_logs]
kind = "otlp"
path = "otlp/logs/*.jsonl.gz"

[sources.java_logs]  # Log4j files with stack traces, one series of files per service
kind = "log_text"
path = "logs/java/*.log"
pattern = "log4j"
filename_pattern = '(?P<service>[a-z-]+)\\.\\d{4}-\\d{2}-\\d{2}\\.log'
service = "{service}"

[sources.access_logs]
kind = "log_text"
path = "logs/access/*.log"
pattern = "apache_combined"
service = "web-frontend"

[sources.bills]
kind = "focus"
path = "bills/*.csv"

[sources.pagerduty]
kind = "pagerduty"
path = "pagerduty/*.json"

[sources.deploys]
kind = "table"
table = "raw.changes"
path = "changes/*.csv"
columns = { change_id = "change_id", kind = "kind", service = "service", time = "deployed_at", version = "version", \
title = "title", committed_time = "committed_at" }

[[capacity]]
kind = "cpu"
usage_metric = "system.cpu.cores_used"
limit_label = "limit"
unit = "{cpu}"
resource_label = "cloud.resource_id"
lead_time_days = 7

[[capacity]]
kind = "memory"
usage_metric = "system.memory.usage"
limit_label = "limit"
unit = "By"
resource_label = "cloud.resource_id"
lead_time_days = 7

[[capacity]]
kind = "disk"
usage_metric = "system.filesystem.usage"
limit_metric = "system.filesystem.limit"
unit = "By"
resource_label = "cloud.resource_id"
lead_time_days = 14

[[capacity]]
kind = "pool"
usage_metric = "db.client.connection.count"
limit_metric = "db.client.connection.max"
unit = "{connection}"
resource_label = "cloud.resource_id"
lead_time_days = 21

[[price]]  # a byte of disk for 30 days, where no bill gives a price
kind = "disk"
unit_price = 8.87e-11
unit = "By"
currency = "USD"

[scenarios.migration]  # lakebed run --scenario migration=YYYY-MM-DD: what if the search index moved in with more to keep
service = "search"
factor = 1.4

[roi]  # what no telemetry can measure; what is left out here is an assumption, and the report says so
currency = "USD"
inputs.platform_cost_per_year = { low = 15000, mode = 17500, high = 22000 }
inputs.setup_cost = { low = 4000, mode = 8000, high = 15000 }
inputs.downtime_cost_per_hour = { low = 900, mode = 1800, high = 3600 }
inputs.engineers = 14
inputs.hourly_rate = { low = 62, mode = 74, high = 90 }
inputs.discount_rate = 0.08
inputs.horizon_years = 3
"""


def config() -> str:
    """The configuration as TOML, the same for every seed; paths are relative to the folder that `generate` fills."""
    teams = (f'\n[[service_map]]\npattern = "^{s.name}$"\nservice = "{s.name}"\nteam = "{s.team}"\n' for s in SERVICES)
    return HEAD + "".join(teams) + '\n[[service_map]]\npattern = "^(observability|support)$"\nteam = "platform"\n'
