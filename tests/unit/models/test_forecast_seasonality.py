"""Trend and seasonal profile against plain loops and a second library."""

from __future__ import annotations

import numpy as np
import pytest

from models.forecast.seasonality import (
    autocorrelation,
    block_means,
    decompose,
    fill_gaps,
    fit_profile,
    robust_slope,
    theil_sen,
    usable_seasons,
)


def test_theil_sen_agrees_with_scipy_and_a_plain_loop() -> None:
    from scipy.stats import theilslopes

    y = np.random.default_rng(0).normal(size=41).cumsum()
    slopes = [(y[j] - y[i]) / (j - i) for i in range(y.size) for j in range(i + 1, y.size)]
    assert theil_sen(y) == pytest.approx(float(np.median(slopes)))
    assert theil_sen(y) == pytest.approx(float(theilslopes(y).slope))
    assert theil_sen(y[:1]) == 0.0


def test_robust_slope_sees_through_season_and_outliers() -> None:
    t = np.arange(7 * 20)
    y = 3 + 0.25 * t + 10 * np.sin(2 * np.pi * t / 7)
    assert robust_slope(y, 7) == pytest.approx(0.25, abs=1e-9)
    y[[13, 50, 77]] += 1000
    assert robust_slope(y, 7) == pytest.approx(0.25, abs=0.12)


def test_block_means_count_from_the_end() -> None:
    assert block_means(np.array([9.0, 1, 3, 5, 7]), 2).tolist() == [2.0, 6.0]


def test_profile_finds_day_and_week() -> None:
    hours = np.arange(24 * 7 * 8)
    truth = 5 * np.sin(2 * np.pi * hours / 24) - 4.0 * (hours // 24 % 7 >= 5)
    profile = fit_profile(truth - truth.mean(), (24, 168))
    np.testing.assert_allclose(profile.at(0, hours.size), truth - truth.mean(), atol=0.05)
    np.testing.assert_allclose(profile.at(1000, 50), (truth - truth.mean())[1000:1050], atol=0.05)


def test_profile_of_a_history_that_is_not_whole_cycles() -> None:
    t = np.arange(7 * 6 + 3)
    truth = np.array([0.0, 1, 2, 3, 4, 5, 6])[t % 7] - 3
    np.testing.assert_allclose(fit_profile(truth, (7,)).at(t.size, 7), truth[(t.size + np.arange(7)) % 7], atol=0.1)


def test_growing_amplitude_is_multiplicative() -> None:
    t = np.arange(90)
    y = (100 + 2 * t) * (1 + 0.3 * np.sin(2 * np.pi * t / 7))
    parts = decompose(y, (7,), trend=True)
    assert parts.multiplicative
    ahead = np.arange(90, 150)
    np.testing.assert_allclose(parts.extrapolate(60), (100 + 2 * ahead) * (1 + 0.3 * np.sin(2 * np.pi * ahead / 7)), rtol=0.03)
    assert not decompose(y - 500, (7,), trend=True).multiplicative


def test_gaps_are_filled_with_the_rhythm() -> None:
    t = np.arange(24 * 10)
    truth = 50 + 0.1 * t + 10 * np.sin(2 * np.pi * t / 24)
    holed = truth.copy()
    holed[100:118] = np.nan
    holed[[5, 60, 61]] = np.nan
    np.testing.assert_allclose(fill_gaps(holed, (24,)), truth, atol=1.5)
    assert fill_gaps(truth, (24,)) is truth


def test_autocorrelation_and_usable_seasons() -> None:
    assert autocorrelation(np.ones(20)) == 0.0
    assert autocorrelation(np.arange(2.0)) == 0.0
    assert autocorrelation(np.random.default_rng(1).normal(size=500).cumsum()) > 0.9
    assert usable_seasons((168, 24), 300) == (24,)
