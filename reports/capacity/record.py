"""Have such warnings been right: past decisions beside what came, and the error of past forecasts."""

from __future__ import annotations

from typing import Final

import polars as pl

from reports.answer import Answer, nothing, queries
from reports.capacity.data import Data, decided
from reports.page import Finding, Headline, Section, Tone
from reports.tables import figure, table, text
from reports.wording import DASH, count, day, number, percent

TITLE: Final = "Have such warnings been right?"
_NAMES: Final = ("capacity_decisions", "forecast_accuracy")


def record(data: Data) -> Answer:
    """The published backtest of the planner, and how far past forecasts were off."""
    made, accuracy = decided(data.capacity_decisions), data.forecast_accuracy
    if made.is_empty() and accuracy.is_empty():
        return nothing("record", TITLE, "No plan has been compared with what came yet.", *_NAMES)
    tables = []
    if not data.capacity_decisions.is_empty():
        rows = data.capacity_decisions
        tables.append(table(_NAMES[0], "Plans of past days and what came", rows, _SPECS, shown=20, query=_NAMES[0]))
    if not accuracy.is_empty():
        tables.append(table(_NAMES[1], "Forecasts beside what came", accuracy, _ACCURACY, shown=20, query=_NAMES[1]))
    section = Section(
        key="record",
        title=TITLE,
        lead=_lead(made),
        tone=_tone(made),
        findings=[*_rates(made), *_errors(accuracy)],
        tables=tables,
        queries=queries(*_NAMES),
    )
    return Answer(section, _headline(made))


def _counts(made: pl.DataFrame) -> tuple[int, int, int, int]:
    """How often the limit was reached, how many of these were warned of, warnings, and how many of these in vain."""
    reached, warned = made["reached"].fill_null(False), made["warned"].fill_null(False)
    return int(reached.sum()), int((reached & warned).sum()), int(warned.sum()), int((warned & ~reached).sum())


def _lead(made: pl.DataFrame) -> str:
    """Caught and in vain."""
    if made.is_empty():
        return "No past plan can be judged yet; past forecasts can."
    reached, caught, warned, vain = _counts(made)
    over = f"Made again on past days, {count(made.height, 'plan')}"
    vainly = f"{vain} of {count(warned, 'warning')} in vain" if warned else "they gave no warning"
    if not reached:
        return f"{over} were never followed by a limit being reached; {vainly}."
    return f"{over} warned of {caught} of {count(reached, 'limit')} that {'was' if reached == 1 else 'were'} reached; {vainly}."


def _tone(made: pl.DataFrame) -> Tone:
    """Good where every limit that was reached had been warned of."""
    if made.is_empty():
        return "plain"
    reached, caught, _, _ = _counts(made)
    return "plain" if not reached else "good" if caught == reached else "warn"


def _headline(made: pl.DataFrame) -> list[Headline]:
    """Warned in time."""
    if made.is_empty():
        return []
    reached, caught, warned, vain = _counts(made)
    if not reached:
        return []
    return [Headline("Warned in time", f"{caught} of {reached}", f"{vain} of {count(warned, 'warning')} in vain")]


def _rates(made: pl.DataFrame) -> list[Finding]:
    """The Brier score beside that of a constant guess."""
    judged = made.filter(pl.col("p_exceed_by_lead_time").is_not_null(), pl.col("reached").is_not_null()) if made.columns else made
    if judged.is_empty():
        return []
    came = judged["reached"].cast(pl.Float64)
    brier = float(((judged["p_exceed_by_lead_time"] - came) ** 2).mean() or 0.0)  # type: ignore[arg-type]
    rate = float(came.mean() or 0.0)  # type: ignore[arg-type]
    plain = rate * (1 - rate)
    beside = f", against {number(plain, 2)} of one who always says the share that came" if plain else ""
    sentence = f"The squared error of the stated risk (Brier score, 0 is perfect) is {number(brier, 2)}{beside}."
    return [Finding(sentence, "capacity_decisions", "warn" if plain and brier > plain else "plain")]


def _errors(accuracy: pl.DataFrame) -> list[Finding]:
    """Over all resources: the error by how far ahead."""
    if accuracy.is_empty():
        return []
    found = []
    known = accuracy.filter(pl.col("observations") > 0, pl.col("mase").is_not_null())
    scores = pl.col("mase", "mase_seasonal_naive", "coverage_95").median()
    by = known.group_by("horizon_days").agg(scores, pl.col("resource_id").n_unique().alias("resources"))
    for row in by.sort("horizon_days").iter_rows(named=True):
        beside = f", {number(row['mase_seasonal_naive'], 2)} of repeating last week" if row["mase_seasonal_naive"] is not None else ""
        inside = f"; {percent(row['coverage_95'])} within the 95% band" if row["coverage_95"] is not None else ""
        ahead = f"Up to {count(int(row['horizon_days']), 'day')} ahead, {count(row['resources'], 'resource')}"
        sentence = f"{ahead}: median scaled error {number(row['mase'], 2)}{beside}{inside}."
        worse = row["mase_seasonal_naive"] is not None and row["mase"] > row["mase_seasonal_naive"]
        found.append(Finding(sentence, "forecast_accuracy", "warn" if worse else "plain"))
    return found


def _yes(value: bool | None) -> str:
    """A truth value in a word."""
    return DASH if value is None else "yes" if value else "no"


_SPECS: Final = [
    text("Resource", "resource_id", longest=48),
    figure("Plan of", lambda row: day(row["cutoff"])),
    figure("Lead time, days", lambda row: number(row["lead_time_days"])),
    figure("Risk stated", lambda row: percent(row["p_exceed_by_lead_time"])),
    figure("Warned", lambda row: _yes(row["warned"])),
    figure("Reached", lambda row: "already" if row["over_already"] else _yes(row["reached"])),
    figure("On", lambda row: day(row["reached_time"])),
]
_ACCURACY: Final = [
    text("Resource", "resource_id", longest=48),
    figure("Newest", lambda row: day(row["newest_made_on"])),
    figure("Days ahead, up to", lambda row: number(row["horizon_days"])),
    figure("Observations", lambda row: number(row["observations"])),
    figure("Scaled error", lambda row: number(row["mase"])),
    figure("Repeating last week", lambda row: number(row["mase_seasonal_naive"])),
    figure("Within 95%", lambda row: percent(row["coverage_95"])),
]
