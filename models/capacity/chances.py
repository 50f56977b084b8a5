"""`exceedance`: the chance of use at or over the limit, step by step."""

from __future__ import annotations

from math import isfinite
from typing import Any

import polars as pl

from models.capacity.outlook import NO_LIMIT, outlooks
from models.capacity.planning import limits_of
from models.series import NOT_ENOUGH_DATA, STATUS_OK, TIME


def exceedance(forecasts: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """Chance of each resource to be at or over its limit, at every step of its forecast.

    forecasts, limits: as in `plan`.
    Returns resource_id, time, p_exceed (at or over the limit at this step), p_exceeded_by (reached at this step or an
    earlier one of the forecast; never falls, and ends the lead time at the p_exceed_by_lead_time of `plan`), status;
    a resource without a chance has one row of nulls.
    Raises ValueError for missing columns. What is assumed: `models.capacity.paths`.
    """
    found = outlooks(forecasts)
    wanted = limits_of(limits)
    schema: dict[str, Any] = {
        "resource_id": wanted.schema["resource_id"],
        "time": TIME,
        "p_exceed": pl.Float64,
        "p_exceeded_by": pl.Float64,
        "status": pl.String,
    }
    parts = [pl.DataFrame(schema=schema)]
    for key, limit in wanted.select("resource_id", "limit").iter_rows():
        outlook = found.get(key, NOT_ENOUGH_DATA)
        data: dict[str, Any] = dict.fromkeys(schema) | {"resource_id": [key]}
        if isinstance(outlook, str) or limit is None or not isfinite(limit):
            data["status"] = outlook if isinstance(outlook, str) else NO_LIMIT
        else:
            at, by = outlook.chances(limit)
            data = {"resource_id": [key] * at.size, "time": outlook.times, "p_exceed": at, "p_exceeded_by": by}
            data["status"] = [STATUS_OK] * at.size
        parts.append(pl.DataFrame(data, schema=schema))
    return pl.concat(parts)
