"""Byte counts as people read them; `warehouse.sizes` reads them as people write them."""

from __future__ import annotations


def size(count: int) -> str:
    """Bytes as `1.5 MiB`."""
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:,.0f} {unit}" if unit == "B" or value >= 100 else f"{value:,.1f} {unit}"
