"""What the capacity report reads, once for all of its sections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from reports.reading import read

if TYPE_CHECKING:
    import duckdb

RISK: Final = 0.05
"""Chance of running out within the lead time above which a resource is at risk, unless its plan says that it is reached later."""


@dataclass(frozen=True, slots=True)
class Data:
    """The rows of each query of its name; frames without columns where the mart is not there yet."""

    capacity_plan: pl.DataFrame
    capacity_forecast: pl.DataFrame
    capacity_history: pl.DataFrame
    capacity_decisions: pl.DataFrame
    capacity_scenarios: pl.DataFrame
    capacity_totals: pl.DataFrame
    demand_drivers: pl.DataFrame
    seasonal_peaks: pl.DataFrame
    forecast_accuracy: pl.DataFrame

    @property
    def known(self) -> pl.DataFrame:
        """The plan's rows that say something."""
        return self.capacity_plan.filter(pl.col("status") == "ok") if self.capacity_plan.columns else self.capacity_plan

    @property
    def at_risk(self) -> pl.DataFrame:
        """Resources that may reach their limit: by risk in the lead time, then by when to order, then by money."""
        if not self.known.columns:
            return self.known
        return self.known.filter((pl.col("p_exceed_by_lead_time") > RISK) | pl.col("exhaustion_p50").is_not_null())

    def of(self, frame: pl.DataFrame, resource_id: str) -> pl.DataFrame:
        """Rows of one resource."""
        return frame.filter(pl.col("resource_id") == resource_id) if frame.columns else frame


def load(connection: duckdb.DuckDBPyConnection) -> Data:
    """Reads everything."""
    return Data(**{name: read(connection, name) for name in Data.__dataclass_fields__})


def decided(decisions: pl.DataFrame) -> pl.DataFrame:
    """Past plans that were decisions: with a statement, made before the limit was reached."""
    if not decisions.columns:
        return decisions
    return decisions.filter(pl.col("status") == "ok", ~pl.col("over_already").fill_null(False))
