"""The bill as files: a FOCUS 1.0 CSV per billing period, one of them issued twice, and the sums that must come out."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from lakebed.demo.behaviour import Behaviour
from lakebed.demo.bills import HOURS, NOTHING, Charge, charges, commitment_per_hour, corrected, focus_row
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
