"""The rolling-origin contest: what each member would have said at earlier origins, with what was known then.

All arrays run over the series of the call first, so that a fleet costs little more than its members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

import numpy as np
import numpy.typing as npt

from models.forecast.members import Member
from models.forecast.panel import Series
from models.forecast.seasonality import FloatArray
from models.forecast.threads import in_pieces

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

NAIVE: Final = "seasonal_naive"
WINDOWS: Final = 4
"""Origins of the contest; one origin moves the ranking by far more than the members differ."""


@dataclass
class Contest:
    """What the members said about all series: forecasts (series, step) and errors (series, window, step), by member.

    Errors are actual minus forecast. NaN: nothing observed, or the member does not take part in this series.
    `origins` holds the series as known at each origin, the newest first; `seconds` each member's time shared out
    over the series it forecast together. `floor` (series, origin, the end of the history last) bounds what they say.
    """

    series: Sequence[Series]
    horizon: int
    reach: IntArray
    actual: FloatArray
    origins: Sequence[Sequence[Series]]
    floor: FloatArray
    forecasts: dict[str, FloatArray] = field(default_factory=dict)
    errors: dict[str, FloatArray] = field(default_factory=dict)
    seconds: dict[str, FloatArray] = field(default_factory=dict)

    def part(self, piece: slice) -> Contest:
        """The contest of some of the series."""
        said = ({name: rows[piece] for name, rows in of.items()} for of in (self.forecasts, self.errors, self.seconds))
        origins = [known[piece] for known in self.origins]
        return Contest(self.series[piece], self.horizon, self.reach[piece], self.actual[piece], origins, self.floor[piece], *said)

    @property
    def observed(self) -> BoolArray:
        """(series, window): whether anything was observed there."""
        return np.asarray(np.isfinite(self.actual).any(axis=2))


def start(series: Sequence[Series], horizon: int) -> Contest:
    """The contest before any member has spoken."""
    plans = [_cutoffs(s, horizon) for s in series]
    reach = np.array([reach for reach, _ in plans], dtype=np.int64)
    actual = np.full((len(series), WINDOWS, int(reach.max(initial=1))), np.nan)
    for row, s, (r, cuts) in zip(actual, series, plans, strict=True):
        for window, cut in enumerate(cuts):
            row[window, :r] = s.values[cut : cut + r]
    origins = [[s.upto(cuts[window]) for s, (_, cuts) in zip(series, plans, strict=True)] for window in range(WINDOWS)]
    bounded = np.array([np.nanmin(s.values) <= 0 for s in series], dtype=np.bool_)
    floor = np.full((len(series), WINDOWS + 1), -np.inf)
    for i in np.flatnonzero(bounded).tolist():
        floor[i] = [_floor(known[i]) for known in (*origins, series)]
    return Contest(series, horizon, reach, actual, origins, floor)


def _floor(series: Series) -> float:
    """What no member may pass: 0 for a series that was at zero and never below."""
    return 0.0 if np.nanmin(series.values) == 0 else -np.inf


def enter(contest: Contest, member: Member, chosen: IntArray, seed: int) -> None:
    """Let one member forecast the chosen series at each origin and at the end of their history."""
    started = perf_counter()
    longest = contest.actual.shape[2]
    said = np.full(contest.actual.shape, np.nan)
    forecasts = np.full((len(contest.series), contest.horizon), np.nan)

    def ask(piece: slice) -> None:
        part = chosen[piece]
        last = [contest.series[i] for i in part]
        origins = [[known[i] for i in part] for known in contest.origins]
        for window, found in enumerate(member.predict(origins, longest, seed)):
            _fill(said[:, window], part, found)
        _fill(forecasts, part, member.predict([last], contest.horizon, seed)[0])
        if not member.own_holidays:
            _add_holidays(contest, part, said, forecasts)

    if member.alone:
        in_pieces(ask, chosen.size)
    elif chosen.size:
        ask(slice(None))
    forecasts = np.maximum(forecasts, contest.floor[:, -1:])
    errors = contest.actual - np.maximum(said, contest.floor[:, :-1, None])
    seen = np.isfinite(errors).any(axis=2)
    judged = seen.any(axis=1) & (seen | ~contest.observed).all(axis=1) & np.isfinite(forecasts).all(axis=1)
    forecasts[~judged] = errors[~judged] = np.nan
    contest.forecasts[member.name], contest.errors[member.name] = forecasts, errors
    seconds = np.full(len(contest.series), np.nan)
    seconds[chosen] = (perf_counter() - started) / max(1, chosen.size)
    contest.seconds[member.name] = seconds


def _fill(rows: FloatArray, chosen: IntArray, found: Sequence[FloatArray | None]) -> None:
    """Put what a member found into the rows of the chosen series."""
    at = [position for position, one in enumerate(found) if one is not None]
    if at:
        rows[chosen[at]] = np.stack([one for one in found if one is not None])


def _add_holidays(contest: Contest, chosen: IntArray, said: FloatArray, forecasts: FloatArray) -> None:
    """Add what holidays do, as far as was known at each origin, to the forecasts of members that know none."""
    for i in chosen:
        series = contest.series[i]
        if series.holiday.any():
            for window, known in enumerate(contest.origins):
                said[i, window, : contest.reach[i]] += known[i].effect[known[i].size :][: contest.reach[i]]
            forecasts[i] += series.effect[series.size : series.size + contest.horizon]


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
