"""A report as a workbook: what it says on the first sheet, its charts on the second, then each table with values to reckon with.

Text is only ever text, never a formula or a link. The same report gives the same bytes.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from reports.answer import plain_times
from reports.files import write_whole
from reports.page import Report, Table
from reports.theme import MUTED, TONES, png
from reports.wording import day, instant

if TYPE_CHECKING:
    import xlsxwriter

MOST_ROWS: Final = 1_048_576
"""Rows of a sheet, its head included."""
_LONGEST_TEXT: Final = 32_767
_EXACT: Final = 2**53
_FORBIDDEN: Final = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
_FIRST_DAY: Final = date(1900, 3, 1)
_OWN: Final = ("Report", "Charts")
_CHART_ROWS: Final = 16


def write(report: Report, out_dir: Path, *, most_rows: int = MOST_ROWS) -> list[Path]:
    """Writes `<name>.xlsx`. Tables of `most_rows` rows and more are cut, and the first sheet says so."""
    data = workbook(report, most_rows=most_rows)
    return [write_whole(out_dir / f"{report.name}.xlsx", lambda path: path.write_bytes(data))]


def workbook(report: Report, *, most_rows: int = MOST_ROWS) -> bytes:
    """The workbook's bytes."""
    import xlsxwriter

    buffer = io.BytesIO()
    # rows go to a file as they are written: a large table does not fill the memory
    book = xlsxwriter.Workbook(buffer, {"constant_memory": True})
    book.set_properties({"title": report.title, "author": "Lakebed", "created": report.made_at})
    tables = [table for section in report.sections for table in section.tables]
    names = dict(zip((id(table) for table in tables), sheet_names(table.title for table in tables), strict=True))
    _first(book, report, [(names[id(table)], table) for table in tables], most_rows)
    _charts(book, report)
    formats: dict[str, Any] = {}
    for table in tables:
        _sheet(book, names[id(table)], table, most_rows, formats)
    book.close()
    return buffer.getvalue()


def sheet_names(titles: Iterable[str]) -> list[str]:
    """Names that spreadsheets accept: 31 characters at most, without []:*?/\\, no apostrophe at an end, each once whatever its case."""
    taken = {name.casefold() for name in (*_OWN, "History")}
    names = []
    for title in titles:
        clean = " ".join(_FORBIDDEN.sub(" ", title).split()).strip("'")[:31].strip("' ") or "Table"
        name, turn = clean, 1
        while name.casefold() in taken:
            turn += 1
            name = f"{clean[: 31 - len(f' {turn}')]} {turn}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _first(book: xlsxwriter.Workbook, report: Report, tables: list[tuple[str, Table]], most_rows: int) -> None:
    """Title, headlines, notices, and each section with its findings; at the end, which sheet holds what."""
    sheet = book.add_worksheet(_OWN[0])
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 1, 24)
    sheet.set_column(2, 2, 110)
    title = book.add_format({"bold": True, "font_size": 18})
    muted = book.add_format({"font_color": MUTED})
    strong = book.add_format({"bold": True, "font_size": 12})
    tones = {tone: book.add_format({"font_color": colour, "text_wrap": True, "valign": "top"}) for tone, colour in TONES.items()}
    tones["plain"] = book.add_format({"text_wrap": True, "valign": "top"})
    figures = {tone: book.add_format({"bold": True, "font_color": colour}) for tone, colour in TONES.items()}
    figures["plain"] = book.add_format({"bold": True})
    lines: list[list[tuple[int, str, Any]]] = [
        [(0, report.title, title)],
        [(0, f"As of {day(report.as_of)}, made {instant(report.made_at)}", muted)],
        [],
        *([(0, h.label, None), (1, h.value, figures[h.tone]), (2, h.note, muted)] for h in report.headlines),
        *([(0, "Note", muted), (2, notice.text, tones[notice.tone])] for notice in report.notices),
    ]
    for section in report.sections:
        lines += [[], [(0, section.title, strong), (2, section.lead, tones[section.tone])]]
        lines += [[(2, finding.text, tones[finding.tone])] for finding in section.findings]
    lines += [[], [(0, "Sheet", strong), (1, "Rows", strong), (2, "Table", strong)]]
    for name, table in tables:
        rows = table.data.height
        cut = "" if rows < most_rows else f"; the first {most_rows - 1:,} are here, all are in the CSV and Parquet files"
        lines.append([(0, name, None), (1, f"{rows:,}", None), (2, f"{table.title}{cut}", tones["warn" if cut else "plain"])])
    for row, cells in enumerate(lines):
        for column, text, form in cells:
            sheet.write_string(row, column, _text(text), form)


