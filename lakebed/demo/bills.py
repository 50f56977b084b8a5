"""What the company pays: the charges of every day as FOCUS 1.0 rows, in exact decimals.

`bills_focus` writes them to files per billing period and adds them up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

import numpy as np

from lakebed.demo.behaviour import Behaviour
from lakebed.demo.company import ACCOUNT, COMMITTED_CORE_HOUR, CORE_HOUR, GIB, REGION, VOLUME_GB_MONTH, Machine, Volume
from lakebed.demo.timeline import epoch, stream

TRANSFER_PER_GB = Decimal("0.0900")
TRANSFER_CORRECTED = Decimal("0.0850")
NEGOTIATED = Decimal("0.96")
COMMITMENT_ID = f"arn:aws:savingsplans::{ACCOUNT}:savingsplan/7c1e0a52-4b8e-4f0e-9a45-d1f6a3b0c9e7"
HOURS = 24
MICRO = Decimal("0.000001")
CENT = Decimal("0.01")
NOTHING = Decimal(0)


@dataclass(frozen=True)
class Charge:
    """One row of the bill. Costs in USD; `service` and `team` become the tags."""

    day: date
    category: str
    provider_service: str
    service_category: str
    description: str
    billed: Decimal
    effective: Decimal
    contracted: Decimal
    listed: Decimal
    quantity: Decimal | None = None
    unit: str | None = None
    list_price: Decimal | None = None
    contracted_price: Decimal | None = None
    consumed: Decimal | None = None
    consumed_unit: str | None = None
    resource_id: str | None = None
    resource_name: str | None = None
    resource_type: str | None = None
    service: str | None = None
    team: str | None = None
    commitment_status: str | None = None
    frequency: str = "Usage-Based"
    publisher: str = "Amazon Web Services, Inc."
    days: int = 1


def exact(value: float | Decimal, step: Decimal) -> Decimal:
    """A number as a decimal on the grid of `step`."""
    return Decimal(str(value)).quantize(step, ROUND_HALF_UP)


def on_demand_price(machine: Machine) -> Decimal:
    """What an hour of one of the machine's cores costs without a commitment, in USD."""
    return CORE_HOUR[machine.kind] * NEGOTIATED


def commitment_per_hour(machines: tuple[Machine, ...], utilisation: float) -> Decimal:
    """Dollars an hour that were promised so that the covered machines use `utilisation` of them."""
    covered = sum((m.cores * COMMITTED_CORE_HOUR for m in machines if m.committed), NOTHING)
    return exact(covered / exact(utilisation, MICRO), CENT)


def _machine_charge(machine: Machine, day: date) -> Charge:
    quantity = Decimal(machine.cores * HOURS)
    price = CORE_HOUR[machine.kind]
    database = machine.kind == "db"
    contracted = quantity * on_demand_price(machine)
    charge = Charge(
        day,
        "Usage",
        "Amazon Relational Database Service" if database else "Amazon Elastic Compute Cloud",
        "Databases" if database else "Compute",
        f"{machine.cores} vCPU {'database' if database else 'Linux'} hours in {REGION}",
        contracted,
        contracted,
        contracted,
        quantity * price,
        quantity,
        "vCPU-Hours",
        price,
        on_demand_price(machine),
        quantity,
        "vCPU-Hours",
        machine.resource_id,
        machine.name,
        "Database" if database else "Virtual Machine",
        machine.service,
        machine.team,
    )
    if machine.committed:
        return replace(charge, billed=NOTHING, effective=quantity * COMMITTED_CORE_HOUR, commitment_status="Used")
    return charge


