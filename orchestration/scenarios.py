"""What if: reads `--scenario NAME=VALUE`, and says what it does to which resource. Knows no lake and nothing of Dagster."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from warehouse.errors import ConfigError
from warehouse.settings.capacity import GROWTH

if TYPE_CHECKING:
    from warehouse.settings import Settings

Key = TypeVar("Key")
Value = TypeVar("Value")
PERCENT = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*%")
DECIMALS = 6
"""Of a percentage of growth: the text of a scenario is the scenario."""
MOST_GROWTH = 100_000.0
MOST_ELASTIC = 10.0
"""Beyond it an elasticity is an accident of the data."""
ACCUMULATES = frozenset({"disk"})
"""Kinds of resources where demand adds to what is there."""
CHANGES = {"resource_id": pl.String(), "start": pl.Datetime("us"), "factor": pl.Float64(), "add": pl.Float64()}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One what-if: all that is assumed together.

    growth: service (None: every one) -> percent by which demand is above the forecast. events: name in `[scenarios]` -> date from which
    it holds. roi: inputs of the ROI model fixed to a value."""

    growth: Mapping[str | None, float] = field(default_factory=dict)
    events: Mapping[str, date] = field(default_factory=dict)
    roi: Mapping[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What is assumed about capacity, always in the same order and form; empty when nothing is. `parse_scenario` reads it."""
        grown = sorted((f"{GROWTH}:{service}" if service else GROWTH, percent) for service, percent in self.growth.items())
        parts = [f"{name}={f'{percent:+.{DECIMALS}f}'.rstrip('0').rstrip('.')}%" for name, percent in grown]
        return ", ".join([*parts, *(f"{name}={day}" for name, day in sorted(self.events.items()))])


def parse_scenario(pairs: Iterable[str], settings: Settings) -> Scenario:
    """The scenario of NAME=VALUE pairs, each text with one or several of them separated by commas.

    growth=+30%: demand is 30% above the forecast; growth:SERVICE=-10%: that of one service, where it stands for the general one;
    NAME=2026-03-01: the event [scenarios.NAME] happens on that day; NAME=NUMBER: an input of the ROI model.
    Raises ConfigError for anything else: it says what there is, and what is nearest."""
    from models.roi import INPUTS

    growth: dict[str | None, float] = {}
    events: dict[str, date] = {}
    roi: dict[str, float] = {}
    for pair in (part.strip() for text in pairs for part in text.split(",")):
        name, equals, value = (part.strip() for part in pair.rpartition("="))
        if not equals or not name or not value:
            raise ConfigError(
                f"--scenario {pair!r}: write NAME=VALUE, with a comma between several (no name can have one in it); {_possible(settings)}"
            )
        kind, colon, service = name.partition(":")
        if name in settings.scenarios and name in INPUTS:
            raise ConfigError(f"--scenario {pair!r}: {name} is an input of the ROI model, too; give [scenarios.{name}] another name")
        if kind == GROWTH and (service.strip() or not colon):
            _put(growth, service.strip() or None, pair, value, _percent)
        elif name in settings.scenarios:
            _put(events, name, pair, value, _day)
        elif name in INPUTS:
            _put(roi, name, pair, value, _number)
        else:
            near = difflib.get_close_matches(name, [GROWTH, *settings.scenarios, *INPUTS], n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise ConfigError(f"--scenario {pair!r}: there is no {name!r}{hint} {_possible(settings)}")
    return Scenario(growth, events, roi)


def changes_of(scenario: Scenario, resources: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """What a scenario does to each resource, as `models.capacity.what_if` wants it: growth first, then events as they happen.

    resources: resource_id, service, resource_kind, elasticity (null: none that is known; use then grows as demand does), first (the first
    forecast). What accumulates (`ACCUMULATES`) grows in its increase since then, whatever its elasticity: twice the demand fills a disk
    twice as fast, and does not double what is on it.
    Returns resource_id, start (null: from the first step), factor, add; resources that nothing touches have no row."""
    rows: list[tuple[str, datetime | None, float, float]] = []
    events = sorted(scenario.events.items(), key=lambda event: (event[1], event[0]))
    for one in resources.iter_rows(named=True):
        percent = scenario.growth.get(one["service"], scenario.growth.get(None))
        if percent is not None:
            growth = percent / 100
            if one["resource_kind"] in ACCUMULATES and one["first"] is not None:
                rows.append((one["resource_id"], None, 1 + growth, -growth * one["first"]))
            else:
                power = 1.0 if one["elasticity"] is None else min(one["elasticity"], MOST_ELASTIC)
                rows.append((one["resource_id"], None, (1 + growth) ** power, 0.0))
        for name, day in events:
            event = settings.scenarios[name]
            known = event.service in (None, one["service"]) and event.kind in (None, one["resource_kind"])
            if known and (event.resources is None or re.search(event.resources, one["resource_id"])):
                rows.append((one["resource_id"], datetime.combine(day, time()), event.factor, event.add))
    return pl.DataFrame(rows, schema=CHANGES, orient="row")


def refuse_unknown_services(scenario: Scenario, services: Iterable[str]) -> None:
    """Raises ConfigError when growth is assumed for a service that has no resource with a limit, unless none has one yet."""
    known = sorted(set(services))
    for service in scenario.growth:
        if known and service is not None and service not in known:
            near = difflib.get_close_matches(service, known, n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise ConfigError(
                f"--scenario {GROWTH}:{service}: no such service has a resource with a limit{hint} There are: {', '.join(known)}"
            )


def _put(found: dict[Key, Value], key: Key, pair: str, value: str, read: Callable[[str, str], Value]) -> None:
    if key in found:
        raise ConfigError(f"--scenario {pair!r}: it is given twice; a scenario has one value for each name")
    found[key] = read(pair, value)


def _percent(pair: str, value: str) -> float:
    match = PERCENT.fullmatch(value)
    percent = 0.0 if match is None else round(float(match[1]), DECIMALS)
    if not -100 < percent <= MOST_GROWTH or percent == 0:
        raise ConfigError(
            f"--scenario {pair!r}: write a percentage above -100%, up to {MOST_GROWTH:.0f}% and not 0, such as growth=+30%; "
            f"{DECIMALS} decimals count"
        )
    return percent


def _day(pair: str, value: str) -> date:
    try:
        return datetime.strptime(value, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise ConfigError(f"--scenario {pair!r}: write the day on which it happens as YYYY-MM-DD") from None


def _number(pair: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"--scenario {pair!r}: write NAME=NUMBER for an input of the ROI model")
    return number


def _possible(settings: Settings) -> str:
    from models.roi import INPUTS

    events = ", ".join(f"{name}=YYYY-MM-DD" for name in settings.scenarios) or "none; [scenarios.NAME] in the configuration adds one"
    return (
        f"Possible are: {GROWTH}=+30% (demand), {GROWTH}:SERVICE=+30%; events: {events}; inputs of the ROI model as NAME=NUMBER: "
        f"{', '.join(INPUTS)}"
    )
