"""Return on investment against plain loops, closed forms and published indices."""

from __future__ import annotations

import math
import random

import numpy as np
import polars as pl
import pytest
from scipy import stats

from models.roi import INPUTS, items, scenario, simulate, with_assumptions
from models.roi.assumptions import ASSUMPTIONS
from models.roi.cashflow import irr, monthly_flows, npv, payback_months
from models.roi.inputs import Draw
from models.roi.sampling import quantile_function, sample
from models.roi.sensitivity import first_order

FIXED = {
    "platform_cost_per_year": 24_000.0,
    "setup_cost": 30_000.0,
    "incidents_per_year": 20.0,
    "mttr_hours": 2.0,
    "incident_reduction_share": 0.1,
    "mttr_reduction_share": 0.25,
    "downtime_cost_per_hour": 4_000.0,
    "engineers": 8.0,
    "hours_saved_per_engineer_per_year": 12.0,
    "hourly_rate": 80.0,
    "savings_found_per_year": 10_000.0,
    "savings_realised_share": 0.5,
    "discount_rate": 0.08,
    "horizon_years": 3.0,
}
BENEFIT = 20 * 2 * (1 - 0.9 * 0.75) * 4000 + 8 * 12 * 80 + 5000
SCHEMA = {"name": pl.String, "low": pl.Float64, "mode": pl.Float64, "high": pl.Float64}


def inputs(**changes: tuple[float | None, float | None, float | None, str] | float) -> pl.DataFrame:
    """All inputs fixed, but for the changes."""
    values: dict[str, object] = {**FIXED, **changes}
    rows = [(n, *v[:3], v[3]) if isinstance(v, tuple) else (n, v, v, v, "fixed") for n, v in values.items()]
    frame = pl.DataFrame(rows, schema={**SCHEMA, "distribution": pl.String}, orient="row")
    return frame.with_columns(provenance=pl.lit("assumed"), source=pl.lit("test"))


def npv_by_hand(setup: float, flows: list[float], rate: float) -> float:
    """One draw, one month after the other."""
    total = -setup
    for month, flow in enumerate(flows, start=1):
        total += flow / (1 + rate) ** (month / 12)
    return total


def payback_by_hand(setup: float, flows: list[float]) -> float:
    """The moment after which the running sum is never below zero again."""
    total, answer = -setup, 0.0 if setup <= 0 else math.inf
    for month, flow in enumerate(flows, start=1):
        before, total = total, total + flow
        if total < 0:
            answer = math.inf
        elif before < 0:
            answer = month - 1 + -before / flow
    return answer


def value(table: pl.DataFrame, quantile: float) -> float | None:
    """One value of a quantile table."""
    return table.filter(pl.col("quantile") == quantile)["value"].item()


def test_fixed_inputs_against_plain_loops():
    result = simulate(inputs(), draws=200)
    flows = [(BENEFIT - 24_000) / 12] * 36
    expected = npv_by_hand(30_000, flows, 0.08)
    for q in (0.05, 0.5, 0.95):
        assert value(result.npv, q) == pytest.approx(expected)
        assert value(result.payback_months, q) == pytest.approx(payback_by_hand(30_000, flows))
        assert npv_by_hand(30_000, flows, value(result.irr, q)) == pytest.approx(0, abs=1e-6)
    assert result.p_positive == 1.0
    assert result.status == "ok"
    assert result.benefits.rows() == [
        ("avoided_downtime", pytest.approx(52_000)),
        ("time_saved", pytest.approx(7_680)),
        ("savings_realised", pytest.approx(5_000)),
    ]
    assert result.sensitivity["contribution"].to_list() == [0.0] * len(INPUTS)
    assert result.draws.columns == ["draw", "npv", "payback_months", "irr"]
    assert result.draws.height == 200


def test_random_cash_flows_against_plain_loops():
    rng = random.Random(3)
    setups = [rng.uniform(0, 1e5) for _ in range(60)]
    flows = [[rng.uniform(-4e3, 9e3) for _ in range(24)] for _ in range(60)]
    rates = [rng.uniform(-0.1, 0.4) for _ in range(60)]
    setup, table = np.array(setups), np.array(flows).T
    assert npv(setup, table, np.array(rates)) == pytest.approx([npv_by_hand(*case) for case in zip(setups, flows, rates, strict=True)])
    expected = [payback_by_hand(*case) for case in zip(setups, flows, strict=True)]
    assert payback_months(setup, table) == pytest.approx(expected)
    assert 5 < sum(map(math.isinf, expected)) < 55
    for rate, s, f in zip(irr(setup, table), setups, flows, strict=True):
        if math.isfinite(rate):
            assert npv_by_hand(s, f, rate) == pytest.approx(0, abs=1e-4)


def test_ramp_rises_evenly_to_the_full_benefit():
    flows = monthly_flows(np.array([1200.0]), np.array([120.0]), np.array([4.0]), 6)
    assert flows[:, 0].tolist() == pytest.approx([15, 40, 65, 90, 90, 90])


