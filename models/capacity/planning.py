"""`plan`: forecasts of use against limits, one row per resource."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from models.capacity.outlook import NO_LIMIT, Outlook, outlooks
from models.capacity.paths import capacity_for, first_passage
from models.series import ANY_TYPE, NOT_ENOUGH_DATA, STATUS_OK, TIME, ensure_columns, failed, step_of

SHARES: Final = {"exhaustion_p10": 0.1, "exhaustion_p50": 0.5, "exhaustion_p90": 0.9}
_DAY: Final = 24.0
_HOUR: Final = timedelta(hours=1)


def plan(forecasts: pl.DataFrame, limits: pl.DataFrame, *, lead_time: str | timedelta, risk: float = 0.05) -> pl.DataFrame:
    """When each resource reaches its limit, and what to add and when to order so that the chance stays at `risk`.

    forecasts: output of `models.forecast.forecast` whose series_id is the resource_id; time, mean, lo_<level>
    and hi_<level> (at least one level), status; daily, hourly or any other step. Bounds at the limit itself hide risk.
    limits: resource_id, limit (same unit as the forecast); optional unit (passed through) and lead_time (a Duration;
    null means `lead_time`). lead_time: how long new capacity takes, counted from the last step before the forecast.

    Returns one row per resource of `limits`: resource_id, limit, p_exceed_by_lead_time (use at or over the limit at any
    time until then), exhaustion_p10, _p50, _p90 (the step in which the chance comes to that; null when not
    within the forecast; p10 is the early date), headroom_now and headroom_at_lead_time (limit minus the highest mean of
    the first day and of the last day of the lead time, so that a daily peak counts; unit of the limit), order_by (the
    latest time to order so that capacity is there when the step begins in which the chance passes `risk`; the forecast's start
    where that has passed, null when it is not within the forecast), add_capacity (unit of the limit; with it the chance by the lead
    time is `risk`; 0 when none is needed, null where use stands still at the limit, which hides what is wanted), unit, status.
    A forecast that ends before the lead time gives `failed:`, because its chance is unknown.
    Raises ValueError for missing columns, a lead time that is not positive, or a risk outside (0, 0.5].
    How chances follow from quantiles, and what is assumed: `models.capacity.paths`.
    """
    lead = step_of(lead_time)
    check_risk(risk)
    found = outlooks(forecasts)
    wanted = limits_of(limits)
    rows = []
    for limit in wanted.iter_rows(named=True):
        judged = _judge(found.get(limit["resource_id"], NOT_ENOUGH_DATA), limit["limit"], limit.get("lead_time") or lead, risk)
        rows.append({"resource_id": limit["resource_id"], "limit": limit["limit"], "unit": limit.get("unit")} | judged)
    result = pl.DataFrame(rows, schema=_schema(wanted))
    return result if "unit" in wanted.columns else result.drop("unit")


def check_risk(risk: float) -> None:
    """Raises ValueError for a risk that nobody plans with."""
    if not 0 < risk <= 0.5:
        raise ValueError(f"risk is a probability above 0 and at most 0.5, not {risk}")


def limits_of(limits: pl.DataFrame) -> pl.DataFrame:
    """One row per resource, the last of several. Raises ValueError for missing columns or unusable types."""
    wanted = ensure_columns(limits, {"resource_id": ANY_TYPE, "limit": pl.Float64})
    if "lead_time" in wanted.columns and not isinstance(wanted.schema["lead_time"], (pl.Duration, pl.Null)):
        raise ValueError(f"limits.lead_time has type {wanted.schema['lead_time']}; make it a Duration, such as 14 days")
    return wanted.unique("resource_id", keep="last", maintain_order=True)


def _judge(outlook: Outlook | str, limit: float | None, lead: timedelta, risk: float) -> dict[str, Any]:
    """The findings for one resource, or the status that says why there are none."""
    if isinstance(outlook, str):
        return {"status": outlook}
    if limit is None or not np.isfinite(limit):
        return {"status": NO_LIMIT}
    if outlook.times[-1] < outlook.start + lead:
        return {"status": failed(f"the forecast ends before the lead time of {lead}; forecast until {outlook.start + lead}")}
    return _findings(outlook, limit, lead / _HOUR, risk)


def _findings(outlook: Outlook, limit: float, lead: float, risk: float) -> dict[str, Any]:
    """All numbers of one resource; lead in hours."""
    hours, mean = outlook.hours, outlook.mean
    end = hours[hours >= lead][0]  # a step in which the lead time ends counts as a whole
    until = hours <= end
    chance = outlook.chances(limit)[1]
    at_risk = first_passage(hours, chance, risk)
    return {
        "p_exceed_by_lead_time": float(chance[until][-1]),
        "headroom_now": float(limit - mean[hours <= max(_DAY, hours[0])].max()),
        "headroom_at_lead_time": float(limit - mean[until & ((hours > end - _DAY) | (hours == end))].max()),
        "order_by": None if at_risk is None else _time(outlook, max(0.0, at_risk - lead)),
        "add_capacity": _to_add(outlook, until, limit, risk) if chance[until][-1] > risk else 0.0,
        "status": STATUS_OK,
    } | {name: _time(outlook, first_passage(hours, chance, share)) for name, share in SHARES.items()}


def _to_add(outlook: Outlook, until: npt.NDArray[np.bool_], limit: float, risk: float) -> float | None:
    """What to add; None where use stands at the limit without error, as nobody knows what it would be without it."""
    values = outlook.values[until]
    still = not (values[:, -1] > values[:, 0]).any()
    needed = capacity_for(values, outlook.scores, outlook.day[until], risk)
    return None if still and needed <= limit else max(0.0, needed - limit)


def _time(outlook: Outlook, hours: float | None) -> datetime | None:
    return None if hours is None else outlook.start + timedelta(hours=hours)


def _schema(limits: pl.DataFrame) -> Mapping[str, Any]:
    """Names and types of the result."""
    return {
        "resource_id": limits.schema["resource_id"],
        "limit": pl.Float64,
        "p_exceed_by_lead_time": pl.Float64,
        **dict.fromkeys(SHARES, TIME),
        "headroom_now": pl.Float64,
        "headroom_at_lead_time": pl.Float64,
        "order_by": TIME,
        "add_capacity": pl.Float64,
        "unit": limits.schema.get("unit", pl.String),
        "status": pl.String,
    }
