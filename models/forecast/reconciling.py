"""`reconcile`: forecasts of parts and of their totals that add up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from models.forecast.seasonality import FloatArray
from models.series import ANY_TYPE, STATUS_OK, TIME, ensure_columns

SUM: Final = "sum"
"""What the column `model` says of a total that had no forecast of its own."""
_VALUES: Final = re.compile(r"mean|(lo|hi)_\d+")
_Belief = tuple[FloatArray, FloatArray]


def reconcile(forecasts: pl.DataFrame, hierarchy: pl.DataFrame) -> pl.DataFrame:
    """The forecasts with every parent the sum of its children, at every time.

    forecasts: output of `models.forecast.forecast`, of parts and of totals. hierarchy: series_id, parent_id (null for a root);
    a series has one parent, and none of its descendants is its parent. Series outside the hierarchy stay as they are.

    Means are the weighted least squares solution with the forecasts' variances as weights (WLS; Wickramasuriya, Athanasopoulos
    and Hyndman 2019, "Optimal forecast reconciliation"), variances from the widest interval: what is least sure moves most.
    Intervals move with their mean and keep their width, which each series' own errors gave; sums of quantiles are no quantiles
    of sums. A total without a forecast gets the sum of its children, with intervals as if all their errors came together
    (the widest they can be), and model `sum`. A leaf without a forecast stays without; its parent then equals more than what
    the others sum to. Bounds given to `forecast` may be passed by a little.

    Returns the columns of `forecasts`, sorted by series_id and time. Raises ValueError for missing columns or no hierarchy.
    """
    values = [name for name in forecasts.columns if _VALUES.fullmatch(name)]
    frame = ensure_columns(forecasts, {"series_id": ANY_TYPE, "time": TIME, "mean": pl.Float64, "status": pl.String})
    frame = ensure_columns(frame, dict.fromkeys(values, pl.Float64))
    parents = _parents(hierarchy)
    known = frame.filter((pl.col("status") == STATUS_OK) & pl.col("series_id").is_in(list(parents)))
    known = known.drop_nulls(["time", *values]).unique(["series_id", "time"], keep="last", maintain_order=True)
    times = known["time"].unique().sort()
    base = {key: _on_times(part, times, values) for (key,), part in known.group_by("series_id", maintain_order=True)}
    found = _solve(base, parents, times.len(), values)
    models = {key: part["model"][0] for (key,), part in known.group_by("series_id")} if "model" in frame.columns else {}
    parts = [frame.join(pl.DataFrame({"series_id": pl.Series(list(found), dtype=frame.schema["series_id"])}), on="series_id", how="anti")]
    for key, rows in found.items():
        at = np.isfinite(rows).all(axis=0)
        data: dict[str, Any] = {"series_id": [key] * int(at.sum()), "time": times.filter(pl.Series(at))}
        data |= {name: rows[i, at] for i, name in enumerate(values)} | {"status": [STATUS_OK] * int(at.sum())}
        data |= {"model": [models.get(key, SUM)] * int(at.sum())} if "model" in frame.columns else {}
        parts.append(pl.DataFrame({n: data.get(n, [None] * int(at.sum())) for n in frame.columns}, schema=frame.schema))
    return pl.concat(parts).sort("series_id", "time", maintain_order=True)


def _parents(hierarchy: pl.DataFrame) -> dict[Any, Any]:
    """Parent of every series of the hierarchy, None for roots, children before their parents."""
    rows = (
        ensure_columns(hierarchy, {"series_id": ANY_TYPE, "parent_id": ANY_TYPE})
        .select("series_id", "parent_id")
        .unique(maintain_order=True)
    )
    given: dict[Any, Any] = {}
    for key, parent in rows.iter_rows():
        if key in given:
            raise ValueError(f"series {key!r} has two parents, {given[key]!r} and {parent!r}; a hierarchy gives it one")
        given[key] = parent
    for parent in [p for p in given.values() if p is not None and p not in given]:
        given[parent] = None
    depth: dict[Any, int] = {}
    for key in given:
        path = [key]
        while path[-1] not in depth and (above := given[path[-1]]) is not None:
            if above in path:
                raise ValueError(f"series {above!r} is a descendant of itself; break the circle in the hierarchy")
            path.append(above)
        top = depth.get(path[-1], 0)
        depth.update({node: top + i for i, node in enumerate(reversed(path))})
    return {key: given[key] for key in sorted(given, key=lambda k: -depth[k])}


def _on_times(part: pl.DataFrame, times: pl.Series, values: list[str]) -> FloatArray:
    """(value, time) of one series, NaN where it has no forecast."""
    return times.to_frame("time").join(part, on="time", how="left").select(values).to_numpy().T.astype(np.float64)


def _solve(base: Mapping[Any, FloatArray], parents: Mapping[Any, Any], steps: int, values: list[str]) -> dict[Any, FloatArray]:
    """Reconciled values. On a tree the normal equations are solved by one pass up and one down, exactly."""
    mean = values.index("mean")
    children: dict[Any, list[Any]] = {key: [] for key in parents}
    for key, parent in parents.items():
        if parent is not None:
            children[parent].append(key)
    beliefs: dict[Any, _Belief] = {}
    for key in parents:
        own = _own(base.get(key), mean, steps)
        beliefs[key] = _fused(own, _summed(beliefs[c] for c in children[key])) if children[key] else own
    final: dict[Any, FloatArray] = {}
    for key in reversed(list(parents)):
        if parents[key] is None:
            final[key] = beliefs[key][0]
        below = children[key]
        if below:
            shares = _shares(np.array([beliefs[c][1] for c in below]))
            gap = final[key] - sum(beliefs[c][0] for c in below)
            final |= {c: beliefs[c][0] + share * gap for c, share in zip(below, shares, strict=True)}
    result: dict[Any, FloatArray] = {}
    unknown = np.full((len(values), steps), np.nan)
    for key in parents:
        offsets = base[key] - base[key][mean] if key in base else unknown
        if children[key]:
            together = np.sum([result[c] - final[c] if c in result else unknown for c in children[key]], axis=0)
            offsets = np.where(np.isfinite(offsets), offsets, together)
        if np.isfinite(offsets).all(axis=0).any():
            result[key] = final[key] + offsets
    return result


def _own(rows: FloatArray | None, mean: int, steps: int) -> _Belief:
    """Mean and variance of a series' own forecast; without one 0 and infinite."""
    if rows is None:
        return np.zeros(steps), np.full(steps, np.inf)
    known = np.isfinite(rows).all(axis=0)
    spread = (rows.max(axis=0) - rows.min(axis=0)) / 2
    return np.where(known, rows[mean], 0.0), np.where(known, spread**2, np.inf)


def _summed(parts: Iterable[_Belief]) -> _Belief:
    means, variances = zip(*parts, strict=True)
    return np.sum(means, axis=0), np.sum(variances, axis=0)


def _fused(one: _Belief, other: _Belief) -> _Belief:
    """Two independent estimates of the same, each weighted by the other's variance."""
    (a, va), (b, vb) = one, other
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.where(np.isinf(va), 0.0, np.where(np.isinf(vb), 1.0, vb / (va + vb)))
        joint = np.where(np.isinf(va), vb, np.where(np.isinf(vb), va, va * vb / (va + vb)))
    weight, joint = np.where(np.isnan(weight), 0.5, weight), np.where(np.isnan(joint), 0.0, joint)
    return weight * a + (1 - weight) * b, joint


def _shares(variances: FloatArray) -> FloatArray:
    """How a gap is shared between siblings (sibling, time): by variance, all of it by those that know nothing."""
    unknown = np.isinf(variances)
    weights = np.where(unknown.any(axis=0), unknown.astype(np.float64), np.where(unknown, 0.0, variances))
    total = weights.sum(axis=0)
    return np.asarray(np.where(total > 0, weights / np.where(total > 0, total, 1.0), 1 / len(variances)))
