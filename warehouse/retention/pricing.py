"""What storage costs a month: every decision before and after, from the prices of the tiers. Pure; the lake is asked for figures once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from warehouse.lake.lake import Lake
from warehouse.retention.policy import Action, Decision, Piece
from warehouse.settings import PublishSettings
from warehouse.settings.retention import StoragePriceSettings

GB = 1e9


@dataclass(frozen=True, slots=True)
class Archived:
    """What the archive holds of a table: rows and bytes of the bundles that count today."""

    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Pricing:
    """Prices, and what they are multiplied with. hot_from: first day of each table that `warehouse.duckdb` holds a copy of, taken to be as
    large as in the lake. archived: per table; a row of it is taken to need in the archive what those there need, and without any what it
    needs in the lake."""

    prices: StoragePriceSettings
    hot_from: Mapping[str, date]
    archived: Mapping[str, Archived]

    def cost(self, decision: Decision, action: Action) -> float:
        """Price of a month of these rows when this is done to them."""
        if action == "drop":
            return 0.0
        if action == "archive":
            known = self.archived.get(decision.table)
            size = known.bytes * decision.row_count / known.rows if known and known.rows else decision.bytes
            return size / GB * self.prices.archive
        hot_from = self.hot_from.get(decision.table)
        hot = self.prices.hot if hot_from is not None and decision.day >= hot_from else 0.0
        lake = self.prices.cold if decision.table.startswith("core.") else self.prices.warm
        return decision.bytes / GB * (lake + hot)

    def priced(self, decision: Decision) -> Decision:
        """The decision with its costs."""
        return replace(decision, cost_before=self.cost(decision, "keep"), cost_after=self.cost(decision, decision.action))

    @property
    def archive_cost(self) -> float:
        """Price of a month of what is archived already."""
        return sum(a.bytes for a in self.archived.values()) / GB * self.prices.archive


def hot_days(pieces: Iterable[Piece], publish: PublishSettings) -> dict[str, date]:
    """First day of each table in the hot tier: all of marts, the newest days of rollups and raw tables; quarantine is not published."""
    newest: dict[str, date] = {}
    for piece in pieces:
        newest[piece.table] = max(piece.day, newest.get(piece.table, piece.day)) if piece.has_day else date.min
    kept = {"raw": publish.raw_days, "core": publish.rollup_days}
    found = {}
    for table, last in newest.items():
        schema = table.partition(".")[0]
        if schema != "quarantine":
            found[table] = date.min if schema == "mart" or last == date.min else last - timedelta(days=kept[schema] - 1)
    return found


def archived_tables(lake: Lake) -> dict[str, Archived]:
    """Rows and bytes of the bundles that no other one supersedes, per table."""
    rows = lake.connection.execute(
        """WITH gone AS (SELECT unnest(string_split(supersedes, ' ')) AS bundle_id FROM meta.archive_bundles WHERE supersedes IS NOT NULL)
           SELECT table_name, sum(row_count)::BIGINT, sum(bytes)::BIGINT FROM meta.archive_bundles ANTI JOIN gone USING (bundle_id)
           GROUP BY ALL"""
    ).fetchall()
    return {table: Archived(count, size) for table, count, size in rows}
