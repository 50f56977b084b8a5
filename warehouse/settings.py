"""Typed configuration: one `lakebed.toml`, secrets only from the environment, unknown keys refused with the nearest valid one."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from warehouse.errors import ConfigError

SECRET = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
SOURCE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Section(BaseModel):
    """A table of the configuration: frozen, and a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LakeSettings(Section):
    """Where the lake is and how much of the machine it may use."""

    path: str = Field(default="lake", description="Folder or s3:// prefix of the Parquet files")
    catalog: SecretStr = Field(
        default=SecretStr("sqlite:lake/catalog.sqlite"), description="sqlite:FILE, or postgres:DSN (secrets as ${NAME})"
    )
    memory_limit: str = Field(default="4GiB", pattern=r"^\d+(\.\d+)?(MiB|GiB|MB|GB)$")
    min_free: str = Field(
        default="1GiB", pattern=r"^\d+(\.\d+)?(MiB|GiB|MB|GB)$", description="Room that stays free on the disk: writing stops before"
    )
    threads: int | None = Field(default=None, ge=1, description="DuckDB threads; default: the number of cores")
    temp_directory: str | None = None
    s3_endpoint: str | None = Field(default=None, description="host:port of an S3-compatible server")
    s3_region: str = "us-east-1"
    s3_use_ssl: bool = True


class PublishSettings(Section):
    """The hot tier: one DuckDB file for dashboards."""

    path: str = "warehouse.duckdb"
    raw_days: int = Field(default=2, ge=0)
    rollup_days: int = Field(default=90, ge=1)


class ArchiveSettings(Section):
    """Where sealed bundles go. Keys come from the environment: LAKEBED_ARCHIVE_KEY, LAKEBED_ARCHIVE_ENCRYPTION_KEY."""

    path: str = Field(default="archive", description="Folder or s3://bucket/prefix")
    encrypt: bool = Field(default=False, description="Encrypt the Parquet files of new bundles with LAKEBED_ARCHIVE_ENCRYPTION_KEY")
    keep_backups: int = Field(default=14, ge=1, description="Backups of the catalog that are kept")
    read_price_per_gb: float = Field(default=0.0, ge=0, description="What reading 10^9 bytes from the archive costs, for restore drills")
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$", description="Currency of read_price_per_gb (ISO 4217)")


Signal = Literal["metrics", "traces", "logs", "incidents", "changes", "costs"]


class RetentionRule(Section):
    """How long a table's days, or some rows of them, stay, and whether they are archived before they go. The first rule that covers a row
    decides. Rules without services, severities and labels cover whole days and are decided without reading data."""

    tables: str = Field(default="*", description="Table name or pattern, for example raw.* or core.metric_rollup_1h")
    signal: Signal | None = Field(default=None, description="Only tables of this signal; quarantine has none")
    services: tuple[str, ...] = Field(
        default=(), description="Only rows of these services, as they came or by [[service_map]]; * and ? allowed"
    )
    severities: tuple[str, ...] = Field(default=(), description="Only rows of these severities, for example DEBUG")
    labels: dict[str, str | tuple[str, ...]] = Field(
        default={},
        description="Only rows with these labels or attributes (a tenant, for example), each with one of the values; * and ? allowed",
    )
    keep_days: int | None = Field(ge=1, default=None, description="Days in the lake; absent keeps for ever")
    archive: bool = True
    min_days: int = Field(default=7, ge=0, description="Days that a monthly budget leaves in the lake, whatever they cost")

    @field_validator("labels")
    @classmethod
    def _have_values(cls, labels: dict[str, str | tuple[str, ...]]) -> dict[str, str | tuple[str, ...]]:
        for name, values in labels.items():
            if not values:
                raise ValueError(f"give label {name!r} a value; * matches any")
        return labels

    @model_validator(mode="after")
    def _covers_something(self) -> RetentionRule:
        if not {"tables", "signal"} & self.model_fields_set and not (self.services or self.severities or self.labels):
            raise ValueError('say what the rule covers: tables, signal, services, severities or labels (tables = "*" covers all)')
        return self

    @property
    def scope(self) -> str:
        """What it covers, in words: how plans name it."""
        words = [self.tables] if self.tables != "*" or self.signal is None else []
        words += [self.signal] if self.signal else []
        words += [f"of {', '.join(self.services)}"] if self.services else []
        words += [f"severity {', '.join(self.severities)}"] if self.severities else []
        words += [f"{name} = {v if isinstance(v, str) else ', '.join(v)}" for name, v in self.labels.items()]
        return " ".join(words)


