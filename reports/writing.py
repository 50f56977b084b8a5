"""A report as Markdown: the same sentences and tables, for tickets, wikis and terminals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from reports.files import write_whole
from reports.page import Report, Section, Table
from reports.wording import day, instant

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>|~$&]|!(?=\[)|:(?=//)|^#|^[-+=](?=\s)|(?<=^\d)[.)](?=\s))")
_LINE_BREAKS: Final = re.compile(r"[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")
_MARKS: Final = {"bad": "🔴 ", "warn": "🟠 ", "good": "🟢 ", "plain": ""}


def write(report: Report, out_dir: Path) -> list[Path]:
    """Writes `<name>.md`."""
    text = "\n".join(lines(report)) + "\n"
    return [write_whole(out_dir / f"{report.name}.md", lambda path: path.write_text(text, encoding="utf-8"))]


def lines(report: Report) -> Iterator[str]:
    """The lines of the document."""
    yield f"# {escaped(report.title)}"
    yield ""
    yield f"As of {day(report.as_of)}, made {instant(report.made_at)}."
    yield ""
    for notice in report.notices:
        yield f"> {_MARKS[notice.tone]}{escaped(notice.text)}"
        yield ">"
    if report.headlines:
        yield ""
        yield "| | | |"
        yield "|---|---:|---|"
        for headline in report.headlines:
            yield f"| {escaped(headline.label)} | **{escaped(headline.value)}** | {escaped(headline.note)} |"
    for section in report.sections:
        yield from _section(section)


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: signs with a meaning get a backslash, and no line begins a list or a heading."""
    return _SPECIAL.sub(r"\\\1", _LINE_BREAKS.sub(" ", text))


def _section(section: Section) -> Iterator[str]:
    """One question."""
    yield ""
    yield f"## {escaped(section.title)}"
    yield ""
    yield f"**{_MARKS[section.tone]}{escaped(section.lead)}**"
    yield ""
    for finding in section.findings:
        yield f"- {_MARKS[finding.tone]}{escaped(finding.text)} (query `{finding.query}`)"
    for table in section.tables:
        yield from _table(table)
    for name, sql in section.queries.items():
        yield ""
        yield f"<details><summary>query <code>{name}</code></summary>"
        yield ""
        yield "```sql"
        yield sql
        yield "```"
        yield "</details>"


def _table(table: Table) -> Iterator[str]:
    """One table."""
    yield ""
    yield f"### {escaped(table.title)}"
    yield ""
    yield "| " + " | ".join(escaped(column.heading) for column in table.columns) + " |"
    yield "|" + "|".join("---:" if column.align == "right" else "---" for column in table.columns) + "|"
    for row in table.rows:
        yield "| " + " | ".join(escaped(cell) for cell in row) + " |"
    if table.more:
        yield ""
        proof = f"; all: query `{table.query}`" if table.query else ""
        yield f"{table.more:,} more in the XLSX, CSV and Parquet files{proof}."
