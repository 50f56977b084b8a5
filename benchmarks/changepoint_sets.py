"""Series for `benchmarks.changepoints`: those that people marked, and generated ones whose changes are known.

The marked ones are the open part of the Turing Change Point Dataset, read as published from `../shared/data` or LAKEBED_REALDATA. The
generated ones are a month of hours with what Lakebed meets: rhythm, autocorrelation, spikes, incidents that pass, drifting totals.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
START = datetime.fromisoformat("2026-01-05")
HOURS = 720


@dataclass(frozen=True, slots=True)
class Series:
    """Values (n,), `step` apart, and who marked which places (first index after a change, counted from 0)."""

    name: str
    values: Values
    step: timedelta
    marks: Mapping[str, list[int]] = field(default_factory=dict)


def marked() -> list[Series]:
    """The series of the Turing Change Point Dataset that may be passed on, in days: they are judged as plain sequences.

    Raises RuntimeError where the data are not."""
    folder = Path(os.environ.get("LAKEBED_REALDATA") or Path(__file__).resolve().parents[2] / "shared" / "data") / "tcpd"
    if not folder.is_dir():
        raise RuntimeError(f"the change point data are not at {folder}; set LAKEBED_REALDATA to the folder above")
    found = []
    for name, marks in json.loads((folder / "annotations.json").read_text()).items():
        raw = json.loads((folder / f"{name}.json").read_text())["series"][0]["raw"]
        found.append(Series(name, np.array(raw, np.float64), timedelta(days=1), marks))
    return found


Generator = Callable[[np.random.Generator], tuple[Values, list[int]]]


def order_one(rng: np.random.Generator, coefficient: float) -> Values:
    """Autocorrelated noise of variance 1."""
    noise = rng.normal(size=HOURS + 200) * np.sqrt(1 - coefficient**2)
    for t in range(1, noise.size):
        noise[t] += coefficient * noise[t - 1]
    return np.asarray(noise[200:], np.float64)


def rhythm(rng: np.random.Generator) -> Values:
    """A daily wave and quiet weekends."""
    hour = np.arange(HOURS)
    found: Values = 5 * np.sin(2 * np.pi * (hour / 24 + rng.random())) - 4.0 * (hour // 24 % 7 >= 5)
    return found


def steps(rng: np.random.Generator, size: float) -> tuple[Values, list[int]]:
    """One to three levels more, each at least 100 hours long, `size` to twice `size` apart."""
    count = int(rng.integers(1, 4))
    places = [int(HOURS * (k + 1) / (count + 1) + rng.integers(-40, 41)) for k in range(count)]
    level = np.zeros(HOURS)
    for place in places:
        level[place:] += rng.choice([-1, 1]) * size * (1 + rng.random())
    return level, places


def spiked(rng: np.random.Generator, values: Values) -> Values:
    """Single spikes, and incidents of up to six hours."""
    spoilt = values.copy()
    spoilt[rng.random(HOURS) < 0.01] += 15
    for start in rng.integers(0, HOURS - 6, 4):
        spoilt[start : start + int(rng.integers(2, 7))] += 20
    return spoilt


def _bend(rng: np.random.Generator) -> tuple[Values, list[int]]:
    place = int(rng.integers(200, HOURS - 200))
    slopes = rng.uniform(0.02, 0.04, 2) * np.array([rng.choice([-1, 1]), 0]) + np.array([0, rng.choice([-1, 1]) * 0.05])
    hour = np.arange(HOURS)
    return slopes[0] * hour + (slopes[1] - slopes[0]) * np.maximum(hour - place, 0) + rng.normal(size=HOURS), [place]


def _drift(rng: np.random.Generator) -> tuple[Values, list[int]]:
    place = int(rng.integers(200, HOURS - 200))
    pace = 0.4 + rng.choice([-1, 1]) * 0.4 * (np.arange(HOURS) >= place)
    return np.cumsum(pace + rng.normal(size=HOURS)), [place]


def _stepped(noise: Callable[[np.random.Generator], Values], size: float) -> Generator:
    def build(rng: np.random.Generator) -> tuple[Values, list[int]]:
        level, places = steps(rng, size)
        return level + noise(rng), places

    return build


def _latency(rng: np.random.Generator) -> tuple[Values, list[int]]:
    level, places = steps(rng, 0.3)
    return np.exp(3 + level + 0.05 * rhythm(rng) + 0.2 * order_one(rng, 0.4)), places


CHANGED: Mapping[str, Generator] = {
    "steps in white noise": _stepped(lambda rng: rng.normal(size=HOURS), 0.8),
    "steps in autocorrelated noise": _stepped(lambda rng: order_one(rng, 0.6), 1.5),
    "steps in rhythm": _stepped(lambda rng: rhythm(rng) + order_one(rng, 0.4), 1.5),
    "steps among spikes": _stepped(lambda rng: spiked(rng, rng.normal(size=HOURS)), 1.2),
    "latency that steps": _latency,
    "a slope that bends": _bend,
    "a total whose pace changes": _drift,
}
UNCHANGED: Mapping[str, Callable[[np.random.Generator], Values]] = {
    "white noise": lambda rng: rng.normal(size=HOURS),
    "autocorrelated, 0.7": lambda rng: order_one(rng, 0.7),
    "autocorrelated, 0.95": lambda rng: order_one(rng, 0.95),
    "random walk": lambda rng: np.cumsum(rng.normal(size=HOURS)),
    "random walk that drifts": lambda rng: np.cumsum(0.3 + rng.standard_t(4, HOURS)),
    "a slope": lambda rng: np.arange(HOURS) * 0.03 + order_one(rng, 0.5),
    "rhythm": lambda rng: rhythm(rng) + order_one(rng, 0.4),
    "rhythm of requests": lambda rng: rng.poisson(np.exp(1.5 + 0.15 * rhythm(rng))).astype(np.float64),
    "spikes and incidents": lambda rng: spiked(rng, order_one(rng, 0.4)),
    "heavy tails": lambda rng: np.exp(order_one(rng, 0.3)),
    "few errors": lambda rng: rng.poisson(0.15, HOURS).astype(np.float64),
}


def generated(count: int, seed: int) -> tuple[dict[str, list[Series]], dict[str, list[Series]]]:
    """`count` series of each kind, hourly: with changes, their places marked by "truth", and without."""
    hour = timedelta(hours=1)
    changed: dict[str, list[Series]] = {}
    for number, (kind, build) in enumerate(CHANGED.items()):
        made = [build(np.random.default_rng([seed, number, k])) for k in range(count)]
        changed[kind] = [Series(f"{kind} {k}", values, hour, {"truth": places}) for k, (values, places) in enumerate(made)]
    unchanged: dict[str, list[Series]] = {}
    for number, (kind, noise) in enumerate(UNCHANGED.items()):
        made_quiet = [noise(np.random.default_rng([seed, 100 + number, k])) for k in range(count)]
        unchanged[kind] = [Series(f"{kind} {k}", values, hour, {"truth": []}) for k, values in enumerate(made_quiet)]
    return changed, unchanged


def clean_steps(points: int) -> Series:
    """Five levels of white noise, six standard deviations apart."""
    places = [round(points * share) for share in (0.137, 0.351, 0.602, 0.843)]
    level = np.zeros(points)
    for k, place in enumerate(places):
        level[place:] += 6.0 if k % 2 == 0 else -9.0
    return Series("clean steps", level + np.random.default_rng(0).normal(size=points), timedelta(hours=1), {"truth": places})