class RetentionSettings(Section):
    """Retention rules, in order, what is held around incidents, and what storage may cost."""

    rules: tuple[RetentionRule, ...] = (
        RetentionRule(tables="raw.metric_points", keep_days=30),
        RetentionRule(tables="raw.metric_histograms", keep_days=30),
        RetentionRule(tables="raw.spans", keep_days=30),
        RetentionRule(tables="raw.logs", keep_days=30),
        RetentionRule(tables="core.*", keep_days=760, archive=False),
        RetentionRule(tables="raw.*"),
        RetentionRule(tables="mart.*"),
        RetentionRule(tables="quarantine.*", keep_days=90, archive=False),
    )
    hold_incident_days: int = Field(default=1, ge=0, description="Days before and after an incident that are held; see holds")
    hold_incidents: bool = True
    monthly_budget: float | None = Field(
        default=None, ge=0, description="What storage may cost a month, in the currency of [storage_price]; absent: the rules alone decide"
    )


class StoragePriceSettings(Section):
    """Price of a GB (10^9 bytes) kept for a month, per tier.

    The defaults are list prices of Amazon in us-east-1 without requests and traffic: EBS gp3 for hot, S3 Standard for warm and cold, S3
    Glacier Instant Retrieval for the archive. They are an assumption about you: write what you pay."""

    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    hot: float = Field(default=0.08, ge=0, description="warehouse.duckdb, which holds copies of what is in the lake")
    warm: float = Field(default=0.023, ge=0, description="The lake: raw days, marts, quarantine")
    cold: float = Field(default=0.023, ge=0, description="The lake: rollups and other core tables")
    archive: float = Field(default=0.004, ge=0, description="Sealed bundles")


class AuthSettings(Section):
    """How to log in to an HTTP server. Secrets come from the environment."""

    bearer_token: SecretStr | None = None
    username: str | None = None
    password: SecretStr | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True


class SourceSettings(Section):
    """What every source has."""

    enabled: bool = True
    name: str | None = Field(
        default=None, pattern=SOURCE_NAME.pattern, description="Only within a group: tells apart inputs that read the same file"
    )


class FileSourceSettings(SourceSettings):
    """A source that reads files: in place by path, or from an inbox folder that it empties into done/ and rejected/."""

    path: str | tuple[str, ...] = Field(default=(), description="File, glob or s3:// pattern; relative to data_root")
    inbox: str | None = Field(default=None, description="Folder whose files are taken and moved to done/ or rejected/")
    settle_seconds: float = Field(default=2.0, ge=0, description="A file that changed more recently than this is still growing")
    max_expanded_bytes: int = Field(default=64 * 2**30, ge=1024, description="A compressed file may not expand beyond this")

    @property
    def paths(self) -> tuple[str, ...]:
        """The configured patterns, always a tuple."""
        return (self.path,) if isinstance(self.path, str) else self.path

    @model_validator(mode="after")
    def _has_input(self) -> FileSourceSettings:
        if not self.paths and not self.inbox:
            raise ValueError("give `path` or `inbox`")
        return self


class PrometheusSettings(SourceSettings):
    """HTTP API of Prometheus, VictoriaMetrics, Thanos or Mimir."""

    kind: Literal["prometheus"]
    url: str
    selectors: tuple[str, ...] = ('{__name__!=""}',)
    flavour: Literal["auto", "prometheus", "victoriametrics"] = "auto"
    max_samples: int = Field(default=5_000_000, ge=1000, description="Samples that one query may return; windows are sized to it")
    window_seconds: int = Field(default=3600, ge=60, description="First size of a query window")
    lag_seconds: int = Field(default=60, ge=0, description="The open day is read up to this long ago")
    timeout_seconds: float = Field(default=60.0, gt=0)
    max_attempts: int = Field(default=5, ge=1, le=20)
    auth: AuthSettings = AuthSettings()


class OtlpSettings(FileSourceSettings):
    """Files of the OpenTelemetry Collector: JSON, JSONL, protobuf, plain or .gz/.zst."""

    kind: Literal["otlp"]
    max_line_bytes: int = Field(default=64 * 2**20, ge=1024)


