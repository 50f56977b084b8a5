"""Who takes part in the contest: the members, and the screening that lets expensive ones try only where they may win."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np

from models.forecast.combination import share_of_naive
from models.forecast.contest import NAIVE, Contest, IntArray, enter, start
from models.forecast.medians import FEW_CYCLES, LONG_CYCLES, MANY_CYCLES, phase_median, recent_level
from models.forecast.members import Member, ets, level_season, per_series, recent_trend, seasonal_naive, trend_season
from models.forecast.panel import Series
from models.forecast.pooled import boosted, linear
from models.forecast.prophet_member import prophet_mean
from models.forecast.seasonality import FloatArray

MEMBERS: Final[dict[str, Member]] = {
    member.name: member
    for member in (
        Member(NAIVE, per_series(seasonal_naive)),
        Member("recent_level", recent_level),
        Member("phase_median", phase_median(FEW_CYCLES)),
        Member("phase_median_many", phase_median(MANY_CYCLES)),
        Member("phase_median_long", phase_median(LONG_CYCLES, long=True)),
        Member("phase_median_shifted", phase_median(FEW_CYCLES, shifted=True)),
        Member("pooled_linear", linear),
        Member("pooled", boosted, limit=400_000),
        Member("level_season", per_series(level_season), limit=30_000),
        Member("trend_season", per_series(trend_season), limit=30_000),
        Member("recent_trend", per_series(recent_trend), limit=30_000),
        Member("ets", per_series(ets), limit=5_000),
        Member("prophet", prophet_mean, own_holidays=True),
    )
}
_PROPHET_CALLS: Final = 20
_PROPHET_LIMIT: Final = 2
"""Series that get Prophet unasked, in calls of up to `_PROPHET_CALLS` series: at five fits each, about two seconds."""
_STUBBORN: Final = 0.95
"""A combination above this share of the naive error has found no structure: Prophet may try."""
_TWO_YEARS_US: Final = 730 * 86_400_000_000


def run_contest(
    series: Sequence[Series],
    horizon: int,
    models: Sequence[str] | None,
    seed: int,
    retired: Mapping[str, Collection[Any]] | None = None,
) -> Contest:
    """Forecasts for the horizon and errors at earlier origins of the naive member and the named ones.

    By default all members take part, each in as many series as its limit allows: first where the others are worst.
    retired: the keys of the series in which a member takes no part, by member; the naive one always does.
    """
    contest = start(series, horizon)
    everyone = np.arange(len(series))

    def let(name: str, chosen: IntArray) -> None:
        out = (retired or {}).get(name) if name != NAIVE else None
        enter(
            contest, MEMBERS[name], chosen if not out else np.array([i for i in chosen if series[i].key not in out], dtype=np.int64), seed
        )

    if models is not None:
        for name in MEMBERS:
            if name in models or name == NAIVE:
                let(name, everyone)
        return contest
    points = np.array([s.size for s in series])
    shares: FloatArray | None = None
    for name, member in MEMBERS.items():
        if name == "prophet":
            let(name, _stubborn(contest))
        elif member.limit is None or points.sum() <= member.limit:
            let(name, everyone)
        else:
            shares = share_of_naive(contest) if shares is None else shares
            ranked = np.argsort(-shares, kind="stable")
            admitted = points[ranked].cumsum() <= member.limit
            admitted[:1] = True  # however long it is: the limit is for large calls
            let(name, np.sort(ranked[admitted]))
    return contest


def _stubborn(contest: Contest) -> IntArray:
    """The few series where Prophet may win: holidays, over two years, or no structure found yet."""
    if not 0 < len(contest.series) <= _PROPHET_CALLS:
        return np.empty(0, dtype=np.int64)
    shares = share_of_naive(contest)
    lasting = np.array([s.size * s.step_us >= _TWO_YEARS_US or bool(s.holiday.any()) for s in contest.series], dtype=bool)
    worth = (shares > 0) & ((shares >= _STUBBORN) | lasting)
    ranked = np.argsort(-shares, kind="stable")
    return np.array([i for i in ranked if worth[i]][:_PROPHET_LIMIT], dtype=np.int64)
