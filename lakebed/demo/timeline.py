"""The clock of the simulated company: its window, the rhythm of its traffic, random streams and noise.

Belongs here: what only needs times and randomness. What the company owns is in `company`, what happens in `events`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Seconds = npt.NDArray[np.int64]

DAY_S = 86_400
WEEKDAY_SHARE = np.array([1.0, 1.01, 1.02, 1.01, 1.03, 0.90, 0.84])  # Monday to Sunday
HOLIDAY_SHARE = 0.62
STEPS_MIN = (1, 2, 5, 10, 15, 20, 30, 60)


def stream(seed: int, name: str) -> np.random.Generator:
    """An independent random stream per part, so that widening one part leaves the bytes of the others alone."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def epoch(moment: datetime | date) -> int:
    """Seconds since 1970 of a UTC datetime or of a day's midnight."""
    if isinstance(moment, datetime):
        return int(moment.timestamp())
    return int(datetime(moment.year, moment.month, moment.day, tzinfo=UTC).timestamp())


def moment(seconds: float) -> datetime:
    """The UTC datetime of seconds since 1970."""
    return datetime.fromtimestamp(seconds, tz=UTC)


@dataclass(frozen=True)
class Window:
    """Whole UTC days from `first` to `last`, both included."""

    first: date
    last: date

    @classmethod
    def ending(cls, last: date, days: int) -> Window:
        """The `days` whole days that end with `last`."""
        return cls(last - timedelta(days=days - 1), last)

    @property
    def days(self) -> int:
        """Days of the window."""
        return (self.last - self.first).days + 1

    @property
    def start_s(self) -> int:
        """Its first second, in Unix time."""
        return epoch(self.first)

    @property
    def end_s(self) -> int:
        """Midnight after the last day."""
        return epoch(self.last) + DAY_S

    def grid(self, step_s: int, *, days_beyond: int = 0) -> Seconds:
        """Times every `step_s` seconds over the window, and `days_beyond` days into the future."""
        return np.arange(self.start_s, self.end_s + days_beyond * DAY_S, step_s, dtype=np.int64)

    def weeks(self) -> list[tuple[date, int, int]]:
        """Rotation periods of files: (first day, start second, end second), seven days each, the last one shorter."""
        firsts = [self.first + timedelta(days=d) for d in range(0, self.days, 7)]
        return [(day, epoch(day), min(epoch(day) + 7 * DAY_S, self.end_s)) for day in firsts]

    def months(self) -> list[tuple[date, date]]:
        """Calendar months that the window touches, as (first of month, first of next month)."""
        months = []
        start = self.first.replace(day=1)
        while start <= self.last:
            following = (start + timedelta(days=32)).replace(day=1)
            months.append((start, following))
            start = following
        return months


def sampling_step(base_min: int, scale: float) -> int:
    """Seconds between samples: `base_min` minutes at scale 1, less for larger scales, up to an hour for small ones."""
    wanted = base_min / scale
    return min(STEPS_MIN, key=lambda step: (abs(np.log(step / wanted)), step)) * 60


def rhythm(times: Seconds, holidays: frozenset[date], *, phase_h: float = 0.0) -> Floats:
    """Traffic relative to its weekly mean of about 1: two daily peaks, calm nights, a quieter weekend, holidays.

    `phase_h` shifts the day by hours. Times past the window count as ordinary days.
    """
    hour = (times % DAY_S) / 3600.0 - phase_h
    daily = 1.0 + 0.42 * np.cos(2 * np.pi * (hour - 14.5) / 24) + 0.13 * np.cos(4 * np.pi * (hour - 19.5) / 24)
    days = times // DAY_S
    weekly = WEEKDAY_SHARE[(days + 3) % 7]
    off = np.isin(days, [epoch(day) // DAY_S for day in holidays])
    return np.asarray(daily * weekly * np.where(off, HOLIDAY_SHARE, 1.0), dtype=np.float64)


def drift(times: Seconds, end_s: int, per_day: float) -> Floats:
    """Linear growth, 1 at the end of the window, never under a tenth."""
    return np.maximum(1.0 + per_day * (times - end_s) / DAY_S, 0.1)


def wander(rng: np.random.Generator, rows: int, steps: int, *, memory: float, sd: float) -> Floats:
    """First-order autoregressive noise with standard deviation `sd`: an array of rows x steps."""
    shocks = rng.standard_normal((steps, rows)) * (sd * np.sqrt(1.0 - memory**2))
    shocks[0] = rng.standard_normal(rows) * sd
    for i in range(1, steps):
        shocks[i] += memory * shocks[i - 1]
    return np.ascontiguousarray(shocks.T)
