"""The charts of every report: each function takes frames and returns how to draw them at a width and height in pixels.

What they look like is in `reports.theme`; where they are shown (page, paper, workbook, Dagster) they do not know.
Channels are written out (`alt.Y("mean:Q")`): Altair tries a bare name against its whole schema, a third of the time of drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl

from reports.theme import AMBER, BLUE, INK, LIMIT, OTHER, SERIES

if TYPE_CHECKING:
    import altair as alt

Draw = Callable[[int, int], "alt.TopLevelMixin"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A time that counts, its name, and its colour; faint ones are thin and dashed."""

    time: datetime
    label: str
    colour: str = LIMIT
    faint: bool = False


def _sized(drawing: Any, width: int, height: int) -> alt.TopLevelMixin:
    """The drawing at a size in pixels (altair types its fluent setters as Any)."""
    sized: alt.TopLevelMixin = drawing.properties(width=width, height=height)
    return sized


def fan(history: pl.DataFrame, forecast: pl.DataFrame, *, limit: float | None, unit: str, marks: Sequence[Mark] = ()) -> Draw:
    """Use so far, the median ahead with its 80% and 95% intervals, the limit, and days that count as upright lines.

    history: date, used. forecast: date, mean, lo_80, hi_80, lo_95, hi_95. All in `unit`, the name on the axis. Marks
    outside the days drawn are left out.
    """
    days = pl.concat([history["date"].cast(pl.Datetime("us")), forecast["date"].cast(pl.Datetime("us"))])

    def draw(width: int, height: int) -> alt.TopLevelMixin:
        import altair as alt

        x = alt.X("date:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=5))
        future = alt.Chart(forecast).encode(x=x)
        outer = future.mark_area(color=BLUE, opacity=0.16).encode(y=alt.Y("lo_95:Q", title=unit or None), y2=alt.Y2("hi_95:Q"))
        inner = future.mark_area(color=BLUE, opacity=0.26).encode(y=alt.Y("lo_80:Q"), y2=alt.Y2("hi_80:Q"))
        mean = future.mark_line(color=BLUE, strokeWidth=2).encode(y=alt.Y("mean:Q"))
        past = alt.Chart(history).mark_line(color=INK, strokeWidth=1.5).encode(x=x, y=alt.Y("used:Q"))
        layers = [outer, inner, past, mean]
        if limit is not None:
            line = pl.DataFrame({"limit": [limit], "label": ["limit"]})
            layers.append(alt.Chart(line).mark_rule(color=LIMIT, strokeDash=[5, 3], strokeWidth=1.5).encode(y=alt.Y("limit:Q")))
            named = alt.Chart(line).mark_text(color=LIMIT, align="left", dx=4, dy=-6, x=0)
            layers.append(named.encode(y=alt.Y("limit:Q"), text=alt.Text("label:N")))
        return _sized(alt.layer(*layers, *_marked(marks, days)), width, height)

    return draw


def _marked(marks: Sequence[Mark], days: pl.Series) -> list[Any]:
    """Upright lines, and their names one below the other above the axis, where no line is for the longest stretch."""
    import altair as alt

    first, last = days.min(), days.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return []
    seen = [mark for mark in marks if first <= mark.time <= last]
    lines = sorted(mark.time for mark in seen)
    start, end = max(pairwise([first, *lines, last]), key=lambda gap: gap[1] - gap[0])
    left = end == last and end not in lines
    layers = []
    for i, mark in enumerate(seen):
        frame = pl.DataFrame({"time": [mark.time], "place": [start if left else end], "label": [mark.label]})
        base = alt.Chart(frame)
        line = base.mark_rule(color=mark.colour, strokeDash=[2, 2] if mark.faint else [], strokeWidth=1 if mark.faint else 1.5)
        place = alt.ExprRef(f"height - {44 - 12 * i}")
        text = base.mark_text(color=mark.colour, align="left" if left else "right", dx=4 if left else -4, y=place)
        layers += [line.encode(x=alt.X("time:T")), text.encode(x=alt.X("place:T"), text=alt.Text("label:N"))]
    return layers


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
        text = base.mark_text(align="left", dx=5).encode(text=alt.Text("text:N"))
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
        text = base.mark_text(dy=-7).encode(text=alt.Text("text:N"))
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
        line = alt.Chart(frame).mark_line(color=BLUE, strokeWidth=1.8).encode(x=x, y=alt.Y("value:Q", title=unit or None, scale=scale))
        rules = alt.Chart(changes).mark_rule(color=AMBER, strokeWidth=1.5, strokeDash=[5, 3]).encode(x=alt.X("time:T"))
        late = pl.col("time") > middle
        early = alt.Chart(changes.filter(~late)).mark_text(align="left", dx=5, dy=8, y=0, color=AMBER)
        recent = alt.Chart(changes.filter(late)).mark_text(align="right", dx=-5, dy=8, y=0, color=AMBER)
        names = [text.encode(x=alt.X("time:T"), text=alt.Text("label:N")) for text in (early, recent) if text.data.height]
        return _sized(alt.layer(line, rules, *names), width, height)

    return draw


def line_with_slope(frame: pl.DataFrame, *, mean: float, slope: float, unit: str) -> Draw:
    """A daily line and its straight trend, which passes through `mean` in the middle. frame: day, value; slope: in `unit` a day."""
    first, last = frame["day"].min(), frame["day"].max()
    half = (last - first).days / 2 * slope  # type: ignore[operator, union-attr]
    ends = pl.DataFrame({"day": [first, last], "value": [mean - half, mean + half]})

    def draw(width: int, height: int) -> alt.TopLevelMixin:
        import altair as alt

        x = alt.X("day:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=5))
        y = alt.Y("value:Q", title=unit or None)
        line = alt.Chart(frame).mark_line(color=BLUE, strokeWidth=1.8).encode(x=x, y=y)
        straight = alt.Chart(ends).mark_line(color=AMBER, strokeWidth=2, strokeDash=[5, 3]).encode(x=x, y=y)
        return _sized(alt.layer(line, straight), width, height)

    return draw


def ranges(frame: pl.DataFrame, *, unit: str) -> Draw:
    """Ranges with their median on one axis with a zero line. frame: name, p05, p10, p50, p90, p95."""

    def draw(width: int, height: int) -> alt.TopLevelMixin:
        import altair as alt

        y = alt.Y("name:N", sort=None, title=None, axis=None)
        x = alt.X("p05:Q", title=unit, axis=alt.Axis(format="~s", tickCount=5, grid=True))
        base = alt.Chart(frame).encode(y=y)
        whole = base.mark_bar(color=BLUE, opacity=0.3, height=14).encode(x=x, x2=alt.X2("p95:Q"))
        inner = base.mark_bar(color=BLUE, opacity=0.75, height=14).encode(x=alt.X("p10:Q"), x2=alt.X2("p90:Q"))
        median = base.mark_tick(color=INK, thickness=2.5, height=26).encode(x=alt.X("p50:Q"))
        zero = alt.Chart(pl.DataFrame({"zero": [0.0]})).mark_rule(color=LIMIT, strokeDash=[5, 3]).encode(x=alt.X("zero:Q"))
        return _sized(alt.layer(whole, inner, median, zero), width, 92)

    return draw
