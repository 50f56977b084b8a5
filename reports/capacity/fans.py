"""Fan charts of resources with a limit: the one way in which pages, paper and the Dagster UI draw them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import polars as pl

from reports.charts import Mark, fan
from reports.page import Chart, Size
from reports.theme import AMBER, LIMIT
from reports.wording import label, scale

CAPTION: Final = (
    "Daily peak: black so far; blue the median ahead, with 80% and 95% of the possible courses; red the limit, and the days by which it is "
    "reached with 10%, 50% and 90% probability; amber the last day to order."
)
_NO_HISTORY: Final = pl.DataFrame(schema={"date": pl.Date, "used": pl.Float64})


def fan_chart(row: Mapping[str, Any], forecast: pl.DataFrame, history: pl.DataFrame, *, size: Size = "half") -> Chart | None:
    """The chart of one resource; None where it has no limit or no forecast.

    row: of mart.capacity_plan (resource_id, limit, unit, exhaustion_p10/50/90, order_by). forecast: resource_id, date, mean,
    lo_80, hi_80, lo_95, hi_95. history: resource_id, date, used_max; may have no columns.
    """
    if row["limit"] is None or forecast.is_empty():
        return None
    ahead = forecast.filter(pl.col("resource_id") == row["resource_id"]).select("date", "mean", "lo_80", "hi_80", "lo_95", "hi_95")
    if ahead.is_empty():
        return None
    divisor, unit = scale(row["limit"], row["unit"])
    ahead = ahead.with_columns(pl.exclude("date") / divisor)
    past = history.filter(pl.col("resource_id") == row["resource_id"]) if history.columns else history
    past = past.select("date", used=pl.col("used_max") / divisor) if past.height else _NO_HISTORY
    drawing = fan(past, ahead, limit=row["limit"] / divisor, unit=unit, marks=_marks(row))
    return Chart(label(row["resource_id"], longest=48), CAPTION, drawing, size)


def _marks(row: Mapping[str, Any]) -> list[Mark]:
    """The days that count, the first to act on first."""
    marks = [Mark(row["order_by"], f"order by {_short(row['order_by'])}", AMBER)] if row.get("order_by") else []
    for share in ("10", "50", "90"):
        time = row[f"exhaustion_p{share}"]
        if time is not None:
            marks.append(Mark(time, f"{share}%: {_short(time)}", LIMIT, faint=share != "50"))
    return marks


def _short(time: datetime) -> str:
    """5 Jan."""
    return f"{time.day} {time:%b}"
