"""What stays how long, and what storing it costs: `[retention]` and `[storage_price]`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from warehouse.settings.section import Section

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
