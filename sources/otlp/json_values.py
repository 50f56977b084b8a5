"""Objects, lists, texts and AnyValues of OTLP/JSON, checked: every other shape raises RowError with what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sources.otlp.values import RowError, as_text, base64_bytes, integer, number

Json = dict[str, Any]


def camel(raw: Any, what: str) -> Json:
    """An object with lowerCamelCase keys. Raises RowError when it is none."""
    if not isinstance(raw, dict):
        raise RowError(f"{what} is not an object")
    if "_" not in "".join(raw):
        return raw
    return {_camel_key(key): value for key, value in raw.items()}


def _camel_key(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(part.capitalize() for part in rest)


def items(raw: Any, what: str) -> list[Any]:
    """A list; None is an empty one. Raises RowError when it is something else."""
    if raw is None:
        return []
    if not isinstance(raw, list):
        raise RowError(f"{what} is not a list")
    return raw


def attributes(raw: Any) -> dict[str, str]:
    """Attributes as texts; of equal keys the last one counts. Raises RowError when they are not pairs of a key and a value."""
    found = {}
    for pair in items(raw, "attributes"):
        try:
            key, value = pair.get("key"), pair.get("value")
        except AttributeError:
            raise RowError("an attribute is not a pair of a key and a value") from None
        found[text(key) or ""] = as_text(plain(value))
    return found


def plain(value: Any) -> Any:
    """An AnyValue as a plain value (bytes for bytesValue)."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise RowError("a value is not an AnyValue object")
    for name, raw in value.items():
        if raw is None:
            continue
        if name in ("stringValue", "string_value"):
            return text(raw)
        convert = VALUES.get(name)
        if convert:
            return convert(raw)
    return None


def _flag(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise RowError("boolValue is not a boolean")
    return raw


def _array(raw: Any) -> list[Any]:
    return [plain(v) for v in items(camel(raw, "arrayValue").get("values"), "values")]


def _pairs(raw: Any) -> Json:
    pairs = [camel(p, "a pair") for p in items(camel(raw, "kvlistValue").get("values"), "values")]
    return {str(p.get("key") or ""): plain(p.get("value")) for p in pairs}


VALUES: dict[str, Callable[[Any], Any]] = {
    name: convert
    for camel_name, snake_name, convert in (
        ("boolValue", "bool_value", _flag),
        ("intValue", "int_value", lambda raw: integer(raw, "intValue", -(2**63), 2**63 - 1)),
        ("doubleValue", "double_value", lambda raw: number(raw, "doubleValue")),
        ("bytesValue", "bytes_value", lambda raw: base64_bytes(text(raw) or "")),
        ("arrayValue", "array_value", _array),
        ("kvlistValue", "kvlist_value", _pairs),
    )
    for name in (camel_name, snake_name)
}


def text(raw: Any) -> str | None:
    """A text or None. Raises RowError when it is something else."""
    if raw is None or isinstance(raw, str):
        return raw
    raise RowError("a text is not a text")
