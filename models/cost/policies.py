"""Right-sizing policies: typed settings with bounds, and one `run` that turns clean samples into a demand.

A new way to judge demand is a new frozen dataclass here. What follows from a demand (headroom, steps, growth, when to
say nothing) is the same for all and lives in `rightsizing`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import polars as pl

from models.cost.bounds import check_bounds
from models.cost.samples import daily_peaks

STEPS: Final[Mapping[str, float]] = MappingProxyType({"cpu": 0.25, "memory": float(2**28), "disk": float(2**30), "pool": 1.0})
"""Sizes that can be bought, by resource kind, in base units: cores, bytes, bytes, connections."""

HARD_KINDS: Final = frozenset({"memory", "disk", "pool"})
"""Kinds where too little breaks instead of slowing down: demand is never taken below the highest use seen."""


@dataclass(frozen=True, kw_only=True)
class RightsizePolicy(ABC):
    """Settings of every policy.

    headroom: share added on top of the demand. min_days: shortest history that is answered, days.
    full_confidence_days: history that counts in full, days. review_days: growth is covered until the next review, days.
    saturated_at: share of the allocation from which demand counts as cut off by it, so that only growing is safe.
    min_change: smaller relative cuts are not worth a restart and a review (sizes for sale mostly double), and leave the
    allocation alone.
    steps: smallest buyable unit by resource kind, in the unit of `allocated`; a step above the allocation is ignored.
    hard_kinds: kinds whose demand is at least the highest use seen.
    """

    headroom: float = 0.15
    min_days: float = 7.0
    full_confidence_days: float = 14.0
    review_days: float = 30.0
    saturated_at: float = 0.95
    min_change: float = 0.2
    steps: Mapping[str, float] = field(default_factory=lambda: STEPS)
    hard_kinds: frozenset[str] = HARD_KINDS

    def __post_init__(self) -> None:
        """Raises ValueError for a setting out of its bounds."""
        check_bounds(
            self,
            {
                "headroom": (0.0, 10.0),
                "min_days": (0.0, 3650.0),
                "full_confidence_days": (1.0, 3650.0),
                "review_days": (0.0, 365.0),
                "saturated_at": (0.5, 1.0),
                "min_change": (0.0, 0.5),
            },
        )
        wrong = {kind: step for kind, step in self.steps.items() if not (math.isfinite(step) and step > 0)}
        if wrong:
            raise ValueError(f"steps must be above zero, but are {wrong}")

    @property
    @abstractmethod
    def name(self) -> str:
        """The policy with its settings in short, as the result's column `policy` shows it."""

    @abstractmethod
    def run(self, samples: pl.DataFrame) -> pl.DataFrame:
        """resource_id, demand (unit of `used`) from clean samples: resource_id, time, used, day."""


@dataclass(frozen=True, kw_only=True)
class Peak(RightsizePolicy):
    """The highest use seen."""

    @property
    def name(self) -> str:
        """`peak` and the headroom in percent."""
        return f"peak+{self.headroom:.0%}"

    def run(self, samples: pl.DataFrame) -> pl.DataFrame:
        """The maximum of each resource."""
        return samples.group_by("resource_id", maintain_order=True).agg(demand=pl.col("used").max())


@dataclass(frozen=True, kw_only=True)
class Percentile(RightsizePolicy):
    """A percentile of all samples, as robusta KRR takes for CPU (95 there by default)."""

    percentile: float = 99.0

    def __post_init__(self) -> None:
        """Raises ValueError for a setting out of its bounds."""
        super().__post_init__()
        check_bounds(self, {"percentile": (50.0, 100.0)})

    @property
    def name(self) -> str:
        """`p`, the percentile and the headroom in percent."""
        return f"p{self.percentile:g}+{self.headroom:.0%}"

    def run(self, samples: pl.DataFrame) -> pl.DataFrame:
        """The percentile of each resource, linear between samples."""
        at = pl.col("used").quantile(self.percentile / 100, interpolation="linear")
        return samples.group_by("resource_id", maintain_order=True).agg(demand=at)


@dataclass(frozen=True, kw_only=True)
class ReturnLevel(RightsizePolicy):
    """The use that a day's peak exceeds once in `period_days`: extreme values instead of the luck of one maximum.

    Gumbel distribution of the daily peaks, fitted by moments (Coles, An Introduction to Statistical Modeling of Extreme
    Values, 2001, sections 3.1.3 and 3.4): level = mean + (sd * sqrt(6) / pi) * (-ln(-ln(1 - 1 / period)) - 0.5772).
    """

    headroom: float = 0.05
    period_days: float = 60.0

    def __post_init__(self) -> None:
        """Raises ValueError for a setting out of its bounds."""
        super().__post_init__()
        check_bounds(self, {"period_days": (2.0, 3650.0)})

    @property
    def name(self) -> str:
        """`return`, the period in days and the headroom in percent."""
        return f"return{self.period_days:g}d+{self.headroom:.0%}"

    def run(self, samples: pl.DataFrame) -> pl.DataFrame:
        """The return level of each resource; its mean peak where there is one day only."""
        euler = 0.5772156649015329
        reduced = -math.log(-math.log1p(-1 / self.period_days)) - euler
        peak = pl.col("peak")
        level = peak.mean() + peak.std().fill_null(0.0) * (math.sqrt(6) / math.pi * reduced)
        return daily_peaks(samples).group_by("resource_id", maintain_order=True).agg(demand=level)


POLICIES: Final[Mapping[str, RightsizePolicy]] = MappingProxyType(
    {
        "peak": Peak(),
        "p99": Percentile(percentile=99.0),
        "p95": Percentile(percentile=95.0),
        "return_level": ReturnLevel(),
    }
)
"""Ready policies by the name that a configuration may use."""


def policy_of(policy: RightsizePolicy | str) -> RightsizePolicy:
    """The policy itself, or the one of `POLICIES` with that name. Raises ValueError for an unknown name."""
    if isinstance(policy, RightsizePolicy):
        return policy
    if policy not in POLICIES:
        raise ValueError(f"no right-sizing policy {policy!r}; choose one of {sorted(POLICIES)} or pass a RightsizePolicy")
    return POLICIES[policy]
