"""`plan`: forecasts of use against limits, one row per resource."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from models.capacity.paths import FloatArray, first_passage, normal_scores, quantile_at, reached_by
from models.series import ANY_TYPE, NOT_ENOUGH_DATA, STATUS_OK, TIME, ensure_columns, failed, step_of

SHARES: Final = {"exhaustion_p10": 0.1, "exhaustion_p50": 0.5, "exhaustion_p90": 0.9}
_BAND: Final = re.compile(r"(lo|hi)_(\d+)")
_DAY: Final = timedelta(days=1)


def plan(forecasts: pl.DataFrame, limits: pl.DataFrame, *, lead_time: str | timedelta, risk: float = 0.05) -> pl.DataFrame:
    """When each resource reaches its limit, and what to add so that the chance stays at `risk` until the lead time.

    forecasts: output of `models.forecast.forecast` whose series_id is the resource_id; time, mean, lo_<level>
    and hi_<level> (at least one level), status; daily, hourly or any other step. Bounds at the limit itself hide risk.
    limits: resource_id, limit (same unit as the forecast); optional unit (passed through) and lead_time (a Duration;
    null means `lead_time`). lead_time: how long new capacity takes, counted from the last step before the forecast.

    Returns one row per resource of `limits`: resource_id, limit, p_exceed_by_lead_time (use at or over the limit at any
    time until then), exhaustion_p10, _p50, _p90 (times by which the limit is reached with that chance; null when not
    within the forecast; p10 is the early date), headroom_now (limit minus the highest mean of the first day, so that a
    daily peak counts; unit of the limit), add_capacity (unit of the limit, 0 when none is needed), unit, status.
    A forecast that ends before the lead time gives `failed:`, because its chance is unknown.
    Raises ValueError for missing columns, a lead time that is not positive, or a risk outside (0, 0.5].
    How chances follow from quantiles, and what is assumed: `models.capacity.paths`.
    """
    lead = step_of(lead_time)
    if not 0 < risk <= 0.5:
        raise ValueError(f"risk is a probability above 0 and at most 0.5, not {risk}")
    levels = _levels(forecasts)
    frame = ensure_columns(forecasts, {"series_id": ANY_TYPE, "time": TIME, "mean": pl.Float64, "status": pl.String})
    wanted = ensure_columns(limits, {"resource_id": ANY_TYPE, "limit": pl.Float64})
    if "lead_time" in wanted.columns and not isinstance(wanted.schema["lead_time"], (pl.Duration, pl.Null)):
        raise ValueError(f"limits.lead_time has type {wanted.schema['lead_time']}; make it a Duration, such as 14 days")
    wanted = wanted.unique("resource_id", keep="last", maintain_order=True)
    groups = {key: part for (key,), part in frame.group_by("series_id", maintain_order=True)}
    rows = []
    for limit in wanted.iter_rows(named=True):
        own = limit.get("lead_time")
        judged = _judge(groups.get(limit["resource_id"]), limit["limit"], own or lead, risk, levels)
        rows.append({"resource_id": limit["resource_id"], "limit": limit["limit"], "unit": limit.get("unit")} | judged)
    result = pl.DataFrame(rows, schema=_schema(wanted))
    return result if "unit" in wanted.columns else result.drop("unit")


def _judge(part: pl.DataFrame | None, limit: float | None, lead: timedelta, risk: float, levels: list[int]) -> dict[str, Any]:
    """The findings for one resource, or the status that says why there are none."""
    if part is None:
        return {"status": NOT_ENOUGH_DATA}
    if part.filter(pl.col("status") == STATUS_OK).is_empty():
        return {"status": part["status"][0] or NOT_ENOUGH_DATA}
    if limit is None or not np.isfinite(limit):
        return {"status": failed("the limit is not a number; give this resource a limit")}
    names = [f"lo_{v}" for v in reversed(levels)] + ["mean"] + [f"hi_{v}" for v in levels]
    known = part.filter(pl.col("status") == STATUS_OK).drop_nulls(["time", *names]).sort("time")
    known = known.unique("time", keep="last", maintain_order=True)
    if known.height < 2:
        return {"status": NOT_ENOUGH_DATA}
    values = np.maximum.accumulate(known.select(pl.col(names).cast(pl.Float64)).to_numpy(), axis=1)
    times: list[datetime] = known["time"].to_list()
    return _findings(times, known["mean"].to_numpy(), values, normal_scores(levels), limit, lead, risk)


def _findings(
    times: list[datetime],
    mean: FloatArray,
    values: FloatArray,
    scores: FloatArray,
    limit: float,
    lead: timedelta,
    risk: float,
) -> dict[str, Any]:
    """All numbers of one resource. values: (step, score)."""
    from scipy.special import ndtri

    now = times[0] - (times[1] - times[0])
    if times[-1] < now + lead:
        return {"status": failed(f"the forecast ends before the lead time of {lead}; forecast until {now + lead}")}
    hours = np.array([(t - now) / timedelta(hours=1) for t in times])
    until = hours <= lead / timedelta(hours=1)
    chance = reached_by(values, scores, limit)
    dates = {name: first_passage(hours, chance, share) for name, share in SHARES.items()}
    at_risk = quantile_at(values, scores, float(ndtri(1 - risk)))
    first_day = hours <= max(_DAY / timedelta(hours=1), hours[0])
    return {
        "p_exceed_by_lead_time": float(chance[until][-1]) if until.any() else 0.0,
        "headroom_now": float(limit - mean[first_day].max()),
        "add_capacity": max(0.0, float(at_risk[until].max()) - limit) if until.any() else 0.0,
        "status": STATUS_OK,
    } | {name: None if at is None else now + timedelta(hours=at) for name, at in dates.items()}


def _levels(forecasts: pl.DataFrame) -> list[int]:
    """Levels with both ends among the columns, ascending."""
    ends = [match for name in forecasts.columns if (match := _BAND.fullmatch(name))]
    found = {side: {int(m[2]) for m in ends if m[1] == side} for side in ("lo", "hi")}
    levels = sorted(found["lo"] & found["hi"])
    if not levels:
        raise ValueError(f"forecasts need a pair of columns such as lo_80 and hi_80; they have {forecasts.columns}")
    return levels


def _schema(limits: pl.DataFrame) -> Mapping[str, Any]:
    """Names and types of the result."""
    return {
        "resource_id": limits.schema["resource_id"],
        "limit": pl.Float64,
        "p_exceed_by_lead_time": pl.Float64,
        **dict.fromkeys(SHARES, TIME),
        "headroom_now": pl.Float64,
        "add_capacity": pl.Float64,
        "unit": limits.schema.get("unit", pl.String),
        "status": pl.String,
    }
