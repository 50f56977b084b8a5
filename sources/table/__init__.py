"""Tables of any shape (CSV, Parquet, NDJSON) onto the raw contracts, by the column mapping of the configuration."""

from __future__ import annotations

from sources.table.units import units

__all__ = ["units"]
