"""Times inside log lines as numbers: distance to the row's own time in units of the text's precision, so that a time that is also the
row's costs nothing. The layout (`2016-12-19 18:02:24,289`, `17/May/2015:10:05:03`, `18:02:24.289`) goes into the template."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from warehouse.tiers.encoding.masking import Flags, Ints

NS_PER_S = 1_000_000_000
DAY_NS = 86_400 * NS_PER_S
CLOCK, ISO, CLF = 1, 2, 3
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
TRIMMED = 10
"""In place of 7, 8 or 9 decimals: as many as it takes, as Go's RFC3339Nano prints them."""
CLASS_NS = np.array([NS_PER_S, 1_000_000, 1000, 1], np.int64)
"""Unit of a stored distance by its class: seconds, ms, us, ns."""
ISO_TIME = r"^([0-9]{4})-([0-9]{2})-([0-9]{2})([ T])([0-9]{2}):([0-9]{2}):([0-9]{2})(?:([.,])([0-9]{1,9}))?$"
CLF_TIME = r"^([0-9]{2})/([A-Z][a-z]{2})/([0-9]{4}):([0-9]{2}):([0-9]{2}):([0-9]{2})$"
CLOCK_TIME = r"^([0-9]{2}):([0-9]{2}):([0-9]{2})(?:([.,])([0-9]{1,9}))?$"


@dataclass(frozen=True, slots=True)
class Times:
    """Per distinct token: layout (0: no time), and nanoseconds since 1970 (CLOCK: since midnight)."""

    layout: Ints
    nanos: Ints


def layout_number(style: int, middle: int, mark: int, digits: int) -> int:
    """One number for a layout: style, `T` or space, decimal sign (0 none, 1 point, 2 comma) and count of decimals."""
    return ((style * 2 + middle) * 3 + mark) * 16 + digits


def spec(layout: int, text: int, decimals: int) -> str:
    """The format string of a layout, with the numbers of the arguments for the text to the second and for the decimals."""
    mark, digits = layout // 16 % 3, layout % 16
    precision = "" if digits == TRIMMED else f":.{digits}"
    return f"{{{text}}}" + (f"{' .,'[mark]}{{{decimals}{precision}}}" if digits else "")


def grouped(layout: Ints) -> Ints:
    """Layouts with 7 and 8 decimals counted to those with 9: lines that differ in nothing else are one group."""
    digits = layout % 16
    result: Ints = np.where((digits >= 7) & (digits <= 9), layout - digits + 9, layout)
    return result


def one_layout(layout: Ints, nanos: Ints) -> int:
    """The layout that prints all of these times of one group; 0 when none does."""
    first = int(layout[0])
    if (layout == first).all():
        return first
    if first and (grouped(layout) == grouped(layout[:1])).all() and (trailing_zeros(nanos) == 9 - layout % 16).all():
        return first - first % 16 + TRIMMED
    return 0


def trailing_zeros(nanos: Ints) -> Ints:
    """Zeros at the end of the 9 decimals, up to 3."""
    result: Ints = (nanos % 10 == 0).astype(np.int64) + (nanos % 100 == 0) + (nanos % 1000 == 0)
    return result


def read_times(tokens: pl.Series) -> Times:
    """Recognise the tokens that are times, of years 1970 to 2199, that print again as they are."""
    layout, nanos = np.zeros(len(tokens), np.int64), np.zeros(len(tokens), np.int64)
    sized = tokens.str.len_bytes().to_numpy()
    for style, pattern, shortest in ((ISO, ISO_TIME, 19), (CLF, CLF_TIME, 20), (CLOCK, CLOCK_TIME, 8)):
        at = np.flatnonzero((sized >= shortest) & tokens.str.contains(pattern).to_numpy())
        if len(at):
            valid, layouts, values = _READERS[style](tokens.gather(at))
            layout[at[valid]], nanos[at[valid]] = layouts[valid], values[valid]
    return Times(layout, nanos)


def _read_iso(tokens: pl.Series) -> tuple[Flags, Ints, Ints]:
    chars = _chars(tokens, 19)
    year, month, day = (_number(chars, a, b) for a, b in ((0, 4), (5, 7), (8, 10)))
    ok, seconds = _seconds(year, month, day)
    ok_clock, clock = _clock(chars, 11)
    mark, digits, fraction = _fraction(tokens, 19)
    layouts = ((ISO * 2 + (chars[:, 10] == ord("T"))) * 3 + mark) * 16 + digits
    return ok & ok_clock, layouts, (seconds + clock) * NS_PER_S + fraction


