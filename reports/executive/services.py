"""How are the services doing this week?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from reports.answer import Answer, nothing, queries, total
from reports.page import Finding, Section
from reports.reading import read
from reports.tables import figure, table, text
from reports.wording import count, label, number, percent

if TYPE_CHECKING:
    import duckdb

TITLE: Final = "How are the services doing?"


def services(connection: duckdb.DuckDBPyConnection) -> Answer:
    """Demand, errors and latency per service over the newest seven days."""
    frame = read(connection, "services")
    if frame.is_empty():
        return nothing("services", TITLE, "No spans or logs of services have been loaded.", "services")
    findings = []
    failing = frame.filter(pl.col("error_ratio").is_not_null()).sort("error_ratio", descending=True)
    if not failing.is_empty() and failing["error_ratio"][0] > 0:
        row = failing.row(0, named=True)
        sentence = f"{label(row['service'])} has the highest share of failed requests: {percent(row['error_ratio'])}."
        findings.append(Finding(sentence, "services", "warn" if row["error_ratio"] > 0.01 else "plain"))
    slow = frame.filter(pl.col("latency_p95_ms").is_not_null()).sort("latency_p95_ms", descending=True)
    if not slow.is_empty():
        row = slow.row(0, named=True)
        findings.append(Finding(f"{label(row['service'])} is the slowest: p95 {number(row['latency_p95_ms'])} ms.", "services"))
    specs = [
        text("Service", "service", longest=40),
        text("Team", "team", longest=24),
        figure("Requests a day", lambda row: number(row["requests_per_day"])),
        figure("Failed", lambda row: percent(row["error_ratio"])),
        figure("p95, ms", lambda row: number(row["latency_p95_ms"])),
        figure("Log errors", lambda row: number(row["log_errors"])),
        figure("Incidents", lambda row: number(row["incidents"])),
    ]
    lead = (
        f"{count(frame.height, 'service')}, together {number(total(frame, 'requests_per_day'))} requests a day over the newest seven days."
    )
    shown = [table("services", "The newest seven days", frame, specs, shown=20, query="services")]
    return Answer(Section("services", TITLE, lead, findings=findings, tables=shown, queries=queries("services")))
