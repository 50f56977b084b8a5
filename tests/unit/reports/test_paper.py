"""The PDF, read back with another library: what it says, any character, tables over pages, the same bytes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pypdfium2 as pdfium
import pytest

from reports import REPORTS, paper, render
from reports.page import Report, Section
from reports.tables import table, text
from reports.typesetting import markup, widths

MADE = datetime(2026, 11, 23, 8, 0)


def pages(data: bytes | Path) -> list[str]:
    """The text of each page."""
    document = pdfium.PdfDocument(data)
    return [" ".join(page.get_textpage().get_text_bounded().replace("\u00a0", " ").split()) for page in document]


def report(names: list[str], title: str = "Names") -> Report:
    """A report with one table of names."""
    frame = pl.DataFrame({"name": names})
    rows = table("names", title, frame, [text("Heading of names", "name")], shown=len(names))
    return Report("names", title, None, MADE, [], [], [Section("names", "Which names?", f"These: {names[0]}", tables=[rows])])


def test_it_says_what_the_page_says_with_numbered_pages_and_pictures(filled, tmp_path):
    (path,) = render("executive", filled, tmp_path, ["pdf"])
    said = pages(path)
    whole = " ".join(said)
    for figure in (
        "As of 22 Nov 2026",
        "9 of 15 inputs were neither measured nor configured",
        "db-orders-0/pool is full around 14 Jan 2027 (80% between 9 Jan 2027 and 22 Jan 2027; in 53 days).",
        "2,532,887 rows were read from 3 sources",
    ):
        assert figure in whole, figure
    for number, page in enumerate(said, start=1):
        assert f"Page {number} of {len(said)}" in page
    document = pdfium.PdfDocument(path)
    kinds = [thing.type for page in document for thing in page.get_objects()]
    assert kinds.count(pdfium.raw.FPDF_PAGEOBJ_IMAGE) == 12
    assert [item.get_title() for item in document.get_toc()][:2] == ["Is it worth it?", "What does it cost?"]


def test_the_head_of_a_table_returns_on_every_page():
    said = pages(paper.document(report([f"name {i}" for i in range(200)])))
    assert len(said) > 2
    assert all("Heading of names" in page for page in said)
    assert sum(page.count("name 1") for page in said) > 0
    assert "name 199" in said[-1]


def test_any_character_comes_through_or_is_replaced():
    names = ["Žluťoučký kůň", "Ελλάδα ≥ − → …", "Ж & <b>not bold</b> &amp;", "名前 🎉", "a\x00b\nc\x85d", "‮evil", "W" * 900]
    said = " ".join(pages(paper.document(report(names, title="<i>Ж 名 ]]> &"))))
    for whole in ("Žluťoučký kůň", "Ελλάδα ≥ − → …", "Ж & <b>not bold</b> &amp;", "<i>Ж \ufffd ]]> &"):
        assert whole in said, whole
    assert "\ufffd\ufffd \ufffd" in said


def test_hostile_text_is_text(filled, hostile, tmp_path):
    (path,) = render("executive", filled, tmp_path, ["pdf"])
    assert "<script>alert(1)</script>" in " ".join(pages(path))
    assert b"/JavaScript" not in path.read_bytes()
    assert b"/URI" not in path.read_bytes()


def test_the_same_report_gives_the_same_bytes(filled):
    made = [paper.document(REPORTS["trends"].build(filled, made_at=MADE)) for _ in range(2)]
    assert made[0] == made[1]


def test_an_empty_lake_makes_a_document(empty, tmp_path):
    (path,) = render("executive", empty, tmp_path, ["pdf"])
    assert "There is no data yet" in pages(path)[0]


@pytest.mark.parametrize("rows", [[["a", "b"]], [["a" * 400, "b" * 400, "1"]], [["word " * 80, "1", "2"]], [["x" * 30] * 20]])
def test_columns_fill_the_width(rows):
    found = widths(rows, 500.0, gap=8)
    assert sum(found) == pytest.approx(500.0)
    assert min(found) > 0


def test_runs_are_set_in_the_font_that_has_them():
    assert markup("a<b") == "a&lt;b"
    assert markup("a≥b", bold=True) == 'a<font name="DejaVu-Bold">≥</font>b'