def test_edges_of_payback_and_return():
    zero, gain, loss = np.zeros(1), np.full((12, 1), 100.0), np.full((12, 1), -100.0)
    assert payback_months(zero, gain) == [0.0]
    assert payback_months(zero, loss) == [math.inf]
    assert payback_months(np.array([1200.0]), gain) == [12.0]
    assert payback_months(np.array([1201.0]), gain) == [math.inf]
    assert irr(zero, gain) == [math.inf]
    assert irr(zero, loss) == [-math.inf]
    assert irr(np.array([1200.0]), gain) == pytest.approx([0.0], abs=1e-9)


def test_no_payback_and_no_return_are_null():
    result = simulate(inputs(downtime_cost_per_hour=0.0, savings_found_per_year=0.0), draws=100)
    assert result.p_positive == 0.0
    assert result.payback_months["value"].null_count() == result.irr["value"].null_count() == 7
    assert result.draws["irr"].null_count() == 100


@pytest.mark.parametrize(
    ("draw", "reference"),
    [
        (Draw("triangular", 2, 3, 9), stats.triang(c=1 / 7, loc=2, scale=7)),
        (Draw("triangular", 2, 2, 9), stats.triang(c=0, loc=2, scale=7)),
        (Draw("uniform", -1, 0, 4), stats.uniform(-1, 5)),
        (Draw("pert", 0, 2, 10), stats.beta(1.8, 4.2, scale=10)),
        (Draw("lognormal", 10, 10, 1000), stats.lognorm(s=math.log(10) / stats.norm.ppf(0.95), scale=100)),
    ],
)
def test_distributions_agree_with_scipy(draw, reference):
    p = np.linspace(0.001, 0.999, 99)
    assert quantile_function(draw, p) == pytest.approx(reference.ppf(p), rel=1e-9)


def test_pert_has_its_textbook_mean_and_degenerate_ranges_are_constants():
    drawn = sample({"mttr_hours": Draw("pert", 1, 2, 9)}, draws=20_000, seed=1)["mttr_hours"]
    assert drawn.mean() == pytest.approx((1 + 4 * 2 + 9) / 6, rel=1e-3)
    assert quantile_function(Draw("triangular", 5, 5, 5), np.array([0.1, 0.9])).tolist() == [5, 5]


def test_draws_fill_every_stratum_and_streams_are_apart():
    both = sample({"mttr_hours": Draw("uniform", 0, 0, 1), "engineers": Draw("uniform", 0, 0, 1)}, draws=500, seed=7)
    for drawn in both.values():
        assert sorted(np.floor(drawn * 500).astype(int)) == list(range(500))
    assert abs(np.corrcoef(both["mttr_hours"], both["engineers"])[0, 1]) < 0.15
    alone = sample({"engineers": Draw("uniform", 0, 0, 1)}, draws=500, seed=7)
    assert np.array_equal(alone["engineers"], both["engineers"])


def test_monte_carlo_against_a_plain_loop():
    changes = {
        "downtime_cost_per_hour": (1000.0, 4000.0, 9000.0, "triangular"),
        "platform_cost_per_year": (20_000.0, None, 40_000.0, "uniform"),
    }
    result = simulate(inputs(**changes), draws=20_000, seed=2)
    rng = random.Random(5)
    found = []
    for _ in range(20_000):
        hours = 20 * 2 * (1 - 0.9 * 0.75)
        benefit = hours * rng.triangular(1000, 9000, 4000) + 8 * 12 * 80 + 5000
        found.append(npv_by_hand(30_000, [(benefit - rng.uniform(20_000, 40_000)) / 12] * 36, 0.08))
    found.sort()
    for q in (0.05, 0.25, 0.5, 0.75, 0.95):
        assert value(result.npv, q) == pytest.approx(found[int(q * 20_000)], abs=2500)
    assert result.p_positive == pytest.approx(sum(v > 0 for v in found) / 20_000, abs=0.01)


def test_contributions_of_an_additive_result_are_its_shares_of_variance():
    changes = {
        "platform_cost_per_year": (0.0, None, 30_000.0, "uniform"),
        "savings_found_per_year": (0.0, None, 40_000.0, "uniform"),
    }
    result = simulate(inputs(**changes), draws=10_000, seed=1)
    found = dict(result.sensitivity.iter_rows())
    assert found["platform_cost_per_year"] == pytest.approx(9 / 13, abs=0.03)
    assert found["savings_found_per_year"] == pytest.approx(4 / 13, abs=0.03)
    assert result.sensitivity["name"][0] == "platform_cost_per_year"
    assert sum(found.values()) == pytest.approx(1, abs=0.05)


def test_first_order_of_ishigami_is_the_published_one():
    """Ishigami function, a=7, b=0.1: S = 0.3139, 0.4424, 0 (Saltelli et al., Global Sensitivity Analysis, 2008)."""
    rng = np.random.default_rng(0)
    x = {name: rng.uniform(-math.pi, math.pi, 20_000) for name in "abc"}
    y = np.sin(x["a"]) + 7 * np.sin(x["b"]) ** 2 + 0.1 * x["c"] ** 4 * np.sin(x["a"])
    found = first_order(x, y)
    assert found == {
        "a": pytest.approx(0.3139, abs=0.02),
        "b": pytest.approx(0.4424, abs=0.02),
        "c": pytest.approx(0, abs=0.01),
    }


