"""Figures and names as people read them: units, durations, dates, and untrusted text made harmless to look at.

Every function takes None for "unknown" and answers with a dash.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

DASH: Final = "–"
NBSP: Final = "\u00a0"
_NO_WIDTH: Final = "\u200b"
_MINUS: Final = "−"
_DECIMAL: Final = ("", "k", "M", "G", "T")
_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_LONGEST: Final = 80
_CURRENCY: Final = re.compile("[A-Z]{3}")


def label(text: object, *, longest: int = _LONGEST) -> str:
    """Untrusted text on one line: control and direction characters become spaces, what is too long loses its middle."""
    if text is None:
        return DASH
    visible = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in str(text)[: 8 * _LONGEST])
    line = " ".join(visible.split())
    if len(line) <= longest:
        return line or DASH
    head = longest // 2
    return f"{line[: head - 1]}…{line[len(line) - (longest - head) :]}"


def labels(texts: Iterable[object], *, longest: int) -> list[str]:
    """Labels that tell different texts apart: one that would be like an earlier one of another text gets a number. A text that comes again
    looks the same, but is not: marks without width follow it."""
    taken: dict[str, object] = {}
    found: list[str] = []
    for text in texts:
        name, number = label(text, longest=longest), 1
        while taken.setdefault(name, text) != text:
            number += 1
            name = f"{label(text, longest=longest - len(str(number)) - 3)} ({number})"
        found.append(name)
    return [f"{name}{_NO_WIDTH * found[:i].count(name)}" for i, name in enumerate(found)]


def number(value: float | None, digits: int = 3) -> str:
    """A number with thousands separators and about `digits` significant digits, never fewer than its whole part."""
    if value is None or not math.isfinite(value):
        return DASH
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    decimals = min(6, max(0, digits - 1 - magnitude))
    text = f"{abs(value):,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return (_MINUS if value < 0 and text != "0" else "") + text


def money(value: float | None, currency: str | None) -> str:
    """Currency code and amount: whole units from 100 up, cents below."""
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{abs(value):,.0f}" if abs(value) >= 99.995 else f"{abs(value):,.2f}"
    sign = _MINUS if value < 0 and text.strip("0.,") else ""
    return f"{sign}{label(currency, longest=8)}{NBSP}{text}" if currency else f"{sign}{text}"


def estimate(value: float | None, currency: str | None) -> str:
    """A simulated amount: three significant digits, so that it does not look better known than it is."""
    if value is None or not math.isfinite(value) or value == 0:
        return money(value, currency)
    return money(float(f"{value:.3g}"), currency)


def percent(value: float | None, *, signed: bool = False) -> str:
    """A share as percent: one decimal under 10%, none above."""
    if value is None or not math.isfinite(value):
        return DASH
    shown = abs(100 * value)
    text = f"{shown:.1f}" if 0 < shown < 9.95 else f"{shown:,.0f}"
    sign = _MINUS if value < 0 and text.strip("0.") else "+" if signed and value > 0 else ""
    return f"{sign}{text}%"


def quantity(value: float | None, unit: str | None) -> str:
    """A value with its UCUM unit in words: bytes in binary multiples, hertz in decimal ones, seconds as a duration, a ratio as it is."""
    if value is None or not math.isfinite(value):
        return DASH
    if unit in ("By", "Hz"):
        divisor, name = scale(value, unit)
        return f"{number(value / divisor)}{NBSP}{name}"
    if unit == "s":
        return duration(value)
    if unit is not None and _CURRENCY.fullmatch(unit):
        return money(value, unit)
    shown = unit_name(unit, many=abs(value) != 1)
    return f"{number(value)}{NBSP}{shown}" if shown else number(value)


def scale(value: float, unit: str | None) -> tuple[float, str]:
    """Divisor and name of the multiple of a unit that suits the value; only bytes and hertz have multiples."""
    if unit == "By":
        steps = min(len(_BINARY) - 1, int(math.log2(abs(value)) // 10)) if abs(value) >= 1 else 0
        return float(1024**steps), _BINARY[steps]
    if unit == "Hz":
        steps = min(len(_DECIMAL) - 1, int(math.log10(abs(value)) // 3)) if abs(value) >= 1 else 0
        return float(1000**steps), f"{_DECIMAL[steps]}Hz"
    return 1.0, unit_name(unit)


def unit_name(unit: str | None, *, many: bool = False) -> str:
    """The unit's name, nothing for a plain number; what UCUM puts in braces is a word and gets its plural."""
    if unit in (None, "", "1"):
        return ""
    text = label(unit, longest=20)
    word = text.strip("{}")
    return word + "s" if many and text.startswith("{") and not word.endswith("s") else word


def duration(seconds: float | None) -> str:
    """Seconds as the two largest of d, h, min, s."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    left = abs(seconds)
    if left < 60:
        return f"{number(seconds)}{NBSP}s"
    sign = _MINUS if seconds < 0 else ""
    minutes = round(left / 60)
    if minutes < 60:
        return f"{sign}{minutes}{NBSP}min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{sign}{hours}{NBSP}h{NBSP}{minutes:02d}{NBSP}min"
    return f"{sign}{hours // 24}{NBSP}d{NBSP}{hours % 24}{NBSP}h"


def day(value: date | datetime | None) -> str:
    """23 Nov 2026."""
    return DASH if value is None else f"{value.day}{NBSP}{value:%b}{NBSP}{value:%Y}"


def instant(value: datetime | None) -> str:
    """23 Nov 2026, 14:05 UTC."""
    return DASH if value is None else f"{day(value)}, {value:%H:%M}{NBSP}UTC"


def count(value: int | None, one: str, many: str | None = None) -> str:
    """1 incident, 2 incidents."""
    return DASH if value is None else f"{value:,} {one if value == 1 else many or one + 's'}"
