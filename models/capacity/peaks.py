"""`seasonal_peaks`: days that stand out at a holiday, at the end of a month, or on one date every year."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from models.capacity.occasions import given_occasions, occasions
from models.series import NOT_ENOUGH_DATA, STATUS_OK, TIME, clean_history

FloatArray = npt.NDArray[np.float64]

MIN_DAYS: Final = 42
"""Days that must hold a value before anything can stand out."""
WEEKS: Final = 4
"""Weeks before and after a day whose same weekdays say what is usual."""
MIN_LIFT: Final = 1.05
CERTAIN: Final = 3.5
"""Robust deviations that the days of one occasion must stand out by together; a date of no name needs `CERTAIN_DATE`."""
CERTAIN_DATE: Final = 5.0
_EPOCH: Final = date.fromisoformat("1970-01-01")
_DAY: Final = timedelta(days=1)


def seasonal_peaks(
    history: pl.DataFrame, *, country: str | None = None, holidays: pl.DataFrame | Sequence[date] | None = None
) -> pl.DataFrame:
    """Days on which a resource is used more than in the weeks around them, by occasion, and when they come next.

    history: series_id (the resource), time (UTC), value; of finer steps than days the highest value of a day counts.
    country: ISO 3166 code of the public holidays to look at (`US`, `US-CA`); Black Friday, Cyber Monday and month ends are
    looked at in any case. holidays: further dates, past and future, or a frame with date and optionally occasion
    (their name) and series_id (null: all). With two years or more also single dates that stand out every year, by their name
    (`14 July`).

    A day's lift is its value over the median of the same weekday in the four weeks before and after. An occasion is a peak
    where its lifts together stand out of those of ordinary days (robust deviations, summed over the square root of their number)
    and its median lift is over 5% and over nine in ten of theirs (99 in 100 where it was seen once or has no name). Days at or
    below zero have none.

    Returns one row per resource and peak: resource_id, occasion, last_time, value, lift (of its last day), next_time (null
    where a given holiday has no later date), expected (the median of that weekday in the newest four weeks times the median
    lift), status. A resource without peaks has no row, one with too little history a row of nulls that says so.
    Raises ValueError for missing columns or an unknown country.
    """
    cleaned = clean_history(history)
    schema: dict[str, Any] = {"resource_id": cleaned.schema["series_id"], "occasion": pl.String, "last_time": TIME, "value": pl.Float64}
    schema |= {"lift": pl.Float64, "next_time": TIME, "expected": pl.Float64, "status": pl.String}
    days = cleaned.drop_nulls("value").group_by("series_id", pl.col("time").dt.date().alias("day")).agg(pl.col("value").max())
    groups = {key: part.sort("day") for (key,), part in days.group_by("series_id")}
    named = {} if days.is_empty() else occasions(days["day"].min(), days["day"].max(), country)  # type: ignore[arg-type]
    given = given_occasions(holidays)
    rows: list[dict[str, Any]] = []
    for key in cleaned["series_id"].unique(maintain_order=True):
        part = groups.get(key)
        if part is None or part.height < MIN_DAYS:
            rows.append({"resource_id": key, "status": NOT_ENOUGH_DATA})
            continue
        own = named | given.get(None, {}) | given.get(key, {})
        rows += [{"resource_id": key, **row, "status": STATUS_OK} for row in _peaks(part, own)]
    return pl.DataFrame(rows, schema=schema).sort("resource_id", "next_time", "occasion", nulls_last=True)


def _peaks(part: pl.DataFrame, named: Mapping[str, Sequence[date]]) -> list[dict[str, Any]]:
    """The peaks of one resource."""
    numbers = part["day"].to_physical().to_numpy().astype(np.int64)
    first = int(numbers[0])
    values = np.full(int(numbers[-1]) - first + 1, np.nan)
    values[numbers - first] = part["value"].to_numpy()
    at = {name: np.array([(day - _EPOCH).days - first for day in days]) for name, days in named.items()}
    special = np.zeros(values.size, np.bool_)
    for days in at.values():
        special[days[(days >= 0) & (days < values.size)]] = True
    lifts = np.log(values / usual(values, special))
    plain = lifts[np.isfinite(lifts) & ~special]
    if plain.size < MIN_DAYS // 2:
        return []
    ordinary = Ordinary.of(plain)
    rows = []
    for name, days in [*at.items(), *_dates(first, values.size, special)]:
        past = days[(days >= 0) & (days < values.size)]
        past = past[np.isfinite(lifts[past])]
        if past.size and ordinary.exceeded(lifts[past], named=name in at):
            later = days[days >= values.size]
            rows.append(_row(name, first, past, int(later[0]) if later.size else None, values, lifts))
    return rows


def usual(values: FloatArray, special: npt.NDArray[np.bool_]) -> FloatArray:
    """The median of the same weekday in the weeks before and after, ordinary days only; NaN for fewer than three or without a level."""
    plain = np.where(special | ~(values > 0), np.nan, values)
    padded = np.pad(plain, 7 * WEEKS, constant_values=np.nan)
    shifts = [k * 7 for k in range(2 * WEEKS + 1) if k != WEEKS]
    around = np.sort(np.stack([padded[k : k + values.size] for k in shifts]), axis=0)
    count = np.isfinite(around).sum(axis=0)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(shifts) - 1)
    middle = (np.take_along_axis(around, low[None], axis=0) + np.take_along_axis(around, high[None], axis=0))[0] / 2
    return np.asarray(np.where((count >= 3) & (values > 0), middle, np.nan))


@dataclass(frozen=True, slots=True)
class Ordinary:
    """Logged lifts of ordinary days: their median, robust spread, and the ones that one day in ten and one in a hundred exceeds."""

    middle: float
    spread: float
    rare: float
    rarest: float

    @classmethod
    def of(cls, lifts: FloatArray) -> Ordinary:
        """Of one resource."""
        middle = float(np.median(lifts))
        spread = max(1.4826 * float(np.median(np.abs(lifts - middle))), 1e-3)
        rare, rarest = np.quantile(lifts, [0.9, 0.99])
        return cls(middle, spread, float(rare), float(rarest))

    def exceeded(self, lifts: FloatArray, *, named: bool) -> bool:
        """Whether the lifts of one occasion are beyond what ordinary days do.

        Of an even number the lower median counts, so that one outlier of two makes no peak."""
        together = float(((lifts - self.middle) / self.spread).sum() / np.sqrt(lifts.size))
        typical = float(np.sort(lifts)[(lifts.size - 1) // 2])
        rare = self.rare if named and lifts.size > 1 else self.rarest
        return together >= (CERTAIN if named else CERTAIN_DATE) and typical >= np.log(MIN_LIFT) and typical > rare


def _dates(first: int, size: int, special: npt.NDArray[np.bool_]) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """Dates without a name that came twice or more, with the next one."""
    found: dict[tuple[int, int], list[int]] = {}
    for number in range(size + 366):
        day = _EPOCH + _DAY * (first + number)
        if number >= size or not special[number]:
            found.setdefault((day.month, day.day), []).append(number)
    kept = [days for days in found.values() if sum(d < size for d in days) >= 2]
    return [(f"{(day := _EPOCH + _DAY * (first + days[0])).day} {day:%B}", np.array(days)) for days in kept]


def _row(name: str, first: int, past: npt.NDArray[np.int64], later: int | None, values: FloatArray, lifts: FloatArray) -> dict[str, Any]:
    last = int(past[-1])
    expected = None
    if later is not None:
        recent = values[-7 * WEEKS :]
        same = recent[(np.arange(values.size - recent.size, values.size) - later) % 7 == 0]
        same = same[np.isfinite(same)]
        expected = float(np.median(same) * np.exp(np.median(lifts[past]))) if same.size else None
    return {
        "occasion": name,
        "last_time": _time(first + last),
        "value": float(values[last]),
        "lift": float(np.exp(lifts[last])),
        "next_time": None if later is None else _time(first + later),
        "expected": expected,
    }


def _time(number: int) -> datetime:
    return datetime.combine(_EPOCH + _DAY * number, datetime.min.time())
