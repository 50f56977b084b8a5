"""Typed configuration: one `lakebed.toml`, secrets only from the environment, unknown keys refused with the nearest valid one."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator

from warehouse.errors import ConfigError
from warehouse.settings.capacity import GROWTH, SCENARIO_NAME, CapacityRule, Country, PriceRule, ScenarioSettings, SqlPattern
from warehouse.settings.reports import ReportSettings
from warehouse.settings.retention import RetentionRule, RetentionSettings, StoragePriceSettings
from warehouse.settings.section import Section
from warehouse.settings.sources import (
    SOURCE_NAME,
    AlertmanagerSettings,
    AnySource,
    AuthSettings,
    FocusSettings,
    GroupSettings,
    LogTextSettings,
    LookupSettings,
    MetricColumn,
    OtlpSettings,
    PagerDutySettings,
    PrometheusSettings,
    TableSettings,
)

SECRET = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


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


class ServiceRule(Section):
    """Maps raw service names and resource ids to a service and its team."""

    pattern: SqlPattern
    service: str | None = None
    team: str | None = None
    holidays: Country | None = Field(default=None, description="Country (ISO 3166) whose holidays these services keep")


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
    risk: float = Field(default=0.05, gt=0, le=0.5)
    objective: float = Field(default=0.999, gt=0, lt=1, description="Default SLO of a service's error ratio")
    holidays: Country | None = Field(default=None, description="Country (ISO 3166) whose holidays people keep; [[service_map]] overrides")


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
    report: ReportSettings = ReportSettings()
    sources: dict[str, AnySource] = {}
    service_map: tuple[ServiceRule, ...] = ()
    capacity: tuple[CapacityRule, ...] = ()
    price: tuple[PriceRule, ...] = ()
    scenarios: dict[str, ScenarioSettings] = {}
    start_day: date | None = Field(default=None, description="First day that Lakebed holds; default: of the data itself")

    @field_validator("sources")
    @classmethod
    def _names(cls, sources: dict[str, Any]) -> dict[str, Any]:
        for name in sources:
            if not SOURCE_NAME.fullmatch(name):
                raise ValueError(f"source name {name!r}: use lower-case letters, digits and _ (at most 63, a letter first)")
        return sources

    @field_validator("scenarios")
    @classmethod
    def _scenario_names(cls, scenarios: dict[str, Any]) -> dict[str, Any]:
        for name in scenarios:
            if not SCENARIO_NAME.fullmatch(name) or name == GROWTH:
                raise ValueError(f"scenario name {name!r}: use lower-case letters, digits and _ (a letter first), and not {GROWTH!r}")
        return scenarios

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
        "scenarios": ScenarioSettings,
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
