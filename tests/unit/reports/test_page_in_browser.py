"""The page in Chromium with the network off: no request, no sideways scrolling, whole charts on paper, dark mode in contrast."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from reports import render

pytestmark = pytest.mark.browser

A4_WIDTH, A4_HEIGHT = 695, 1016
"""CSS pixels of A4 within the margins of the style sheet (13 and 14 mm)."""


@pytest.fixture(scope="module")
def address(company: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the small company."""
    with duckdb.connect(str(company), read_only=True) as connection:
        (path,) = render("executive", connection, tmp_path_factory.mktemp("page"), ["html"])
    return path.as_uri()


@pytest.fixture
def visit(program: Callable[[str, str], str], address: str) -> Iterator[Callable[..., Any]]:
    """`visit(width, **settings)` opens the page offline and returns it; requests for anything else fail the test."""
    from playwright.sync_api import sync_playwright

    chromium = program("chromium", "chromium")
    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"])

        def open_page(width: int, **settings: Any) -> Any:
            context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, **settings)
            page = context.new_page()
            page.on("request", lambda request: requests.append(request.url))
            page.on("pageerror", lambda error: requests.append(str(error)))
            page.goto(address)
            return page

        yield open_page
        browser.close()
    assert set(requests) == {address}


def test_no_sideways_scrolling_on_any_screen(visit):
    for width in (320, 390, 768, 1280):
        page = visit(width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        texts = page.evaluate("[...document.querySelectorAll('figure svg text')].filter(t => t.getBoundingClientRect().height > 0).length")
        assert texts > 50


def test_letters_of_charts_can_be_read_on_a_phone(visit):
    page = visit(390)
    sizes = page.evaluate(
        """[...document.querySelectorAll('.narrow svg text')].filter(t => t.textContent && t.getBoundingClientRect().height > 0)
        .map(t => parseFloat(getComputedStyle(t).fontSize) * t.ownerSVGElement.getScreenCTM().a)"""
    )
    assert min(sizes) >= 9


def test_charts_are_whole_on_paper(visit):
    page = visit(A4_WIDTH)
    page.emulate_media(media="print")
    figures = page.evaluate(
        """[...document.querySelectorAll('figure, tr, .headline')].map(f => {
            const box = f.getBoundingClientRect();
            return [box.height, box.right, getComputedStyle(f).breakInside];
        })"""
    )
    assert len(figures) > 50
    for height, right, rule in figures:
        assert height < A4_HEIGHT / 2
        assert right <= A4_WIDTH + 1
        assert rule == "avoid"
    assert page.evaluate("[...document.querySelectorAll('figure .wide')].every(w => w.getBoundingClientRect().height > 40)")


def test_dark_mode_turns_ink_light_and_paper_stays_white(visit):
    def luminance(page: Any, selector: str, name: str) -> float:
        colour = page.evaluate(f"getComputedStyle(document.querySelector({selector!r})).{name}")
        red, green, blue = (int(part) for part in colour.strip("rgb()").split(",")[:3])
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    page = visit(1280, color_scheme="dark")
    assert luminance(page, "body", "backgroundColor") < 40
    for selector in (".lead", "td", "figcaption"):
        assert luminance(page, selector, "color") > 140
    assert luminance(page, "figure .wide svg .role-axis-label text", "fill") > 140
    page.emulate_media(media="print", color_scheme="dark")
    assert luminance(page, "td", "color") < 80


def test_a_finding_leads_to_its_query(visit):
    page = visit(1280)
    assert page.evaluate("document.querySelector('details.sql').open") is False
    target = page.evaluate("document.querySelector('.proof').getAttribute('href')")
    page.click(".proof >> nth=0")
    assert page.evaluate("location.hash") == target
