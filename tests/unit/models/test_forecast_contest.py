"""How members are judged, combined and screened: against plain loops, and by what comes out of sample."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.forecast import forecast, lineup, threads
from models.forecast.combination import _losses, _weighted_median, combine
from models.forecast.contest import NAIVE, enter, start
from models.forecast.intervals import bands
from models.forecast.learners import Linear
from models.forecast.lineup import MEMBERS, run_contest
from models.forecast.medians import phase_median, recent_level
from models.forecast.members import Member, per_series
from models.forecast.panel import Panel, build_panel

START = datetime.fromisoformat("2026-01-01")


def panel_of(values: dict[str, np.ndarray], horizon: int = 24) -> Panel:
    frames = [
        pl.DataFrame({"series_id": [key] * v.size, "time": [START + timedelta(hours=i) for i in range(v.size)], "value": v})
        for key, v in values.items()
    ]
    return build_panel(pl.concat(frames), horizon=horizon, freq="1h")


def rhythm(hours: int, seed: int, noise: float = 1.0) -> np.ndarray:
    t = np.arange(hours)
    return 20 + 5 * np.sin(2 * np.pi * t / 24) + np.random.default_rng(seed).normal(0, noise, hours)


def loop_median(values: list[float], weights: list[float]) -> float:
    pairs = sorted((v, w) for v, w in zip(values, weights, strict=True) if w > 0)
    below, half = 0.0, sum(w for _, w in pairs) / 2
    for i, (value, weight) in enumerate(pairs):
        below += weight
        if abs(below - half) < 1e-9:
            return (value + pairs[i + 1][0]) / 2
        if below > half:
            return value
    return float("nan")


def test_the_weighted_median_equals_the_plain_loop() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 40, 3))
    weights = rng.integers(0, 4, (5, 40)).astype(float)
    weights[:2, 0], weights[2:, 0] = 1.0, 0.0
    weights[0] += weights.sum(axis=0) == 0
    values[0, weights[0] == 0] = np.nan
    weights /= weights.sum(axis=0)
    found = _weighted_median(weights, values)
    slow = [[loop_median(values[:, s, h].tolist(), weights[:, s].tolist()) for h in range(3)] for s in range(40)]
    np.testing.assert_allclose(found, slow)
    assert np.isnan(_weighted_median(np.zeros((5, 40)), values)).all()


def loop_loss(errors: np.ndarray, actual: np.ndarray, season: int) -> tuple[float, float]:
    known = [e for e in errors if np.isfinite(e)]
    points = sum(abs(e) for e in known) / len(known)
    length = min(season, len(errors))
    blocks = [errors[i : i + length] for i in range(len(errors) % length, len(errors), length)]
    means = [abs(float(np.nansum(b))) / max(1, int(np.isfinite(b).sum())) for b in blocks]
    terms = []
    for e, a in zip(errors, actual, strict=True):
        if np.isfinite(e):
            size = abs(a) + abs(a - e)
            terms.append(2 * abs(e) / size if size > 0 else 0.0)
    return 0.75 * points + 0.25 * sum(means) / len(means), sum(terms) / len(terms)


def test_losses_equal_the_plain_loop_relative_to_the_naive_member() -> None:
    holed = rhythm(400, 1)
    holed[::7] = np.nan
    zeros = np.where(np.random.default_rng(2).random(700) < 0.6, 0.0, rhythm(700, 2))
    contest = run_contest(panel_of({"a": holed, "b": zeros}).ready, 24, ["level_season"], seed=0)
    found = _losses(contest.errors["level_season"], contest)
    for i, series in enumerate(contest.series):
        slow = []
        for name in (NAIVE, "level_season"):
            errors, actual = contest.errors[name][i], contest.actual[i]
            slow.append(np.array([loop_loss(e, a, series.seasons[-1]) for e, a in zip(errors, actual, strict=True)]))
        np.testing.assert_allclose(found[i], (slow[1] / slow[0].mean(axis=0)).mean(axis=1))


def test_a_combination_is_never_worse_than_naive_over_the_windows_it_was_judged_on() -> None:
    rng = np.random.default_rng(3)
    walks = {f"w{i}": 50 + np.cumsum(rng.normal(size=300)) for i in range(8)}
    contest = run_contest(panel_of(walks).ready, 24, ["level_season", "trend_season", "phase_median"], seed=0)
    combined, naive = (_losses(errors, contest).mean(axis=1) for errors in (combine(contest).errors, contest.errors[NAIVE]))
    assert (combined <= naive + 1e-12).all()
    assert (combined < naive - 1e-3).any()


def test_dear_members_run_where_the_others_are_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    calm = {f"calm{i}": rhythm(300, i, noise=0.5) for i in range(4)}
    growing = {f"wild{i}": 5 + 0.4 * np.arange(300) + rhythm(300, 10 + i, noise=0.1) for i in range(2)}
    ready = panel_of(calm | growing).ready
    dear = Member("dear", MEMBERS["trend_season"].predict, limit=650)
    cheap = {NAIVE: MEMBERS[NAIVE], "phase_median": MEMBERS["phase_median"]}
    monkeypatch.setattr(lineup, "MEMBERS", cheap | {"dear": dear})
    contest = run_contest(ready, 24, None, seed=0)
    ran = [s.key for s, ran in zip(contest.series, np.isfinite(contest.seconds["dear"]), strict=True) if ran]
    assert ran == ["wild0", "wild1"]


def test_series_that_were_zero_and_never_less_are_not_forecast_below_zero() -> None:
    falling = np.concatenate([np.linspace(40, 0.5, 290), np.zeros(10)])
    above = np.linspace(40, 1, 300)
    contest = start(panel_of({"zero": falling, "above": above}).ready, 24)
    sink = Member("sink", per_series(lambda series, horizon: np.full(horizon, -3.0)))
    enter(contest, sink, np.arange(2), seed=0)
    lows = {s.key: f.min() for s, f in zip(contest.series, contest.forecasts["sink"], strict=True)}
    assert lows == {"zero": 0.0, "above": -3.0}


def test_phase_medians_equal_the_plain_loop() -> None:
    values = {"a": rhythm(24 * 9 + 5, 1), "b": rhythm(24 * 20, 2), "week": rhythm(168 * 5, 3)}
    series = panel_of(values).ready
    usual, shifted = (phase_median(7, shifted=s)([series], 30, 0)[0] for s in (False, True))
    weekly = phase_median(4, long=True)([series], 30, 0)[0]
    level = recent_level([series], 3, 0)[0]
    for i, (key, y) in enumerate(values.items()):
        y = y / series[i].scale
        slow = np.array([np.median([y[y.size - 24 * (c + 1) + h % 24] for c in range(7)]) for h in range(30)])
        np.testing.assert_allclose(usual[i], slow)
        np.testing.assert_allclose(shifted[i], slow + np.median(y[-24:]) - np.median(slow[:24]))
        np.testing.assert_allclose(level[i], np.median(y[-24:]))
        assert (weekly[i] is None) == (key == "a")
    y = values["week"] / series[2].scale
    np.testing.assert_allclose(weekly[2][5], np.median([y[y.size - 168 * (c + 1) + 5] for c in range(4)]))


def test_zeros_of_a_mostly_idle_series_stay_zero() -> None:
    rng = np.random.default_rng(4)
    idle = np.where(rng.random(500) < 0.8, 0.0, rng.exponential(5, 500))
    frame = pl.DataFrame({"series_id": ["a"] * 500, "time": [START + timedelta(hours=i) for i in range(500)], "value": idle})
    made = forecast(frame, horizon=24, freq="1h", models=["recent_level", "phase_median", "level_season", "pooled_linear"])
    assert (made["mean"] == 0).mean() > 0.7
    assert made["hi_95"].max() > 3


def test_intervals_cover_what_comes_for_any_unit_and_growth() -> None:
    rng = np.random.default_rng(5)
    unit = np.exp(rng.normal(0, 2, 400))[:, None, None]
    errors = unit * rng.standard_t(4, (400, 5, 24)) * np.exp(rng.normal(0, 0.4, (400, 5, 1))) * np.arange(1, 25) ** 0.3
    offsets = bands(errors[:, 1:], np.full(400, 24), (80, 95), 24)
    inside = [((offsets[:, i] <= errors[:, 0]) & (errors[:, 0] <= offsets[:, i + 1])).mean() for i in (0, 2)]
    assert inside == [pytest.approx(0.80, abs=0.03), pytest.approx(0.95, abs=0.02)]


def test_intervals_of_a_series_with_one_window_or_none() -> None:
    errors = np.full((3, 4, 6), np.nan)
    errors[0, 0] = [1.0, -1.0, 2.0, -2.0, 1.0, -1.0]
    errors[1] = 0.0
    offsets = bands(errors, np.full(3, 6), (80,), 9)
    assert (offsets[0, 0] < -1).all()
    assert (offsets[0, 1] > 1).all()
    assert not offsets[1:].any()


def test_least_absolute_errors_agree_with_scikit_learn() -> None:
    from sklearn.linear_model import QuantileRegressor

    rng = np.random.default_rng(6)
    x = rng.normal(size=(3000, 3)) * [1, 10, 0.1] + [0, 5, 2]
    target = x @ [1.0, -0.3, 4.0] + 2 + rng.standard_t(3, 3000)
    theirs = QuantileRegressor(quantile=0.5, alpha=0.0).fit(x, target)
    ours = Linear.fit(x, target, seed=0)
    loss = [np.abs(target - model.predict(x)).mean() for model in (ours, theirs)]
    assert loss[0] == pytest.approx(loss[1], rel=2e-3)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), atol=0.3)


def test_members_that_learn_together_learn_nothing_from_later_dates() -> None:
    """A series that ended long ago is forecast alike whatever the others did afterwards, and so are earlier origins."""
    old = rhythm(500, 1)
    living = {f"s{i}": rhythm(900, 10 + i) for i in range(6)}
    later = {key: np.concatenate([v[:500], 50 + 40 * np.sin(np.arange(400)) ** 2]) for key, v in living.items()}
    names = ["pooled", "pooled_linear"]
    first, second = (run_contest(panel_of({"old": old} | others).ready, 24, names, seed=0) for others in (living, later))
    for name in names:
        assert np.isfinite(first.forecasts[name]).all()
        np.testing.assert_array_equal(first.forecasts[name][0], second.forecasts[name][0])
        np.testing.assert_array_equal(first.errors[name][0], second.errors[name][0])
        assert not np.allclose(first.forecasts[name][1:], second.forecasts[name][1:])


def test_a_holiday_is_not_known_before_it_came() -> None:
    values = 50 + np.random.default_rng(0).normal(0, 1, 24 * 60)
    days = [9, 23, 37, 57]
    for day in days:
        values[24 * day : 24 * (day + 1)] -= 20
    frame = pl.DataFrame({"series_id": "a", "time": [START + timedelta(hours=i) for i in range(values.size)], "value": values})
    dates = [(START + timedelta(days=day)).date() for day in days]
    series = build_panel(frame, horizon=48, freq="1h", holidays=dates).ready[0]
    changed = frame.with_columns(value=pl.when(pl.int_range(pl.len()) >= 24 * 40).then(pl.col("value") * 3).otherwise("value"))
    other = build_panel(changed, horizon=48, freq="1h", holidays=dates).ready[0]
    ahead = slice(24 * 57, 24 * 58)
    for cut, seen in ((24 * 40, 3), (24 * 30, 2)):
        effects = [one.upto(cut).effect[ahead] * one.scale for one in (series, other)]
        np.testing.assert_array_equal(*effects)
        assert effects[0].mean() == pytest.approx(-20 * seen / (seen + 1), abs=1.5)
    assert series.effect[ahead].mean() * series.scale == pytest.approx(-20 * 4 / 5, abs=1.5)


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {f"s{i}": rhythm(200 + 24 * (i % 3), i, noise=1 + i % 4) for i in range(30)}
    frame = pl.concat(
        pl.DataFrame({"series_id": key, "time": [START + timedelta(hours=i) for i in range(v.size)], "value": v})
        for key, v in values.items()
    )
    monkeypatch.setattr(threads, "PIECE", 7)
    made, names = [], ["recent_level", "phase_median", "level_season", "pooled_linear"]
    for count in (1, 3):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, count=count: set(range(count)))
        made.append(forecast(frame, horizon=24, freq="1h", models=names))
    assert made[0].equals(made[1])
    monkeypatch.setattr(threads, "PIECE", 500)
    columns = ["mean", "lo_80", "hi_95"]
    np.testing.assert_allclose(
        forecast(frame, horizon=24, freq="1h", models=names).select(columns).to_numpy(), made[0].select(columns).to_numpy(), rtol=1e-9
    )


def test_the_naive_member_repeats_the_season_whose_cycles_are_alike() -> None:
    t = np.arange(168 * 6)
    weekly, daily = np.random.default_rng(0).normal(size=168)[t % 168], rhythm(t.size, 3, noise=0.1)
    ready = panel_of({"weekly": weekly, "daily": daily}).ready
    found = MEMBERS[NAIVE].predict([ready], 24, 0)[0]
    for series, forecasts, season in zip(ready, found, (24, 168), strict=True):
        np.testing.assert_array_equal(forecasts, np.resize(series.values[-season:], 24))


def test_outer_bands_reach_out_on_both_sides() -> None:
    errors = np.abs(np.random.default_rng(0).normal(size=(20, 4, 24)))
    lower, upper = bands(errors, np.full(20, 24), (95,), 24).transpose(1, 0, 2)
    assert (-lower >= 0.5 * upper - 1e-12).all()
    inner = bands(errors, np.full(20, 24), (80,), 24)
    assert (inner[:, 0] == 0).all()
