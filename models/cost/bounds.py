"""Bounds of the typed settings of cost models, checked in one way."""

from __future__ import annotations

from collections.abc import Mapping


def check_bounds(settings: object, bounds: Mapping[str, tuple[float, float]]) -> None:
    """Raises ValueError that names the first setting outside its closed bounds."""
    for name, (low, high) in bounds.items():
        value = float(getattr(settings, name))
        if not low <= value <= high:
            raise ValueError(f"{type(settings).__name__}.{name} is {value:g}; it must lie from {low:g} to {high:g}")
