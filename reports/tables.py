"""Tables for people: picks columns of a frame, gives each a heading, an alignment and a wording."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from reports.page import Align, Column, Table
from reports.wording import label

Row = Mapping[str, Any]
Spec = tuple[str, Align, Callable[[Row], str]]

SHOWN = 12


def table(key: str, title: str, frame: pl.DataFrame, specs: Sequence[Spec], *, shown: int = SHOWN, query: str = "") -> Table:
    """The first `shown` rows worded by `specs` (heading, alignment, row -> text); the data holds all rows, and so does `query`."""
    rows = list(frame.head(shown).iter_rows(named=True))
    columns = [Column(heading, [word(row) for row in rows], align) for heading, align, word in specs]
    return Table(key=key, title=title, columns=columns, data=frame, more=max(0, frame.height - shown), query=query)


def text(heading: str, name: str, *, longest: int = 44) -> Spec:
    """A column of names."""
    return heading, "left", lambda row: label(row[name], longest=longest)


def figure(heading: str, word: Callable[[Row], str]) -> Spec:
    """A column of figures, aligned to the right."""
    return heading, "right", word