class FocusSettings(FileSourceSettings):
    """FOCUS 1.0-1.4 as CSV or Parquet, or an AWS Cost and Usage Report as CSV."""

    kind: Literal["focus"]
    dialect: Literal["auto", "focus", "aws_cur"] = "auto"
    null_values: tuple[str, ...] = ("", "NULL", "NaN")


class MetricColumn(Section):
    """What is known about a metric of a table; `column` is its value column in a wide one."""

    column: str | None = None
    kind: Literal["gauge", "counter", "unknown"] = "gauge"
    unit: str | None = Field(default=None, description="Unit of the values, brought to its UCUM base unit (ms to s, MiBy to By)")
    description: str | None = None
    labels: dict[str, str] = Field(default={}, description="Fixed labels of this metric")


class LookupSettings(Section):
    """A small table that is joined to the rows: its columns are written `NAME.column` in expressions."""

    path: str = Field(description="CSV, Parquet or NDJSON file; relative to data_root; `{group}` of filename_pattern allowed")
    key: str = Field(description="Column of the lookup; the first row of each value counts")
    on: str | None = Field(default=None, description="Column of the table; default: the one named like `key`")


class TableSettings(FileSourceSettings):
    """CSV, Parquet, NDJSON or JSON documents onto a raw contract by a column mapping.

    `columns` maps contract columns to a column of the file or an SQL expression over its columns (`'text'` is a constant).
    For raw.metric_points, columns `time`, `value`, `metric_name` (and `kind`, `unit`, `description`) make a long table; `metrics`
    (name = column) or `metric_columns` (columns found by a regular expression) make a wide one. `labels` maps label names to
    columns or expressions."""

    kind: Literal["table"]
    table: str
    format: Literal["auto", "csv", "parquet", "ndjson", "json"] = "auto"
    columns: dict[str, str] = {}
    metrics: dict[str, str | MetricColumn] = {}
    metric_columns: str | None = Field(
        default=None, description="Regular expression over column names: group `metric` is the name, the other groups are labels"
    )
    labels: dict[str, str] = {}
    time_format: str = Field(default="auto", description="auto, text, s, ms, us, ns (Unix times), or a strptime pattern")
    time_zone: str = "UTC"
    delimiter: str | None = Field(default=None, description="Default: found in the header line")
    header_rows: int = Field(default=1, ge=0, description="Lines of the header; the names of several are joined by header_separator")
    header_separator: str = "|"
    skip_lines: int = Field(default=0, ge=0, description="Lines before the header")
    column_names: tuple[str, ...] = Field(default=(), description="Names of the columns of a file without a usable header")
    null_values: tuple[str, ...] = ("",)
    filename_pattern: str | None = Field(
        default=None, description="Regular expression found in the file's path; its named groups become columns"
    )
    lookups: dict[str, LookupSettings] = {}
    where: str | None = Field(default=None, description="SQL condition over the file's columns; rows that fail it are not read")
    array_path: str | None = Field(default=None, description="JSON path of the rows inside a JSON document, for example $.items[*]")

    @model_validator(mode="after")
    def _has_mapping(self) -> TableSettings:
        if not self.columns:
            raise ValueError("give `columns`: contract column = column of the file")
        if self.table != "raw.metric_points" and (self.metrics or self.metric_columns):
            raise ValueError("`metrics` and `metric_columns` are only for table raw.metric_points")
        return self


class LogTextSettings(FileSourceSettings):
    """Text logs by a named pattern, or by a regular expression with named groups."""

    kind: Literal["log_text"]
    pattern: str = Field(default="json", description="apache_combined, log4j, json, or a regular expression with named groups")
    service: str | None = Field(default=None, description="Service of all lines; `{group}` takes it from filename_pattern")
    filename_pattern: str | None = None
    time_format: str = "auto"
    time_zone: str = "UTC"
    encoding: str = "utf-8"
    max_line_bytes: int = Field(default=1 * 2**20, ge=1024)
    multiline_start: str | None = Field(
        default=None, description="Regular expression of an entry's first line; lines that do not fit belong to the entry before"
    )
    attributes: dict[str, str] = {}


class PagerDutySettings(FileSourceSettings):
    """Export of PagerDuty's REST API `incidents`."""

    kind: Literal["pagerduty"]


