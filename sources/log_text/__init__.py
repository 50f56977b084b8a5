"""Text logs: lines to entries, entries to raw.logs, by a named pattern or a regular expression with named groups."""

from __future__ import annotations

from sources.log_text.units import units

__all__ = ["units"]
