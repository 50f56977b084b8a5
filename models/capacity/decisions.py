"""`backtest` and `track_record`: what the planner would have said at earlier days, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

import polars as pl

from models.capacity.planning import check_risk, limits_of, plan
from models.forecast import forecast
from models.series import ANY_TYPE, NOT_ENOUGH_DATA, STATUS_OK, TIME, ensure_columns, regular_grid, step_of

LEAST_OBSERVED: Final = 0.5
"""Share of the steps of a lead time that must be observed, else nobody knows whether the limit was reached."""
_COLUMNS: Final = ("resource_id", "cutoff", "p_exceed_by_lead_time", "warned", "reached", "reached_time", "over_already", "status")


def backtest(
    history: pl.DataFrame,
    limits: pl.DataFrame,
    *,
    lead_time: str | timedelta,
    freq: str | timedelta = "1d",
    origins: int = 6,
    stride: str | timedelta | None = None,
    risk: float = 0.05,
    season_lengths: Sequence[int] | None = None,
    models: Sequence[str] | None = None,
    lower: float | Mapping[Any, float] | None = None,
    holidays: pl.DataFrame | Sequence[date] | None = None,
    breaks: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """What `plan` would have said about each resource at earlier days, and whether the limit was then reached.

    history: series_id (the resource), time (UTC), value; a step of `freq` holds the mean of its values, so give daily peaks
    for a daily plan. limits: as in `plan`, optionally with `since` (TIMESTAMP, null: always), the time from which a limit
    holds; a decision and its outcome take the newest one at the cutoff. season_lengths, models, lower, holidays and
    breaks: as in `forecast`; a break is known at cutoffs from its time on, or from `known_from` (TIMESTAMP) where that is a column:
    one that was found in what came after it. Holidays are in calendars.
    origins: cutoffs, the newest a resource's lead time before the end of the history, the others each `stride` earlier;
    by default a lead time, or less where the history is short, so that each keeps half of the steps.

    Returns one row per resource and cutoff: resource_id, cutoff (last step known), p_exceed_by_lead_time, warned (that is over
    `risk`), reached (use at or over the limit within the lead time after the cutoff), reached_time, over_already (at or over
    it at the cutoff: nothing to decide), status: not_enough_data where a resource was not observed at the cutoff or in half of
    the lead time, or had no limit then. A history without room for any cutoff gives one row per resource, without a cutoff.
    Raises ValueError for unusable arguments or columns. One call of `forecast` per cutoff, each from data up to it alone.
    """
    step, lead = step_of(freq), step_of(lead_time)
    check_risk(risk)
    if origins < 1:
        raise ValueError(f"origins must be 1 or more, not {origins}")
    grid = regular_grid(history, freq=step).drop_nulls("value")
    known = _with_leads(limits, lead)
    told = None if breaks is None else _with_known_from(breaks)
    due: dict[datetime, list[pl.DataFrame]] = {}
    for own in known.partition_by("lead_time", maintain_order=True):
        for cutoff in _cutoffs(grid, step, -(-own["lead_time"][0] // step), origins, None if stride is None else step_of(stride)):
            due.setdefault(cutoff, []).append(own)
    rows = []
    for cutoff, parts in due.items():
        before = grid.filter(pl.col("time") <= cutoff)
        now = before.filter(pl.col("time") == cutoff).select(resource_id="series_id", now="value")
        at = limits_of(pl.concat(parts).filter(pl.col("since").is_null() | (pl.col("since") < cutoff + step)))
        wanted = before.join(now.join(at, on="resource_id", how="semi"), left_on="series_id", right_on="resource_id", how="semi")
        made = forecast(
            wanted,
            horizon=max(-(-own["lead_time"][0] // step) for own in parts),
            freq=step,
            season_lengths=season_lengths,
            models=models,
            lower=lower,
            holidays=holidays,
            breaks=None if told is None else told.filter(pl.col("known_from") <= cutoff).drop("known_from"),
        )
        planned = plan(made, at, lead_time=lead, risk=risk).select("resource_id", "p_exceed_by_lead_time", "status")
        rows.append(_outcomes(grid, at, cutoff, step).join(now, on="resource_id", how="left").join(planned, on="resource_id", how="left"))
    found = pl.concat(rows) if rows else pl.DataFrame(schema=_SCRATCH | {"resource_id": known.schema["resource_id"]})
    return _decided(found, known, risk)


def track_record(decisions: pl.DataFrame, by: str | None = "resource_id") -> pl.DataFrame:
    """How good warnings were: of each resource (or other column) or, with `by` None, of all together.

    decisions: output of `backtest`; only rows that are ok and not over_already are decisions.
    Returns [by,] decisions, reached (how many reached the limit within the lead time), warned_in_time (share of these that
    were warned of), warnings, false_warnings (share of warnings in vain), brier (mean squared error of the probability; Brier
    1950; 0 is perfect), status. A share of nothing is null. Raises ValueError for missing columns.
    """
    needed = {"p_exceed_by_lead_time": pl.Float64, "warned": pl.Boolean, "reached": pl.Boolean, "over_already": pl.Boolean}
    frame = ensure_columns(decisions, {**needed, "status": pl.String} | ({} if by is None else {by: ANY_TYPE}))
    counts = (pl.col("status") == STATUS_OK) & ~pl.col("over_already")
    reached, warned = counts & pl.col("reached"), counts & pl.col("warned")
    error = (pl.col("p_exceed_by_lead_time") - pl.col("reached").cast(pl.Float64)) ** 2
    both = (reached & warned).sum()
    findings = {
        "decisions": counts.sum().cast(pl.Int64),
        "reached": reached.sum().cast(pl.Int64),
        "warned_in_time": both / reached.sum(),
        "warnings": warned.sum().cast(pl.Int64),
        "false_warnings": 1 - both / warned.sum(),
        "brier": error.filter(counts).mean(),
    }
    named = [value.alias(name) for name, value in findings.items()]
    result = frame.select(named) if by is None else frame.group_by(by, maintain_order=True).agg(named)
    some = pl.col("decisions") > 0
    shares = [pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in ("warned_in_time", "false_warnings")]
    return result.with_columns(shares).with_columns(
        *(pl.when(some).then(pl.col(name)).alias(name) for name in findings),
        pl.when(some).then(pl.lit(STATUS_OK)).otherwise(pl.lit(NOT_ENOUGH_DATA)).alias("status"),
    )


_SCRATCH: Final[dict[str, Any]] = {
    "resource_id": pl.String,
    "cutoff": TIME,
    "limit": pl.Float64,
    "observed": pl.Float64,
    "reached_time": TIME,
    "now": pl.Float64,
    "p_exceed_by_lead_time": pl.Float64,
    "status": pl.String,
}


def _with_leads(limits: pl.DataFrame, lead: timedelta) -> pl.DataFrame:
    """The limits with `since` and a `lead_time` everywhere, the newest last."""
    limits_of(limits)
    frame = ensure_columns(limits, {"limit": pl.Float64})
    missing = [pl.lit(None).alias(name) for name in ("since", "lead_time") if name not in frame.columns]
    frame = ensure_columns(frame.with_columns(missing), {"since": TIME})
    own = pl.col("lead_time").cast(pl.Duration("us")).fill_null(pl.lit(lead, pl.Duration("us")))
    return frame.with_columns(own).sort("since", nulls_last=False, maintain_order=True)


def _with_known_from(breaks: pl.DataFrame) -> pl.DataFrame:
    """The breaks with `known_from` everywhere."""
    frame = breaks if "known_from" in breaks.columns else breaks.with_columns(pl.lit(None, TIME).alias("known_from"))
    frame = ensure_columns(frame, {"time": TIME, "known_from": TIME})
    return frame.with_columns(pl.coalesce("known_from", "time").alias("known_from"))


def _cutoffs(grid: pl.DataFrame, step: timedelta, lead: int, origins: int, stride: timedelta | None) -> list[datetime]:
    """Times of the cutoffs, the newest first; lead: steps of the lead time."""
    first: datetime | None = grid["time"].min()  # type: ignore[assignment]
    last: datetime | None = grid["time"].max()  # type: ignore[assignment]
    if first is None or last is None:
        return []
    size = (last - first) // step + 1
    room = size - lead - -(-size // 2)
    if room < 0:
        return []
    apart = max(1, stride // step) if stride is not None else min(lead, max(1, room // max(1, origins - 1)))
    return [last - step * (lead + apart * i) for i in range(origins) if apart * i <= room]


def _outcomes(grid: pl.DataFrame, limits: pl.DataFrame, cutoff: datetime, step: timedelta) -> pl.DataFrame:
    """resource_id, cutoff, limit, observed (share of the steps of the lead time), reached_time of every resource with a limit."""
    unit = step // timedelta(microseconds=1)
    steps = -(-pl.col("lead_time").dt.total_microseconds() // unit)
    ends = limits.select("resource_id", "limit", steps=steps, end=pl.lit(cutoff).cast(TIME) + pl.duration(microseconds=steps * unit))
    later = grid.filter(pl.col("time") > cutoff).join(ends, left_on="series_id", right_on="resource_id")
    inside = later.filter(pl.col("time") <= pl.col("end")).group_by(resource_id="series_id")
    over = pl.col("value") >= pl.col("limit")
    seen = inside.agg(seen=pl.len(), reached_time=pl.col("time").filter(over).min())
    share = pl.col("seen").fill_null(0) / pl.col("steps")
    return ends.join(seen, on="resource_id", how="left").select(
        "resource_id", pl.lit(cutoff).cast(TIME).alias("cutoff"), "limit", share.alias("observed"), "reached_time"
    )


def _decided(found: pl.DataFrame, limits: pl.DataFrame, risk: float) -> pl.DataFrame:
    """The result frame; a resource without any cutoff gets one row."""
    unseen = (pl.col("observed") < LEAST_OBSERVED) | pl.col("now").is_null()
    status = pl.when((pl.col("status") == STATUS_OK) & unseen).then(pl.lit(NOT_ENOUGH_DATA)).otherwise(pl.col("status"))
    known = status == STATUS_OK
    chance = pl.col("p_exceed_by_lead_time")
    values = {
        "p_exceed_by_lead_time": chance,
        "warned": chance > risk,
        "reached": pl.col("reached_time").is_not_null(),
        "reached_time": pl.col("reached_time"),
        "over_already": pl.col("now") >= pl.col("limit"),
    }
    decided = found.select(
        "resource_id", "cutoff", *(pl.when(known).then(value).alias(name) for name, value in values.items()), status.alias("status")
    )
    silent = limits.select("resource_id").unique(maintain_order=True).join(decided, on="resource_id", how="anti", nulls_equal=True)
    rows = silent.with_columns(pl.lit(None).cast(decided.schema[name]).alias(name) for name in _COLUMNS[1:-1])
    both = pl.concat([decided, rows.with_columns(pl.lit(NOT_ENOUGH_DATA).alias("status"))])
    return both.sort("resource_id", "cutoff", maintain_order=True)
