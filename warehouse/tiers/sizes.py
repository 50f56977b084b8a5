"""How many rows and bytes each tier holds, from the catalog, the archive's records and the published file, without reading data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warehouse.archive.records import active_bundles, recorded_bundles
from warehouse.contracts import CONTRACTS
from warehouse.lake.lake import Lake
from warehouse.lake.partitions import Partition, partitions


@dataclass(frozen=True, slots=True)
class TierSize:
    """One tier, or a part of one. days: (table, day) partitions or bundles in it; rows: NULL where nobody counts them."""

    tier: str
    holds: str
    days: int
    rows: int | None
    bytes: int


def tier_sizes(lake: Lake) -> list[TierSize]:
    """The tiers from hot to archive; raw days that wait to be settled stand beside those that are."""
    schemas = {c.storage_name: c.schema for c in CONTRACTS.values()}
    held: dict[tuple[str, bool], list[Partition]] = {}
    for part in partitions(lake.connection, list(schemas)):
        held.setdefault((schemas[part.storage_name], part.settled), []).append(part)
    published = Path(lake.settings.resolve(lake.settings.publish.path))
    bundles = active_bundles(recorded_bundles(lake))
    derived = [p for schema in ("core", "mart") for settled in (True, False) for p in held.get((schema, settled), [])]
    return [
        TierSize("hot", published.name, 0, None, published.stat().st_size if published.is_file() else 0),
        _of("warm", "raw days, settled", held.get(("raw", True), [])),
        _of("warm", "raw days as landed", held.get(("raw", False), [])),
        _of("cold", "rollups and marts", derived),
        TierSize("archive", "sealed bundles", len(bundles), sum(b.row_count for b in bundles), sum(b.bytes for b in bundles)),
    ]


def _of(tier: str, holds: str, parts: list[Partition]) -> TierSize:
    return TierSize(tier, holds, len(parts), sum(p.row_count for p in parts), sum(p.bytes for p in parts))
