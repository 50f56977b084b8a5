"""What the simulated company owns: services, machines, volumes, connection pools, and what they cost.

Nothing here depends on time; `behaviour` sets it in motion.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from lakebed.demo.timeline import stream

ACCOUNT = "418305927716"
REGION = "eu-central-1"
GIB = 1 << 30


@dataclass(frozen=True)
class Service:
    """One deployable service. `own_s` is the median time in its own code, `sigma` the log spread of that time."""

    name: str
    team: str
    runtime: str
    own_s: float
    sigma: float
    error_share: float
    growth_per_day: float = 0.0006


@dataclass(frozen=True)
class Machine:
    """A virtual machine or database server. `peak_share` of its cores are busy in the busiest hour of the last week."""

    resource_id: str
    name: str
    service: str
    team: str
    kind: str
    role: str
    cores: int
    memory_bytes: int
    peak_share: float
    memory_share: float
    committed: bool = False


@dataclass(frozen=True)
class Volume:
    """A disk of `limit_bytes`: `share_at_end` full when the window ends, filling by `fill_per_day` of its size."""

    resource_id: str
    name: str
    service: str
    team: str
    machine: str
    limit_bytes: int
    share_at_end: float
    fill_per_day: float


@dataclass(frozen=True)
class Pool:
    """Connections from `service` to a database: `peak_share_at_end` of `limit` in the busiest hour, growing daily."""

    resource_id: str
    name: str
    service: str
    team: str
    limit: int
    peak_share_at_end: float
    growth_per_day: float


@dataclass(frozen=True)
class Company:
    """Everything the company runs."""

    services: tuple[Service, ...]
    machines: tuple[Machine, ...]
    volumes: tuple[Volume, ...]
    pools: tuple[Pool, ...]
    saturating_volume: str
    saturating_pool: str

    def service(self, name: str) -> Service:
        """The service of a name."""
        return next(s for s in self.services if s.name == name)

    def app_machines(self, service: str) -> list[Machine]:
        """The machines that serve a service's requests; idle leftovers and databases do not."""
        return [m for m in self.machines if m.service == service and m.kind == "vm" and m.role != "idle"]


SERVICES = (
    Service("web-frontend", "storefront", "nodejs", 0.011, 0.35, 0.0020),
    Service("api-gateway", "platform", "go", 0.004, 0.30, 0.0012),
    Service("auth", "identity", "go", 0.007, 0.30, 0.0015),
    Service("catalog", "discovery", "java", 0.018, 0.38, 0.0020),
    Service("search", "discovery", "java", 0.042, 0.45, 0.0030, 0.0009),
    Service("recommendation", "discovery", "python", 0.055, 0.40, 0.0025),
    Service("cart", "storefront", "nodejs", 0.010, 0.35, 0.0020),
    Service("checkout", "payments", "java", 0.030, 0.40, 0.0030),
    Service("payment", "payments", "java", 0.120, 0.35, 0.0040, 0.0008),
    Service("inventory", "fulfilment", "java", 0.015, 0.35, 0.0020),
    Service("shipping", "fulfilment", "go", 0.038, 0.40, 0.0025),
    Service("notification", "platform", "python", 0.080, 0.45, 0.0060),
)
DATABASES = (
    ("catalog-db", "catalog"),
    ("orders-db", "checkout"),
    ("payments-db", "payment"),
    ("inventory-db", "inventory"),
)
OVERSIZED_CANDIDATES = ("auth", "cart", "shipping", "notification", "recommendation")
LEFTOVERS = ("search-v1", "batch-import", "loadtest-runner", "staging-copy", "legacy-reports")
LEFTOVER_SERVICES = ("search", "inventory", "api-gateway", "checkout", "catalog")
CORE_HOUR = {"vm": Decimal("0.0480"), "db": Decimal("0.0945")}
VOLUME_GB_MONTH = Decimal("0.0952")
COMMITTED_CORE_HOUR = Decimal("0.0316")


