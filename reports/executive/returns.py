"""Is the observability worth what it costs?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from reports.answer import Answer, newest, nothing, queries, total
from reports.charts import bars, ranges
from reports.page import Chart, Finding, Headline, Section, Table, Tone
from reports.reading import read
from reports.tables import Spec, figure, table, text
from reports.theme import AMBER, BLUE, GREEN, OTHER, RED
from reports.wording import DASH, estimate, label, number, percent

if TYPE_CHECKING:
    import duckdb

TITLE: Final = "Is it worth it?"
_COLOURS: Final = {"measured": GREEN, "configured": BLUE, "assumed": AMBER}


def returns(connection: duckdb.DuckDBPyConnection) -> Answer:
    """Return on investment: value with its interval, payback, which input decides, and what rests on assumptions."""
    frame = read(connection, "roi")
    if frame.is_empty():
        return nothing("roi", TITLE, "The return on investment has not been calculated yet.", "roi")
    items = {row["item"]: row for row in frame.iter_rows(named=True)}
    inputs = frame.filter(pl.col("item").str.starts_with("input:")).with_columns(pl.col("item").str.slice(6))
    npv = items.get("npv", {})
    notices = _assumptions(inputs, frame)
    if npv.get("status") != "ok" or npv.get("p50") is None:
        why = f"There is no answer yet ({label(npv.get('status', 'not calculated'))}): an input of the calculation is unknown."
        section = Section("roi", TITLE, why, "warn", tables=_tables(inputs, frame), queries=queries("roi"))
        return Answer(section, notices=notices, as_of=newest(frame))
    findings = [_value(items), *_payback(items), *_sensitivity_finding(frame)]
    section = Section(
        key="roi",
        title=TITLE,
        lead=findings[0].text,
        tone=findings[0].tone,
        findings=findings[1:],
        charts=_charts(frame, items),
        tables=_tables(inputs, frame),
        queries=queries("roi"),
    )
    return Answer(section, [_headline(items)], notices, newest(frame))


def _currency(items: dict[str, dict[str, Any]]) -> str:
    """The currency that the value is in."""
    unit = str(items["npv"].get("unit") or "").split("/")[0]
    return "" if unit == "currency" else unit


def _odds(items: dict[str, dict[str, Any]]) -> float | None:
    """The probability that it pays."""
    odds: float | None = items.get("p_positive", {}).get("p50")
    return odds


def _tone(items: dict[str, dict[str, Any]]) -> Tone:
    """Good from 9 in 10 simulated futures that pay, bad under a half."""
    odds = _odds(items)
    return "plain" if odds is None else "good" if odds >= 0.9 else "warn" if odds >= 0.5 else "bad"


def _value(items: dict[str, dict[str, Any]]) -> Finding:
    """The net present value in a sentence."""
    npv, currency, odds = items["npv"], _currency(items), _odds(items)
    years = items.get("input:horizon_years", {}).get("p50")
    over = f" over {number(years)} years" if years else ""
    likely = f"; it pays for itself in {percent(odds)} of the simulated futures" if odds is not None else ""
    span = f"80% between {estimate(npv['p10'], currency)} and {estimate(npv['p90'], currency)}"
    return Finding(f"Net present value{over}: {estimate(npv['p50'], currency)} ({span}){likely}.", "roi", _tone(items))


def _payback(items: dict[str, dict[str, Any]]) -> list[Finding]:
    """Payback and rate of return in a sentence."""
    months, rate = items.get("payback_months", {}), items.get("irr", {})
    found = []
    if months.get("p50") is not None:
        late = f"only after {number(months['p90'], 2)} months" if months.get("p90") is not None else "not within the horizon"
        found.append(Finding(f"Paid back after {number(months['p50'], 2)} months; in one case of ten {late}.", "roi"))
    elif "payback_months" in items:
        found.append(Finding("In most simulated futures it is not paid back within the horizon.", "roi", "bad"))
    if rate.get("p50") is not None:
        found.append(Finding(f"Internal rate of return: {percent(rate['p50'])} a year.", "roi"))
    return found


def _shares(frame: pl.DataFrame) -> pl.DataFrame:
    """name, value of the inputs that explain at least 1% of the variance, largest first, with their provenance."""
    share = frame.filter(pl.col("item").str.starts_with("sensitivity:"), pl.col("p50") >= 0.01)
    kept = share.select(name=pl.col("item").str.slice(12), value="p50").sort("value", descending=True)
    inputs = frame.filter(pl.col("item").str.starts_with("input:"))
    return kept.join(inputs.select(name=pl.col("item").str.slice(6), provenance="provenance"), on="name", how="left")


def _sensitivity_finding(frame: pl.DataFrame) -> list[Finding]:
    """Which input decides, in a sentence."""
    shares = _shares(frame)
    if shares.is_empty():
        return []
    name, value, provenance = shares.row(0)
    origin = f" ({provenance})" if provenance else ""
    sentence = f"What decides most is {_words(name)}{origin}: it explains {percent(value)} of the uncertainty."
    return [Finding(sentence, "roi", "warn" if provenance == "assumed" else "plain")]


def _assumptions(inputs: pl.DataFrame, frame: pl.DataFrame) -> list[Finding]:
    """The notice that has to come first where anything is assumed."""
    assumed = inputs.filter(pl.col("provenance") == "assumed")["item"].to_list()
    if not assumed:
        return []
    shares = total(_shares(frame).filter(pl.col("provenance") == "assumed"), "value")
    weight = f", which carry {percent(min(1.0, shares))} of its uncertainty" if shares else ""
    names = ", ".join(_words(name) for name in assumed[:4]) + (f" and {len(assumed) - 4} more" if len(assumed) > 4 else "")
    sentence = (
        f"The return on investment rests on assumptions: {len(assumed)} of {inputs.height} inputs were neither measured "
        f"nor configured{weight} ({names})."
    )
    return [Finding(sentence, "roi", "warn")]


def _words(name: object) -> str:
    """An input's name in words."""
    return label(str(name).replace("_", " "))


