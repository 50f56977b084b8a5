"""A result and its inputs as one long table: a row per thing that a reader asks about."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from models.roi.inputs import COLUMNS, INPUTS
from models.roi.simulation import RoiResult
from models.series import ensure_columns

_COLUMNS: Final = {
    "item": pl.String,
    **dict.fromkeys(("p05", "p10", "p50", "p90", "p95"), pl.Float64),
    "unit": pl.String,
    "provenance": pl.String,
    "evidence": pl.String,
    "status": pl.String,
}
_SHOWN: Final = {0.05: "p05", 0.10: "p10", 0.50: "p50", 0.90: "p90", 0.95: "p95"}


def items(result: RoiResult, inputs: pl.DataFrame, *, currency: str = "currency") -> pl.DataFrame:
    """item, p05, p10, p50, p90, p95, unit, provenance, evidence, status.

    Items: npv, payback_months, irr, p_positive, benefit:<name>, input:<name> (p05 low, p50 mode, p95 high as given)
    and sensitivity:<name>. A single value stands in p50. `currency` is the ISO 4217 code that units of money show.
    Raises ValueError for missing columns of `inputs`.
    """
    rows: list[dict[str, Any]] = []
    for name, unit in (("npv", currency), ("payback_months", "mo"), ("irr", "1/a")):
        table: pl.DataFrame = getattr(result, name)
        found = {_SHOWN[q]: value for q, value in table.iter_rows() if q in _SHOWN}
        rows.append({"item": name, **found, "unit": unit, "status": result.status})
    rows.append({"item": "p_positive", "p50": result.p_positive, "unit": "1", "status": result.status})
    for name, value in result.benefits.iter_rows():
        rows.append({"item": f"benefit:{name}", "p50": value, "unit": f"{currency}/a", "status": result.status})
    rows += [_input_item(row, result, currency) for row in ensure_columns(inputs, COLUMNS).iter_rows(named=True)]
    for name, share in result.sensitivity.iter_rows():
        rows.append({"item": f"sensitivity:{name}", "p50": share, "unit": "1", "status": result.status})
    return pl.DataFrame(rows, schema=_COLUMNS)


def _input_item(row: dict[str, Any], result: RoiResult, currency: str) -> dict[str, Any]:
    """The item of one input."""
    return {
        "item": f"input:{row['name']}",
        "p05": row["low"],
        "p50": row["mode"],
        "p95": row["high"],
        "unit": INPUTS[row["name"]].unit.replace("currency", currency),
        "provenance": row["provenance"],
        "evidence": row["source"],
        "status": result.status if row["name"] in result.missing else "ok",
    }
