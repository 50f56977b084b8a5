"""Derives the truth from the noise-free company: saturation dates, true sizes, means of incidents, sums of bills."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal

import numpy as np

from lakebed.demo.behaviour import Behaviour
from lakebed.demo.bills import CENT, COMMITMENT_ID, HOURS, NOTHING, exact, on_demand_price
from lakebed.demo.bills_focus import Bills, Sums
from lakebed.demo.company import Machine
from lakebed.demo.events import Incident
from lakebed.demo.operations import is_reviewed
from lakebed.demo.timeline import DAY_S, Floats, moment
from lakebed.demo.truth import (
    DAYS_PER_MONTH,
    CommitmentTruth,
    CostAnomalyTruth,
    CostTotals,
    DeployTruth,
    IdleTruth,
    IncidentMeans,
    IncidentTruth,
    OversizedTruth,
    Saturation,
    Truth,
)

LOOK_AHEAD_DAYS = 120
HEADROOM = 1.2


def _saturation(world: Behaviour, kind: str, found: tuple[str, str, str, float, str], used: Floats) -> Saturation:
    """The first moment at which the noise-free use reaches the limit, within `LOOK_AHEAD_DAYS`."""
    resource, name, service, limit, unit = found
    times = world.window.grid(600, days_beyond=LOOK_AHEAD_DAYS)
    crossing = world.first_crossing(used, limit, times)
    if crossing is None:
        raise ValueError(f"{name} does not reach its limit within {LOOK_AHEAD_DAYS} days: this seed breaks the company's promise")
    last_day = (times >= world.window.end_s - DAY_S) & (times < world.window.end_s)
    return Saturation(
        resource,
        kind,
        name,
        service,
        limit,
        unit,
        float(used[last_day].max()),
        moment(crossing),
        (crossing - world.window.end_s) / DAY_S,
    )


def saturations(world: Behaviour) -> tuple[Saturation, ...]:
    """The disk and the pool that run full."""
    times = world.window.grid(600, days_beyond=LOOK_AHEAD_DAYS)
    volume = next(v for v in world.company.volumes if v.resource_id == world.company.saturating_volume)
    pool = next(p for p in world.company.pools if p.resource_id == world.company.saturating_pool)
    disk = (volume.resource_id, volume.name, volume.service, float(volume.limit_bytes), "By")
    connections = (pool.resource_id, pool.name, pool.service, float(pool.limit), "{connection}")
    return (
        _saturation(world, "disk", disk, world.volume_bytes(volume, times)),
        _saturation(world, "pool", connections, world.pool_connections(pool, times)),
    )


def running_out(world: Behaviour) -> tuple[str, ...]:
    """Every resource, with its kind, whose noise-free use reaches its limit within `LOOK_AHEAD_DAYS`; cores and memory never do."""
    times = world.window.grid(3600, days_beyond=LOOK_AHEAD_DAYS)
    disks = ((f"{v.resource_id}/disk", world.volume_bytes(v, times), v.limit_bytes) for v in world.company.volumes)
    pools = ((f"{p.resource_id}/pool", world.pool_connections(p, times), p.limit) for p in world.company.pools)
    return tuple(name for found in (disks, pools) for name, used, limit in found if world.first_crossing(used, float(limit), times))


def deploys(world: Behaviour) -> tuple[DeployTruth, ...]:
    """The deploys that mattered, with the change of the whole median latency at the moment of the deploy."""
    found = []
    for deploy in world.events.effective_deploys:
        now = np.array([int(deploy.time.timestamp()) + 1], dtype=np.int64)
        after = world.latency_s(now)[deploy.service][0]
        before = world.latency_s(now, without=deploy)[deploy.service][0]
        found.append(DeployTruth(deploy.change_id, deploy.service, deploy.time, float(after / before - 1.0)))
    return tuple(found)


def incident_means(incidents: Iterable[Incident]) -> IncidentMeans:
    """Mean times to detect, acknowledge and resolve."""
    listed = list(incidents)
    detect = [(i.opened - i.started).total_seconds() for i in listed]
    known = [seconds for seconds, i in zip(detect, listed, strict=True) if is_reviewed(i)]
    return IncidentMeans(
        len(listed),
        float(np.mean(known)) if known else None,
        len(known),
        float(np.mean(detect)),
        float(np.mean([(i.acknowledged - i.opened).total_seconds() for i in listed])),
        float(np.mean([(i.resolved - i.opened).total_seconds() for i in listed])),
    )


def _month_price(machine: Machine, cores: float) -> Decimal:
    return exact(cores, Decimal("0.0001")) * on_demand_price(machine) * HOURS * DAYS_PER_MONTH


def idle(world: Behaviour) -> tuple[IdleTruth, ...]:
    """Machines that run agents and a nightly job only."""
    return tuple(
        IdleTruth(m.resource_id, m.name, m.service, m.kind, str(exact(_month_price(m, m.cores), CENT)))
        for m in world.company.machines
        if m.role == "idle"
    )


def oversized(world: Behaviour) -> tuple[OversizedTruth, ...]:
    """Machines whose noise-free peak, a fifth added, needs whole cores far under what they have."""
    found = []
    for machine in world.company.machines:
        if machine.role == "oversized":
            needed = math.ceil(HEADROOM * float(world.cores_used(machine, world.window.grid(600)).max()))
            saving = _month_price(machine, machine.cores - needed)
            identity = (machine.resource_id, machine.name, machine.service, machine.kind)
            found.append(OversizedTruth(*identity, machine.cores, needed, str(exact(saving, CENT))))
    return tuple(found)


def _totals(sums: Sums) -> CostTotals:
    return CostTotals(f"{sums.billed:f}", f"{sums.effective:f}", f"{sums.listed:f}")


def commitment(world: Behaviour, bills: Bills) -> CommitmentTruth:
    """How much of the savings plan went to waste."""
    committed, unused = bills.committed_per_day * world.window.days, bills.unused_per_day * world.window.days
    share = float((committed - unused) / committed) if committed != NOTHING else 0.0
    per_month = exact(bills.unused_per_day * DAYS_PER_MONTH, CENT)
    return CommitmentTruth(COMMITMENT_ID, f"{committed:f}", f"{committed - unused:f}", f"{unused:f}", share, str(per_month))


def derive_truth(world: Behaviour, bills: Bills, seed: int, scale: float, counts: dict[str, int]) -> Truth:
    """Everything that `truth.json` says."""
    incidents, surprise = world.events.incidents, world.events.surprise
    months = sorted({f"{i.opened:%Y-%m}" for i in incidents})
    return Truth(
        seed=seed,
        first_day=world.window.first,
        last_day=world.window.last,
        scale=scale,
        services=tuple(s.name for s in world.company.services),
        holidays=tuple(sorted(world.events.holidays)),
        saturations=saturations(world),
        running_out=running_out(world),
        deploys=deploys(world),
        incidents=tuple(
            IncidentTruth(i.incident_id, i.service, i.title, i.started, i.opened, i.acknowledged, i.resolved, is_reviewed(i))
            for i in incidents
        ),
        incident_means=incident_means(incidents),
        incident_means_by_month={m: incident_means(i for i in incidents if f"{i.opened:%Y-%m}" == m) for m in months},
        idle=idle(world),
        oversized=oversized(world),
        well_used=tuple(m.resource_id for m in world.company.machines if m.role == "used"),
        commitment=commitment(world, bills),
        costs=_totals(bills.total),
        costs_by_period={period: _totals(sums) for period, sums in bills.periods.items()},
        reissued_period=bills.reissued_period,
        cost_anomalies=(CostAnomalyTruth(surprise.service, surprise.day, surprise.factor),),
        counts=counts,
    )
