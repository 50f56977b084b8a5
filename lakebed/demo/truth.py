"""What really happened in the simulated company, for judging the analyses after they have spoken.

`truth.json` holds it beside the inputs. Nothing that loads or analyses data may read it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import orjson

DAYS_PER_MONTH = 30


@dataclass(frozen=True)
class Saturation:
    """A resource that runs full: `crosses` is when its noise-free use first reaches `limit` (in `unit`)."""

    resource_id: str
    kind: str
    name: str
    service: str
    limit: float
    unit: str
    used_at_end: float
    crosses: datetime
    days_after_end: float


@dataclass(frozen=True)
class DeployTruth:
    """A deploy that changed latency: `relative_latency_change` of the service's median, as `after / before - 1`."""

    change_id: str
    service: str
    time: datetime
    relative_latency_change: float


@dataclass(frozen=True)
class IncidentTruth:
    """An incident; `start_recorded`: PagerDuty's export says when it started. MTTA and MTTR count from `opened`."""

    incident_id: str
    service: str
    title: str
    started: datetime
    opened: datetime
    acknowledged: datetime
    resolved: datetime
    start_recorded: bool


@dataclass(frozen=True)
class IncidentMeans:
    """Means in seconds over `count` incidents; `mttd_s` over the `mttd_count` whose start PagerDuty has."""

    count: int
    mttd_s: float | None
    mttd_count: int
    mttd_all_s: float
    mtta_s: float
    mttr_s: float


@dataclass(frozen=True)
class IdleTruth:
    """A resource that nobody uses, and its price for 30 days in USD."""

    resource_id: str
    name: str
    service: str
    kind: str
    saving_per_month: str


@dataclass(frozen=True)
class OversizedTruth:
    """A machine with far too many cores: `needed` is its noise-free peak and a fifth; saving in USD for 30 days."""

    resource_id: str
    name: str
    service: str
    kind: str
    allocated: float
    needed: float
    saving_per_month: str


@dataclass(frozen=True)
class CommitmentTruth:
    """A commitment that is not used up. Amounts in USD as decimal text: over the window, and unused for 30 days."""

    commitment_id: str
    committed: str
    used: str
    unused: str
    utilisation: float
    unused_per_month: str


@dataclass(frozen=True)
class CostTotals:
    """Exact sums in USD as decimal text, after the re-issued period has replaced the first issue."""

    billed: str
    effective: str
    listed: str


@dataclass(frozen=True)
class CostAnomalyTruth:
    """A day on which a service's data transfer cost `factor` times the usual."""

    service: str
    day: date
    factor: float


@dataclass(frozen=True)
class Truth:
    """All of it. `running_out`: every resource/kind that fills up within 120 days, without noise; `counts` are what the files hold:
    samples, histogram points, spans, log records by kind, rows."""

    seed: int
    first_day: date
    last_day: date
    scale: float
    services: tuple[str, ...]
    holidays: tuple[date, ...]
    saturations: tuple[Saturation, ...]
    running_out: tuple[str, ...]
    deploys: tuple[DeployTruth, ...]
    incidents: tuple[IncidentTruth, ...]
    incident_means: IncidentMeans
    incident_means_by_month: dict[str, IncidentMeans]
    idle: tuple[IdleTruth, ...]
    oversized: tuple[OversizedTruth, ...]
    well_used: tuple[str, ...]
    commitment: CommitmentTruth
    costs: CostTotals
    costs_by_period: dict[str, CostTotals]
    reissued_period: str
    cost_anomalies: tuple[CostAnomalyTruth, ...]
    counts: dict[str, int]

    def write(self, file: Path) -> None:
        """Write as indented JSON."""
        file.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))


def read_truth(file: Path) -> dict[str, Any]:
    """`truth.json` as plain JSON values: times as ISO 8601 text, money as decimal text."""
    document: dict[str, Any] = orjson.loads(file.read_bytes())
    return document
