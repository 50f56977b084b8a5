"""How charts look, and how they become pictures: inline SVG for pages, PNG for paper, workbooks and the Dagster UI.

Colours of ink and grid are fixed words of the theme; the page's style sheet swaps them in dark mode.
"""

from __future__ import annotations

import importlib.util
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from reports.page import Chart, Size

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
TONES: Final = {"bad": "#b3362e", "warn": "#96610a", "good": "#2c7047", "plain": MUTED}
"""Colours of words by what they mean."""

FONT: Final = "DejaVu Sans"
"""The letters of pictures: wide in coverage, and carried by matplotlib, so that a machine without fonts draws the same."""

Screen = Literal["wide", "narrow", "paper"]

_PIXELS: Final[dict[Screen, dict[Size, tuple[int, int]]]] = {
    "wide": {"full": (860, 260), "half": (400, 210), "third": (270, 170)},
    "narrow": {"full": (330, 230), "half": (330, 200), "third": (330, 150)},
    "paper": {"full": (680, 215), "half": (330, 185), "third": (215, 135)},
}
"""Width and height in pixels by where the chart is shown. A page that is printed keeps its wide charts."""


def svg(chart: Chart, screen: Screen) -> str:
    """The chart as SVG text without a prologue, in the house theme, for a kind of screen; nothing is fetched to make it."""
    import vl_convert

    spec = chart.draw(*_PIXELS[screen][chart.size]).to_dict(validate=False)
    spec |= {"config": theme(), "autosize": {"type": "fit", "contains": "padding"}}
    text: str = vl_convert.vegalite_to_svg(spec)
    return text


@lru_cache(maxsize=64)
def png(chart: Chart, dots: float = 3) -> bytes:
    """The chart as PNG on white with `dots` a pixel: three are near 300 an inch on paper. Formats written together share it."""
    import vl_convert

    vl_convert.register_font_directory(str(font_folder()))
    spec = chart.draw(*_PIXELS["paper"][chart.size]).to_dict(validate=False)
    spec |= {"config": theme() | {"font": FONT, "background": "white"}, "autosize": {"type": "fit", "contains": "padding"}}
    data: bytes = vl_convert.vegalite_to_png(spec, scale=dots)
    return data


@cache
def font_folder() -> Path:
    """The folder of DejaVu fonts that matplotlib brings, found without importing it."""
    found = importlib.util.find_spec("matplotlib")
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"


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
