"""What holds hold now: partitions, rows and bytes. Rows of a service are counted where rules divide the day, else the whole day is held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from warehouse.contracts import CONTRACTS
from warehouse.lake.lake import Lake
from warehouse.retention.holds import all_holds
from warehouse.retention.planning import count_rows, pieces
from warehouse.retention.policy import Hold, Piece, divides
from warehouse.retention.rows import can_tell


@dataclass(frozen=True, slots=True)
class Holding:
    """A hold and what it holds; nothing once it has expired."""

    hold: Hold
    partitions: int = 0
    row_count: int = 0
    bytes: int = 0


def holdings(lake: Lake, today: date) -> list[Holding]:
    """Every hold that people placed and did not lift, and those of incidents, with what they hold."""
    present = pieces(lake)
    return [_holding(lake, hold, present, today) for hold in all_holds(lake, today)]


def _holding(lake: Lake, hold: Hold, present: Sequence[Piece], today: date) -> Holding:
    held: dict[str, list[Piece]] = {}
    for piece in present:
        if hold.covers(piece.table, piece.day, today):
            held.setdefault(piece.table, []).append(piece)
    total = Holding(hold)
    for table, found in held.items():
        divided = hold.services and can_tell(CONTRACTS.get(table), hold.filter) and divides(table, lake.settings.retention.rules)
        counts = count_rows(lake, table, dict.fromkeys((p.day for p in found), (hold.filter,))) if divided else {}
        for piece in found:
            row_count = counts[piece.day][0] if piece.day in counts else piece.row_count
            total = replace(
                total,
                partitions=total.partitions + (row_count > 0),
                row_count=total.row_count + row_count,
                bytes=total.bytes + piece.bytes * row_count // piece.row_count,
            )
    return total
