"""Sentences and columns about what changed, the same in every report: level shifts, trends, episodes of odd hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from reports.page import Finding, Tone
from reports.tables import Spec, figure, text
from reports.wording import DASH, count, instant, label, number, percent, quantity

_MEASURES: Final = {
    "latency_p50_ms": "median latency",
    "latency_p95_ms": "p95 latency",
    "latency_p99_ms": "p99 latency",
    "error_ratio": "share of failed requests",
    "error_count": "failed requests",
    "request_count": "requests",
    "log_count": "log lines",
    "log_error_count": "log errors",
    "effective_cost": "cost",
    "used_mean": "mean use",
    "used_max": "peak use",
}
_BAD_WHEN_MORE: Final = frozenset(_MEASURES) - {"request_count", "log_count"}


def measure_of(row: Mapping[str, Any]) -> str:
    """A measure in words; of a resource, also its kind."""
    name = str(row["measure"])
    words = _MEASURES.get(name) or label(name, longest=40).replace("_", " ")
    kind = str(row["series_id"]).rpartition("/")[2]
    return f"{words} of {label(kind, longest=16)}" if name.startswith("used_") else words


def _tone(measure: object, change: float | None) -> Tone:
    """More latency, errors, cost or use is bad news; of demand and of measures that are not known, nobody can say."""
    if change is None or str(measure) not in _BAD_WHEN_MORE:
        return "plain"
    return "warn" if change > 0 else "good"


def _levels(row: Mapping[str, Any]) -> str:
    """The levels before and after."""
    return f"{quantity(row['before'], row['unit'])} to {quantity(row['after'], row['unit'])}"


def shift(row: Mapping[str, Any]) -> Finding:
    """One occasion of shifts and what lies near it."""
    if row["common"]:
        who = f"{count(row['services'], 'service')} at once, {count(row['series'], 'series', 'series')}"
        moved = f"{percent(row['median_change'], signed=True)} in the median on {instant(row['time'])}"
        sentence = f"{who}: {moved}; most of all {label(row['service'])}, {measure_of(row)} ({_levels(row)})."
        return Finding(sentence, "change_points")
    moved = percent(row["relative_change"], signed=True)
    sure = f" ({_interval(row)})" if row["relative_change_lo"] is not None else ""
    near = f" Nearest change: {_near(row, longest=60)}." if row["change_id"] else ""
    sentence = f"{label(row['service'])}: {measure_of(row)} {moved}{sure} since {instant(row['time'])} ({_levels(row)}).{near}"
    return Finding(sentence, "change_points", _tone(row["measure"], row["relative_change"]))


def _interval(row: Mapping[str, Any]) -> str:
    """Where the relative change lies with 95%."""
    if row["relative_change_lo"] is None:
        return DASH
    return " to ".join(percent(row[f"relative_change_{end}"], signed=True) for end in ("lo", "hi"))


def _near(row: Mapping[str, Any], *, longest: int) -> str:
    """The nearest change: what kind, what, of which service where that is another one, and when."""
    if not row["change_id"]:
        return DASH
    kind = f"{label(row['change_kind'])} " if row["change_kind"] else ""
    what = label(row["change_title"] or row["change_id"], longest=longest)
    other = row["change_service"] is not None and row["change_service"] != row["service"]
    whose = f" of {label(row['change_service'], longest=28)}, which it depends on" if other else ""
    hours = row["change_distance_h"]
    when = f" ({number(abs(hours), 2)} h {'after' if hours < 0 else 'before'})" if hours is not None else ""
    return f"{kind}{what}{whose}{when}"


def odd_episode(row: Mapping[str, Any]) -> Finding:
    """One episode: when, where it may have begun and how sure that is, who else, what was seen, and what lies by it."""
    began = f", most likely from there ({percent(row['probability'])})" if row["others"] else ""
    others = f"; also {label(row['other_services'], longest=100)}" if row["others"] else ""
    when = f"{instant(row['start_time'])} for {number(_hours(row))} h"
    beside = f" Incident: {label(row['incident_title'] or row['incident_id'], longest=60)}." if row["incident_id"] else ""
    near = f" Nearest change: {_near(row, longest=60)}." if row["change_id"] else ""
    return Finding(f"Odd: {label(row['service'])} from {when}{began}{others}{_seen(row)}.{beside}{near}", "anomalies")


def _hours(row: Mapping[str, Any]) -> float:
    """How long an episode lasted."""
    return float((row["end_time"] - row["start_time"]).total_seconds()) / 3600


def _seen(row: Mapping[str, Any]) -> str:
    """What left its course most, beside what was expected."""
    if row["measure"] is None:
        return ""
    return f"; {measure_of(row)} {quantity(row['value'], row['unit'])} where {quantity(row['expected'], row['unit'])} was expected"


def trend(row: Mapping[str, Any]) -> Finding:
    """One trend as change in 30 days."""
    change = row["change_per_30_days"]
    by_service = row["subject"] == "service" and row["service"] is not None
    subject = label(row["service"] if by_service else row["series_id"], longest=48)
    word = "up" if row["slope_per_day"] > 0 else "down"
    pace = f" by {percent(abs(change))} in 30 days" if change is not None else ""
    since = f", over {number(row['history_days'])} days" if row["history_days"] else ""
    return Finding(f"{subject}: {measure_of(row)} {word}{pace}{since}.", "trends", _tone(row["measure"], row["slope_per_day"]))


def _who(row: Mapping[str, Any]) -> str:
    """The service, or how many shifted together."""
    return f"{count(row['services'], 'service')} at once" if row["common"] else label(row["service"], longest=28)


_WHAT: Final[Spec] = ("Measure", "left", measure_of)
SHIFT: Final[Sequence[Spec]] = (
    ("Service", "left", _who),
    ("Measure", "left", lambda row: f"{measure_of(row)}{' and others' if row['common'] else ''}"),
    ("When", "left", lambda row: instant(row["time"])),
    figure("Before", lambda row: quantity(row["before"], row["unit"])),
    figure("After", lambda row: quantity(row["after"], row["unit"])),
    figure("Change", lambda row: percent(row["relative_change"], signed=True)),
    figure("95% between", _interval),
    ("Near", "left", lambda row: _near(row, longest=40)),
)
TREND: Final[Sequence[Spec]] = (
    ("Series", "left", lambda row: label(row["series_id"], longest=48)),
    _WHAT,
    figure("Per day", lambda row: quantity(row["slope_per_day"], row["unit"])),
    figure("95% between", lambda row: f"{quantity(row['slope_lo'], row['unit'])} and {quantity(row['slope_hi'], row['unit'])}"),
    figure("In 30 days", lambda row: percent(row["change_per_30_days"], signed=True)),
    ("Class", "left", lambda row: label(row["trend_class"])),
)
ODD: Final[Sequence[Spec]] = (
    text("Likely origin", "service", longest=28),
    figure("How sure", lambda row: percent(row["probability"])),
    ("From", "left", lambda row: instant(row["start_time"])),
    figure("Hours", lambda row: number(_hours(row))),
    ("Also affected", "left", lambda row: label(row["other_services"], longest=48) if row["others"] else DASH),
    ("Most of all", "left", lambda row: measure_of(row) if row["measure"] else DASH),
    figure("Seen", lambda row: quantity(row["value"], row["unit"])),
    figure("Expected", lambda row: quantity(row["expected"], row["unit"])),
    ("Incident", "left", lambda row: label(row["incident_title"] or row["incident_id"], longest=40) if row["incident_id"] else DASH),
    ("Near", "left", lambda row: _near(row, longest=40)),
)
