"""Where data comes from: `[sources.NAME]`, by `kind`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from warehouse.settings.section import Section

SOURCE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


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
