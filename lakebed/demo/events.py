"""What happens to the simulated company: holidays, deploys, incidents, restarts and one surprise on the bill.

Only dates, durations and strengths are decided here; `behaviour` turns them into load, latency and errors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np

from lakebed.demo.company import SERVICES, Company
from lakebed.demo.timeline import DAY_S, Window, epoch, moment, stream

DEPLOYED_SLOWER = ("catalog", "inventory", "recommendation", "shipping")
DEPLOYED_FASTER = ("payment", "search", "auth")
INCIDENTS = 8


@dataclass(frozen=True)
class Deploy:
    """A release of a service. `relative_latency_change` is that of its median, 0 for the many that change nothing."""

    change_id: str
    service: str
    time: datetime
    version: str
    title: str
    committed: datetime
    relative_latency_change: float = 0.0


@dataclass(frozen=True)
class Incident:
    """A fault of one service, felt from `started` to `resolved`. `latency_factor` is that of its whole median."""

    incident_id: str
    number: int
    service: str
    title: str
    urgency: str
    priority: str
    started: datetime
    opened: datetime
    acknowledged: datetime
    resolved: datetime
    latency_factor: float
    error_share: float
    cpu_factor: float


@dataclass(frozen=True)
class CostSurprise:
    """Traffic that made one service's data transfer dear on `day`."""

    service: str
    day: date
    factor: float


@dataclass(frozen=True)
class Events:
    """All that happens in the window; `restarts` maps a service to the times its processes restarted, sorted."""

    holidays: frozenset[date]
    deploys: tuple[Deploy, ...]
    incidents: tuple[Incident, ...]
    restarts: dict[str, tuple[datetime, ...]]
    surprise: CostSurprise

    @property
    def effective_deploys(self) -> tuple[Deploy, ...]:
        """The deploys that changed latency."""
        return tuple(d for d in self.deploys if d.relative_latency_change)


