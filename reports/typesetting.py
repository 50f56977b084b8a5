"""How paper is set: styles, fonts for any text, widths of columns, page numbers that know the last page."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import groupby
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph

from reports.theme import GRID, INK, MUTED, TONES, font_folder

NOTE: Final = MUTED
LINE: Final = GRID
SOFT: Final = {"bad": "#fbeceb", "warn": "#fdf4e3", "good": "#e9f5ee", "plain": "#f5f7f9"}
_MISSING: Final = "\ufffd"
_CELL: Final = 7.5


def _style(name: str, size: float, leading: float, colour: str = INK, **more: Any) -> ParagraphStyle:
    """A paragraph style in Helvetica."""
    return ParagraphStyle(name, fontName=more.pop("font", "Helvetica"), fontSize=size, leading=leading, textColor=HexColor(colour), **more)


_BOLD: Final = "Helvetica-Bold"
STYLES: Final = {
    style.name: style
    for style in (
        _style("title", 22, 26, "#17212b", font=_BOLD, spaceBefore=4),
        _style("when", 10, 14, MUTED, spaceAfter=10),
        _style("heading", 14, 18, "#17212b", font=_BOLD, spaceBefore=14, spaceAfter=3),
        _style("subheading", 9, 12, font=_BOLD, spaceBefore=9, spaceAfter=2),
        _style("lead", 10.5, 14.5, spaceAfter=4),
        _style("text", 9, 12.5),
        _style("figure", 15, 19, "#17212b", font=_BOLD),
        _style("caption", 8.5, 11, font=_BOLD, spaceAfter=2),
        _style("note", 7.5, 10, MUTED, spaceBefore=3),
        _style("cell", _CELL, 9.5),
        _style("cell-right", _CELL, 9.5, alignment=TA_RIGHT),
        _style("head", _CELL, 9.5, MUTED),
        _style("head-right", _CELL, 9.5, MUTED, alignment=TA_RIGHT),
        *(
            _style(
                f"finding-{tone}", 9, 12.5, leftIndent=11, bulletIndent=1, bulletColor=HexColor(colour), bulletFontSize=12, spaceAfter=1.5
            )
            for tone, colour in TONES.items()
        ),
    )
}


def markup(text: str, *, bold: bool = False) -> str:
    """Untrusted text as a paragraph's markup: signs with a meaning escaped, each run of characters in a font that has them."""
    runs = groupby(" ".join(text.splitlines()), key=lambda character: _font(character, bold))
    return "".join(_run("".join(characters), font) for font, characters in runs)


def widths(rows: Sequence[Sequence[str]], total: float, *, gap: float) -> list[float]:
    """Widths of columns, `gap` between them, that fill `total`: what each likes, and no less than its longest word where there is room."""
    columns = list(zip(*rows, strict=True))
    likes = [min(0.42 * total, max(_length(cell) for cell in column) + gap) for column in columns]
    needs = [min(0.2 * total, max(_length(word) for cell in column for word in cell.split(" ")) + gap) for column in columns]
    spare = total - sum(needs)
    wishes = [max(0.0, like - need) for like, need in zip(likes, needs, strict=True)]
    if spare <= 0:
        return [need * total / sum(needs) for need in needs]
    if sum(wishes) > spare:
        return [need + wish * spare / sum(wishes) for need, wish in zip(needs, wishes, strict=True)]
    left = spare - sum(wishes)
    most = sum(needs) + sum(wishes)
    return [(need + wish) * (1 + left / most) for need, wish in zip(needs, wishes, strict=True)]


def heading(text: str, key: str) -> Flowable:
    """A heading that links lead to and that stands in the outline beside the pages."""
    return _Heading(text, key)


class Folios(Canvas):  # type: ignore[misc]
    """A canvas that writes the footer of each page once it knows how many there are."""

    def __init__(self, *args: Any, footer: str, margin: float, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._footer, self._margin = footer, margin
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:
        """Keeps the page until the last one is known."""
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        """Writes all pages."""
        for state in self._pages:
            self.__dict__.update(state)
            self.setFont("Helvetica", 7.5)
            self.setFillColor(HexColor(MUTED))
            self.drawString(self._margin, 9 * 72 / 25.4, self._footer.replace("\u00a0", " "))
            self.drawRightString(A4[0] - self._margin, 9 * 72 / 25.4, f"Page {self.getPageNumber()} of {len(self._pages)}")
            super().showPage()
        super().save()


class _Heading(Paragraph):  # type: ignore[misc]
    """A paragraph that leaves a bookmark and a line in the outline where it is drawn."""

    def __init__(self, text: str, key: str) -> None:
        super().__init__(markup(text, bold=True), STYLES["heading"])
        self._mark = (text, key)

    def draw(self) -> None:
        """Draws the text and leaves the marks."""
        text, key = self._mark
        self.canv.bookmarkHorizontal(key, 0, self.height + 6)
        self.canv.addOutlineEntry(text, key, level=0, closed=True)
        super().draw()


def _run(text: str, font: str | None) -> str:
    """Characters of one font."""
    if font is None:
        return _MISSING_RUN * len(text)
    return escape(text) if font == "" else f'<font name="{font}">{escape(text)}</font>'


_MISSING_RUN: Final = f'<font name="DejaVu">{_MISSING}</font>'


def _font(character: str, bold: bool) -> str | None:
    """The font of a character: empty for the paragraph's own, None where no font has it."""
    if _plain(character):
        return ""
    name = "DejaVu-Bold" if bold else "DejaVu"
    return name if ord(character) in _faces()[name].face.charToGlyph else None


@cache
def _plain(character: str) -> bool:
    """Whether Helvetica, as PDF knows it, has the character."""
    if character < " " or "\x7f" <= character < "\xa0":
        return False
    try:
        character.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


@cache
def _faces() -> dict[str, Any]:
    """The embedded fonts, registered."""
    faces = {"DejaVu": "DejaVuSans.ttf", "DejaVu-Bold": "DejaVuSans-Bold.ttf"}
    fonts = {name: TTFont(name, str(font_folder() / file)) for name, file in faces.items()}
    for font in fonts.values():
        pdfmetrics.registerFont(font)
    return fonts


@cache
def _length(text: str) -> float:
    """Length of a text in points in the size of cells; characters of other fonts count as their widest."""
    known = "".join(character if _plain(character) else "W" for character in text)
    length: float = pdfmetrics.stringWidth(known, "Helvetica", _CELL)
    return length
