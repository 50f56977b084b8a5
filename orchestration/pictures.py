"""Pictures on assets, where people would rather look than read: charts of the reports, as Markdown with inline images."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from dagster import MarkdownMetadataValue, MetadataValue

if TYPE_CHECKING:
    import polars as pl

    from reports.page import Chart
    from warehouse.lake.lake import Lake

MAX_SERIES = 6
DOTS = 1.5
"""Dots a pixel: every picture is kept with its event."""


def picture(lake: Lake, table: str, day: date) -> MarkdownMetadataValue | None:
    """The charts of a table for the day it looks back from; None for tables without one or without rows."""
    charts = PICTURES[table](lake, day) if table in PICTURES else []
    if not charts:
        return None
    from reports.theme import png
    from reports.writing import escaped

    images = [f"{escaped(c.title)}\n\n![]({_address(png(c, DOTS))})\n\n{escaped(c.caption)}" for c in charts]
    return MetadataValue.md("\n\n".join(images))


def _address(image: bytes) -> str:
    """The image as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(image).decode()}"


def _rows(lake: Lake, query: str, day: date) -> pl.DataFrame:
    """The rows of a query for a day."""
    import polars as pl

    return pl.DataFrame(lake.query(query, {"day": day}))


def _capacity(lake: Lake, day: date) -> Sequence[Chart]:
    """Fan charts of the resources that run out first."""
    from reports.capacity.fans import fan_chart

    plan = _rows(
        lake,
        f"""SELECT resource_id, unit, "limit", exhaustion_p10, exhaustion_p50, exhaustion_p90, order_by FROM mart.capacity_plan
           WHERE day = $day AND status = 'ok' ORDER BY exhaustion_p50 NULLS LAST, resource_id LIMIT {MAX_SERIES}""",
        day,
    )
    forecast = _rows(
        lake,
        """SELECT resource_id, time::DATE AS date, max(mean) AS mean, max(lo_80) AS lo_80, max(hi_80) AS hi_80,
           max(lo_95) AS lo_95, max(hi_95) AS hi_95
           FROM mart.capacity_forecasts WHERE day = $day AND status = 'ok' GROUP BY ALL ORDER BY ALL""",
        day,
    )
    history = _rows(
        lake,
        """SELECT resource_id, day AS date, used_max FROM core.resources
           WHERE used_max IS NOT NULL AND day > $day::DATE - 90 AND day <= $day::DATE ORDER BY ALL""",
        day,
    )
    charts = (fan_chart(row, forecast, history) for row in plan.iter_rows(named=True))
    return [chart for chart in charts if chart is not None]


def _bars(query: str, title: str, word: Callable[[float], str]) -> Callable[[Lake, date], Sequence[Chart]]:
    """Bars of a query's columns name and value."""

    def draw(lake: Lake, day: date) -> Sequence[Chart]:
        import polars as pl

        from reports.charts import bars
        from reports.page import Chart
        from reports.theme import BLUE
        from reports.wording import labels

        rows = _rows(lake, query, day)
        if rows.is_empty():
            return []
        shown = pl.DataFrame(
            {
                "name": labels(rows["name"], longest=48),
                "value": rows["value"].cast(pl.Float64),
                "text": [word(value) for value in rows["value"]],
                "colour": [BLUE] * rows.height,
            }
        )
        return [Chart(title, "", bars(shown, unit="", value_format="~s"), "full")]

    return draw


PICTURES: dict[str, Callable[[Lake, date], Sequence[Chart]]] = {
    "mart.capacity_plan": _capacity,
    "mart.cost_opportunities": _bars(
        """SELECT opportunity_id AS name, saving_per_month AS value FROM mart.cost_opportunities
           WHERE day = $day AND saving_per_month > 0 ORDER BY saving_per_month DESC, opportunity_id LIMIT 15""",
        "Saving per 30 days",
        "{:,.0f}".format,
    ),
    "mart.roi": _bars(
        """SELECT replace(item, 'sensitivity:', '') AS name, p50 AS value FROM mart.roi
           WHERE day = $day AND starts_with(item, 'sensitivity:') AND p50 IS NOT NULL ORDER BY p50 DESC, item""",
        "Share of the variance of the net present value",
        "{:.0%}".format,
    ),
}
