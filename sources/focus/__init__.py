"""Bills: FOCUS 1.0 to 1.4 and AWS Cost and Usage Reports onto raw.costs, issue by issue."""

from __future__ import annotations

from sources.focus.units import units

__all__ = ["units"]
