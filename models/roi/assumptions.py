"""What is assumed for an input that nobody measured or configured: wide, cautious, and labelled as a guess.

A report that uses any of these says so first; a configured value always replaces them.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from models.roi.inputs import COLUMNS
from models.series import ensure_columns

_SOURCE: Final = "cautious guess for a team of ten; set it under [roi.inputs]"

ASSUMPTIONS: Final[dict[str, tuple[float, float, float]]] = {
    "platform_cost_per_year": (10_000, 30_000, 60_000),
    "setup_cost": (5_000, 15_000, 40_000),
    "incidents_per_year": (6, 18, 40),
    "mttr_hours": (0.5, 1.5, 4),
    "incident_reduction_share": (0.0, 0.05, 0.15),
    "mttr_reduction_share": (0.0, 0.10, 0.30),
    "downtime_cost_per_hour": (500, 3_000, 15_000),
    "engineers": (5, 10, 15),
    "hours_saved_per_engineer_per_year": (0, 15, 40),
    "hourly_rate": (50, 75, 110),
    "savings_found_per_year": (0, 5_000, 25_000),
    "savings_realised_share": (0.2, 0.5, 0.8),
    "discount_rate": (0.06, 0.08, 0.12),
    "horizon_years": (3, 3, 3),
    "ramp_months": (3, 6, 12),
}
"""Low, mode and high of each input."""


def with_assumptions(known: pl.DataFrame) -> pl.DataFrame:
    """The known inputs, and for every input that has no row an assumed one (PERT; the horizon fixed).

    known: name, low, mode, high, distribution, provenance, source. Rows whose values are null stay as they are, so that
    what could not be measured is not replaced by a guess in silence. Raises ValueError for missing columns.
    """
    frame = ensure_columns(known, COLUMNS).select(list(COLUMNS))
    names = set(frame["name"])
    rows = [
        {
            "name": name,
            "low": low,
            "mode": mode,
            "high": high,
            "distribution": "fixed" if low == high else "pert",
            "provenance": "assumed",
            "source": _SOURCE,
        }
        for name, (low, mode, high) in ASSUMPTIONS.items()
        if name not in names
    ]
    return pl.concat([frame, pl.DataFrame(rows, schema=COLUMNS)])
