"""The rolling-origin contest of the members and how what they say is combined, per series.

Every number that decides comes from forecasts made at earlier origins with what was known then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

import numpy as np
import numpy.typing as npt

from models.forecast.members import Member, ets, level_season, per_series, recent_trend, seasonal_naive, trend_season
from models.forecast.panel import Series
from models.forecast.pooled import pooled
from models.forecast.prophet_member import prophet_mean
from models.forecast.seasonality import FloatArray

NAIVE: Final = "seasonal_naive"
MEMBERS: Final[dict[str, Member]] = {
    member.name: member
    for member in (
        Member(NAIVE, per_series(seasonal_naive)),
        Member("level_season", per_series(level_season)),
        Member("trend_season", per_series(trend_season)),
        Member("recent_trend", per_series(recent_trend)),
        Member("ets", per_series(ets)),
        Member("pooled", pooled),
        Member("prophet", prophet_mean, on_request=True, own_holidays=True),
    )
}
WINDOWS: Final = 4
"""Origins of the contest; one origin moves the ranking by far more than the members differ."""
_POINTS: Final = 0.75
"""Weight of single points in a loss, the rest is that of season-long means, which show drift: both of 1 and 0.5 were worse
(on real hours the former, on weak trends under noise the latter)."""
_TRIM: Final = 2.0
"""A member with over this many times the error of the best one would only add noise."""
_PROPHET_LIMIT: Final = 2
"""Series that get Prophet unasked: at five fits each, about two seconds."""
_STUBBORN: Final = 0.95
"""A combination above this share of the naive error has found no structure: the expensive members may try."""
_TWO_YEARS_US: Final = 730 * 86_400_000_000


@dataclass
class Entry:
    """One series in the contest: per member its forecast, and its errors (window, step): actual minus forecast, or NaN.

    `seconds` is each member's time shared out over the series it forecast together.
    """

    series: Series
    reach: int
    forecasts: dict[str, FloatArray] = field(default_factory=dict)
    errors: dict[str, FloatArray] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    observed: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def judged(self, error: FloatArray) -> bool:
        """Whether there are errors for every window in which anything was observed, and for one at least."""
        seen = np.isfinite(error).any(axis=1)
        return bool(seen.any() and (seen | ~self.observed).all())


@dataclass(frozen=True)
class Combination:
    """What a series gets: weights by member, the mean, and the errors that this combination made out of sample."""

    weights: dict[str, float]
    mean: FloatArray
    errors: FloatArray


def run_contest(series: Sequence[Series], horizon: int, models: Sequence[str] | None, seed: int) -> list[Entry]:
    """Forecasts for the horizon and errors at `WINDOWS` earlier origins of the naive member and the named ones.

    By default all members take part, those `on_request` only for the series that `stubborn` picks.
    """
    entries = [_entry(s, horizon) for s in series]
    for name, member in MEMBERS.items():
        if models is None and member.on_request:
            enter(stubborn(entries, horizon), member, horizon, seed)
        elif models is None or name in models or name == NAIVE:
            enter(entries, member, horizon, seed)
    return entries


def _entry(series: Series, horizon: int) -> Entry:
    """A series at the start of the contest."""
    reach, cutoffs = _cutoffs(series, horizon)
    observed = np.array([np.isfinite(series.values[cut : cut + reach]).any() for cut in cutoffs])
    return Entry(series, reach, observed=observed)


def enter(entries: Sequence[Entry], member: Member, horizon: int, seed: int) -> None:
    """Let one member forecast every entry at each origin and at the end of its history."""
    if not entries:
        return
    started = perf_counter()
    errors = [np.full((WINDOWS, entry.reach), np.nan) for entry in entries]
    cutoffs = [_cutoffs(entry.series, horizon)[1] for entry in entries]
    longest = max(entry.reach for entry in entries)
    origins = [[entry.series.upto(cut[w]) for entry, cut in zip(entries, cutoffs, strict=True)] for w in range(WINDOWS)]
    for window, forecasts in enumerate(member.predict(origins, longest, seed)):
        for i, found in enumerate(forecasts):
            if found is not None:
                cut, reach, series = cutoffs[i][window], entries[i].reach, entries[i].series
                mean = found[:reach] + (0 if member.own_holidays else series.effect[cut : cut + reach])
                errors[i][window] = series.values[cut : cut + reach] - mean
    last = member.predict([[entry.series for entry in entries]], horizon, seed)[0]
    for entry, error, found in zip(entries, errors, last, strict=True):
        if found is not None and np.isfinite(found).all() and entry.judged(error):
            effect = 0 if member.own_holidays else entry.series.effect[entry.series.size : entry.series.size + horizon]
            entry.forecasts[member.name] = np.asarray(found + effect)
            entry.errors[member.name] = error
        entry.seconds[member.name] = (perf_counter() - started) / len(entries)


def combine(entry: Entry, horizon: int) -> Combination | None:
    """Inverse-squared-error weights of the members that beat the seasonal naive one; None when there is no forecast.

    The errors of a window come from weights chosen on the other windows, and when these combined errors are not below
    the naive member's, the naive member stands alone.
    """
    names = list(entry.forecasts)
    if not names:
        return None
    stacked = np.stack([entry.errors[name][entry.observed] for name in names])
    losses = np.stack([_losses(errors, entry, horizon) for errors in stacked])
    naive = names.index(NAIVE) if NAIVE in names else None
    weights = _weights(losses.mean(axis=1), naive)
    errors = np.empty_like(stacked[0])
    for window in range(errors.shape[0]):
        others = np.delete(losses, window, axis=1).mean(axis=1) if losses.shape[1] > 1 else losses[:, 0]
        errors[window] = np.tensordot(_weights(others, naive), stacked[:, window], axes=1)
    if naive is not None and len(names) > 1:
        combined = float(_losses(errors, entry, horizon).mean())
        if combined >= float(losses[naive].mean()):
            weights, errors = np.eye(len(names))[naive], stacked[naive]
    mean = sum((w * entry.forecasts[n] for w, n in zip(weights, names, strict=True) if w > 0), np.zeros(horizon))
    return Combination({n: float(w) for n, w in zip(names, weights, strict=True) if w > 0}, np.asarray(mean), errors)


def stubborn(entries: Sequence[Entry], horizon: int) -> list[Entry]:
    """The few entries where an expensive member may win: holidays, over two years, or no structure found yet."""
    ranked: list[tuple[float, int]] = []
    for position, entry in enumerate(entries):
        combination = combine(entry, horizon)
        if combination is None or NAIVE not in entry.errors:
            continue
        naive = float(_losses(entry.errors[NAIVE][entry.observed], entry, horizon).mean())
        share = float(_losses(combination.errors, entry, horizon).mean()) / naive if naive > 0 else 0.0
        long = entry.series.size * entry.series.step_us >= _TWO_YEARS_US
        if naive > 0 and (share >= _STUBBORN or long or entry.series.holiday.any()):
            ranked.append((-share, position))
    return [entries[position] for _, position in sorted(ranked)[:_PROPHET_LIMIT]]


def _cutoffs(series: Series, horizon: int) -> tuple[int, list[int]]:
    """How far the contest looks ahead, and its origins (numbers of points known), the newest first.

    At most a third of the history is looked ahead and at least half is known; origins lie so far apart that short
    horizons see different parts of the week.
    """
    n = series.size
    reach = max(1, min(horizon, n // 3))
    room = n - reach - -(-n // 2)
    wanted = max(reach, (series.seasons[-1] // WINDOWS + 1) if series.seasons else reach)
    step = max(1, min(wanted, room // (WINDOWS - 1)))
    return reach, [max(n - reach - step * window, 2) for window in range(WINDOWS)]


def _losses(errors: FloatArray, entry: Entry, horizon: int) -> FloatArray:
    """Loss of each window: weighted mean of the absolute errors of single points and of season-long means.

    Season-long means show drift, which single points drown in noise that all members share. When the horizon goes
    beyond what the contest sees, only its far half counts, because that is nearer to what is asked.
    """
    if horizon > entry.reach:
        errors = errors[:, entry.reach // 2 :]
    season = entry.series.seasons[-1] if entry.series.seasons else 1
    length = min(season, errors.shape[1])
    cut = errors[:, errors.shape[1] % length :]
    filled = np.where(np.isfinite(cut), cut, 0.0).reshape(cut.shape[0], -1, length)
    known = np.isfinite(cut).reshape(filled.shape).sum(axis=2)
    means = np.abs(filled.sum(axis=2)) / np.maximum(known, 1)
    seen = np.isfinite(errors).sum(axis=1)
    points = np.where(np.isfinite(errors), np.abs(errors), 0.0).sum(axis=1) / np.maximum(seen, 1)
    return np.asarray(_POINTS * points + (1 - _POINTS) * means.mean(axis=1))


def _weights(losses: FloatArray, naive: int | None) -> FloatArray:
    """Weights that sum to one; ties and perfect members share evenly."""
    best = float(losses.min())
    chosen = losses <= max(_TRIM * best, best + 1e-12)
    if naive is not None:
        chosen &= losses <= losses[naive]
    raw = np.where(chosen, 1 / np.maximum(losses, max(best, 1e-12)) ** 2, 0.0)
    return np.asarray(raw / raw.sum())
