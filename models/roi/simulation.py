"""The Monte Carlo of the return on investment: draws in, cash flows, quantiles out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from models.roi.cashflow import irr, monthly_flows, npv, payback_months
from models.roi.inputs import INPUTS, checked
from models.roi.sampling import sample
from models.roi.sensitivity import first_order
from models.series import NOT_ENOUGH_DATA, STATUS_OK

Array = npt.NDArray[np.float64]

QUANTILES: Final = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
BENEFITS: Final = ("avoided_downtime", "time_saved", "savings_realised")


@dataclass(frozen=True, slots=True)
class RoiResult:
    """What the simulation found. Money in the currency of the inputs.

    npv, payback_months, irr: quantile, value; the value is null where the payback is not within the horizon, or where
    there is no rate of return. p_positive: probability of a positive NPV. sensitivity: name, contribution (share of the
    variance of the NPV that the input explains alone), largest first. draws: draw, npv, payback_months, irr.
    benefits: name, mean_per_year once in full. missing: inputs whose value is unknown.
    status: `not_enough_data` where any is missing (then everything else is null or empty), else `ok`.
    """

    npv: pl.DataFrame
    payback_months: pl.DataFrame
    irr: pl.DataFrame
    p_positive: float | None
    sensitivity: pl.DataFrame
    draws: pl.DataFrame
    benefits: pl.DataFrame
    missing: tuple[str, ...]
    status: str


def simulate(inputs: pl.DataFrame, *, draws: int = 10_000, seed: int = 0) -> RoiResult:
    """Simulates what the observability stack costs and brings.

    inputs: name, low, mode, high, distribution (triangular, pert, uniform, lognormal, fixed), provenance (measured,
    configured, assumed), source; a row for each name of `INPUTS` that has no default. draws: at least 100.

    Per year: avoided downtime = incidents * hours * (1 - (1 - incidents avoided) * (1 - hours taken off)) * cost per
    hour; time saved = engineers * hours * rate; savings = found * realised; cost = platform cost. Monthly flows over
    the horizon, discounted; set-up is paid first. Inputs vary independently. The same inputs, draws and seed give the
    same result, in whatever order the inputs come.
    Raises ValueError for a missing, unknown or repeated input, an impossible value, or too few draws.
    """
    if draws < 100:
        raise ValueError(f"draws is {draws}; it must be at least 100 for quantiles to mean something")
    given, unknown = checked(inputs)
    if unknown:
        return _unknown_result(tuple(unknown))
    values = sample(given, draws=draws, seed=seed)
    benefits = _benefits(values)
    months = max(1, round(12 * given["horizon_years"].mode))
    flows = monthly_flows(np.sum(list(benefits.values()), axis=0), values["platform_cost_per_year"], values["ramp_months"], months)
    setup = values["setup_cost"]
    outcome = {
        "npv": npv(setup, flows, values["discount_rate"]),
        "payback_months": payback_months(setup, flows),
        "irr": irr(setup, flows),
    }
    shares = first_order(values, outcome["npv"])
    return RoiResult(
        **{name: _quantiles(result) for name, result in outcome.items()},
        p_positive=float((outcome["npv"] > 0).mean()),
        sensitivity=_sensitivity(shares),
        draws=pl.DataFrame({"draw": np.arange(draws), **{name: _finite(result) for name, result in outcome.items()}}),
        benefits=pl.DataFrame({"name": list(benefits), "mean_per_year": [float(b.mean()) for b in benefits.values()]}),
        missing=(),
        status=STATUS_OK,
    )


def _benefits(values: Mapping[str, Array]) -> dict[str, Array]:
    """Currency per year of each benefit, per draw."""
    remaining = (1 - values["incident_reduction_share"]) * (1 - values["mttr_reduction_share"])
    hours = values["incidents_per_year"] * values["mttr_hours"] * (1 - remaining)
    people = values["engineers"] * values["hours_saved_per_engineer_per_year"]
    return {
        "avoided_downtime": hours * values["downtime_cost_per_hour"],
        "time_saved": people * values["hourly_rate"],
        "savings_realised": values["savings_found_per_year"] * values["savings_realised_share"],
    }


def _finite(values: Array) -> pl.Series:
    """The values with infinite ones as null."""
    return pl.Series(np.where(np.isfinite(values), values, np.nan), dtype=pl.Float64, nan_to_null=True)


def _quantiles(values: Array) -> pl.DataFrame:
    """quantile, value: the smallest draw that a share `quantile` of all draws does not exceed; null where infinite."""
    found = np.quantile(values, QUANTILES, method="inverted_cdf")
    return pl.DataFrame({"quantile": QUANTILES, "value": _finite(found)})


def _sensitivity(shares: Mapping[str, float]) -> pl.DataFrame:
    """name, contribution, largest first; equal ones in the order of `INPUTS`."""
    ranked = sorted(shares.items(), key=lambda share: -share[1])
    return pl.DataFrame(ranked, schema={"name": pl.String, "contribution": pl.Float64}, orient="row")


def _unknown_result(missing: tuple[str, ...]) -> RoiResult:
    """The result where an input has no value."""
    empty = pl.DataFrame({"quantile": QUANTILES, "value": pl.Series([None] * len(QUANTILES), dtype=pl.Float64)})
    number = pl.Float64
    return RoiResult(
        npv=empty,
        payback_months=empty,
        irr=empty,
        p_positive=None,
        sensitivity=pl.DataFrame({"name": list(INPUTS), "contribution": pl.Series([None] * len(INPUTS), dtype=number)}),
        draws=pl.DataFrame(schema={"draw": pl.Int64, "npv": number, "payback_months": number, "irr": number}),
        benefits=pl.DataFrame({"name": BENEFITS, "mean_per_year": pl.Series([None] * len(BENEFITS), dtype=number)}),
        missing=missing,
        status=NOT_ENOUGH_DATA,
    )
