"""Who spends what, and where does it go?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from reports.answer import Answer, nothing, queries, total
from reports.charts import stacked_days
from reports.page import Chart, Finding, Headline, Section, Table
from reports.reading import read
from reports.tables import figure, table, text
from reports.theme import SERIES
from reports.wording import label, labels, money, percent

if TYPE_CHECKING:
    import duckdb

TITLE: Final = "What does it cost?"
_NAMES: Final = ("cost_by_service", "cost_daily", "cost_days")


def cost(connection: duckdb.DuckDBPyConnection) -> Answer:
    """Amortised cost of the last 30 days by service and team, against the 30 days before."""
    frame, daily, days = (read(connection, name) for name in _NAMES)
    if frame.is_empty():
        return nothing("cost", TITLE, "No bill has been loaded.", *_NAMES)
    newest_day, last_days, previous_days = days.row(0)
    comparable = last_days == previous_days
    frame = frame.with_columns(
        change=pl.when(pl.lit(comparable) & (pl.col("previous_30_days") > 0)).then(pl.col("last_30_days") / pl.col("previous_30_days") - 1)
    )
    totals = frame.group_by("billing_currency").agg(pl.col("last_30_days", "previous_30_days", "list_last_30_days").sum())
    totals = totals.sort("last_30_days", descending=True)
    lead, headline = _lead(totals, last_days, comparable)
    section = Section(
        key="cost",
        title=TITLE,
        lead=lead,
        findings=[*_largest(frame), *_moved(frame), *_discount(totals)],
        charts=_charts(daily, str(totals["billing_currency"][0])),
        tables=[_table(frame)],
        queries=queries(*_NAMES),
    )
    return Answer(section, [headline], as_of=newest_day)


def _lead(totals: pl.DataFrame, last_days: int, comparable: bool) -> tuple[str, Headline]:
    """The total in a sentence, and the same as a headline."""
    main = totals.row(0, named=True)
    sums = " and ".join(money(row["last_30_days"], row["billing_currency"]) for row in totals.iter_rows(named=True))
    changed = main["last_30_days"] / main["previous_30_days"] - 1 if comparable and main["previous_30_days"] > 0 else None
    against = f", {percent(changed, signed=True)} against the 30 days before" if changed is not None else ""
    label_of = f"Cost, last {last_days} days"
    note = f"{percent(changed, signed=True)} against the 30 days before" if changed is not None else "amortised"
    headline = Headline(label_of, money(main["last_30_days"], main["billing_currency"]), note)
    return f"The last {last_days} days cost {sums} (amortised){against}.", headline


def _largest(frame: pl.DataFrame) -> list[Finding]:
    """Where most of it goes."""
    top = frame.row(0, named=True)
    everything = total(frame.filter(pl.col("billing_currency") == top["billing_currency"]), "last_30_days")
    if everything <= 0:
        return []
    share = percent(top["last_30_days"] / everything)
    amount = money(top["last_30_days"], top["billing_currency"])
    return [Finding(f"{label(top['service'])} is the largest, with {amount} ({share} of all).", "cost_by_service")]


def _moved(frame: pl.DataFrame) -> list[Finding]:
    """The largest rise and the largest fall, where each is over a tenth of the service and a hundredth of all."""
    everything = total(frame, "last_30_days")
    step = frame.with_columns(step=pl.col("last_30_days") - pl.col("previous_30_days")).filter(
        pl.col("change").abs() > 0.1, pl.col("step").abs() > 0.01 * everything
    )
    found: list[Finding] = []
    for row in [*step.sort("step").tail(1).iter_rows(named=True), *step.sort("step").head(1).iter_rows(named=True)]:
        if any(label(row["service"]) in finding.text for finding in found):
            continue
        word, tone = ("rose", "warn") if row["step"] > 0 else ("fell", "plain")
        sentence = (
            f"{label(row['service'])} {word} by {money(abs(row['step']), row['billing_currency'])} ({percent(row['change'], signed=True)})."
        )
        found.append(Finding(sentence, "cost_by_service", "warn" if tone == "warn" else "plain"))
    return found


def _discount(totals: pl.DataFrame) -> list[Finding]:
    """What commitments and negotiated prices save against list prices."""
    main = totals.row(0, named=True)
    listed = main["list_last_30_days"]
    if not listed or listed <= main["last_30_days"]:
        return []
    saved = money(listed - main["last_30_days"], main["billing_currency"])
    share = percent(1 - main["last_30_days"] / listed)
    return [Finding(f"At list prices it would have been {saved} more: discounts save {share}.", "cost_by_service", "good")]


def _charts(daily: pl.DataFrame, currency: str) -> list[Chart]:
    """Cost per day, the largest services apart and the rest together."""
    own = daily.filter(pl.col("billing_currency") == currency)
    sums = own.group_by("service").agg(pl.col("effective_cost").sum()).sort("effective_cost", "service", descending=[True, False])
    if own["day"].n_unique() < 2:
        return []
    largest = sums["service"].head(len(SERIES))
    names = labels(largest, longest=24)
    drawn = (
        own.with_columns(name=pl.col("service").replace_strict(largest, names, default="all others", return_dtype=pl.String))
        .group_by("day", "name")
        .agg(value=pl.col("effective_cost").sum())
    )
    every = drawn.select("day").unique().join(drawn.select("name").unique(), how="cross")
    drawn = every.join(drawn, on=["day", "name"], how="left").with_columns(pl.col("value").fill_null(0.0)).sort("day", "name")
    order = [*names, "all others"]
    drawn = drawn.with_columns(rank=pl.col("name").replace_strict(order, list(range(len(order))), default=len(order)))
    days = own["day"].n_unique()
    caption = f"Amortised cost per day over {days} days; the {len(names)} largest services apart."
    return [Chart(f"Cost per day, {currency}", caption, stacked_days(drawn, unit="", order=order), "full")]


def _table(frame: pl.DataFrame) -> Table:
    """Cost by service."""
    specs = [
        text("Service", "service"),
        text("Team", "team", longest=24),
        text("Provider", "providers", longest=30),
        figure("Last 30 days", lambda row: money(row["last_30_days"], row["billing_currency"])),
        figure("30 days before", lambda row: money(row["previous_30_days"], row["billing_currency"])),
        figure("Change", lambda row: percent(row["change"], signed=True)),
    ]
    return table("cost_by_service", "Cost by service and team", frame, specs, query="cost_by_service")
