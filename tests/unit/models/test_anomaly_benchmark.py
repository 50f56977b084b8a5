"""The benchmark's scorer: a plain-loop twin, what published detectors got, and the divisions and F1 that the figures are made of."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import f1_score

from benchmarks import anomaly, nab
from models.anomaly import scoring

T0 = datetime(2026, 1, 1)


def labelled(rows: int, *windows: tuple[int, int]) -> nab.LabelledFile:
    times = [T0 + timedelta(minutes=5) * i for i in range(rows)]
    return nab.LabelledFile("a", pl.DataFrame({"time": times, "value": [0.0] * rows}), windows)


def twin(file: nab.LabelledFile, alarms: list[int]) -> float:
    """One alarm after the other, as the benchmark's paper tells it."""

    def scaled(position: float) -> float:
        return -1.0 if position >= 3 else 2 / (1 + math.exp(5 * position)) - 1

    n, total, best = file.rows.height, 0.0, [-1.0] * len(file.windows)
    for row in alarms:
        if row < min(math.floor(0.15 * n), 0.15 * 5000):
            continue
        position, inside = 3.0, None
        for k, (first, last) in enumerate(file.windows):
            if first <= row <= last:
                inside, position = k, -(last - row + 1) / (last - first + 1)
            elif row > last:
                inside, position = None, (row - last) / (last - first)
        if inside is None:
            total += 0.11 * scaled(position)
        else:
            best[inside] = max(best[inside], scaled(position) / scaled(-1.0))
    return total + sum(best)


def test_the_raw_score_equals_the_plain_loop() -> None:
    random = np.random.default_rng(1)
    for file in (labelled(400), labelled(400, (100, 140)), labelled(900, (200, 250), (260, 300), (890, 899)), labelled(6000, (800, 900))):
        for share in (0.0, 0.005, 0.1, 1.0):
            alarm = random.random(file.rows.height) < share
            assert nab.raw_score(file, alarm) == pytest.approx(twin(file, np.flatnonzero(alarm).tolist()), rel=1e-9)


def test_a_window_found_at_once_is_perfect_and_silence_is_nothing() -> None:
    file = labelled(1000, (300, 350), (500, 600))
    alarm = np.zeros(1000, bool)
    assert nab.normalised(nab.raw_score(file, alarm), 2) == 0
    alarm[[10, 300, 320, 500]] = True  # the first is in the probation, the third finds nothing new
    assert nab.normalised(nab.raw_score(file, alarm), 2) == pytest.approx(100)
    alarm[200] = True
    assert nab.normalised(nab.raw_score(file, alarm), 2) == pytest.approx(100 - 100 * 0.11 / 4)


def test_thresholds_come_from_the_other_parts() -> None:
    raw = np.array([[5.0, 0.0, 1.0], [5.0, 9.0, 2.0], [-9.0, 6.0, 8.0]])
    assert anomaly.fixed_elsewhere(raw, np.array([0, 1, 2])) == 0 + 2 - 9  # best on the others: second (15), third (9), first (10)
    assert anomaly.fixed_elsewhere(raw, np.array([0, 0, 1])) == 1 + 2 - 9


def test_alarms_of_a_threshold_keep_the_refractory_period_and_miss_rows_without_score() -> None:
    file = labelled(1000, (500, 520))
    scores = np.full(1000, -1.0)
    scores[[200, 201, 500, 501]] = 0.9, 0.99, 0.95, 0.99
    weak, strong, none = anomaly.raw_scores(file, scores, np.array([0.9, 0.96, 0.995]))
    assert weak == pytest.approx(1 - 0.11)
    assert strong == pytest.approx(nab.credits(file)[501] - 0.11)
    assert none == -1
    assert timedelta(minutes=5) * 300 > scoring.REFRACTORY


def test_f1_agrees_with_a_second_library_and_one_hit_finds_a_stretch() -> None:
    random = np.random.default_rng(2)
    labels, scores = (random.random(500) < 0.2).astype(np.int64), random.random(500)
    assert anomaly.f1(labels, scores, 0.7) == pytest.approx(f1_score(labels, scores >= 0.7))
    labels = np.array([0, 1, 1, 1, 0, 1, 0])
    scores = np.array([0.1, 0.2, 0.9, 0.3, 0.8, 0.4, 0.0])
    assert anomaly.point_adjusted(labels, scores).tolist() == [0.1, 0.9, 0.9, 0.9, 0.8, 0.4, 0.0]


@pytest.mark.realdata
def test_published_scores_are_what_this_scorer_gives(realdata: Path) -> None:
    """Rows inside and outside of windows as published; where the alarms are known up to one, the score is exactly one of this scorer's."""
    published = pl.read_csv(realdata / "nab" / "published_per_file_scores.csv").filter(pl.col("Profile") == "standard")
    files = nab.read_files(realdata / "nab")
    exact = 0
    for file in files:
        window = file.window_of()[file.probation :]
        credit = nab.credits(file)[file.window_of() == 0]
        for row in published.filter(pl.col("File") == file.name).iter_rows(named=True):
            assert (row["TP"] + row["FN"], row["TN"] + row["FP"]) == ((window >= 0).sum(), (window < 0).sum())
            if not file.windows:
                assert row["Score"] == pytest.approx(-nab.FALSE_POSITIVE * row["FP"])
            elif row["FP"] == 0 and row["TP"] > 0 and len(file.windows) == 1:
                assert np.abs(credit - row["Score"]).min() < 1e-9
            elif row["TP"] == 0:
                assert -len(file.windows) - nab.FALSE_POSITIVE * row["FP"] - 1e-9 <= row["Score"] <= -len(file.windows)
            else:
                continue
            exact += 1
    assert exact > 90
    windows = sum(len(file.windows) for file in files)
    assert windows == 59
    for row in pl.read_csv(realdata / "nab" / "subset_normalised_scores.csv").filter(pl.col("profile") == "standard").iter_rows(named=True):
        total = published.filter(pl.col("Detector") == row["detector"])["Score"].sum()
        assert nab.normalised(total, windows) == pytest.approx(row["normalised_score"], abs=1e-3)


@pytest.mark.realdata
def test_the_default_threshold_beats_the_best_published_detector(realdata: Path) -> None:
    files = nab.read_files(realdata / "nab")
    scores, _ = anomaly.scored_files(files)
    default = np.array([scoring.THRESHOLD])
    raw = sum(anomaly.raw_scores(file, found, default)[0] for file, found in zip(files, scores, strict=True))
    assert nab.normalised(raw, 59) > 71.76