def _hex(rng: np.random.Generator, digits: int) -> str:
    return bytes(rng.integers(0, 256, (digits + 1) // 2, dtype=np.uint8)).hex()[:digits]


def _machine(rng: np.random.Generator, name: str, service: Service, kind: str, role: str) -> Machine:
    """One machine whose load fits its role: well used, oversized or idle."""
    sizes = {"used": ((4, 8), (8, 16)), "oversized": ((8, 32), (16, 64)), "idle": ((4, 16), (8, 32))}
    cores, memory = sizes[role][int(rng.integers(2))]
    peak = {"used": (0.76, 0.84), "oversized": (0.17, 0.30), "idle": (0.012, 0.03)}[role]
    filled = {"used": (0.80, 0.88), "oversized": (0.22, 0.36), "idle": (0.06, 0.12)}[role]
    if kind == "vm":
        resource = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0{_hex(rng, 16)}"
    else:
        resource = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:{name}"
    return Machine(
        resource,
        name,
        service.name,
        service.team,
        kind,
        role,
        cores,
        memory * GIB,
        float(rng.uniform(*peak)),
        float(rng.uniform(*filled)),
    )


def _machines(rng: np.random.Generator) -> tuple[Machine, ...]:
    """Two machines per service, four more for the busiest, five leftovers nobody uses, and five databases."""
    by_name = {s.name: s for s in SERVICES}
    oversized = set(rng.choice(OVERSIZED_CANDIDATES, 3, replace=False).tolist())
    machines = []
    for service in SERVICES:
        count = 3 if service.name in ("web-frontend", "api-gateway", "catalog", "payment") else 2
        role = "oversized" if service.name in oversized else "used"
        machines += [_machine(rng, f"{service.name}-{i + 1}", service, "vm", role) for i in range(count)]
    for name, owner in zip(LEFTOVERS, LEFTOVER_SERVICES, strict=True):
        machines.append(_machine(rng, name, by_name[owner], "vm", "idle"))
    big = str(rng.choice([name for name, _ in DATABASES[:1] + DATABASES[3:]]))
    for name, owner in DATABASES:
        machines.append(_machine(rng, name, by_name[owner], "db", "oversized" if name == big else "used"))
    machines.append(_machine(rng, "reporting-db", by_name["catalog"], "db", "idle"))
    covered = [m.name for m in machines if m.role == "used" and m.kind == "vm"]
    chosen = set(rng.choice(covered, 6, replace=False).tolist())
    return tuple(m if m.name not in chosen else Machine(**{**vars(m), "committed": True}) for m in machines)


def _volumes(rng: np.random.Generator, machines: tuple[Machine, ...]) -> tuple[tuple[Volume, ...], str]:
    """Data and log disks; one of the databases' fills up within weeks after the window, the others within years."""
    carriers = [m for m in machines if m.kind == "db" and m.role != "idle"]
    carriers += [next(m for m in machines if m.service == s and m.kind == "vm") for s in ("search", "checkout", "payment", "notification")]
    full = int(rng.integers(0, 4))
    volumes = []
    for i, machine in enumerate(carriers):
        share, days_left = (rng.uniform(0.78, 0.86), rng.uniform(22, 46)) if i == full else (rng.uniform(0.45, 0.68), rng.uniform(420, 900))
        volumes.append(
            Volume(
                f"arn:aws:ec2:{REGION}:{ACCOUNT}:volume/vol-0{_hex(rng, 16)}",
                f"{machine.name}-{'data' if machine.kind == 'db' else 'logs'}",
                machine.service,
                machine.team,
                machine.name,
                int(rng.choice([200, 300, 500])) * GIB,
                float(share),
                float((1.0 - share) / days_left),
            )
        )
    return tuple(volumes), volumes[full].resource_id


def _pools(rng: np.random.Generator, machines: tuple[Machine, ...]) -> tuple[tuple[Pool, ...], str]:
    """One pool per database in use; one of them fills up within weeks after the window."""
    used = [m for m in machines if m.kind == "db" and m.role != "idle"]
    full = int(rng.integers(0, len(used)))
    pools = []
    for i, machine in enumerate(used):
        if i == full:
            peak = rng.uniform(0.80, 0.87)
            growth = (1.0 - peak) / peak / rng.uniform(22, 44)
        else:
            peak, growth = rng.uniform(0.40, 0.62), rng.uniform(0.0002, 0.0008)
        limit = int(rng.choice([150, 200, 300]))
        pools.append(
            Pool(
                machine.resource_id,
                f"{machine.service}-pool",
                machine.service,
                machine.team,
                limit,
                float(peak),
                float(growth),
            )
        )
    return tuple(pools), pools[full].resource_id


def build_company(seed: int) -> Company:
    """The company of a seed: sizes, prices' coverage and who is idle, oversized or about to run full differ by seed."""
    rng = stream(seed, "company")
    machines = _machines(rng)
    volumes, disk = _volumes(rng, machines)
    pools, pool = _pools(rng, machines)
    return Company(SERVICES, machines, volumes, pools, disk, pool)