def _holidays(rng: np.random.Generator, window: Window) -> frozenset[date]:
    """Two weekdays off in the window, one in each half."""
    half = max(window.days // 2, 1)
    chosen = []
    for first in (0, half):
        span = [window.first + timedelta(days=d) for d in range(first, min(first + half, window.days))]
        weekdays = [d for d in span if d.weekday() < 5] or span
        chosen.append(weekdays[int(rng.integers(len(weekdays)))])
    return frozenset(chosen)


def _working_time(rng: np.random.Generator, window: Window, share: float, holidays: frozenset[date]) -> datetime:
    """A working hour near `share` of the window, Monday to Thursday and no holiday, where the window has such a day."""
    guess = window.first + timedelta(days=int(share * window.days))
    near = sorted((window.first + timedelta(days=d) for d in range(window.days)), key=lambda d: abs((d - guess).days))
    day = next((d for d in near if d.weekday() < 4 and d not in holidays), guess)
    return moment(epoch(day) + int(rng.integers(9 * 3600, 16 * 3600)))


def _title(service: str, minor: int, change: float) -> str:
    if change > 0:
        return f"{service} 2.{minor}.0: validate every item against the price service"
    if change < 0:
        return f"{service} 2.{minor}.0: cache lookups, drop the second query"
    return f"{service} 2.{minor}.0: dependency updates and small fixes"


def _deploys(rng: np.random.Generator, window: Window, holidays: frozenset[date]) -> tuple[Deploy, ...]:
    """Two deploys that change latency, one for the worse and one for the better, among two dozen that do not."""
    slower, faster = str(rng.choice(DEPLOYED_SLOWER)), str(rng.choice(DEPLOYED_FASTER))
    changes = [(slower, float(rng.uniform(0.32, 0.48))), (faster, -float(rng.uniform(0.22, 0.30)))]
    if rng.integers(2):
        changes.reverse()
    shares = (rng.uniform(0.28, 0.42), rng.uniform(0.60, 0.74))
    plan = [
        (service, _working_time(rng, window, share, holidays), change) for (service, change), share in zip(changes, shares, strict=True)
    ]
    others = [s.name for s in SERVICES if s.name not in (slower, faster)]
    plan += [
        (str(rng.choice(others)), _working_time(rng, window, float(share), holidays), 0.0)
        for share in np.linspace(0.02, 0.97, max(window.days // 4, 2))
    ]
    deploys = []
    for i, (service, time, change) in enumerate(sorted(plan, key=lambda p: (p[1], p[0]))):
        written = time - timedelta(hours=int(rng.integers(2, 96)), minutes=int(rng.integers(60)))
        deploys.append(Deploy(f"CHG-{1001 + i}", service, time, f"2.{14 + i}.0", _title(service, 14 + i, change), written, change))
    return tuple(deploys)


KINDS = (
    ("High latency", "low", "P3", (2.2, 3.4), (0.02, 0.06), (1.05, 1.15)),
    ("Elevated error rate", "high", "P2", (1.1, 1.4), (0.14, 0.30), (1.0, 1.1)),
    ("Timeouts to dependency", "high", "P1", (3.0, 4.5), (0.10, 0.22), (0.9, 1.0)),
    ("CPU saturation", "high", "P2", (1.8, 2.6), (0.04, 0.10), (1.5, 2.2)),
)


def _incident(rng: np.random.Generator, number: int, service: str, kind: int, started: int) -> Incident:
    """One incident in whole seconds; detection takes 2-14 min, acknowledgement 1-11 min, resolution 35-160 min."""
    what, urgency, priority, latency, errors, cpu = KINDS[kind]
    opened = started + int(rng.integers(120, 840))
    acknowledged = opened + int(rng.integers(60, 660))
    resolved = opened + int(rng.integers(35 * 60, 160 * 60))
    identity = "Q" + "".join(rng.choice(list("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"), 13).tolist())
    times = (moment(started), moment(opened), moment(acknowledged), moment(resolved))
    factors = (float(rng.uniform(*latency)), float(rng.uniform(*errors)), float(rng.uniform(*cpu)))
    return Incident(identity, number, service, f"{what} on {service}", urgency, priority, *times, *factors)


def _incidents(rng: np.random.Generator, window: Window, company: Company, deploys: tuple[Deploy, ...]) -> tuple[Incident, ...]:
    """Eight incidents on eight services, spread over the window, away from deploys that matter for their service."""
    roomy = {m.service for m in company.machines if m.role == "oversized"}
    services = [s.name for s in company.services if s.name != "notification"]
    order = rng.permutation(services)[:INCIDENTS].tolist()
    kinds = rng.permutation([0, 1, 2, 3, 0, 1, 2, 3]).tolist()
    edges = np.linspace(0.08, 0.98, INCIDENTS + 1) * window.days * DAY_S
    busy = {(d.service, d.time.date() + timedelta(days=o)) for d in deploys if d.relative_latency_change for o in (-2, -1, 0, 1, 2)}
    incidents = []
    for i, service in enumerate(order):
        kind = 1 if kinds[i] == 3 and service in roomy else kinds[i]
        started = 0
        for _ in range(50):
            day = int(rng.uniform(edges[i], edges[i] + 0.7 * (edges[i + 1] - edges[i])) // DAY_S)
            started = window.start_s + day * DAY_S + int(rng.integers(7 * 3600, 20 * 3600))
            if (service, moment(started).date()) not in busy:
                break
        incidents.append(_incident(rng, 0, service, kind, min(started, window.end_s - 4 * 3600)))
    incidents.sort(key=lambda incident: incident.started)
    return tuple(replace(incident, number=2301 + i) for i, incident in enumerate(incidents))


def plan_events(seed: int, window: Window, company: Company) -> Events:
    """Everything that happens to the company in the window, decided by the seed."""
    rng = stream(seed, "events")
    holidays = _holidays(rng, window)
    deploys = _deploys(rng, window, holidays)
    incidents = _incidents(rng, window, company, deploys)
    restarts: dict[str, list[datetime]] = {s.name: [] for s in company.services}
    for deploy in deploys:
        restarts[deploy.service].append(deploy.time)
    for incident in incidents:
        restarts[incident.service].append(incident.resolved - timedelta(minutes=6))
    surprise = CostSurprise(
        str(rng.choice(["catalog", "recommendation", "shipping"])),
        window.first + timedelta(days=int(window.days * rng.uniform(0.68, 0.9))),
        float(rng.uniform(9.0, 13.0)),
    )
    return Events(holidays, deploys, incidents, {k: tuple(sorted(v)) for k, v in restarts.items()}, surprise)