def _headline(items: dict[str, dict[str, Any]]) -> Headline:
    """The figure at the top."""
    currency, odds = _currency(items), _odds(items)
    note = f"pays in {percent(odds)} of simulated futures" if odds is not None else "median of the simulation"
    return Headline("Net present value", estimate(items["npv"]["p50"], currency), note, _tone(items))


def _charts(frame: pl.DataFrame, items: dict[str, dict[str, Any]]) -> list[Chart]:
    """The range of the value, and what the uncertainty comes from."""
    currency = _currency(items)
    charts = []
    npv = {key: items["npv"][key] for key in ("p05", "p10", "p50", "p90", "p95")}
    if None not in npv.values():
        span = pl.DataFrame([{"name": "npv", **npv}])
        caption = "Dark: 80% of the simulated futures; light: 90%; tick: median; dashed: zero."
        charts.append(Chart(f"Net present value, {currency or 'currency'}", caption, ranges(span, unit=""), "full"))
    charts += _yearly(items, currency)
    shares = _shares(frame).head(6)
    if not shares.is_empty():
        drawn = shares.with_columns(
            name=pl.col("name").map_elements(_words, pl.String),
            value=100 * pl.col("value"),
            text=pl.col("value").map_elements(percent, pl.String),
            colour=pl.col("provenance").replace_strict(_COLOURS, default=RED),
        )
        caption = "Share of the variance that each input explains. Green: measured; blue: configured; amber: assumed."
        charts.append(Chart("What the uncertainty comes from, %", caption, bars(drawn, unit="")))
    return charts


def _yearly(items: dict[str, dict[str, Any]], currency: str) -> list[Chart]:
    """What it brings a year once it does so in full, beside what it costs."""
    rows = [
        {"name": _words(item.removeprefix("benefit:")), "value": row["p50"], "colour": GREEN}
        for item, row in items.items()
        if item.startswith("benefit:") and row["p50"] is not None
    ]
    cost = items.get("input:platform_cost_per_year", {}).get("p50")
    if not rows or cost is None:
        return []
    rows = [*sorted(rows, key=lambda row: -row["value"]), {"name": "platform cost", "value": cost, "colour": OTHER}]
    drawn = pl.DataFrame([{**row, "text": estimate(row["value"], "")} for row in rows])
    caption = "Green: mean benefit a year once in full; grey: what running it costs."
    return [Chart(f"A year in {currency or 'currency'}", caption, bars(drawn, unit="", value_format="~s"))]


def _tables(inputs: pl.DataFrame, frame: pl.DataFrame) -> list[Table]:
    """Every input with its range and where it comes from, the ones that decide most first."""
    if inputs.is_empty():
        return []
    shares = frame.filter(pl.col("item").str.starts_with("sensitivity:"))
    inputs = inputs.join(shares.select(item=pl.col("item").str.slice(12), share="p50"), on="item", how="left")
    inputs = inputs.sort("share", "item", descending=[True, False], nulls_last=True)
    specs: list[Spec] = [
        ("Input", "left", lambda row: _words(row["item"])),
        figure("Low", lambda row: number(row["p05"], 4)),
        figure("Likely", lambda row: number(row["p50"], 4)),
        figure("High", lambda row: number(row["p95"], 4)),
        ("Unit", "left", lambda row: label(row["unit"]) if row["unit"] else DASH),
        ("Known", "left", lambda row: label(row["provenance"])),
        text("From", "evidence", longest=70),
    ]
    return [table("roi_inputs", "What went in", inputs, specs, shown=30, query="roi")]
