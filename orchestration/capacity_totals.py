"""Forecasts of services, teams and everything, made coherent with those of their resources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from orchestration.calendars import holidays_of
from orchestration.capacity import daily, horizon_of, limited

if TYPE_CHECKING:
    from orchestration.history import History

UNKNOWN = "unknown"
ALL = "all"
OWN_DAYS = 28
"""Days that a resource must have been seen on to be forecast on its own."""
NODE = ["level", "name", "resource_kind", "unit"]
LEVELS = ("service", "team", "all")


def total_capacity(history: History) -> dict[str, pl.DataFrame]:
    """Forecast the mean use of each day of resources, services, teams and everything, and reconcile them: totals are sums of their parts.

    Resources that are gone or too new for a forecast of their own count in their service as one part. A total of which a part cannot be
    forecast stands by its own forecast."""
    from models.forecast import forecast, reconcile

    limits = limited(history)
    usage = history.frame("resource_usage").filter(pl.col("capacity").is_not_null().any().over("resource_id"))
    parts = _parts(usage, limits)
    nodes, hierarchy = _tree(parts)
    history_of_nodes = _sums(daily(usage, pl.col("used_mean").mean()), parts, hierarchy)
    horizon = horizon_of(history, limits)
    span = (history.window.end - history.window.start).days + horizon
    served = pl.when(pl.col("level") == "service").then(pl.col("name")).alias("service")
    named = pl.concat([nodes.select("series_id", served), parts.select("series_id", "service")])
    free = holidays_of(named, history.settings, history.window.start, span)
    forecasts = forecast(history_of_nodes, horizon=horizon, freq="1d", lower=0.0, holidays=free)
    known = forecasts.filter(pl.col("status") == "ok")
    coherent = reconcile(known, _complete(hierarchy, known)) if known.height else known
    bounds = _limits(parts, limits)
    totals = coherent.join(nodes.filter(pl.col("level").is_in(LEVELS)), on="series_id", how="inner")
    return {"mart.capacity_totals": history.dated(totals.join(bounds, on="series_id", how="left").drop("series_id", "model", strict=False))}


def _key(level: pl.Expr, name: pl.Expr) -> pl.Expr:
    return pl.concat_str([level, name, pl.col("resource_kind"), pl.col("unit")], separator="\x1f")


def _parts(usage: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """resource_id, resource_kind, unit, service, team (one of each service), and the series_id of the part that it counts in."""
    about = usage.group_by("resource_id", maintain_order=True).agg(
        pl.col("resource_kind").first(),
        pl.col("unit").first().fill_null("1"),
        pl.col("service").first().fill_null(UNKNOWN),
        pl.col("team").first().fill_null(UNKNOWN),
        pl.col("time").dt.date().n_unique().alias("days"),
    )
    own = pl.col("resource_id").is_in(limits["resource_id"].implode()) & (pl.col("days") >= OWN_DAYS)
    return about.with_columns(pl.col("team").first().over("service")).with_columns(
        pl.when(own)
        .then(_key(pl.lit("resource"), pl.col("resource_id")))
        .otherwise(_key(pl.lit("rest"), pl.col("service")))
        .alias("series_id")
    )


def _tree(parts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """series_id, level, name, resource_kind, unit of services, teams and everything; and series_id, parent_id of all nodes."""
    up = parts.with_columns(
        _key(pl.lit("service"), pl.col("service")).alias("service_id"),
        _key(pl.lit("team"), pl.col("team")).alias("team_id"),
        _key(pl.lit("all"), pl.lit(ALL)).alias("all_id"),
    )
    names = {"service": pl.col("service"), "team": pl.col("team"), "all": pl.lit(ALL)}
    nodes = pl.concat(
        up.select(pl.col(f"{level}_id").alias("series_id"), pl.lit(level).alias("level"), name.alias("name"), "resource_kind", "unit")
        for level, name in names.items()
    )
    links = pl.concat(
        up.select(pl.col(child).alias("series_id"), pl.col(parent).alias("parent_id"))
        for child, parent in (("series_id", "service_id"), ("service_id", "team_id"), ("team_id", "all_id"))
    )
    return nodes.unique("series_id", maintain_order=True), links.unique(maintain_order=True)


def _sums(means: pl.DataFrame, parts: pl.DataFrame, hierarchy: pl.DataFrame) -> pl.DataFrame:
    """series_id, time, value of every node, all up to the same day. A resource's days without data are on the line between the others, or
    like the last one where it is still there; a part whose resources are gone is at zero."""
    end = means["time"].max()
    own = parts.select("resource_id", "series_id")
    found = means.rename({"series_id": "resource_id"}).join(own, on="resource_id", how="inner", maintain_order="left")
    alone = pl.col("series_id").str.starts_with("resource\x1f")
    filled = _until(found.filter(alone), end).with_columns(pl.col("value").interpolate().forward_fill().over("series_id"))
    inner = found.filter(~alone).rename({"series_id": "part_id", "resource_id": "series_id"}).sort("series_id", "time")
    several = _grid(inner).with_columns(pl.col("part_id").forward_fill(), pl.col("value").interpolate().over("series_id"))
    rest = several.group_by(pl.col("part_id").alias("series_id"), "time", maintain_order=True).agg(pl.col("value").sum())
    levels = [pl.concat([filled, _until(rest, end).with_columns(pl.col("value").fill_null(0.0))])]
    while (upper := _lifted(levels[-1], hierarchy)).height:
        levels.append(upper)
    return pl.concat(levels).sort("series_id", "time")


def _until(series: pl.DataFrame, end: object) -> pl.DataFrame:
    """series_id, time, value on every day from a series' first to `end`, null where there was none."""
    given = series.select("series_id", "time", "value")
    last = given.select("series_id").unique(maintain_order=True).with_columns(pl.lit(end, dtype=given.schema["time"]).alias("time"))
    return _grid(given.join(last, on=["series_id", "time"], how="full", coalesce=True).sort("series_id", "time"))


def _grid(series: pl.DataFrame) -> pl.DataFrame:
    """Every day between the first and the last of each series. series: sorted by series_id and time."""
    if series.is_empty():
        return series
    return series.upsample("time", every="1d", group_by="series_id", maintain_order=True).with_columns(pl.col("series_id").forward_fill())


def _lifted(level: pl.DataFrame, hierarchy: pl.DataFrame) -> pl.DataFrame:
    """The sums of a level's series in each of their parents; added in the order of the series, so that every run gives the same bits."""
    parts = level.join(hierarchy, on="series_id", how="inner").sort("parent_id", "time", "series_id")
    return parts.group_by(pl.col("parent_id").alias("series_id"), "time", maintain_order=True).agg(pl.col("value").sum())


def _complete(hierarchy: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The links of those parents all of whose parts, and which themselves, have a forecast."""
    there = known["series_id"].unique().implode()
    whole = pl.col("series_id").is_in(there).all().over("parent_id") & pl.col("parent_id").is_in(there)
    return hierarchy.filter(whole)


def _limits(parts: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    """series_id, limit: the sum of the limits that hold now."""
    held = parts.join(limits.select("resource_id", "capacity"), on="resource_id", how="inner").sort("resource_id")
    keys = {"service": pl.col("service"), "team": pl.col("team"), "all": pl.lit(ALL)}
    each = (
        held.select(_key(pl.lit(level), name).alias("series_id"), "capacity")
        .group_by("series_id", maintain_order=True)
        .agg(pl.col("capacity").sum().alias("limit"))
        for level, name in keys.items()
    )
    return pl.concat(each)
