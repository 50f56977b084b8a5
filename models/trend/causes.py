"""`nearest_changes`: which deploy, release or configuration change lies next to a change point. Nearness is no proof of cause."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import polars as pl
from polars._typing import PolarsDataType

from models.series import ANY_TYPE, TIME, ensure_columns

MAX_CALLS = 3
"""A change further down than so many calls is not considered."""
CALL = timedelta(hours=6)
"""Every call between the service and what was changed counts as so much time: a shift is placed to some hours, and a
change of the service itself is the likelier cause of two that are as near."""

IDLE = ("commit",)
"""Kinds of changes that alter nothing that runs."""

_POINTS: Mapping[str, PolarsDataType] = {"series_id": ANY_TYPE, "service": pl.String, "time": TIME}
_CHANGES: Mapping[str, PolarsDataType] = {
    "change_id": pl.String,
    "kind": pl.String,
    "service": pl.String,
    "time": TIME,
    "title": pl.String,
}
_EDGES: Mapping[str, PolarsDataType] = {"parent_service": pl.String, "child_service": pl.String}


def nearest_changes(
    points: pl.DataFrame,
    changes: pl.DataFrame,
    dependencies: pl.DataFrame,
    *,
    within: timedelta = timedelta(hours=24),
    late: timedelta | None = None,
) -> pl.DataFrame:
    """Every change point with the nearest change of its service, or of a service that it depends on.

    points: series_id, service, time and any others; changes: change_id, kind, service, time, title; dependencies:
    parent_service (caller), child_service (called), directly; what a service depends on is followed over `MAX_CALLS`.
    Returns the points in their order with change_id, change_kind, change_title, change_service, and change_distance_h
    (hours from the change to the point, negative where the change came later): of the changes but commits, at most `within` away
    the nearest in time, where every call in between counts as `CALL` more; after the point only up to `late` (default: `within`).
    Null where there is none.
    Raises ValueError for missing columns or unusable types.
    """
    given = ensure_columns(points, _POINTS).with_row_index("_point")
    known = ensure_columns(changes, _CHANGES).filter(~pl.col("kind").is_in(IDLE).fill_null(value=False))
    reach = _reach(ensure_columns(dependencies, _EDGES), given.get_column("service").drop_nulls().unique())
    away = pl.col("time") - pl.col("_changed")
    near = (
        given.select("_point", "service", "time")
        .join(reach, on="service", how="inner")
        .join(known.select(**_NAMED), on="change_service", how="inner")
        .filter(away.is_between(-(within if late is None else late), within))
        .sort(away.abs() + pl.col("_calls") * CALL, "_calls", "change_id")
        .unique("_point", keep="first", maintain_order=True)
        .with_columns((away.dt.total_microseconds() / 3.6e9).alias("change_distance_h"))
        .select("_point", "change_id", "change_kind", "change_title", "change_service", "change_distance_h")
    )
    return given.join(near, on="_point", how="left").sort("_point").drop("_point")


_NAMED = {
    "change_id": pl.col("change_id"),
    "change_kind": pl.col("kind"),
    "change_title": pl.col("title"),
    "change_service": pl.col("service"),
    "_changed": pl.col("time"),
}


def _reach(edges: pl.DataFrame, services: pl.Series) -> pl.DataFrame:
    """service, change_service (itself or what it depends on), _calls: the fewest calls in between."""
    calls = edges.select(change_service="parent_service", called="child_service").drop_nulls().unique()
    step = pl.DataFrame({"service": services, "change_service": services, "_calls": pl.zeros(services.len(), dtype=pl.Int64, eager=True)})
    found = [step]
    for number in range(1, MAX_CALLS + 1):
        step = step.join(calls, on="change_service", how="inner").select(
            "service", change_service="called", _calls=pl.lit(number, dtype=pl.Int64)
        )
        found.append(step.unique())
    return pl.concat(found).group_by("service", "change_service", maintain_order=True).agg(pl.col("_calls").min())
