"""The workbook, read back with another library: typed cells, text that stays text, names and sizes that spreadsheets take."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

from reports import REPORTS, render, workbook
from reports.page import Finding, Report, Section, Table

MADE = datetime(2026, 11, 23, 8, 0)


def opened(data: bytes | Path) -> Any:
    """The workbook as openpyxl reads it."""
    return openpyxl.load_workbook(io.BytesIO(data) if isinstance(data, bytes) else data)


def report(frame: pl.DataFrame) -> Report:
    """A report of one table."""
    section = Section("s", "What?", "This.", findings=[Finding("=1+1", "")], tables=[Table("values", "Values: all", [], frame)])
    return Report("typed", "Typed", date(2026, 11, 22), MADE, [], [], [section])


def test_first_what_it_says_then_charts_then_a_sheet_a_table(filled, tmp_path):
    (path,) = render("executive", filled, tmp_path, ["xlsx"])
    book = opened(path)
    assert book.sheetnames[:2] == ["Report", "Charts"]
    said = [str(cell.value).replace("\u00a0", " ") for row in book["Report"].iter_rows() for cell in row if cell.value is not None]
    assert "2 of 3 resources with a limit may reach it, db-orders-0/pool first, around 14 Jan 2027." in said
    assert any("9 of 15 inputs were neither measured nor configured" in text for text in said)
    assert "Next to run out" in said
    assert len(book["Charts"]._images) == 12
    sheet = book["Every limit"]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:Y5"
    head = [cell.value for cell in sheet[1]]
    row = dict(zip(head, (cell.value for cell in sheet[2]), strict=True))
    assert row["resource_id"] == "db-orders-0/pool"
    assert row["limit"] == 400
    assert row["exhaustion_p50"].date() == date(2027, 1, 14)
    assert sheet.column_dimensions["A"].width > 20


def test_cells_keep_their_type():
    frame = pl.DataFrame(
        {
            "day": [date(2026, 11, 22), date(1850, 1, 1)],
            "time": [datetime(2026, 11, 22, 13, 30, tzinfo=UTC), None],
            "whole": [2**53 + 1, 7],
            "real": [0.25, float("nan")],
            "flag": [True, False],
            "span": [timedelta(hours=1), None],
            "list": [["a", "b"], None],
            "text": ['=HYPERLINK("http://x")', "+1"],
            "more": ["-2", "@x"],
            "link": ["http://example.invalid", "mailto:a@b"],
        }
    )
    sheet = opened(workbook.workbook(report(frame)))["Values all"]
    cells = [list(row) for row in sheet.iter_rows(min_row=2)]
    assert [cell.value for cell in cells[0]] == [
        datetime(2026, 11, 22), datetime(2026, 11, 22, 13, 30), str(2**53 + 1), 0.25, True, 3600,
        "['a', 'b']", "=HYPERLINK(\"http://x\")", "-2", "http://example.invalid",
    ]  # fmt: skip
    assert [cell.value for cell in cells[1]] == ["1850-01-01", None, 7, None, False, None, None, "+1", "@x", "mailto:a@b"]
    assert all(cell.hyperlink is None for row in cells for cell in row)


def test_what_begins_like_a_formula_is_text():
    data = workbook.workbook(report(pl.DataFrame({"=a": ["=1+1", "+1", "-1", "@a", "{=1}"]})))
    book = opened(data)
    kinds = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None}
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        assert not any(b"<f>" in parts.read(name) for name in parts.namelist() if name.startswith("xl/worksheets/"))
    assert "n" not in kinds


def test_rows_beyond_a_sheet_are_cut_and_it_is_said():
    book = opened(workbook.workbook(report(pl.DataFrame({"n": range(30)})), most_rows=11))
    assert [cell.value for cell in book["Values all"]["A"]] == ["n", *range(10)]
    said = [cell.value for cell in book["Report"]["C"]]
    assert "Values: all; the first 10 are here, all are in the CSV and Parquet files" in said
    whole = opened(workbook.workbook(report(pl.DataFrame({"n": range(10)})), most_rows=11))
    assert not any("are here" in str(cell.value) for cell in whole["Report"]["C"])


@pytest.mark.parametrize(
    ("titles", "names"),
    [
        (["a/b:c*[d]?\\", "'quoted'", "", "History", "report"], ["a b c d", "quoted", "Table", "History 2", "report 2"]),
        (["x" * 40, "X" * 40], ["x" * 31, "X" * 29 + " 2"]),
        (["same", "Same", "same"], ["same", "Same 2", "same 3"]),
    ],
)
def test_names_of_sheets(titles, names):
    assert workbook.sheet_names(titles) == names


def test_hostile_text_makes_a_workbook_that_opens(filled, hostile, tmp_path):
    (path,) = render("executive", filled, tmp_path, ["xlsx"])
    texts = {cell.value for sheet in opened(path) for row in sheet.iter_rows() for cell in row}
    assert "=cmd|' /C calc'!A0" in texts


def test_the_same_report_gives_the_same_bytes(filled):
    made = [workbook.workbook(REPORTS["trends"].build(filled, made_at=MADE)) for _ in range(2)]
    assert made[0] == made[1]


def test_a_lake_without_data_makes_a_workbook(empty, tmp_path):
    (path,) = render("executive", empty, tmp_path, ["xlsx"])
    assert opened(path).sheetnames == ["Report"]