def _volume_charge(volume: Volume, day: date) -> Charge:
    gigabytes = Decimal(volume.limit_bytes // GIB)
    quantity = exact(gigabytes * HOURS / Decimal(730), MICRO)
    cost = quantity * VOLUME_GB_MONTH
    return Charge(
        day,
        "Usage",
        "Amazon Elastic Block Store",
        "Storage",
        f"{gigabytes} GB of provisioned storage (gp3) in {REGION}",
        cost,
        cost,
        cost,
        cost,
        quantity,
        "GB-Mo",
        VOLUME_GB_MONTH,
        VOLUME_GB_MONTH,
        gigabytes * HOURS,
        "GB-Hours",
        volume.resource_id,
        volume.name,
        "Volume",
        volume.service,
        volume.team,
    )


def _simple(day: date, category: str, offering: str, field: str, description: str, cost: Decimal, **more: object) -> Charge:
    """A charge whose four costs are the same."""
    return replace(Charge(day, category, offering, field, description, cost, cost, cost, cost), **more)  # type: ignore[arg-type]


def _transfer_charges(world: Behaviour, seed: int) -> Iterator[Charge]:
    """Traffic out per service and day. One surprise; the share that nobody tagged stays without a service."""
    surprise = world.events.surprise
    for service in world.company.services:
        rng = stream(seed, f"transfer {service.name}")
        for offset in range(world.window.days):
            day = world.window.first + timedelta(days=offset)
            noon = np.arange(epoch(day), epoch(day) + 86_400, 3600, dtype=np.int64)
            gigabytes = 2.1 * float(world.request_rate(service.name, noon).mean()) * float(np.exp(0.06 * rng.standard_normal()))
            if surprise.service == service.name and surprise.day == day:
                gigabytes *= surprise.factor
            quantity = exact(gigabytes, MICRO)
            tags = {"service": service.name, "team": service.team} if service.name != "auth" else {}
            yield _simple(
                day,
                "Usage",
                "AWS Data Transfer",
                "Networking",
                f"data transfer out of {REGION}",
                quantity * TRANSFER_PER_GB,
                quantity=quantity,
                unit="GB",
                list_price=TRANSFER_PER_GB,
                contracted_price=TRANSFER_PER_GB,
                consumed=quantity,
                consumed_unit="GB",
                **tags,
            )


OBSERVABILITY = (
    ("Log ingestion", "GB", Decimal("0.55"), 38.0),
    ("Active series", "1K Series", Decimal("0.21"), 62.0),
    ("Spans indexed", "1M Spans", Decimal("1.70"), 8.0),
)


def _observability_charges(world: Behaviour, seed: int) -> Iterator[Charge]:
    """What the monitoring vendor bills through the marketplace, by volume."""
    rng = stream(seed, "observability")
    for offset in range(world.window.days):
        day = world.window.first + timedelta(days=offset)
        for what, unit, price, volume in OBSERVABILITY:
            quantity = exact(
                volume * (1.0 + 0.0012 * (offset - world.window.days)) * float(np.exp(0.04 * rng.standard_normal())),
                MICRO,
            )
            yield _simple(
                day,
                "Usage",
                "Skylark Observability",
                "Management and Governance",
                what,
                quantity * price,
                quantity=quantity,
                unit=unit,
                list_price=price,
                contracted_price=price,
                consumed=quantity,
                consumed_unit=unit,
                service="observability",
                team="platform",
                publisher="Skylark Systems GmbH",
            )


def _commitment_charges(world: Behaviour, per_hour: Decimal) -> Iterator[Charge]:
    """The monthly fee of the savings plan, and per day the part of it that nothing used."""
    used = sum((m.cores * HOURS * COMMITTED_CORE_HOUR for m in world.company.machines if m.committed), NOTHING)
    unused = per_hour * HOURS - used
    for offset in range(world.window.days):
        day = world.window.first + timedelta(days=offset)
        charge = _simple(day, "Usage", "Amazon Elastic Compute Cloud", "Compute", "Unused part of the savings plan", NOTHING)
        yield replace(charge, effective=unused, commitment_status="Unused")
    for month, following in world.window.months():
        day = max(month, world.window.first)
        days = (following - day).days
        fee = per_hour * HOURS * days
        charge = _simple(day, "Purchase", "AWS Savings Plans", "Compute", "Compute savings plan, no upfront, one year", fee)
        yield replace(charge, effective=NOTHING, commitment_status="Fee", frequency="Recurring", days=days)


def _monthly_charges(world: Behaviour) -> Iterator[Charge]:
    """Support, and the credit of a migration programme."""
    for month, following in world.window.months():
        day = max(month, world.window.first)
        support = _simple(
            day,
            "Purchase",
            "AWS Support (Business)",
            "Management and Governance",
            "Monthly support fee",
            Decimal("290.00"),
        )
        yield replace(support, frequency="Recurring", days=(following - day).days, service="support", team="platform")
        yield _simple(
            day,
            "Credit",
            "AWS Credits",
            "Other",
            "Migration programme credit",
            Decimal("-150.00"),
            frequency="One-Time",
        )


def charges(world: Behaviour, seed: int, per_hour: Decimal) -> list[Charge]:
    """Every charge of the window as first billed, by day."""
    days = [world.window.first + timedelta(days=d) for d in range(world.window.days)]
    rows = [_machine_charge(machine, day) for day in days for machine in world.company.machines]
    rows += [_volume_charge(volume, day) for day in days for volume in world.company.volumes]
    rows += [*_transfer_charges(world, seed), *_observability_charges(world, seed)]
    rows += [*_commitment_charges(world, per_hour), *_monthly_charges(world)]
    return sorted(rows, key=lambda row: row.day)


def corrected(rows: list[Charge]) -> list[Charge]:
    """A period as billed again: data transfer at the right price, and a credit for a missed service level."""
    again = []
    for row in rows:
        if row.provider_service == "AWS Data Transfer" and row.quantity is not None:
            cost = row.quantity * TRANSFER_CORRECTED
            row = replace(row, billed=cost, effective=cost, contracted=cost, listed=cost)
            row = replace(row, list_price=TRANSFER_CORRECTED, contracted_price=TRANSFER_CORRECTED)
        again.append(row)
    credit = _simple(rows[-1].day, "Credit", "AWS Credits", "Other", "Service level credit", Decimal("-86.40"), frequency="One-Time")
    return [*again, credit]
