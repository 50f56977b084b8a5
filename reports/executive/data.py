"""Can these figures be trusted: freshness, blocked days, failed checks, what was not loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from reports.answer import Answer, nothing, plain_times, queries
from reports.page import Finding, Section, Table
from reports.reading import read
from reports.tables import figure, table, text
from reports.wording import count, day, instant, label, number

if TYPE_CHECKING:
    import duckdb

TITLE: Final = "Can the figures be trusted?"
_NAMES: Final = ("sources", "freshness", "blocked_days", "failed_checks")


def data(connection: duckdb.DuckDBPyConnection) -> Answer:
    """What was loaded, how new it is, and what the checks say."""
    sources, fresh, days, failed = (plain_times(read(connection, name)) for name in _NAMES)
    if sources.is_empty() and fresh.is_empty():
        return nothing("data", TITLE, "Nothing has been loaded.", *_NAMES)
    blocked = days.filter(pl.col("state") == "blocked") if days.height else days
    waved = days.filter(pl.col("state") == "waved") if days.height else days
    errors = failed.filter(pl.col("severity") == "error") if failed.height else failed
    findings = [
        *_days(blocked, "blocked by failed checks and left out of every figure", "bad"),
        *_days(waved, "used although a check failed, because someone allowed it", "warn"),
        *_checks(failed),
        *_rows(sources),
    ]
    healthy = blocked.is_empty() and errors.is_empty()
    lead = "No day is blocked and no check of severity error fails." if healthy else findings[0].text
    notices = [finding for finding in findings if finding.tone == "bad"]
    section = Section(
        key="data",
        title=TITLE,
        lead=lead,
        tone="good" if healthy else "bad",
        findings=findings if healthy else findings[1:],
        tables=_tables(sources, fresh, days, failed),
        queries=queries(*_NAMES),
    )
    return Answer(section, notices=notices)


def _days(frame: pl.DataFrame, what: str, tone: str) -> list[Finding]:
    """How many days are in a state, and where."""
    if frame.is_empty():
        return []
    tables = ", ".join(label(name, longest=40) for name in frame["table_name"].unique(maintain_order=True).head(4))
    newest = day(frame["day"].max())  # type: ignore[arg-type]
    verb = "is" if frame.height == 1 else "are"
    sentence = f"{count(frame.height, 'day')} {verb} {what}: {tables} (newest {newest})."
    return [Finding(sentence, "blocked_days", "bad" if tone == "bad" else "warn")]


def _checks(failed: pl.DataFrame) -> list[Finding]:
    """Failed checks by severity."""
    found = []
    for severity, tone in (("error", "bad"), ("warn", "warn")):
        frame = failed.filter(pl.col("severity") == severity) if failed.height else failed
        if frame.is_empty():
            continue
        row = frame.row(0, named=True)
        example = f"{label(row['check_name'])} on {label(row['table_name'])}, {count(row['days'], 'day')}"
        sentence = (
            f"{count(frame.height, 'check')} of severity {severity} {'fails' if frame.height == 1 else 'fail'} (most often {example})."
        )
        found.append(Finding(sentence, "failed_checks", "bad" if tone == "bad" else "warn"))
    return found


def _rows(sources: pl.DataFrame) -> list[Finding]:
    """What was read and what was not loaded of it."""
    if sources.is_empty():
        return []
    read_rows, quarantined = int(sources["rows_read"].sum()), int(sources["rows_quarantined"].sum())
    held = f"{number(quarantined)} of them are in quarantine" if quarantined else "none of them is in quarantine"
    sentence = f"{count(read_rows, 'row')} were read from {count(sources.height, 'source')}; {held}."
    return [Finding(sentence, "sources", "warn" if quarantined else "plain")]


def _tables(sources: pl.DataFrame, fresh: pl.DataFrame, days: pl.DataFrame, failed: pl.DataFrame) -> list[Table]:
    """Sources, tables, days and checks."""
    tables = []
    if not sources.is_empty():
        specs = [
            text("Source", "source", longest=40),
            figure("Rows read", lambda row: number(row["rows_read"])),
            figure("Landed", lambda row: number(row["rows_landed"])),
            figure("Equal ones collapsed", lambda row: number(row["rows_collapsed"])),
            figure("In quarantine", lambda row: number(row["rows_quarantined"])),
            figure("Newest commit", lambda row: instant(row["newest_commit"])),
        ]
        tables.append(table("sources", "What was loaded", sources, specs, shown=30, query="sources"))
    if not fresh.is_empty():
        specs = [
            text("Table", "table_name", longest=40),
            figure("Newest good day", lambda row: day(row["newest_good_day"])),
            figure("Newest day", lambda row: day(row["newest_day"])),
            figure("Rows", lambda row: number(row["row_count"])),
        ]
        tables.append(table("freshness", "How new it is, the oldest first", fresh, specs, query="freshness"))
    if not days.is_empty():
        specs = [
            text("Table", "table_name", longest=40),
            figure("Day", lambda row: day(row["day"])),
            text("State", "state"),
            text("Why", "reason", longest=90),
        ]
        tables.append(table("blocked_days", "Blocked and allowed days", days, specs, query="blocked_days"))
    if not failed.is_empty():
        specs = [
            text("Table", "table_name", longest=40),
            text("Check", "check_name", longest=48),
            text("Severity", "severity"),
            figure("Days", lambda row: number(row["days"])),
            figure("Newest", lambda row: day(row["newest_day"])),
            figure("Rows that broke it", lambda row: number(row["unexpected_count"])),
        ]
        tables.append(table("failed_checks", "Failed checks", failed, specs, query="failed_checks"))
    return tables
