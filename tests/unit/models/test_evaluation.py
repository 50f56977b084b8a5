"""Losses against plain loops and against utilsforecast; event matching against exhaustive search."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from itertools import pairwise, permutations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import evaluation as ev

RNG = np.random.default_rng(7)
ACTUAL = RNG.normal(10, 3, (5, 12))
PREDICTED = ACTUAL + RNG.normal(0, 1, (5, 12))
HISTORY = RNG.normal(10, 3, (5, 40))
PROBABILITIES = np.array([0.025, 0.1, 0.5, 0.9, 0.975])


def loop_mase(actual: list[float], predicted: list[float], history: list[float], season: int) -> float:
    errors = [abs(a - p) for a, p in zip(actual, predicted, strict=True) if not math.isnan(a - p)]
    naive = [abs(history[i] - history[i - season]) for i in range(season, len(history))]
    naive = [e for e in naive if not math.isnan(e)]
    return (sum(errors) / len(errors)) / (sum(naive) / len(naive))


def loop_smape(actual: list[float], predicted: list[float]) -> float:
    terms = []
    for a, p in zip(actual, predicted, strict=True):
        if not math.isnan(a - p):
            terms.append(0.0 if a == p == 0 else 2 * abs(a - p) / (abs(a) + abs(p)))
    return sum(terms) / len(terms)


def loop_crps(actual: list[float], quantiles: list[list[float]], probabilities: list[float]) -> float:
    total = 0.0
    edges = [0.0, *[(a + b) / 2 for a, b in pairwise(probabilities)], 1.0]
    for a, row in zip(actual, quantiles, strict=True):
        for k, (p, q) in enumerate(zip(probabilities, row, strict=True)):
            loss = p * (a - q) if a >= q else (1 - p) * (q - a)
            total += 2 * loss * (edges[k + 1] - edges[k])
    return total / len(actual)


def with_gaps(values: np.ndarray) -> np.ndarray:
    out = values.copy()
    out[:, ::5] = np.nan
    return out


@pytest.mark.parametrize("season", [1, 7])
def test_mase_equals_the_plain_loop_with_and_without_gaps(season: int) -> None:
    for actual, history in ((ACTUAL, HISTORY), (with_gaps(ACTUAL), with_gaps(HISTORY))):
        fast = ev.mase(actual, PREDICTED, ev.seasonal_scale(history, season))
        slow = [loop_mase(*row, season) for row in zip(actual.tolist(), PREDICTED.tolist(), history.tolist(), strict=True)]
        np.testing.assert_allclose(fast, slow, rtol=1e-12)


def test_smape_equals_the_plain_loop_and_two_zeros_are_no_error() -> None:
    actual, predicted = with_gaps(ACTUAL), PREDICTED.copy()
    actual[:, 1] = predicted[:, 1] = 0.0
    slow = [loop_smape(a, p) for a, p in zip(actual.tolist(), predicted.tolist(), strict=True)]
    np.testing.assert_allclose(ev.smape(actual, predicted), slow, rtol=1e-12)
    assert float(ev.smape([0.0, 0.0], [0.0, 1.0])) == 1.0


def test_crps_equals_the_plain_loop_in_any_order_of_quantiles() -> None:
    quantiles = PREDICTED[..., None] + np.array([-4.0, -2.0, 0.0, 2.0, 4.0])
    slow = [loop_crps(a, q, PROBABILITIES.tolist()) for a, q in zip(ACTUAL.tolist(), quantiles.tolist(), strict=True)]
    np.testing.assert_allclose(ev.crps(ACTUAL, quantiles, PROBABILITIES), slow, rtol=1e-12)
    order = [3, 0, 4, 2, 1]
    np.testing.assert_allclose(ev.crps(ACTUAL, quantiles[..., order], PROBABILITIES[order]), slow, rtol=1e-12)


def test_crps_of_the_median_alone_is_the_mean_absolute_error() -> None:
    np.testing.assert_allclose(ev.crps(ACTUAL, PREDICTED[..., None], [0.5]), np.abs(ACTUAL - PREDICTED).mean(axis=-1))


def test_crps_of_many_normal_quantiles_is_the_closed_form() -> None:
    from scipy.stats import norm

    levels = (np.arange(2000) + 0.5) / 2000
    for y in (-1.5, 0.0, 2.0):
        exact = y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / math.sqrt(math.pi)
        assert float(ev.crps([y], norm.ppf(levels)[None, :], levels)) == pytest.approx(exact, rel=1e-3)


def test_coverage_counts_borders_and_leaves_out_gaps() -> None:
    actual = [1.0, 2.0, 3.0, float("nan"), 5.0]
    assert float(ev.coverage(actual, [1.0, 0.0, 4.0, 0.0, float("nan")], [1.5, 2.0, 5.0, 9.0, 9.0])) == pytest.approx(2 / 3)
    slow = [sum(abs(a - p) <= 1 for a, p in zip(x, y, strict=True)) / 12 for x, y in zip(ACTUAL, PREDICTED, strict=True)]
    np.testing.assert_allclose(ev.coverage(ACTUAL, PREDICTED - 1, PREDICTED + 1), slow)


def test_losses_agree_with_utilsforecast() -> None:
    from utilsforecast import losses as other

    def long(values: np.ndarray, name: str) -> pl.DataFrame:
        ids, steps = np.indices(values.shape)
        return pl.DataFrame({"unique_id": ids.ravel(), "ds": steps.ravel(), name: values.ravel()})

    levels = (np.arange(9) + 0.5) / 9  # even: utilsforecast weights all quantiles alike
    quantiles = PREDICTED[..., None] + np.linspace(-3, 3, 9)
    frame = long(ACTUAL, "y").with_columns(m=PREDICTED.ravel(), lo=PREDICTED.ravel() - 1, hi=PREDICTED.ravel() + 1)
    frame = frame.with_columns(pl.Series(f"q{k}", quantiles[..., k].ravel()) for k in range(9))
    frame = frame.with_columns(ds=pl.col("ds") + 40).rename({"lo": "m-lo-80", "hi": "m-hi-80"})

    def result(table: pl.DataFrame) -> np.ndarray:
        return table.sort("unique_id")["m"].to_numpy()

    theirs = result(other.mase(frame, ["m"], 7, long(HISTORY, "y")))
    np.testing.assert_allclose(ev.mase(ACTUAL, PREDICTED, ev.seasonal_scale(HISTORY, 7)), theirs)
    np.testing.assert_allclose(ev.smape(ACTUAL, PREDICTED), 2 * result(other.smape(frame, ["m"])))
    np.testing.assert_allclose(
        ev.crps(ACTUAL, quantiles, levels), 2 * result(other.mqloss(frame, {"m": [f"q{k}" for k in range(9)]}, levels))
    )
    np.testing.assert_allclose(ev.coverage(ACTUAL, PREDICTED - 1, PREDICTED + 1), result(other.coverage(frame, ["m"], 80)))


def test_undefined_losses_are_nan_without_warning() -> None:
    assert np.isnan(ev.seasonal_scale([3.0] * 10, 2))
    assert np.isnan(ev.seasonal_scale([1.0, 2.0], 5))
    assert np.isnan(ev.mase([1.0], [2.0], 0.0))
    assert np.isnan(ev.smape([np.nan], [1.0]))
    assert np.isnan(ev.crps([np.nan], [[1.0]], [0.5]))
    assert np.isnan(ev.coverage([], [], []))
    assert np.isnan(ev.owa(1.0, 1.0, 0.0, 1.0))


def test_owa_is_the_mean_of_both_relative_losses() -> None:
    assert float(ev.owa(2.0, 0.3, 4.0, 0.2)) == pytest.approx((0.5 + 1.5) / 2)


@pytest.mark.parametrize("probabilities", [[0.0, 0.5], [0.5, 0.5], [], [1.2]])
def test_probabilities_that_are_none_are_refused(probabilities: list[float]) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        ev.pinball([1.0], [[1.0] * len(probabilities)], probabilities)


def exhaustive_matches(true: list[int], found: list[int], tolerance: int) -> int:
    small, large = sorted((true, found), key=len)
    return max(
        (sum(abs(a - b) <= tolerance for a, b in zip(small, order, strict=True)) for order in permutations(large, len(small))),
        default=0,
    )


events = st.lists(st.integers(0, 30), max_size=5)


@settings(max_examples=150)
@given(true=events, found=events, tolerance=st.integers(0, 6))
def test_matching_is_the_largest_possible(true: list[int], found: list[int], tolerance: int) -> None:
    score = ev.precision_recall(true, found, tolerance)
    assert score.matched == exhaustive_matches(true, found, tolerance)
    assert (score.true, score.found) == (len(true), len(found))


def test_times_are_matched_within_a_timedelta_and_repeats_count_as_false() -> None:
    true = pl.Series([datetime(2026, 1, 2), datetime(2026, 1, 9), None])
    found = [datetime(2026, 1, 2, 5), datetime(2026, 1, 2, 6), datetime(2026, 2, 1)]
    score = ev.precision_recall(true.to_numpy(), found, timedelta(hours=6))
    assert (score.precision, score.recall) == (pytest.approx(1 / 3), 0.5)
    assert score.f1 == pytest.approx(0.4)


def test_rates_without_events_are_nan() -> None:
    score = ev.precision_recall([], [], 1.0)
    assert math.isnan(score.precision)
    assert math.isnan(score.recall)
    assert math.isnan(score.f1)


def test_times_and_numbers_do_not_mix() -> None:
    with pytest.raises(ValueError, match="timedelta"):
        ev.precision_recall([datetime(2026, 1, 1)], [datetime(2026, 1, 1)], 3.0)
    with pytest.raises(ValueError, match="must be times"):
        ev.precision_recall([1.0], [2.0], timedelta(1))
    with pytest.raises(ValueError, match="negative"):
        ev.precision_recall([1.0], [2.0], -1)


def test_pinball_and_owa_equal_plain_loops_and_pinball_agrees_with_scikit_learn() -> None:
    from sklearn.metrics import mean_pinball_loss

    quantiles = PREDICTED[..., None] + np.array([-4.0, -2.0, 0.0, 2.0, 4.0])
    found = ev.pinball(with_gaps(ACTUAL), quantiles, PROBABILITIES)
    for i, actual in enumerate(with_gaps(ACTUAL)):
        seen = np.isfinite(actual)
        for k, p in enumerate(PROBABILITIES):
            terms = [max(p * (a - q), (p - 1) * (a - q)) for a, q in zip(actual[seen], quantiles[i, seen, k], strict=True)]
            assert found[i, k] == pytest.approx(sum(terms) / len(terms), rel=1e-12)
            assert found[i, k] == pytest.approx(mean_pinball_loss(actual[seen], quantiles[i, seen, k], alpha=p), rel=1e-12)
    losses = np.abs(RNG.normal(1, 0.2, (4, 6)))
    slow = [(a / c + b / d) / 2 for a, b, c, d in zip(*losses, strict=True)]
    np.testing.assert_allclose(ev.owa(*losses), slow, rtol=1e-12)


def test_seasonal_scale_agrees_with_scikit_learn_and_coverage_with_a_loop_over_gaps() -> None:
    from sklearn.metrics import mean_absolute_error

    theirs = [mean_absolute_error(row[7:], row[:-7]) for row in HISTORY]
    np.testing.assert_allclose(ev.seasonal_scale(HISTORY, 7), theirs, rtol=1e-12)
    holed = with_gaps(ACTUAL)
    slow = []
    for actual, predicted in zip(holed, PREDICTED, strict=True):
        inside = [abs(a - p) <= 1 for a, p in zip(actual, predicted, strict=True) if not math.isnan(a)]
        slow.append(sum(inside) / len(inside))
    np.testing.assert_allclose(ev.coverage(holed, PREDICTED - 1, PREDICTED + 1), slow)