def test_input_without_influence_contributes_nothing_on_average():
    rng = np.random.default_rng(1)
    shares = [first_order({"x": rng.normal(size=500)}, rng.normal(size=500))["x"] for _ in range(200)]
    assert sum(shares) / 200 < 0.008


def test_same_seed_same_result_whatever_the_order():
    frame = with_assumptions(inputs().head(2))
    first = simulate(frame, draws=300, seed=4)
    second = simulate(frame.reverse(), draws=300, seed=4)
    assert first.draws.equals(second.draws)
    assert first.sensitivity.equals(second.sensitivity)
    assert not first.draws.equals(simulate(frame, draws=300, seed=5).draws)


def test_unknown_value_is_not_enough_data():
    result = simulate(inputs(mttr_hours=(None, None, None, "fixed")), draws=100)
    assert result.status == "not_enough_data"
    assert result.missing == ("mttr_hours",)
    assert result.p_positive is None
    assert result.npv["value"].null_count() == 7
    assert result.draws.is_empty()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"mttr_hours": (3.0, 2.0, 4.0, "pert")},
            r"'mttr_hours': low, mode, high must not fall, but are \[3.0, 2.0, 4.0\]",
        ),
        ({"mttr_hours": (1.0, 2.0, math.inf, "pert")}, "must be finite and within 0 to 8766"),
        ({"mttr_hours": (1.0, 2.0, 4.0, "normal")}, "distribution 'normal' is none of triangular, pert"),
        ({"mttr_hours": (0.0, 2.0, 4.0, "lognormal")}, "a lognormal needs low above zero"),
        ({"savings_realised_share": 1.2}, "within 0 to 1"),
        ({"horizon_years": (1.0, 2.0, 3.0, "pert")}, "'horizon_years' must be fixed"),
        ({"mttr_hour": 2.0}, "no input is called 'mttr_hour'; did you mean 'mttr_hours'"),
    ],
)
def test_impossible_inputs_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        simulate(inputs(**change), draws=100)


def test_missing_and_repeated_inputs_are_named():
    with pytest.raises(ValueError, match=r"the inputs lack mttr_hours \[h\], hourly_rate \[currency/h\]"):
        simulate(inputs().filter(~pl.col("name").is_in(["mttr_hours", "hourly_rate"])), draws=100)
    with pytest.raises(ValueError, match="repeated: engineers"):
        simulate(pl.concat([inputs(), inputs().filter(pl.col("name") == "engineers")]), draws=100)
    with pytest.raises(ValueError, match="provenance 'guessed' is none of measured"):
        simulate(inputs().with_columns(provenance=pl.lit("guessed")), draws=100)
    with pytest.raises(ValueError, match="draws is 10; it must be at least 100"):
        simulate(inputs(), draws=10)


def test_assumptions_fill_what_is_missing_and_say_so():
    assert set(ASSUMPTIONS) == set(INPUTS)
    filled = with_assumptions(inputs().filter(pl.col("name") == "hourly_rate").with_columns(provenance=pl.lit("configured")))
    assert filled.height == len(INPUTS)
    assert filled.filter(pl.col("provenance") == "configured")["name"].to_list() == ["hourly_rate"]
    assert simulate(filled, draws=200).status == "ok"


def test_scenario_fixes_a_value():
    changed = scenario(inputs(), {"downtime_cost_per_hour": 0.0})
    assert simulate(changed, draws=100).benefits["mean_per_year"][0] == 0
    assert changed.filter(pl.col("source") == "scenario")["provenance"].to_list() == ["assumed"]
    with pytest.raises(ValueError, match="did you mean 'engineers'"):
        scenario(inputs(), {"engineer": 1.0})


def test_items_list_results_inputs_and_sensitivity():
    frame = inputs(platform_cost_per_year=(1.0, 2.0, 3.0, "pert"))
    result = simulate(frame, draws=200)
    table = items(result, frame, currency="EUR")
    assert table["item"].is_unique().all()
    row = table.row(by_predicate=pl.col("item") == "npv", named=True)
    assert (row["p10"], row["p50"], row["unit"]) == (value(result.npv, 0.1), value(result.npv, 0.5), "EUR")
    row = table.row(by_predicate=pl.col("item") == "input:platform_cost_per_year", named=True)
    assert (row["p05"], row["p50"], row["p95"], row["provenance"], row["evidence"]) == (1, 2, 3, "assumed", "test")
    assert table.filter(pl.col("item").str.starts_with("sensitivity:")).height == len(INPUTS)
    unknown = inputs(mttr_hours=(None, None, None, "fixed"))
    assert set(items(simulate(unknown, draws=100), unknown)["status"]) == {"ok", "not_enough_data"}
