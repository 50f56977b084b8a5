"""Names of columns as bills write them: `lineItem/UnblendedCost` and `line_item_unblended_cost` are one."""

from __future__ import annotations

import re

NEITHER = re.compile(r"[^a-z0-9]")


def normalised(name: str) -> str:
    """A column's name without letter case and punctuation."""
    return NEITHER.sub("", name.lower())
