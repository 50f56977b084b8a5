"""What a report is made of, whatever its format: headlines, notices, sections with findings, charts, tables and their SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

import polars as pl

Tone = Literal["bad", "warn", "good", "plain"]
Align = Literal["left", "right"]
Size = Literal["full", "half", "third"]


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure at the top: what it is, its value with unit, and a line of context."""

    label: str
    value: str
    note: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence with its figures, and the name of the query of its report that shows it."""

    text: str
    query: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart in words, and how to draw it: a function of width and height in pixels, called only where it is shown."""

    title: str
    caption: str
    draw: Callable[[int, int], Any]
    size: Size = "half"


@dataclass(frozen=True, slots=True)
class Column:
    """How one column of a table is shown: heading, the cells as text, alignment."""

    heading: str
    cells: Sequence[str]
    align: Align = "left"


@dataclass(frozen=True, slots=True)
class Table:
    """A table as people read it, and `data`, the values behind it for CSV and Parquet.

    `key` names the file of the data: lower-case letters and `_` only. `more` counts rows that are in the data alone;
    `query` names the query of its section that shows every one.
    """

    key: str
    title: str
    columns: Sequence[Column]
    data: pl.DataFrame
    more: int = 0
    query: str = ""

    @property
    def rows(self) -> list[list[str]]:
        """The cells row by row."""
        return [list(row) for row in zip(*(column.cells for column in self.columns), strict=True)]


@dataclass(frozen=True, slots=True)
class Section:
    """One question and its answer. `lead` is the answer in a sentence; `empty` says that there was nothing to answer from."""

    key: str
    title: str
    lead: str
    tone: Tone = "plain"
    findings: Sequence[Finding] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    queries: Mapping[str, str] = field(default_factory=dict)
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report. `as_of` is the newest day that any of its marts looks back from; None without any data."""

    name: str
    title: str
    as_of: date | None
    made_at: datetime
    notices: Sequence[Finding]
    headlines: Sequence[Headline]
    sections: Sequence[Section]

    @property
    def queries(self) -> dict[str, str]:
        """The queries of all sections by name: a finding may name one that stands in another section."""
        return {name: sql for section in self.sections for name, sql in section.queries.items()}
