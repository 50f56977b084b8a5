"""Units of measure: what a source writes (UCUM, Prometheus words, CloudWatch words) brought to UCUM base units.

Only the meaning of unit texts belongs here; the readers multiply their values by the scale."""

from __future__ import annotations

import re
from functools import lru_cache

BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50}
LARGE = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
SMALL = {"m": 1e-3, "u": 1e-6, "n": 1e-9}

UCUM: dict[str, tuple[str, float]] = {
    **{base: (base, 1.0) for base in ("s", "By", "1", "Cel", "W", "J", "Hz", "V", "A", "m", "g", "K", "%")},
    **{prefix + "s": ("s", scale) for prefix, scale in SMALL.items()},
    "µs": ("s", 1e-6),
    "μs": ("s", 1e-6),
    "min": ("s", 60.0),
    "h": ("s", 3600.0),
    "d": ("s", 86400.0),
    "wk": ("s", 604800.0),
    **{prefix + "By": ("By", scale) for prefix, scale in (LARGE | BINARY).items()},
    **{prefix + "B": ("By", scale) for prefix, scale in (LARGE | BINARY).items()},
    "bit": ("By", 0.125),
    **{prefix + "bit": ("By", 0.125 * scale) for prefix, scale in (LARGE | BINARY).items()},
    **{p + unit: (unit, scale) for unit in ("W", "J", "Hz", "V", "A") for p, scale in (LARGE | SMALL).items()},
    "Wh": ("J", 3600.0),
    "kWh": ("J", 3.6e6),
    "km": ("m", 1e3),
    "cm": ("m", 1e-2),
    "mm": ("m", 1e-3),
    "kg": ("g", 1e3),
    "mg": ("g", 1e-3),
}

WORDS: dict[str, tuple[str, float]] = {
    "seconds": ("s", 1.0),
    "milliseconds": ("s", 1e-3),
    "microseconds": ("s", 1e-6),
    "nanoseconds": ("s", 1e-9),
    "minutes": ("s", 60.0),
    "hours": ("s", 3600.0),
    "days": ("s", 86400.0),
    "bytes": ("By", 1.0),
    "kilobytes": ("By", 1e3),
    "megabytes": ("By", 1e6),
    "gigabytes": ("By", 1e9),
    "terabytes": ("By", 1e12),
    "kibibytes": ("By", 2.0**10),
    "mebibytes": ("By", 2.0**20),
    "gibibytes": ("By", 2.0**30),
    "tebibytes": ("By", 2.0**40),
    "bits": ("By", 0.125),
    "ratio": ("1", 1.0),
    "count": ("1", 1.0),
    "percent": ("%", 1.0),
    "celsius": ("Cel", 1.0),
    "kelvin": ("K", 1.0),
    "watts": ("W", 1.0),
    "joules": ("J", 1.0),
    "hertz": ("Hz", 1.0),
    "volts": ("V", 1.0),
    "amperes": ("A", 1.0),
    "meters": ("m", 1.0),
    "grams": ("g", 1.0),
}
WORDS |= {word[:-1]: meaning for word, meaning in WORDS.items() if word.endswith("s")}
ABSENT = frozenset(("", "none", "unknown"))
ANNOTATION = re.compile(r"\{[^{}]*\}")


@lru_cache(maxsize=4096)
def base_unit(unit: str | None) -> tuple[str | None, float]:
    """The UCUM base unit of `unit` and the factor that brings a value to it: `base_unit("ms") == ("s", 0.001)`.

    Annotations count as 1 (`{request}/s` is `1/s`), as UCUM has it; quotients become quotients of bases (`MiBy/min`).
    Percent stays percent. None for no unit; an unknown one comes back as it is with factor 1 (the contract warns)."""
    text = (unit or "").strip()
    if text.lower() in ABSENT:
        return None, 1.0
    above, slash, below = text.partition("/")
    found = _term(above)
    if found is None:
        return text, 1.0
    if not slash:
        return found
    per = _term(below)
    if per is None:
        return text, 1.0
    base = found[0] if per[0] == "1" else f"{found[0]}/{per[0]}"
    return ("1" if found[0] == per[0] else base), _quotient(found[1], per[1])


def _quotient(above: float, below: float) -> float:
    """Small scales are inexact reciprocals: 1/0.001 is computed as 1000, not as 1000.0000000000001."""
    return above * round(1.0 / below) if below < 1.0 else above / below


def _term(text: str) -> tuple[str, float] | None:
    """One factor of a unit; None when it is not known."""
    bare = ANNOTATION.sub("", text).strip()
    if not bare:
        return "1", 1.0
    return UCUM.get(bare) or WORDS.get(bare.lower())
