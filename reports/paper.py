"""A report as a PDF to take into a meeting: A4, page numbers, charts, tables whose heads return on every page.

Text is set in Helvetica, which every viewer has; what it cannot write in DejaVu Sans, which is embedded; what that
cannot write either is shown as a replacement sign. The same report gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import BaseDocTemplate, CondPageBreak, Flowable, Frame, Image, KeepTogether, PageTemplate, Paragraph, Spacer
from reportlab.platypus import Table as Grid

from reports.files import write_whole
from reports.page import Chart, Headline, Report, Section, Size, Table
from reports.theme import BLUE, INK, TONES, png
from reports.typesetting import LINE, NOTE, SOFT, STYLES, Folios, heading, markup, widths
from reports.wording import day, instant

MARGIN: Final = 16 * mm
WIDTH: Final = A4[0] - 2 * MARGIN
_A_ROW: Final[dict[Size, int]] = {"full": 1, "half": 2, "third": 3}
_GAP: Final = 5 * mm
_FLAT: Final = [("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 0), ("VALIGN", (0, 0), (-1, -1), "TOP")]


def write(report: Report, out_dir: Path) -> list[Path]:
    """Writes `<name>.pdf`."""
    data = document(report)
    return [write_whole(out_dir / f"{report.name}.pdf", lambda path: path.write_bytes(data))]


def document(report: Report) -> bytes:
    """The document's bytes."""
    buffer = io.BytesIO()
    frame = Frame(MARGIN, 16 * mm, WIDTH, A4[1] - 34 * mm, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)
    template = BaseDocTemplate(buffer, pagesize=A4, invariant=1, title=report.title, author="Lakebed", subject=f"As of {day(report.as_of)}")
    template.addPageTemplates(PageTemplate(frames=[frame], onPage=partial(_head, report)))
    footer = f"As of {day(report.as_of)}  ·  made {instant(report.made_at)}"
    template.build(list(_story(report)), canvasmaker=partial(Folios, footer=footer, margin=MARGIN))
    return buffer.getvalue()


def _head(report: Report, canvas: Any, _template: Any) -> None:
    """The brand on the first page, the title on those that follow."""
    top = A4[1] - 12 * mm
    canvas.setFillColor(HexColor(BLUE))
    canvas.setFont("Helvetica-Bold", 9)
    canvas.drawString(MARGIN, top, "Lakebed")
    if canvas.getPageNumber() > 1:
        canvas.setFillColor(HexColor(NOTE))
        canvas.setFont("Helvetica", 8)
        canvas.drawRightString(A4[0] - MARGIN, top, report.title)


def _story(report: Report) -> Iterator[Flowable]:
    """Title, notices, headlines, the answers in short, then every section."""
    yield Paragraph(markup(report.title), STYLES["title"])
    yield Paragraph(f"As of {markup(day(report.as_of))}", STYLES["when"])
    for notice in report.notices:
        yield _boxed(notice.text, notice.tone)
        yield Spacer(1, 2 * mm)
    if report.headlines:
        yield Spacer(1, 1 * mm)
        yield _headlines(report.headlines)
    yield Paragraph("In short", STYLES["heading"])
    yield _in_short(report.sections)
    for section in report.sections:
        yield from _section(section)


def _boxed(text: str, tone: str) -> Flowable:
    """A notice with a coloured edge."""
    box = Grid([[Paragraph(markup(text), STYLES["text"])]], colWidths=[WIDTH])
    edge = ("LINEBEFORE", (0, 0), (0, -1), 2.5, HexColor(TONES[tone]))
    box.setStyle([edge, ("BACKGROUND", (0, 0), (-1, -1), HexColor(SOFT[tone])), ("LEFTPADDING", (0, 0), (-1, -1), 8)])
    return box


def _headlines(headlines: Sequence[Headline]) -> Flowable:
    """Cards, four in a row at most, rows as even as can be."""
    rows = -(-len(headlines) // 4)
    across = -(-len(headlines) // rows)
    cards: list[Any] = [
        [
            Paragraph(markup(headline.label), STYLES["note"]),
            Paragraph(markup(headline.value, bold=True), _coloured("figure", headline.tone)),
            Paragraph(markup(headline.note), STYLES["note"]),
        ]
        for headline in headlines
    ]
    cards += [""] * (rows * across - len(cards))
    grid = Grid([cards[i : i + across] for i in range(0, len(cards), across)], colWidths=[WIDTH / across] * across)
    line = HexColor(LINE)
    grid.setStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEABOVE", (0, 0), (-1, -1), 0.6, line),
            ("LINEBELOW", (0, -1), (-1, -1), 0.6, line),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 8),
            ("TOPPADDING", (0, 0), (-1, -1), 5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
        ]
    )
    return grid