def _charts(book: xlsxwriter.Workbook, report: Report) -> None:
    """Every chart with its title and caption, one below the other."""
    charts = [chart for section in report.sections for chart in section.charts]
    if not charts:
        return
    sheet = book.add_worksheet(_OWN[1])
    sheet.hide_gridlines(2)
    strong = book.add_format({"bold": True})
    muted = book.add_format({"font_color": MUTED})
    for i, chart in enumerate(charts):
        row = i * _CHART_ROWS
        sheet.write_string(row, 0, _text(chart.title), strong)
        sheet.write_string(row + 1, 0, _text(chart.caption), muted)
        words = _text(f"{chart.title}. {chart.caption}")[:255]
        image = {"image_data": io.BytesIO(png(chart)), "x_scale": 1 / 3, "y_scale": 1 / 3, "description": words}
        sheet.insert_image(row + 2, 0, f"chart-{i}.png", image)


def _sheet(book: xlsxwriter.Workbook, name: str, table: Table, most_rows: int, formats: dict[str, Any]) -> None:
    """One table: a head that stays in view, a filter, widths that fit, cells of their type."""
    sheet = book.add_worksheet(name)
    frame = plain_times(table.data).head(most_rows - 1)
    head = formats.setdefault("head", book.add_format({"bold": True, "bottom": 1, "text_wrap": False}))
    sheet.freeze_panes(1, 0)
    if frame.columns:
        sheet.autofilter(0, 0, frame.height, len(frame.columns) - 1)
    writers: list[Callable[[int, Any], object]] = []
    for column, series in enumerate(frame.iter_columns()):
        pattern = _pattern(series)
        form = formats.get(pattern) or formats.setdefault(pattern, book.add_format({"num_format": pattern} if pattern else {}))
        sheet.set_column(column, column, _width(series), form)
        sheet.write_string(0, column, _text(series.name), head)
        writers.append(lambda row, value, column=column, form=form: _cell(sheet, row, column, value, form))  # type: ignore[misc]
    for row, values in enumerate(frame.iter_rows(), start=1):
        for writer, value in zip(writers, values, strict=True):
            writer(row, value)


def _cell(sheet: Any, row: int, column: int, value: Any, form: Any) -> None:
    """One value as its type; what spreadsheets have no type for, or would round, as text; nothing for what is not known."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif (isinstance(value, int | float) and abs(value) <= _EXACT) or isinstance(value, float):
        sheet.write_number(row, column, value, form)
    elif isinstance(value, timedelta):
        sheet.write_number(row, column, value.total_seconds(), form)
    elif isinstance(value, date) and (value.date() if isinstance(value, datetime) else value) >= _FIRST_DAY:
        sheet.write_datetime(row, column, value, form)
    else:
        sheet.write_string(row, column, _text(value.isoformat() if isinstance(value, date | time) else str(value)))


def _text(value: str) -> str:
    """Text that fits into a cell; what is too long ends with an ellipsis."""
    return value if len(value) <= _LONGEST_TEXT else value[: _LONGEST_TEXT - 1] + "…"


def _pattern(series: pl.Series) -> str:
    """How numbers and dates of a column are shown; their value stays whole."""
    if series.dtype == pl.Date:
        return "yyyy-mm-dd"
    if isinstance(series.dtype, pl.Datetime):
        return "yyyy-mm-dd hh:mm"
    if series.dtype.is_integer():
        return "#,##0"
    if not series.dtype.is_float():
        return ""
    finite = series.filter(series.is_finite()).abs()
    most = float(finite.max() or 0.0)  # type: ignore[arg-type]
    steps: Mapping[float, str] = {1e-3: "0.00E+00", 1.0001: "0.0000", 1000.0: "#,##0.00"}
    return next((pattern for bound, pattern in steps.items() if 0 < most < bound), "#,##0")


def _width(series: pl.Series) -> float:
    """Characters that the head with its filter button and the longest of the first values need."""
    if series.dtype.is_numeric() or series.dtype.is_temporal():
        shown = 16
    else:
        shown = max((len(str(value)) for value in series.head(500) if value is not None), default=0)
    return float(min(60, max(len(series.name) + 4, shown + 2)))
