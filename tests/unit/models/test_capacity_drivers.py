"""`models.capacity.demand_drivers`: against statsmodels, known elasticities, and what only looks like a cause."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.capacity import demand_drivers

START = datetime.fromisoformat("2026-01-05")
HOURS = 24 * 7 * 6
T = np.arange(HOURS)
CYCLE = np.sin(2 * np.pi * T / 24) + 0.4 * (T // 24 % 7 >= 5)


def frame(values: np.ndarray, **names: str) -> pl.DataFrame:
    times = [START + timedelta(hours=int(t)) for t in range(values.size)]
    return pl.DataFrame({name: [value] * values.size for name, value in names.items()} | {"time": times, "value": values})


def walk(rng: np.random.Generator, phi: float, scale: float) -> np.ndarray:
    noise = rng.normal(0, scale, HOURS)
    for t in range(1, HOURS):
        noise[t] += phi * noise[t - 1]
    return noise


def test_equals_least_squares_with_phase_dummies_and_newey_west_errors_of_statsmodels() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(0)
    first, second = walk(rng, 0.9, 0.1), walk(rng, 0.5, 0.2)
    use = 0.7 * first + 0.2 * second + CYCLE + walk(rng, 0.6, 0.1)
    demand = pl.concat([frame(np.exp(v + CYCLE), resource_id="r", driver=n) for n, v in (("a", first), ("b", second))])
    found = demand_drivers(frame(np.exp(use), resource_id="r"), demand).to_dicts()
    phase = np.eye(168)[(np.arange(HOURS - 1) + int(START.timestamp()) // 3600) % 168]
    design = np.column_stack([np.diff(first + CYCLE), np.diff(second + CYCLE), phase])
    lags = int(4 * ((HOURS - 1) / 100) ** (2 / 9))
    fit = sm.OLS(np.diff(use), design).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True})
    for i, row in enumerate(found):
        assert (row["driver"], row["status"], row["observations"]) == ("ab"[i], "ok", HOURS - 1)
        assert row["elasticity"] == pytest.approx(fit.params[i])
        assert (row["elasticity_lo"], row["elasticity_hi"]) == pytest.approx(tuple(fit.conf_int()[i]), rel=1e-6)
        assert row["elasticity_lo"] < (0.7, 0.2)[i] < row["elasticity_hi"]
    plain = sm.OLS(np.diff(use), phase).fit()
    assert found[0]["r_squared"] == pytest.approx(1 - fit.ssr / plain.ssr)


def test_a_shared_rhythm_or_a_shared_trend_is_no_cause() -> None:
    inside = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        use = np.exp(CYCLE + 0.001 * T + walk(rng, 0.8, 0.05))
        demand = np.exp(2 * CYCLE + 0.002 * T + walk(rng, 0.8, 0.05))
        row = demand_drivers(frame(use, resource_id="r"), frame(demand, resource_id="r", driver="requests")).row(0, named=True)
        inside += row["elasticity_lo"] <= 0 <= row["elasticity_hi"]
        assert abs(row["elasticity"]) < 0.2
    assert inside >= 17


def test_demand_that_does_not_vary_says_nothing() -> None:
    rng = np.random.default_rng(1)
    use = frame(np.exp(walk(rng, 0.5, 0.1)), resource_id="r")
    rhythm = frame(np.exp(CYCLE), resource_id="r", driver="rhythm")
    moves = frame(np.exp(walk(rng, 0.5, 0.1)), resource_id="r", driver="moves")
    constant = frame(np.full(HOURS, 3.0), resource_id="r", driver="constant")
    found = demand_drivers(use, pl.concat([rhythm, moves, constant]))
    assert found.select("driver", "status").rows() == [("constant", "not_enough_data"), ("moves", "ok"), ("rhythm", "not_enough_data")]
    assert found.filter(pl.col("status") != "ok").drop("resource_id", "driver", "status").null_count().row(0) == (2,) * 5
    brief = frame(np.exp(walk(rng, 0.5, 0.1)), resource_id="r", driver="brief").head(99)
    both = demand_drivers(use, pl.concat([brief, moves]))
    assert both["status"].to_list() == ["not_enough_data", "ok"]
    assert both["observations"].to_list() == [None, HOURS - 1]
    same = moves.with_columns(driver=pl.lit("same"), value=pl.col("value") * 2)
    assert {s[:19] for s in demand_drivers(use, pl.concat([moves, same]))["status"]} == {"failed:the drivers "}


def test_gaps_zeros_and_too_little() -> None:
    rng = np.random.default_rng(2)
    demand = np.exp(walk(rng, 0.5, 0.1))
    use = demand**0.8
    use[rng.random(HOURS) < 0.2] = 0.0
    row = demand_drivers(frame(use, resource_id="r"), frame(demand, resource_id="r", driver="d")).row(0, named=True)
    assert row["elasticity"] == pytest.approx(0.8)
    assert row["observations"] < 0.75 * HOURS
    short = frame(demand, resource_id="r", driver="d").head(40)
    assert demand_drivers(frame(use, resource_id="r"), short)["status"].to_list() == ["not_enough_data"]
    assert demand_drivers(frame(use, resource_id="other"), short)["status"].to_list() == ["not_enough_data"]
    assert demand_drivers(frame(use, resource_id="r"), short.clear()).is_empty()
    with pytest.raises(ValueError, match="driver"):
        demand_drivers(frame(use, resource_id="r"), short.drop("driver"))