class AlertmanagerSettings(SourceSettings):
    """Alertmanager: its v2 API by `url`, and saved webhook bodies by `path` or `inbox`."""

    kind: Literal["alertmanager"]
    url: str | None = None
    path: str | tuple[str, ...] = ()
    inbox: str | None = None
    settle_seconds: float = Field(default=2.0, ge=0)
    max_expanded_bytes: int = Field(default=64 * 2**30, ge=1024)
    timeout_seconds: float = Field(default=30.0, gt=0)
    max_attempts: int = Field(default=5, ge=1, le=20)
    auth: AuthSettings = AuthSettings()

    @property
    def paths(self) -> tuple[str, ...]:
        """The configured patterns, always a tuple."""
        return (self.path,) if isinstance(self.path, str) else self.path

    @model_validator(mode="after")
    def _has_input(self) -> AlertmanagerSettings:
        if not self.url and not self.paths and not self.inbox:
            raise ValueError("give `url`, `path` or `inbox`")
        return self


AnyInput = Annotated[
    OtlpSettings | FocusSettings | TableSettings | LogTextSettings | PagerDutySettings | AlertmanagerSettings,
    Field(discriminator="kind"),
]


class GroupSettings(SourceSettings):
    """Several inputs under one source name: a system that writes metrics, logs and incidents in different files."""

    kind: Literal["group"]
    inputs: tuple[AnyInput, ...] = Field(min_length=1)

    @field_validator("inputs", mode="before")
    @classmethod
    def _no_servers_of_whole_days(cls, inputs: Any) -> Any:
        """A Prometheus server replaces all metric points that its source has on a day, those of the other inputs too."""
        for one in inputs if isinstance(inputs, list | tuple) else ():
            if isinstance(one, dict) and one.get("kind") == "prometheus":
                raise ValueError(
                    'kind = "prometheus" cannot be an input of a group, because each day it is read replaces the metric points of the '
                    "whole source; give it a section of its own, [sources.NAME]"
                )
        return inputs

    @property
    def inboxes(self) -> tuple[str, ...]:
        """The inbox folders of all inputs."""
        return tuple(inbox for one in self.inputs if (inbox := getattr(one, "inbox", None)))


AnySource = Annotated[
    PrometheusSettings
    | OtlpSettings
    | FocusSettings
    | TableSettings
    | LogTextSettings
    | PagerDutySettings
    | AlertmanagerSettings
    | GroupSettings,
    Field(discriminator="kind"),
]


class ServiceRule(Section):
    """Maps raw service names and resource ids to a service and its team."""

    pattern: str
    service: str | None = None
    team: str | None = None


class CapacityRule(Section):
    """A resource with a limit: which metric shows its use, and what the limit is."""

    kind: str
    usage_metric: str
    usage_labels: dict[str, str] = {}
    limit_metric: str | None = None
    limit_label: str | None = None
    limit_value: float | None = None
    unit: str | None = None
    lead_time_days: float = Field(default=14, gt=0)
    resource_label: str | None = None

    @model_validator(mode="after")
    def _one_limit(self) -> CapacityRule:
        if sum(x is not None for x in (self.limit_metric, self.limit_label, self.limit_value)) != 1:
            raise ValueError("give exactly one of limit_metric, limit_label, limit_value")
        return self


class PriceRule(Section):
    """Price of one unit of a resource kind for 30 days, where no bill gives one."""

    kind: str
    pattern: str | None = None
    unit_price: float = Field(ge=0)
    unit: str | None = None
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")


class Range(Section):
    """A value that is not known exactly: low, most likely, high."""

    low: float
    mode: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low <= self.mode <= self.high:
            raise ValueError("low <= mode <= high must hold")
        return self


class RoiSettings(Section):
    """Inputs of the return-on-investment model that no telemetry can measure. Absent ones fall back to stated assumptions."""

    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    inputs: dict[str, float | Range] = {}


class ModelSettings(Section):
    """How far models look back and ahead."""

    history_days: int = Field(default=90, ge=7)
    horizon_days: int = Field(default=60, ge=1)
    risk: float = Field(default=0.05, gt=0, lt=1)
    objective: float = Field(default=0.999, gt=0, lt=1, description="Default SLO of a service's error ratio")


class UpkeepSettings(Section):
    """How long what the platform writes down about itself is kept once nothing needs it; docs/operations.md says what that is."""

    run_days: int = Field(default=30, ge=1, description="Events and logs of Dagster's runs; what they say of assets stays, day by day")
    log_days: int = Field(default=400, ge=180, description="Records of meta.*; plans weigh the queries of 180 days")