def _coloured(style: str, tone: str) -> ParagraphStyle:
    """A style in the colour of a tone; plain is ink."""
    return STYLES[style] if tone == "plain" else ParagraphStyle(f"{style}-{tone}", STYLES[style], textColor=HexColor(TONES[tone]))


def _in_short(sections: Sequence[Section]) -> Flowable:
    """Every question with its answer; the question leads to its section."""
    cells = [
        [
            Paragraph(f'<a href="#{section.key}" color="{BLUE}">{markup(section.title)}</a>', STYLES["text"]),
            Paragraph(markup(section.lead), _coloured("text", section.tone)),
        ]
        for section in sections
    ]
    grid = Grid(cells, colWidths=[50 * mm, WIDTH - 50 * mm])
    grid.setStyle([*_FLAT, ("RIGHTPADDING", (0, 0), (0, -1), 8), ("LINEABOVE", (0, 1), (-1, -1), 0.4, HexColor(LINE))])
    return grid


def _section(section: Section) -> Iterator[Flowable]:
    """One question: heading and answer stay together, and with what follows."""
    yield CondPageBreak(55 * mm)
    yield KeepTogether([heading(section.title, section.key), Paragraph(markup(section.lead), _coloured("lead", section.tone))])
    for finding in section.findings:
        yield Paragraph(markup(finding.text), STYLES[f"finding-{finding.tone}"], bulletText="•")
    for size, charts in groupby(section.charts, key=lambda chart: chart.size):
        yield from _charts(list(charts), _A_ROW[size])
    for table in section.tables:
        yield from _table(table)


def _charts(charts: Sequence[Chart], across: int) -> Iterator[Flowable]:
    """Charts of one size side by side."""
    width = (WIDTH - (across - 1) * _GAP) / across
    for start in range(0, len(charts), across):
        cells: list[Any] = []
        for chart in charts[start : start + across]:
            cells += ["", _figure(chart, width)]
        widths_of = [_GAP, width] * (len(cells) // 2)
        row = Grid([cells[1:]], colWidths=widths_of[1:], hAlign="LEFT")
        row.setStyle([*_FLAT, ("BOTTOMPADDING", (0, 0), (-1, -1), 0)])
        yield KeepTogether([Spacer(1, 2 * mm), row])


def _figure(chart: Chart, width: float) -> list[Flowable]:
    """Title, drawing and caption of one chart."""
    picture = Image(io.BytesIO(png(chart)))
    scale = width / picture.imageWidth
    picture.drawWidth, picture.drawHeight = width, picture.imageHeight * scale
    parts: list[Flowable] = [Paragraph(markup(chart.title, bold=True), STYLES["caption"]), picture]
    return [*parts, Paragraph(markup(chart.caption), STYLES["note"])] if chart.caption else parts


def _table(table: Table) -> Iterator[Flowable]:
    """A table that may break over pages; its title stays with its first rows."""
    rows = [[column.heading for column in table.columns], *table.rows]
    right = [column.align == "right" for column in table.columns]
    cells = [
        [Paragraph(markup(cell), STYLES[("head" if i == 0 else "cell") + ("-right" if right[j] else "")]) for j, cell in enumerate(row)]
        for i, row in enumerate(rows)
    ]
    line = HexColor(LINE)
    grid = Grid(cells, colWidths=widths(rows, WIDTH, gap=10), repeatRows=1)
    grid.setStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
            ("LINEBELOW", (0, 0), (-1, 0), 0.8, HexColor(INK)),
            ("LINEBELOW", (0, 1), (-1, -1), 0.3, line),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 6),
            ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
            *(("LEFTPADDING", (j, 0), (j, -1), 8) for j in range(1, len(right)) if right[j - 1] and not right[j]),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
        ]
    )
    yield CondPageBreak(30 * mm)
    yield Paragraph(markup(table.title, bold=True), STYLES["subheading"])
    yield grid
    if table.more:
        yield Paragraph(f"{table.more:,} more in the XLSX, CSV and Parquet files.", STYLES["note"])
