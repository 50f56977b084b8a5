"""A report as one HTML page that needs nothing else: no script, no request, light and dark, phone and paper."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from reports.files import write_whole
from reports.page import Report
from reports.theme import svg
from reports.wording import day, instant

if TYPE_CHECKING:
    from jinja2 import Environment


def write(report: Report, out_dir: Path) -> list[Path]:
    """Writes `<name>.html`."""
    text = page(report)
    return [write_whole(out_dir / f"{report.name}.html", lambda path: path.write_text(text, encoding="utf-8"))]


def page(report: Report) -> str:
    """The page's text. Everything but the style sheet and the drawings is escaped."""
    return _environment().get_template("report.html.j2").render(report=report, style=_style())


@cache
def _environment() -> Environment:
    """The templates, escaping on."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "day": day,
        "instant": instant,
        "verbatim": Markup,
        "wide": lambda chart: Markup(svg(chart, "wide")),  # noqa: S704 - drawn here; labels are escaped by the drawing
        "narrow": lambda chart: Markup(svg(chart, "narrow")),  # noqa: S704
    }
    return environment


@cache
def _style() -> str:
    """The style sheet."""
    return resources.files("reports").joinpath("templates", "report.css").read_text(encoding="utf-8")