class Settings(Section):
    """The whole configuration. Relative paths are relative to the folder of the file."""

    root: Path = Field(Path(), exclude=True)
    data_root: str = ""
    lake: LakeSettings = LakeSettings()
    publish: PublishSettings = PublishSettings()
    archive: ArchiveSettings = ArchiveSettings()
    retention: RetentionSettings = RetentionSettings()
    storage_price: StoragePriceSettings = StoragePriceSettings()
    models: ModelSettings = ModelSettings()
    upkeep: UpkeepSettings = UpkeepSettings()
    roi: RoiSettings = RoiSettings()
    sources: dict[str, AnySource] = {}
    service_map: tuple[ServiceRule, ...] = ()
    capacity: tuple[CapacityRule, ...] = ()
    price: tuple[PriceRule, ...] = ()
    start_day: date | None = Field(default=None, description="First day that Lakebed holds; default: of the data itself")

    @field_validator("sources")
    @classmethod
    def _names(cls, sources: dict[str, Any]) -> dict[str, Any]:
        for name in sources:
            if not SOURCE_NAME.fullmatch(name):
                raise ValueError(f"source name {name!r}: use lower-case letters, digits and _ (at most 63, a letter first)")
        return sources

    def resolve(self, path: str) -> str:
        """A configured path as an absolute one (`s3://` stays)."""
        return path if "://" in path else str((self.root / path).resolve())

    def resolve_input(self, path: str) -> str:
        """A source's path: relative to `data_root`, which is relative to the file."""
        if "://" in path or Path(path).is_absolute():
            return path
        base = self.data_root if "://" in self.data_root else str((self.root / self.data_root).absolute())
        return f"{base.rstrip('/')}/{path}"


def load(file: Path) -> Settings:
    """Read a configuration file.

    Raises ConfigError when the file is missing or not TOML, a `${NAME}` is not set, or a key or value does not fit; the message names
    the key, and the nearest valid one."""
    try:
        text = file.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(f"there is no configuration at {file}; `lakebed init` writes one, --config names another") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}") from None
    return parse(_expand(document, file), file)


def parse(document: dict[str, Any], file: Path) -> Settings:
    """Validate a configuration that is already a dict; `file` stands in messages and its folder is the root of relative paths."""
    try:
        return Settings.model_validate({**document, "root": file.resolve().parent})
    except ValidationError as error:
        problems = "\n".join(f"  {_explain(e)}" for e in error.errors(include_url=False, include_input=False))
        raise ConfigError(f"{file} does not fit:\n{problems}") from None


def _expand(node: Any, file: Path, where: str = "") -> Any:
    if isinstance(node, dict):
        return {key: _expand(value, file, f"{where}.{key}" if where else key) for key, value in node.items()}
    if isinstance(node, list):
        return [_expand(value, file, f"{where}[{i}]") for i, value in enumerate(node)]
    if not isinstance(node, str):
        return node

    def environment(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise ConfigError(f"{file}: {where} needs the environment variable {name}, which is not set")
        return os.environ[name]

    return SECRET.sub(environment, node)


def _valid_keys(location: tuple[int | str, ...]) -> list[str]:
    """Keys allowed where an unknown one stood, by walking the model along the error's location."""
    model: Any = Settings
    for step in location[:-1]:
        model = _step(model, step)
        if model is None:
            return []
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _step(model: Any, step: int | str) -> Any:
    kinds = {
        "prometheus": PrometheusSettings,
        "otlp": OtlpSettings,
        "focus": FocusSettings,
        "table": TableSettings,
        "log_text": LogTextSettings,
        "pagerduty": PagerDutySettings,
        "alertmanager": AlertmanagerSettings,
        "group": GroupSettings,
    }
    lists = {
        "service_map": ServiceRule,
        "capacity": CapacityRule,
        "price": PriceRule,
        "rules": RetentionRule,
        "auth": AuthSettings,
        "lookups": LookupSettings,
        "metrics": MetricColumn,
    }
    if step in kinds:
        return kinds[str(step)]
    if step in lists:
        return lists[str(step)]
    if isinstance(model, type) and issubclass(model, BaseModel) and step in model.model_fields:
        inner = model.model_fields[str(step)].annotation
        return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else model
    return model


def _explain(error: Any) -> str:
    location = error["loc"]
    path = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), _valid_keys(location), n=1, cutoff=0.4)
        return f"{path}: unknown key" + (f"; did you mean {near[0]}?" if near else "")
    return f"{path}: {error['msg']}"