def _read_clf(tokens: pl.Series) -> tuple[Flags, Ints, Ints]:
    chars = _chars(tokens, 20)
    names = tokens.str.slice(3, 3)
    month = names.replace_strict(MONTHS, range(1, 13), default=0, return_dtype=pl.Int64).to_numpy()
    ok, seconds = _seconds(_number(chars, 7, 11), month, _number(chars, 0, 2))
    ok_clock, clock = _clock(chars, 12)
    return ok & ok_clock, np.full(len(tokens), layout_number(CLF, 0, 0, 0)), (seconds + clock) * NS_PER_S


def _read_clock(tokens: pl.Series) -> tuple[Flags, Ints, Ints]:
    ok, clock = _clock(_chars(tokens, 8), 0)
    mark, digits, fraction = _fraction(tokens, 8)
    return ok, (CLOCK * 6 + mark) * 16 + digits, clock * NS_PER_S + fraction


_READERS = {ISO: _read_iso, CLF: _read_clf, CLOCK: _read_clock}


def _chars(tokens: pl.Series, width: int) -> Ints:
    """The first `width` characters as numbers, one row per token."""
    array = np.asarray(tokens.str.slice(0, width).to_list(), dtype=f"S{width}")
    return array.view(np.uint8).reshape(len(tokens), width).astype(np.int64)


def _number(chars: Ints, start: int, end: int) -> Ints:
    value = np.zeros(len(chars), np.int64)
    for column in range(start, end):
        value = value * 10 + chars[:, column] - ord("0")
    return value


def _clock(chars: Ints, start: int) -> tuple[Flags, Ints]:
    hour, minute, second = (_number(chars, start + at, start + at + 2) for at in (0, 3, 6))
    return (hour < 24) & (minute < 60) & (second < 60), (hour * 60 + minute) * 60 + second


def _fraction(tokens: pl.Series, start: int) -> tuple[Ints, Ints, Ints]:
    """Decimal sign, count of decimals, and nanoseconds of the text after `start`."""
    sign = tokens.str.slice(start, 1).replace_strict([".", ","], [1, 2], default=0, return_dtype=pl.Int64).to_numpy()
    digits = np.maximum(tokens.str.len_bytes().cast(pl.Int64).to_numpy() - start - 1, 0)
    nanos = tokens.str.slice(start + 1).str.pad_end(9, "0").cast(pl.Int64).to_numpy()
    return sign, digits, nanos


def _seconds(year: Ints, month: Ints, day: Ints) -> tuple[Flags, Ints]:
    """Whether a date of the years 1970 to 2199 exists, and its seconds since 1970."""
    ok = (year >= 1970) & (year < 2200) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    months = np.where(ok, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + np.where(ok, day - 1, 0)
    return ok & (days.astype("datetime64[M]") == months), days.astype(np.int64) * 86_400


def packed(layout: int, nanos: Ints, row_nanos: Ints) -> Ints | None:
    """The stored number of each time of one layout; None when it does not fit.

    32 times its distance to the row's time (ns since 1970, not negative) in units of its precision, plus 16 where decimals are trimmed,
    plus 4 times the class of the unit, plus the number of its form."""
    style, digits = layout // 96, layout % 16
    kind = min(-(-digits // 3), 3)
    unit = CLASS_NS[kind]
    if style == CLOCK:
        midnight = row_nanos - row_nanos % DAY_NS
        nanos = nanos + midnight
        nanos = nanos + DAY_NS * ((row_nanos - nanos > DAY_NS // 2).astype(np.int64) - (nanos - row_nanos > DAY_NS // 2))
    if np.any(nanos < 0) or np.any(row_nanos < 0):
        return None
    distance = nanos // unit - row_nanos // unit
    if np.any(np.abs(distance) >= 2**57):
        return None
    form = {ISO: layout // 48 % 2, CLF: 2, CLOCK: 3}[style]
    result: Ints = distance * 32 + (16 * (digits == TRIMMED) + 4 * kind + form)
    return result
