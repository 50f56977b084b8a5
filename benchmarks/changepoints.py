"""`python -m benchmarks.changepoints`: `models.trend.change_points` with its defaults against `ruptures` and Apache Otava.

F1 is that of the Turing Change Point Dataset (`benchmarks.changepoint_score`); the figure of a detector is the mean over the series. These
are few (nine), so a table of generated ones stands beside: F1 within a day where something changes, and how often anything is found where
nothing does.

`ruptures` has no default penalty: the 10 of its README, log n, and the 2 log n of the Bayesian criterion are all tried, on values of
variance 1, with each of its costs; everything else is its default. The best of all of them is the peer to beat. Time is processor time.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl
import ruptures

from benchmarks.changepoint_score import f1
from benchmarks.changepoint_sets import START, Series, Values, clean_steps, generated, marked
from benchmarks.otava import otava
from models.trend import change_points

MARGIN, DAY_MARGIN = 5, 24
PER_KIND, SEED = 20, 1
SPEED_POINTS, SPEED_ROUNDS = 2_000, 7
OURS = "lakebed"

Detector = Callable[[Sequence[Series]], list[list[int]]]


def lakebed(series: Sequence[Series]) -> list[list[int]]:
    """Each series by itself, as the peers see them."""
    found = []
    for one in series:
        times = [START + one.step * i for i in range(one.values.size)]
        rows = change_points(pl.DataFrame({"series_id": [one.name] * one.values.size, "time": times, "value": one.values}))
        found.append([round((when - START) / one.step) for when in rows["time"].drop_nulls()])
    return found


def of_ruptures(name: str, cost: str, penalty: Callable[[int], float]) -> Detector:
    """A search method of ruptures on values of variance 1."""

    def one(values: Values) -> list[int]:
        kind = {"kernel": cost} if name == "KernelCPD" else {"model": cost}
        scaled = (values - values.mean()) / (values.std() or 1.0)
        return [int(p) for p in getattr(ruptures, name)(**kind).fit(scaled).predict(pen=penalty(values.size))[:-1]]

    return lambda series: [one(s.values) for s in series]


PENALTIES: Mapping[str, Callable[[int], float]] = {
    "10": lambda n: 10.0,
    "log n": lambda n: float(np.log(n)),
    "2 log n": lambda n: 2 * float(np.log(n)),
}
METHODS = {"Pelt": ("l2", "rbf"), "Binseg": ("l2", "rbf"), "KernelCPD": ("linear", "rbf")}


def detectors(find_otava: Callable[[Sequence[Values]], list[list[int]]]) -> dict[str, Detector]:
    """Every detector by name, Lakebed first."""
    found: dict[str, Detector] = {OURS: lakebed, "otava": lambda series: find_otava([s.values for s in series])}
    for method, costs in METHODS.items():
        for cost in costs:
            for name, penalty in PENALTIES.items():
                found[f"{method} {cost} {name}"] = of_ruptures(method, cost, penalty)
    return found


def on_marked(candidates: Mapping[str, Detector]) -> dict[str, float]:
    """Mean F1 of each detector on the marked series; prints the F1 of each series with the number of places found."""
    series = marked()
    print(f"\n{f'F1, margin {MARGIN} (places)':24}{'mean':>7}" + "".join(f"{s.name[:15]:>17}" for s in series))
    means = {}
    for name, detect in candidates.items():
        found = detect(series)
        scores = [f1(s.marks, places, MARGIN) for s, places in zip(series, found, strict=True)]
        means[name] = statistics.fmean(scores)
        cells = (f"{score:.3f} ({len(places)})" for score, places in zip(scores, found, strict=True))
        print(f"{name:24}{means[name]:7.4f}" + "".join(f"{cell:>17}" for cell in cells))
    return means


def on_generated(candidates: Mapping[str, Detector]) -> dict[str, tuple[float, float]]:
    """Mean F1 where something changes and share of series with a discovery where nothing does; prints each kind."""
    changed, unchanged = generated(PER_KIND, SEED)
    print(f"\n{f'{PER_KIND} generated series each':34}" + "".join(f"{name:>18}" for name in candidates))
    sums: dict[str, list[list[float]]] = {name: [[], []] for name in candidates}
    for column, kinds in enumerate((changed, unchanged)):
        print(("F1, margin a day", "share with a false discovery")[column])
        for kind, series in kinds.items():
            cells = []
            for name, detect in candidates.items():
                found = detect(series)
                f1s = [f1(s.marks, places, DAY_MARGIN) for s, places in zip(series, found, strict=True)]
                cells.append(statistics.fmean(f1s if column == 0 else [float(bool(places)) for places in found]))
                sums[name][column].append(cells[-1])
            print(f"  {kind:32}" + "".join(f"{cell:18.3f}" for cell in cells))
    means = {name: (statistics.fmean(hits), statistics.fmean(false)) for name, (hits, false) in sums.items()}
    for column, title in enumerate(("mean F1", "mean share of false discoveries")):
        print(f"{title:34}" + "".join(f"{mean[column]:18.3f}" for mean in means.values()))
    return means


def speed_against_pelt() -> float:
    """How many times faster than Pelt(jump=1) at the same places of clean steps.

    Raises AssertionError where one of both does not find exactly the true places."""
    series = clean_steps(SPEED_POINTS)
    pelt = ruptures.Pelt(jump=1)
    began = time.process_time()
    theirs = pelt.fit(series.values).predict(pen=2 * np.log(SPEED_POINTS))[:-1]
    slow = time.process_time() - began
    times = []
    for _ in range(SPEED_ROUNDS):
        began = time.process_time()
        (ours,) = lakebed([series])
        times.append(time.process_time() - began)
    assert ours == theirs == series.marks["truth"], f"{ours} and {theirs} where {series.marks['truth']} are true"
    quick = statistics.median(times)
    print(f"\n{SPEED_POINTS} points, places {ours}: Pelt(jump=1) {slow:.2f} s, lakebed {quick * 1000:.1f} ms (median of {SPEED_ROUNDS})")
    return slow / quick


def measure() -> dict[str, float | str]:
    """Every figure; prints as it goes."""
    with otava() as (otava_version, find_otava):
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("ruptures", "numpy", "scipy", "polars"))
        print(f"Python {platform.python_version()}, {versions}, {otava_version}")
        candidates = detectors(find_otava)
        means = on_marked(candidates)
        peers = sorted((name for name in means if name != OURS), key=lambda name: -means[name])
        families = dict.fromkeys(name.split()[0] for name in peers)
        shown = [OURS, *(next(p for p in peers if p.startswith(family)) for family in families)]
        on_known = on_generated({name: candidates[name] for name in shown})
    return {
        "f1_margin_5": round(means[OURS], 4),
        "f1_margin_5_best_peer": round(means[peers[0]], 4),
        "best_peer": peers[0],
        "generated_f1": round(on_known[OURS][0], 4),
        "generated_f1_best_peer": round(max(f for name, (f, _) in on_known.items() if name != OURS), 4),
        "generated_false_discoveries": round(on_known[OURS][1], 4),
        "speed_vs_pelt": round(speed_against_pelt(), 1),
    }


def main() -> None:
    """Measure and print; the last line is JSON."""
    print(json.dumps(measure()))


if __name__ == "__main__":
    main()
