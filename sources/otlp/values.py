"""Scalars of OTLP as columns hold them: AnyValue as text, ids as hex, times as checked nanoseconds, enumerations as numbers.

Shared by the JSON and the protobuf side, so that both give the same rows. Knows no message and no table."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

import orjson

MAX_NS = 2**63 - 1
MAX_U64 = 2**64 - 1
TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8


class RowError(ValueError):
    """An element that cannot become a row; its text is the reason it is quarantined with."""


def as_text(value: Any) -> str:
    """A plain value as OpenTelemetry writes an AnyValue where only text fits (specification, common, "AnyValue representation for
    non-OTLP protocols"): text as it is, bytes as base64, everything else as JSON; no value is the empty text."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(_number(value))
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    try:
        return orjson.dumps(_jsonable(value)).decode()
    except TypeError as error:
        raise RowError(f"a value cannot be written as JSON: {error}") from None


def _number(value: float) -> float | str:
    """NaN and the infinities have no JSON number: they are the texts that protobuf's JSON mapping gives them."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _jsonable(value: Any) -> Any:
    if isinstance(value, list):
        return [_jsonable(v) for v in value]
    if isinstance(value, dict):
        return {k: _jsonable(v) for k, v in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return _number(value) if isinstance(value, float) else value


def hex_id(raw: str | bytes | None, size: int) -> str:
    """A trace or span id of `size` bytes as lower-case hex, from bytes, hex or base64; empty for none and for all zeros.

    Text that is neither comes back as it is: other ids are kept as the source writes them."""
    if not raw:
        return ""
    if isinstance(raw, str):
        raw = _id_bytes(raw, size)
    if isinstance(raw, str):
        return raw
    return raw.hex() if any(raw) else ""


def _id_bytes(raw: str, size: int) -> bytes | str:
    """The bytes of an id; base64 of 8 and 16 bytes is always padded, which tells it from hex of another length."""
    found: bytes | str = raw
    if len(raw) == 2 * size:
        try:
            found = bytes.fromhex(raw)
        except ValueError:
            return raw
    elif raw.endswith("="):
        found = base64_bytes(raw)
    return found if len(found) == size else raw


def base64_bytes(raw: str) -> bytes | str:
    """The bytes behind base64 text (URL-safe and unpadded too); other text comes back as it is."""
    try:
        padded = raw.replace("-", "+").replace("_", "/") + "=" * (-len(raw) % 4)
        return base64.b64decode(padded, validate=True)
    except (ValueError, binascii.Error):
        return raw


def nanoseconds(raw: Any, what: str = "time") -> int:
    """A time in ns since 1970 from an integer or its text. Raises RowError when it is missing, zero, no integer or beyond int64."""
    if raw is None or raw == "" or raw == 0:
        raise RowError(f"{what} is missing")
    try:
        found = int(raw)
    except (TypeError, ValueError, OverflowError):
        raise RowError(f"{what} is not an integer") from None
    if found == 0:
        raise RowError(f"{what} is missing")
    if not 0 < found <= MAX_NS:
        raise RowError(f"{what} is beyond the range of timestamps: {found}")
    return found


def optional_nanoseconds(raw: Any, what: str) -> int | None:
    """As `nanoseconds`, but a time that is missing or zero is None."""
    return None if raw in (None, "", 0, "0") else nanoseconds(raw, what)


def number(raw: Any, what: str = "value") -> float:
    """A double from a number or its text (NaN, Infinity, -Infinity). Integers over 2^53 become the nearest double."""
    if raw is None:
        raise RowError(f"{what} is missing")
    try:
        return float(raw)
    except (TypeError, ValueError, OverflowError):
        raise RowError(f"{what} is not a number") from None


def optional_number(raw: Any, what: str) -> float | None:
    """As `number`, but None stays None."""
    return None if raw is None else number(raw, what)


def integer(raw: Any, what: str, low: int, high: int) -> int:
    """An integer within [low, high] from a number or its text; None is 0, protobuf's default."""
    try:
        found = int(raw or 0)
    except (TypeError, ValueError, OverflowError):
        raise RowError(f"{what} is not an integer") from None
    if not low <= found <= high:
        raise RowError(f"{what} is out of range: {found}")
    return found


def counts(raw: Any, what: str) -> list[int]:
    """Bucket counts: unsigned 64-bit integers from numbers or texts; None is an empty list."""
    return [integer(c, what, 0, MAX_U64) for c in _list(raw, what)]


def numbers(raw: Any, what: str) -> list[float]:
    """Doubles from numbers or texts; None is an empty list."""
    return [number(n, what) for n in _list(raw, what)]


def _list(raw: Any, what: str) -> Any:
    if raw is None:
        return ()
    if isinstance(raw, (str, bytes, dict)) or not hasattr(raw, "__iter__"):
        raise RowError(f"{what} is not a list")
    return raw


def enumeration(raw: Any, names: Mapping[str, int], prefix: str) -> int:
    """An enumeration as its number, from the number, its text, or its name with or without the prefix; -1 when it is not known."""
    if raw is None:
        return 0
    if isinstance(raw, str) and not raw.lstrip("-").isdigit():
        return names.get(raw.upper().removeprefix(prefix), -1)
    return integer(raw, prefix.rstrip("_").lower(), -(2**31), 2**31 - 1)
