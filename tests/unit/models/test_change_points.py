"""Change points: the segmentation against exhaustive search, and what is and is not found in rhythm and noise."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.series import NOT_ENOUGH_DATA
from models.trend import change_points
from models.trend import segmentation as sg
from models.trend.exact import is_exact
from models.trend.noise import noise_of
from models.trend.seasonal import moving_median

T0 = datetime(2026, 1, 1)
HOUR = timedelta(hours=1)
COLUMNS = [
    "series_id",
    "time",
    "before",
    "after",
    "relative_change",
    "relative_change_lo",
    "relative_change_hi",
    "p_value",
    "q_value",
    "status",
]


def history(values: np.ndarray, step: timedelta = HOUR, series_id: str = "a") -> pl.DataFrame:
    return pl.DataFrame({"series_id": [series_id] * len(values), "time": [T0 + step * i for i in range(len(values))], "value": values})


def order_one(rng: np.random.Generator, n: int, phi: float) -> np.ndarray:
    noise = rng.normal(size=n + 100) * np.sqrt(1 - phi**2)
    for t in range(1, n + 100):
        noise[t] += phi * noise[t - 1]
    return noise[100:]


def rhythm(n: int) -> np.ndarray:
    x = np.arange(n)
    return 100 + 20 * np.sin(2 * np.pi * x / 24) - 15.0 * (x // 24 % 7 >= 5)


def test_piece_costs_equal_fits_by_numpy() -> None:
    values = np.random.default_rng(1).normal(size=12) + np.arange(12) * 0.3
    costs = sg.piece_costs(values, 2.0)
    for first, last in combinations(range(13), 2):
        part, place = values[first:last], np.arange(last - first)
        assert costs.level[first, last] == pytest.approx(np.sum((part - part.mean()) ** 2) / 2, abs=1e-9)
        if part.size > 2:
            residual = part - np.polyval(np.polyfit(place, part, 1), place)
            assert costs.line[first, last] == pytest.approx(np.sum(residual**2) / 2, abs=1e-9)


def test_best_cuts_are_the_cheapest_of_all() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        values = rng.normal(size=12) + 4 * (np.arange(12) >= 5) - 6 * (np.arange(12) >= 9)
        costs = sg.piece_costs(values, 1.0)
        price = np.log(12)

        def total(cuts: tuple[int, ...], costs: sg.Costs = costs, price: float = price) -> float:
            borders = [0, *cuts, 12]
            pieces = list(pairwise(borders))
            if any(b - a < 2 for a, b in pieces):
                return float("inf")
            return sum(min(costs.level[p], costs.line[p] + sg.SLOPE_PRICE * price) + sg.CUT_PRICE * price for p in pieces)

        every = [cuts for k in range(5) for cuts in combinations(range(1, 12), k)]
        assert tuple(sg.best_cuts(costs, 2)) == min(every, key=total)


@pytest.mark.parametrize("phi", [0.0, 0.6])
def test_noise_variance_is_the_long_run_variance_in_spite_of_steps_and_spikes(phi: float) -> None:
    rng = np.random.default_rng(3)
    values = order_one(rng, 20_000, phi) + 5 * (np.arange(20_000) // 4000 % 2) + 0.001 * np.arange(20_000)
    values[rng.integers(0, 20_000, 20)] += 50
    for width in (1, 4):
        noise = noise_of(values, width)
        assert noise.variance == pytest.approx((1 + phi) / (1 - phi), rel=0.25)
        assert not noise.integrated


def test_the_best_of_many_places_is_seldom_sure_where_nothing_changes() -> None:
    rng, sure = np.random.default_rng(13), 0
    for _ in range(200):
        costs = sg.piece_costs(rng.normal(size=100), 1.0)
        best = 5 + int(np.argmin(costs.level[0, 5:96] + costs.level[5:96, 100]))
        sure += sg.cut_p_value(costs, 0, best, 100, 5, 1e6) <= 0.05
    assert sure <= 12


def test_a_ramp_is_not_a_step_and_a_step_on_a_ramp_is() -> None:
    ramp = np.arange(100) * 0.5 + np.random.default_rng(14).normal(size=100)
    assert sg.cut_p_value(sg.piece_costs(ramp, 1.0), 0, 50, 100, 5, 1e6) > 0.05
    stepped = sg.piece_costs(ramp + 6 * (np.arange(100) >= 50), 1.0)
    assert sg.cut_p_value(stepped, 0, 50, 100, 5, 1e6) < 1e-6


def test_noise_of_a_constant_is_zero() -> None:
    assert noise_of(np.full(50, 3.0), 4).variance == 0.0


@pytest.mark.parametrize("freq", ["1h", None])
@pytest.mark.parametrize("amplify", [False, True])
def test_a_deploy_is_found_at_its_time_in_rhythm_and_noise(freq: str | None, amplify: bool) -> None:
    rng = np.random.default_rng(4)
    values, at = rhythm(24 * 60) + 4 * order_one(rng, 24 * 60, 0.5), 24 * 33 + 7
    values = np.where(np.arange(values.size) >= at, values * 1.2 if amplify else values + 20, values)
    found = change_points(history(values).sample(fraction=1, shuffle=True, seed=1), freq=freq)
    assert found.columns == COLUMNS
    assert found.height == 1
    row = found.row(0, named=True)
    assert abs(row["time"] - (T0 + at * HOUR)) <= timedelta(hours=6)
    assert row["relative_change"] == pytest.approx(0.2, abs=0.03)
    assert row["p_value"] <= row["q_value"] <= 0.05


def test_long_series_are_searched_in_blocks_and_placed_to_the_point() -> None:
    rng = np.random.default_rng(5)
    n, at = 288 * 60, 288 * 20 + 101
    values = np.tile(rhythm(60 * 24).reshape(-1, 1), 12).ravel() + rng.normal(size=n) + 30 * (np.arange(n) >= at)
    found = change_points(history(values, timedelta(minutes=5)), freq="5m")
    assert found["time"].to_list() == [T0 + at * timedelta(minutes=5)]


def test_several_steps_are_told_apart() -> None:
    level = np.repeat([10.0, 14.0, 9.0, 20.0], 250)
    found = change_points(history(level + np.random.default_rng(6).normal(size=1000)), freq="1h")
    places = [(t - T0) / HOUR for t in found["time"]]
    assert len(places) == 3
    assert np.abs(np.array(places) - [250, 500, 750]).max() <= 1
    np.testing.assert_allclose(found["before"], [10, 14, 9], atol=0.5)
    np.testing.assert_allclose(found["after"], [14, 9, 20], atol=0.5)


def test_short_incidents_are_no_change_points() -> None:
    rng = np.random.default_rng(7)
    frames = []
    for k in range(15):
        values = rhythm(24 * 60) + 4 * order_one(rng, 24 * 60, 0.5)
        for start in rng.integers(0, 24 * 60 - 8, 5):
            values[start : start + int(rng.integers(1, 8))] *= 10
        frames.append(history(values, series_id=f"s{k}"))
    assert change_points(pl.concat(frames), freq="1h").height <= 1


@pytest.mark.parametrize("phi", [0.0, 0.9])
@pytest.mark.parametrize("kind", ["noise", "ramp", "rhythm"])
def test_false_discoveries_are_controlled_over_all_series(kind: str, phi: float) -> None:
    rng = np.random.default_rng(8)
    n = 24 * 45
    base = {"noise": np.zeros(n), "ramp": np.linspace(0, 20, n), "rhythm": rhythm(n)}[kind]
    quiet = [history(base + order_one(rng, n, phi), series_id=f"s{k}") for k in range(20)]
    assert change_points(pl.concat(quiet), freq="1h").height <= 1


@pytest.mark.parametrize("n", [60, 365])
@pytest.mark.parametrize("phi", [0.6, 0.9, 1.0])
def test_short_series_with_memory_seldom_seem_to_change(n: int, phi: float) -> None:
    rng, called = np.random.default_rng(21), 0
    for _ in range(30):
        values = np.cumsum(rng.normal(size=n)) if phi == 1 else order_one(rng, n, phi)
        called += change_points(history(values, timedelta(days=1)), freq="1d")["time"].count()
    assert called <= 3


def test_noise_that_wanders_is_known_from_noise_that_returns() -> None:
    rng = np.random.default_rng(22)
    wanders = [noise_of(np.cumsum(rng.normal(size=400)) + 8.0 * (np.arange(400) > 200), 4).integrated for _ in range(20)]
    returns = [noise_of(order_one(rng, 400, 0.7) + 8.0 * (np.arange(400) > 200), 4).integrated for _ in range(20)]
    assert sum(wanders) >= 15
    assert sum(returns) <= 3


def test_what_is_known_of_the_noise_dwindles_with_its_memory() -> None:
    rng = np.random.default_rng(23)
    white, some, much = (np.median([noise_of(order_one(rng, 300, phi), 1).freedom for _ in range(20)]) for phi in (0.0, 0.6, 0.9))
    assert white > 2 * some > 4 * much


def test_a_random_walk_that_jumps_and_one_that_changes_its_pace() -> None:
    rng = np.random.default_rng(24)
    n, at = 720, 400
    walk = np.cumsum(rng.normal(size=n))
    (jump,) = change_points(history(walk + 30 * (np.arange(n) >= at)), freq="1h").rows(named=True)
    assert jump["time"] == T0 + at * HOUR
    assert (jump["relative_change_lo"], jump["relative_change_hi"]) == (None, None)
    (bend,) = change_points(history(np.cumsum(rng.normal(size=n) + 0.8 * (np.arange(n) >= at))), freq="1h")["time"]
    assert abs(bend - (T0 + at * HOUR)) <= timedelta(hours=36)


def test_a_sequence_full_of_jumps_has_none_that_stands_out() -> None:
    rng = np.random.default_rng(25)
    rare = np.where(rng.random(580) < 0.04, rng.normal(1, 0.3, 580), -0.03)
    assert sg.jumps(np.cumsum(rare), 5) == []
    assert [cut.place for cut in sg.jumps(np.cumsum(np.where(np.arange(580) == 300, 25.0, rng.normal(size=580))), 5)] == [300]


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_the_interval_of_the_change_holds_the_truth(phi: float) -> None:
    rng, held, widths = np.random.default_rng(26), [], []
    frames = [history((100 + 10 * order_one(rng, 500, phi)) * (1 + 0.18 * (np.arange(500) >= 250)), series_id=f"s{k}") for k in range(100)]
    for row in change_points(pl.concat(frames), freq="1h").filter(pl.col("relative_change") > 0.1).iter_rows(named=True):
        held.append(row["relative_change_lo"] <= 0.18 <= row["relative_change_hi"])
        widths.append(row["relative_change_hi"] - row["relative_change_lo"])
        assert row["relative_change_lo"] < row["relative_change"] < row["relative_change_hi"]
    assert len(held) >= 90
    assert np.mean(held) >= 0.92
    assert np.median(widths) < (0.07 if phi == 0 else 0.14)


def test_the_ends_of_a_moving_median_go_on_with_the_slope_next_to_them() -> None:
    bend = np.maximum(np.arange(200.0) - 100, 0)
    np.testing.assert_allclose(moving_median(bend, 40, slope_over=40)[[0, -1]], [0, 99])
    assert moving_median(bend, 40)[0] < -5


def test_a_bend_is_a_change_and_a_straight_line_is_none() -> None:
    x = np.arange(400.0)
    noise = np.random.default_rng(9).normal(size=400)
    found = change_points(history(np.maximum(x - 200, 0) * 0.5 + noise), freq="1h")
    assert [abs((t - T0) / HOUR - 200) < 20 for t in found["time"]] == [True]
    assert change_points(history(x * 0.5 + noise), freq="1h").is_empty()


@pytest.mark.parametrize("values", [np.arange(300.0), 1000 + np.arange(60.0), np.arange(720.0, 0.0, -1.0)])
def test_a_counter_that_only_counts_does_not_change(values: np.ndarray) -> None:
    """No noise says how unsure its rounding is."""
    assert change_points(history(values)).is_empty()


PLACE = np.arange(1000.0)


@pytest.mark.parametrize("step", [HOUR, 24 * HOUR], ids=["hourly", "daily"])
@pytest.mark.parametrize(
    "values",
    [
        PLACE**2,
        1000 + 0.01 * PLACE[:500] ** 2,
        -((PLACE[:100] - 33) ** 2),
        np.round(0.3 * PLACE),
        np.round(0.3 * PLACE[:500]),
        np.round(0.1 * PLACE[:50]),
        np.round(0.01 * PLACE[:200] ** 2),
        1e12 + np.round(0.7 * PLACE),
        PLACE[:100] % 2,
        10 + 3 * (PLACE % 2),
        PLACE % 5,
        np.where(PLACE % 7 == 3, np.nan, np.round(0.3 * PLACE)),
    ],
)
def test_what_follows_a_rule_to_the_digit_does_not_change(values: np.ndarray, step: timedelta) -> None:
    assert change_points(history(values, step)).is_empty()


@pytest.mark.parametrize(
    "values",
    [
        np.repeat([3.0, 5.0], 100),
        np.repeat([1.0, 2.0, 3.0], 60),
        np.concatenate([np.round(0.3 * PLACE[:300]), 90 + np.round(1.5 * PLACE[:300])]),
        np.concatenate([PLACE[:301] % 2, 6 + PLACE[:300] % 2]),
    ],
)
def test_steps_and_bends_of_what_follows_no_single_rule_are_no_rule(values: np.ndarray) -> None:
    assert not is_exact(values, np.arange(values.size))


def test_every_extra_quiet_series_raises_q() -> None:
    rng = np.random.default_rng(10)
    step = history(rng.normal(size=200) + 1.6 * (np.arange(200) >= 100), series_id="step")
    alone = change_points(step, freq="1h")["q_value"][0]
    quiet = [history(rng.normal(size=200), series_id=f"s{k}") for k in range(9)]
    among = change_points(pl.concat([step, *quiet]), freq="1h").filter(pl.col("series_id") == "step")["q_value"][0]
    assert among == pytest.approx(10 * alone)


def test_awkward_series_have_a_status_and_no_exception() -> None:
    t = np.arange(200)
    awkward = {
        "constant": np.full(200, 7.0),
        "empty": np.full(200, np.nan),
        "huge": np.random.default_rng(0).choice([-1e308, 1e308], 200),
        "negative": -100.0 - (t >= 100) * 50,
        "two": np.where(t < 2, 1.0, np.nan),
        "zeros": np.where(t % 17 == 0, 3.0, 0.0),
    }
    found = change_points(pl.concat([history(v, series_id=k) for k, v in awkward.items()]), freq="1h")
    assert found["series_id"].to_list() == ["empty", "huge", "negative", "two"]
    by_name = {row["series_id"]: row for row in found.iter_rows(named=True)}
    assert by_name["empty"]["status"] == by_name["two"]["status"] == NOT_ENOUGH_DATA
    assert by_name["huge"]["status"].startswith("failed:")
    assert all(by_name["huge"][c] is None for c in COLUMNS[1:-1])
    step = by_name["negative"]
    assert (step["time"], step["before"], step["after"]) == (T0 + 100 * HOUR, -100.0, -150.0)
    assert step["relative_change"] == -0.5


def test_gaps_repeats_order_and_emptiness() -> None:
    rng = np.random.default_rng(11)
    frame = history(rng.normal(size=600) + 5 * (np.arange(600) >= 300))
    holes = frame.filter(~pl.col("time").is_between(T0 + 200 * HOUR, T0 + 230 * HOUR)).sample(fraction=0.8, seed=2)
    found = change_points(holes, freq="1h")
    assert [abs((t - T0) / HOUR - 300) <= 3 for t in found["time"]] == [True]
    assert change_points(pl.concat([holes, holes]).sample(fraction=1, shuffle=True, seed=3), freq="1h").equals(found)
    assert change_points(frame.clear()).shape == (0, len(COLUMNS))


def test_irregular_times_are_taken_as_a_sequence() -> None:
    rng = np.random.default_rng(12)
    minutes = np.cumsum(rng.exponential(10_000, 200)).astype(int)
    values = rng.normal(size=200) + 6 * (np.arange(200) >= 120)
    frame = pl.DataFrame({"series_id": [1] * 200, "time": [T0 + timedelta(minutes=int(m)) for m in minutes], "value": values})
    assert change_points(frame)["time"].to_list() == [frame["time"][120]]


@pytest.mark.realdata
def test_real_process_control_series_agree_with_the_people_who_looked_at_them(realdata: Path) -> None:
    annotations = json.loads((realdata / "tcpd" / "annotations.json").read_text())
    for name in ("quality_control_1", "quality_control_3", "quality_control_5", "bank"):
        raw = json.loads((realdata / "tcpd" / f"{name}.json").read_text())["series"][0]["raw"]
        found = change_points(history(np.array(raw, np.float64), timedelta(days=1)), freq="1d")
        places = [(t - T0).days for t in found["time"]]
        for marked in annotations[name].values():
            assert len(places) == len(marked)
            assert all(abs(a - b) <= 5 for a, b in zip(places, marked, strict=True))
