"""The named inputs of the return on investment: meaning, units and bounds, and whether a set of them can be used."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import polars as pl
from polars._typing import PolarsDataType

from models.series import ensure_columns

DISTRIBUTIONS: Final = ("triangular", "pert", "uniform", "lognormal", "fixed")
PROVENANCES: Final = ("measured", "configured", "assumed")

COLUMNS: Final[dict[str, PolarsDataType]] = {
    "name": pl.String,
    "low": pl.Float64,
    "mode": pl.Float64,
    "high": pl.Float64,
    "distribution": pl.String,
    "provenance": pl.String,
    "source": pl.String,
}
_SHARES: Final = (0.0, 1.0)
_MONEY: Final = (0.0, math.inf)


@dataclass(frozen=True, slots=True)
class Input:
    """One input: its unit, what it means, the values it may take, and its value where it need not be given."""

    unit: str
    meaning: str
    bounds: tuple[float, float]
    default: float | None = None


INPUTS: Final[Mapping[str, Input]] = MappingProxyType(
    {
        "platform_cost_per_year": Input("currency/a", "what running the observability costs", _MONEY),
        "setup_cost": Input("currency", "paid once, before the first month", _MONEY),
        "incidents_per_year": Input("1/a", "incidents without what the platform avoids", (0.0, 1e6)),
        "mttr_hours": Input("h", "mean hours from opened to resolved, without what the platform saves", (0.0, 8766.0)),
        "incident_reduction_share": Input("1", "share of the incidents that the platform avoids", _SHARES),
        "mttr_reduction_share": Input("1", "share of the hours that it takes off the rest", _SHARES),
        "downtime_cost_per_hour": Input("currency/h", "what an hour of an open incident costs on average", _MONEY),
        "engineers": Input("1", "people whose work it makes shorter", (0.0, 1e6)),
        "hours_saved_per_engineer_per_year": Input("h/a", "hours saved per person", (0.0, 8766.0)),
        "hourly_rate": Input("currency/h", "full cost of an hour of such a person", _MONEY),
        "savings_found_per_year": Input("currency/a", "waste that it shows: idle, oversized, unused commitments", _MONEY),
        "savings_realised_share": Input("1", "share of the waste found that is acted on", _SHARES),
        "discount_rate": Input("1/a", "yearly rate at which later money counts less", (-0.5, 1.0)),
        "horizon_years": Input("a", "years looked at; fixed, in whole months", (1 / 12, 30.0)),
        "ramp_months": Input("mo", "months until the benefits are there in full, rising evenly", (0.0, 120.0), 0.0),
    }
)
"""Every input by name. Those with a default may be left out."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One checked input: distribution and its three values."""

    distribution: str
    low: float
    mode: float
    high: float


def checked(inputs: pl.DataFrame) -> tuple[dict[str, Draw], list[str]]:
    """The inputs by name, in the order of `INPUTS`, and the names of those whose value is unknown (null).

    inputs: name, low, mode, high, distribution, provenance, source. `triangular` and `pert` need low <= mode <= high,
    `uniform` low <= high, `lognormal` low and high as its 5% and 95% quantiles above zero, `fixed` a mode.
    Raises ValueError that names each missing, unknown or repeated input, and what is wrong with a value.
    """
    frame = ensure_columns(inputs, COLUMNS)
    names = frame["name"].to_list()
    _check_names(names)
    given: dict[str, Draw] = {}
    unknown: list[str] = []
    rows = {row["name"]: row for row in frame.iter_rows(named=True)}
    for name, spec in INPUTS.items():
        if name not in rows:
            given[name] = Draw("fixed", *(3 * [float(spec.default or 0.0)]))
        elif (draw := _checked_row(name, spec, rows[name])) is None:
            unknown.append(name)
        else:
            given[name] = draw
    return given, unknown


def scenario(inputs: pl.DataFrame, values: Mapping[str, float]) -> pl.DataFrame:
    """The inputs with some of them fixed to a value, as what-if; their provenance becomes `assumed`.

    Raises ValueError for a name that is no input.
    """
    frame = ensure_columns(inputs, COLUMNS)
    for name in values:
        if name not in INPUTS:
            raise ValueError(_unknown_name(name))
    fixed = pl.DataFrame(
        [
            {
                "name": name,
                "low": v,
                "mode": v,
                "high": v,
                "distribution": "fixed",
                "provenance": "assumed",
                "source": "scenario",
            }
            for name, v in values.items()
        ],
        schema=COLUMNS,
    )
    return pl.concat([frame.filter(~pl.col("name").is_in(list(values))).select(list(COLUMNS)), fixed])


def _check_names(names: list[str]) -> None:
    """Raises ValueError for names that are missing, unknown or there twice."""
    for name in names:
        if name not in INPUTS:
            raise ValueError(_unknown_name(name))
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"each input may be given once, but these are repeated: {', '.join(repeated)}")
    missing = [f"{name} [{spec.unit}]" for name, spec in INPUTS.items() if spec.default is None and name not in names]
    if missing:
        raise ValueError(f"the inputs lack {', '.join(missing)}; give each of them a row")


def _unknown_name(name: object) -> str:
    """The message for a name that is no input, with the nearest that is."""
    near = difflib.get_close_matches(str(name), list(INPUTS), n=1)
    return f"no input is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else f"; the inputs are {list(INPUTS)}")


def _checked_row(name: str, spec: Input, row: Mapping[str, Any]) -> Draw | None:
    """The row as a Draw; None where a value that its distribution needs is null."""
    kind = row["distribution"]
    if kind not in DISTRIBUTIONS:
        raise ValueError(f"input {name!r}: distribution {kind!r} is none of {', '.join(DISTRIBUTIONS)}")
    if row["provenance"] not in PROVENANCES:
        raise ValueError(f"input {name!r}: provenance {row['provenance']!r} is none of {', '.join(PROVENANCES)}")
    needed = {"fixed": ("mode",), "uniform": ("low", "high"), "lognormal": ("low", "high")}.get(kind, ("low", "mode", "high"))
    values = [row[part] for part in needed]
    if any(value is None for value in values):
        return None
    least, most = spec.bounds
    if not all(math.isfinite(v) and least <= v <= most for v in values):
        raise ValueError(f"input {name!r}: {dict(zip(needed, values, strict=True))} must be finite and within {least:g} to {most:g}")
    if values != sorted(values):
        raise ValueError(f"input {name!r}: {', '.join(needed)} must not fall, but are {values}")
    if kind == "lognormal" and values[0] <= 0:
        raise ValueError(f"input {name!r}: a lognormal needs low above zero, but it is {values[0]:g}")
    if name == "horizon_years" and values[0] != values[-1]:
        raise ValueError("input 'horizon_years' must be fixed: one horizon makes the draws comparable")
    return Draw(kind, values[0], values[len(values) // 2], values[-1])
