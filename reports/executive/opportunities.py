"""What do we waste?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from reports.answer import Answer, nothing, queries, total
from reports.charts import bars
from reports.page import Chart, Finding, Headline, Section, Table, Tone
from reports.reading import read
from reports.tables import Spec, figure, table, text
from reports.theme import AMBER, BLUE, OTHER, RED
from reports.wording import DASH, count, label, labels, money, percent, quantity

if TYPE_CHECKING:
    import duckdb

TITLE: Final = "What could be saved?"
_KINDS: Final = {
    "idle": ("idle resource", RED),
    "oversized": ("oversized resource", BLUE),
    "unused_commitment": ("commitment not fully used", AMBER),
}
_PLURALS: Final = {"unused_commitment": "commitments not fully used"}


def opportunities(connection: duckdb.DuckDBPyConnection) -> Answer:
    """Idle and oversized resources, unused commitments, sudden rises, each with its saving and confidence."""
    frame = read(connection, "opportunities")
    if frame.is_empty():
        why = "Nothing was found that is idle, oversized, unused or suddenly more expensive, or the search has not run yet."
        return nothing("savings", TITLE, why, "opportunities")
    savings = frame.filter(pl.col("kind").is_in(list(_KINDS)), pl.col("saving_per_month") > 0)
    odd = frame.filter(pl.col("kind") == "cost_anomaly")
    small = frame.filter(pl.col("kind") == "undersized")
    currency = _main_currency(savings)
    own = savings.filter(pl.col("billing_currency") == currency) if currency else savings
    sum_of_all = total(own, "saving_per_month")
    findings = [*_by_kind(own, currency), *_undersized(small), *_anomalies(odd)]
    lead = f"{money(sum_of_all, currency)} a month could be saved." if sum_of_all else "No saving was found."
    section = Section(
        key="savings",
        title=TITLE,
        lead=lead,
        tone="warn" if sum_of_all else "good",
        findings=findings,
        charts=_charts(own, currency),
        tables=_tables(savings, odd, small),
        queries=queries("opportunities"),
    )
    note = f"in {count(own.height, 'place')}"
    headlines = [Headline("Savings found a month", money(sum_of_all, currency), note, "warn")] if sum_of_all else []
    return Answer(section, headlines)


def _main_currency(savings: pl.DataFrame) -> str | None:
    """The currency of most savings."""
    known = savings["billing_currency"].drop_nulls() if not savings.is_empty() else pl.Series([], dtype=pl.String)
    return str(known.mode().sort()[0]) if known.len() else None


def _by_kind(savings: pl.DataFrame, currency: str | None) -> list[Finding]:
    """A sentence per kind of waste, largest first."""
    kinds = savings.group_by("kind").agg(pl.len().alias("n"), pl.col("saving_per_month").sum(), pl.col("resource_id").first())
    found = []
    for row in kinds.sort("saving_per_month", descending=True).iter_rows(named=True):
        name, _ = _KINDS[row["kind"]]
        many = count(row["n"], name, _PLURALS.get(row["kind"]))
        amount = money(row["saving_per_month"], currency)
        largest = f"; the largest is {label(row['resource_id'], longest=48)}" if row["n"] > 1 else f": {label(row['resource_id'])}"
        found.append(Finding(f"{many}: {amount} a month{largest}.", "opportunities", "warn"))
    return found


def _undersized(frame: pl.DataFrame) -> list[Finding]:
    """A sentence on resources that need more."""
    if frame.is_empty():
        return []
    names = ", ".join(label(name, longest=40) for name in frame["resource_id"].head(3))
    who = count(frame.height, "resource runs into its limit", "resources run into their limits")
    return [Finding(f"{who} and should grow: {names}.", "opportunities", "bad")]


def _anomalies(frame: pl.DataFrame) -> list[Finding]:
    """A sentence per sudden rise, three at most."""
    tone: Tone = "warn"
    return [
        Finding(f"Odd cost of {label(row['service'] or row['resource_id'])}: {label(row['evidence'], longest=160)}.", "opportunities", tone)
        for row in frame.head(3).iter_rows(named=True)
    ]


def _charts(savings: pl.DataFrame, currency: str | None) -> list[Chart]:
    """The ten largest savings."""
    top = savings.head(10)
    if top.is_empty():
        return []
    drawn = pl.DataFrame(
        {
            "name": labels(top["resource_id"], longest=38),
            "value": top["saving_per_month"],
            "text": [money(value, currency) for value in top["saving_per_month"]],
            "colour": [_KINDS.get(kind, ("", OTHER))[1] for kind in top["kind"]],
        }
    )
    caption = "Red: idle; blue: oversized; amber: commitment that nothing uses."
    return [Chart(f"Largest savings per month, {label(currency)}", caption, bars(drawn, unit=""), "full")]


def _tables(savings: pl.DataFrame, odd: pl.DataFrame, small: pl.DataFrame) -> list[Table]:
    """Savings with what to do, then what stands out without a saving."""
    specs: list[Spec] = [
        text("Resource", "resource_id", longest=48),
        ("Finding", "left", lambda row: label(row["kind"]).replace("_", " ")),
        text("Service", "service", longest=24),
        figure("Paid for", lambda row: quantity(row["allocated"], row["unit"])),
        figure("Would do", lambda row: quantity(row["recommended"], row["unit"])),
        figure("Saves a month", lambda row: money(row["saving_per_month"], row["billing_currency"])),
        figure("Confidence", lambda row: percent(row["confidence"])),
    ]
    tables = []
    if not savings.is_empty():
        tables.append(table("savings", "What to do", savings, specs, query="opportunities"))
    other = pl.concat([small, odd])
    if not other.is_empty():
        seen: list[Spec] = [
            ("Finding", "left", lambda row: label(row["kind"]).replace("_", " ")),
            ("Subject", "left", lambda row: label(row["resource_id"] or row["service"] or DASH, longest=48)),
            text("Seen", "evidence", longest=120),
        ]
        tables.append(table("cost_oddities", "Worth a look", other, seen, query="opportunities"))
    return tables
