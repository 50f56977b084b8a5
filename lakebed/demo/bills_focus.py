"""The bill as files: a FOCUS 1.0 CSV per billing period, one of them issued twice, and the sums that must come out."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from lakebed.demo.behaviour import Behaviour
from lakebed.demo.bills import COMMITMENT_ID, HOURS, NOTHING, Charge, charges, commitment_per_hour, corrected
from lakebed.demo.company import ACCOUNT, REGION
from lakebed.demo.timeline import stream


@dataclass(frozen=True)
class Sums:
    """Costs in USD, exact."""

    billed: Decimal
    effective: Decimal
    listed: Decimal


@dataclass(frozen=True)
class Bills:
    """What the bills hold once every file has been read, and the commitment behind them (USD per day)."""

    periods: dict[str, Sums]
    total: Sums
    rows_written: int
    rows_final: int
    reissued_period: str
    committed_per_day: Decimal
    unused_per_day: Decimal


def stamp(day: date) -> str:
    """Midnight of a day as FOCUS writes times."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _number(value: Decimal | None) -> str:
    return "" if value is None else f"{value:f}"


def focus_row(row: Charge, month: date, following: date) -> dict[str, str]:
    """A charge under FOCUS's column names; what has no value is left empty."""
    committed = row.commitment_status is not None
    tags = {k: v for k, v in (("service", row.service), ("team", row.team), ("env", "prod" if row.service else None)) if v}
    purchase = row.category == "Purchase"
    return {
        "AvailabilityZone": f"{REGION}a" if row.resource_id else "",
        "BilledCost": _number(row.billed),
        "BillingAccountId": ACCOUNT,
        "BillingAccountName": "Larkspur Outfitters",
        "BillingCurrency": "USD",
        "BillingPeriodEnd": stamp(following),
        "BillingPeriodStart": stamp(month),
        "ChargeCategory": row.category,
        "ChargeClass": "",
        "ChargeDescription": row.description,
        "ChargeFrequency": row.frequency,
        "ChargePeriodEnd": stamp(row.day + timedelta(days=row.days)),
        "ChargePeriodStart": stamp(row.day),
        "CommitmentDiscountCategory": "Spend" if committed else "",
        "CommitmentDiscountId": COMMITMENT_ID if committed else "",
        "CommitmentDiscountName": "compute-2026" if committed else "",
        "CommitmentDiscountStatus": (row.commitment_status or "") if committed and not purchase else "",
        "CommitmentDiscountType": "Compute Savings Plan" if committed else "",
        "ConsumedQuantity": _number(row.consumed),
        "ConsumedUnit": row.consumed_unit or "",
        "ContractedCost": _number(row.contracted),
        "ContractedUnitPrice": _number(row.contracted_price),
        "EffectiveCost": _number(row.effective),
        "InvoiceIssuerName": "Amazon Web Services, Inc.",
        "ListCost": _number(row.listed),
        "ListUnitPrice": _number(row.list_price),
        "PricingCategory": "" if row.category == "Credit" else "Committed" if committed else "Standard",
        "PricingQuantity": _number(row.quantity),
        "PricingUnit": row.unit or "",
        "ProviderName": "AWS",
        "PublisherName": row.publisher,
        "RegionId": REGION if row.resource_id else "",
        "RegionName": "Europe (Frankfurt)" if row.resource_id else "",
        "ResourceId": row.resource_id or "",
        "ResourceName": row.resource_name or "",
        "ResourceType": row.resource_type or "",
        "ServiceCategory": row.service_category,
        "ServiceName": row.provider_service,
        "SkuId": "" if row.category == "Credit" else f"SKU-{row.service_category[:3].upper()}-{row.unit or 'FEE'}".replace(" ", ""),
        "SkuPriceId": "",
        "SubAccountId": ACCOUNT,
        "SubAccountName": "larkspur-prod",
        "Tags": json.dumps(tags) if tags else "",
    }


def _sums(rows: Iterable[Charge]) -> Sums:
    rows = list(rows)
    return Sums(
        sum((r.billed for r in rows), NOTHING),
        sum((r.effective for r in rows), NOTHING),
        sum((r.listed for r in rows), NOTHING),
    )


def _write(rows: list[Charge], file: Path, month: date, following: date) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(focus_row(rows[0], month, following)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(focus_row(row, month, following) for row in rows)


def write_bills(world: Behaviour, folder: Path, seed: int) -> Bills:
    """Write `focus-<month>-v<n>.csv` into `folder`; the last closed period is issued again as v2, which replaces v1."""
    folder.mkdir(parents=True, exist_ok=True)
    utilisation = float(stream(seed, "commitment").uniform(0.54, 0.68))
    per_hour = commitment_per_hour(world.company.machines, utilisation)
    rows = charges(world, seed, per_hour)
    months = world.window.months()
    again = months[max(len(months) - 2, 0)][0]
    final: dict[str, list[Charge]] = {}
    written = 0
    for month, following in months:
        period = f"{month:%Y-%m}"
        mine = [row for row in rows if month <= row.day < following]
        versions = [mine, corrected(mine)] if month == again else [mine]
        for i, version in enumerate(versions):
            _write(version, folder / f"focus-{period}-v{i + 1}.csv", month, following)
            written += len(version)
        final[period] = versions[-1]
    unused = next(row.effective for row in rows if row.commitment_status == "Unused")
    everything = [row for period in final.values() for row in period]
    return Bills(
        {period: _sums(mine) for period, mine in final.items()},
        _sums(everything),
        written,
        len(everything),
        f"{again:%Y-%m}",
        per_hour * HOURS,
        unused,
    )
