"""Pictures on assets, where people would rather look than read: a chart as Markdown with an inline image."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

from dagster import MarkdownMetadataValue, MetadataValue

if TYPE_CHECKING:
    from warehouse.lake.lake import Lake

MAX_SERIES = 6


def picture(lake: Lake, table: str, day: date) -> MarkdownMetadataValue | None:
    """The chart of a table for the day it looks back from; None for tables without one or without rows."""
    draw = PICTURES.get(table)
    chart = draw(lake, day) if draw else None
    if chart is None:
        return None
    import vl_convert

    png = vl_convert.vegalite_to_png(chart.to_dict(), scale=1.5)
    return MetadataValue.md(f"![{table} {day}](data:image/png;base64,{base64.b64encode(png).decode()})")


def _capacity(lake: Lake, day: date) -> Any:
    """Fan charts of the resources at most risk."""
    import altair as alt
    import polars as pl

    rows = lake.query(
        """SELECT f.resource_id, f.time, f.mean, f.lo_80, f.hi_80, p."limit" FROM mart.capacity_forecasts AS f
           JOIN mart.capacity_plan AS p ON p.day = f.day AND p.resource_id = f.resource_id
           WHERE f.day = $day AND f.resource_id IN (
               SELECT resource_id FROM mart.capacity_plan WHERE day = $day AND status = 'ok'
               ORDER BY exhaustion_p50 NULLS LAST, resource_id LIMIT $most) ORDER BY ALL""",
        {"day": day, "most": MAX_SERIES},
    )
    if rows.num_rows == 0:
        return None
    base = alt.Chart(pl.DataFrame(rows)).encode(x=alt.X("time:T", title=None))
    band = base.mark_area(opacity=0.25).encode(y=alt.Y("lo_80:Q", title="use"), y2="hi_80:Q")
    line = base.mark_line().encode(y="mean:Q")
    limit = base.mark_rule(color="firebrick", strokeDash=[4, 3]).encode(y="limit:Q")
    return alt.layer(band, line, limit).properties(width=260, height=130).facet("resource_id:N", columns=2).resolve_scale(y="independent")


def _bars(query: str, label: str, value: str, title: str) -> Callable[[Lake, date], Any]:
    def draw(lake: Lake, day: date) -> Any:
        import altair as alt
        import polars as pl

        rows = lake.query(query, {"day": day})
        if rows.num_rows == 0:
            return None
        y = alt.Y(f"{label}:N", sort="-x", title=None, axis=alt.Axis(labelLimit=320))
        return alt.Chart(pl.DataFrame(rows)).mark_bar().encode(x=alt.X(f"{value}:Q", title=title), y=y).properties(width=420)

    return draw


PICTURES: dict[str, Callable[[Lake, date], Any]] = {
    "mart.capacity_plan": _capacity,
    "mart.cost_opportunities": _bars(
        """SELECT opportunity_id, saving_per_month FROM mart.cost_opportunities
           WHERE day = $day AND saving_per_month > 0 ORDER BY saving_per_month DESC LIMIT 15""",
        "opportunity_id",
        "saving_per_month",
        "saving per 30 days",
    ),
    "mart.roi": _bars(
        """SELECT replace(item, 'sensitivity:', '') AS input, p50 AS share FROM mart.roi
           WHERE day = $day AND starts_with(item, 'sensitivity:')""",
        "input",
        "share",
        "share of the variance of NPV",
    ),
}
