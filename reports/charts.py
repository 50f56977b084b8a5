"""Charts as inline SVG: one look for all, drawn for wide screens and paper and again for phones.

Colours of ink and grid are fixed words of the theme; the page's style sheet swaps them in dark mode.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

import polars as pl

from reports.page import Chart, Size

if TYPE_CHECKING:
    import altair as alt

INK: Final = "#26313d"
MUTED: Final = "#5c6875"
GRID: Final = "#e2e6eb"
BLUE: Final = "#2f6db5"
LIMIT: Final = "#c2453d"
RED: Final = "#c4504a"
AMBER: Final = "#c98a1b"
GREEN: Final = "#3f8f5f"
SERIES: Final = (BLUE, "#3a9d94", AMBER, "#b85578", "#7869b3", "#7f963f")
OTHER: Final = "#9aa5b1"

Screen = Literal["wide", "narrow"]
Draw = Callable[[int, int], "alt.TopLevelMixin"]

_PIXELS: Final[dict[Screen, dict[Size, tuple[int, int]]]] = {
    "wide": {"full": (860, 260), "half": (400, 210), "third": (270, 170)},
    "narrow": {"full": (330, 230), "half": (330, 200), "third": (330, 150)},
}
"""Width and height by the kind of screen; paper is wide."""


def svg(chart: Chart, screen: Screen) -> str:
    """The chart as SVG text without a prologue, in the house theme, for a kind of screen; nothing is fetched to make it."""
    import vl_convert

    spec = chart.draw(*_PIXELS[screen][chart.size]).to_dict(validate=False)
    spec |= {"config": theme(), "autosize": {"type": "fit", "contains": "padding"}}
    text: str = vl_convert.vegalite_to_svg(spec)
    return text


def _sized(drawing: Any, width: int, height: int) -> alt.TopLevelMixin:
    """The drawing at a size in pixels (altair types its fluent setters as Any)."""
    sized: alt.TopLevelMixin = drawing.properties(width=width, height=height)
    return sized


@cache
def theme() -> dict[str, Any]:
    """Vega-Lite configuration: no frame, light horizontal grid, system font, transparent background."""
    axis = {
        "domainColor": GRID,
        "gridColor": GRID,
        "tickColor": GRID,
        "labelColor": MUTED,
        "titleColor": MUTED,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelOverlap": True,
    }
    return {
        "background": None,
        "font": "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif",
        "aria": False,
        "padding": {"left": 12, "right": 4, "top": 4, "bottom": 2},
        "view": {"stroke": None},
        "axis": axis,
        "axisX": {"grid": False, "ticks": True, "labelPadding": 4},
        "axisY": {"domain": False, "ticks": False, "labelPadding": 6, "tickCount": 5},
        "legend": {
            "labelColor": INK,
            "labelFontSize": 11,
            "labelLimit": 150,
            "orient": "top",
            "direction": "horizontal",
            "title": None,
            "symbolType": "square",
            "symbolSize": 90,
            "padding": 0,
        },
        "text": {"fill": INK, "fontSize": 11},
    }


def fan(history: pl.DataFrame, forecast: pl.DataFrame, *, limit: float, unit: str) -> Draw:
    """Use so far, the forecast with its 80% and 95% intervals, and the limit.

    history: date, used. forecast: date, mean, lo_80, hi_80, lo_95, hi_95. All in `unit`, the name on the axis.
    """

    def draw(width: int, height: int) -> alt.TopLevelMixin:
        import altair as alt

        x = alt.X("date:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=5))
        future = alt.Chart(forecast).encode(x=x)
        outer = future.mark_area(color=BLUE, opacity=0.16).encode(y=alt.Y("lo_95:Q", title=unit or None), y2="hi_95:Q")
        inner = future.mark_area(color=BLUE, opacity=0.26).encode(y="lo_80:Q", y2="hi_80:Q")
        mean = future.mark_line(color=BLUE, strokeWidth=2).encode(y="mean:Q")
        past = alt.Chart(history).mark_line(color=INK, strokeWidth=1.5).encode(x=x, y="used:Q")
        line = pl.DataFrame({"limit": [limit], "label": ["limit"]})
        rule = alt.Chart(line).mark_rule(color=LIMIT, strokeDash=[5, 3], strokeWidth=1.5).encode(y="limit:Q")
        name = alt.Chart(line).mark_text(color=LIMIT, align="left", dx=4, dy=-6, x=0).encode(y="limit:Q", text="label:N")
        return _sized(alt.layer(outer, inner, past, mean, rule, name), width, height)

    return draw


def stacked_days(frame: pl.DataFrame, *, unit: str, order: list[str]) -> Draw:
    """Areas per day stacked by name. frame: day, name, value; order: names from the bottom up, the last one grey."""
    colours = [*SERIES[: len(order) - 1], OTHER]

    def draw(width: int, height: int) -> alt.TopLevelMixin:
        import altair as alt

        scale = alt.Scale(domain=order, range=colours)
        columns = max(3, width // 110)
        drawing = (
            alt.Chart(frame)
            .mark_area(opacity=0.9)
            .encode(
                x=alt.X("day:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=6)),
                y=alt.Y("value:Q", title=unit, stack="zero"),
                color=alt.Color("name:N", scale=scale, legend=alt.Legend(columns=columns)),
                order=alt.Order("rank:Q"),
            )
        )
        return _sized(drawing, width, height)

    return draw


def bars(frame: pl.DataFrame, *, unit: str, value_format: str = ",.0f") -> Draw:
    """Horizontal bars in the order of the frame, each with its text. frame: name, value, text, colour."""

    def draw(width: int, height: int) -> alt.TopLevelMixin:
        import altair as alt

        names = 140 if width < 400 else min(230, int(width * 0.44))
        most = max(0.0, float(frame["value"].max() or 0.0))  # type: ignore[arg-type]
        least = min(0.0, float(frame["value"].min() or 0.0))  # type: ignore[arg-type]
        room = (most - least) * 0.35 or 1.0
        axis = alt.Axis(labelLimit=names, labelColor=INK, labelPadding=6)
        y = alt.Y("name:N", sort=None, title=None, axis=axis)
        scale = alt.Scale(domain=[least, most + room], nice=False)
        x = alt.X("value:Q", title=unit or None, scale=scale, axis=alt.Axis(format=value_format, tickCount=4, grid=False))
        base = alt.Chart(frame).encode(y=y, x=x)
        drawn = base.mark_bar(height={"band": 0.62}).encode(color=alt.Color("colour:N", scale=None))
        text = base.mark_text(align="left", dx=5).encode(text="text:N")
        return _sized(alt.layer(drawn, text), width, 26 * frame.height + 34)

    return draw


def columns_by_month(frame: pl.DataFrame, *, unit: str, colour: str = BLUE) -> Draw:
    """One column a month with its value above. frame: month (text), value, text."""

    def draw(width: int, height: int) -> alt.TopLevelMixin:
        import altair as alt

        x = alt.X("month:O", title=None, sort=None, axis=alt.Axis(labelAngle=0, ticks=False))
        most = float(frame["value"].max() or 0.0) * 1.18 or 1.0  # type: ignore[arg-type]
        y = alt.Y("value:Q", title=unit or None, scale=alt.Scale(domain=[0, most], nice=False))
        base = alt.Chart(frame).encode(x=x, y=y)
        drawn = base.mark_bar(color=colour, width={"band": 0.6})
        text = base.mark_text(dy=-7).encode(text="text:N")
        return _sized(alt.layer(drawn, text), width, height)

    return draw


def line_with_changes(frame: pl.DataFrame, changes: pl.DataFrame, *, unit: str) -> Draw:
    """A daily line and the days on which its level changed. frame: day, value; changes: time, label."""
    middle = frame["day"].cast(pl.Datetime("us")).median()

    def draw(width: int, height: int) -> alt.TopLevelMixin:
        import altair as alt

        x = alt.X("day:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=5))
        most = float(frame["value"].max() or 0.0) * 1.2 or 1.0  # type: ignore[arg-type]
        scale = alt.Scale(domain=[0, most], nice=False)
        line = alt.Chart(frame).mark_line(color=BLUE, strokeWidth=1.8).encode(x=x, y=alt.Y("value:Q", title=unit, scale=scale))
        rules = alt.Chart(changes).mark_rule(color=AMBER, strokeWidth=1.5, strokeDash=[5, 3]).encode(x="time:T")
        late = pl.col("time") > middle
        early = alt.Chart(changes.filter(~late)).mark_text(align="left", dx=5, dy=8, y=0, color=AMBER)
        recent = alt.Chart(changes.filter(late)).mark_text(align="right", dx=-5, dy=8, y=0, color=AMBER)
        names = [text.encode(x="time:T", text="label:N") for text in (early, recent) if text.data.height]
        return _sized(alt.layer(line, rules, *names), width, height)

    return draw


def ranges(frame: pl.DataFrame, *, unit: str) -> Draw:
    """Ranges with their median on one axis with a zero line. frame: name, p05, p10, p50, p90, p95."""

    def draw(width: int, height: int) -> alt.TopLevelMixin:
        import altair as alt

        y = alt.Y("name:N", sort=None, title=None, axis=None)
        x = alt.X("p05:Q", title=unit, axis=alt.Axis(format="~s", tickCount=5, grid=True))
        base = alt.Chart(frame).encode(y=y)
        whole = base.mark_bar(color=BLUE, opacity=0.3, height=14).encode(x=x, x2="p95:Q")
        inner = base.mark_bar(color=BLUE, opacity=0.75, height=14).encode(x="p10:Q", x2="p90:Q")
        median = base.mark_tick(color=INK, thickness=2.5, height=26).encode(x="p50:Q")
        zero = alt.Chart(pl.DataFrame({"zero": [0.0]})).mark_rule(color=LIMIT, strokeDash=[5, 3]).encode(x="zero:Q")
        return _sized(alt.layer(whole, inner, median, zero), width, 92)

    return draw
