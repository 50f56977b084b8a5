"""The lake: attaching, transactions, the three ways to write, maintenance. The only place that opens DuckDB."""

from __future__ import annotations

from warehouse.lake.connection import identifier, literal, scratch
from warehouse.lake.identity import batch_id, file_digest
from warehouse.lake.unit import REJECT_SCHEMA, Former, Known, Part, Rows, Slice, Unit

__all__ = [
    "REJECT_SCHEMA",
    "Former",
    "Known",
    "Part",
    "Rows",
    "Slice",
    "Unit",
    "batch_id",
    "file_digest",
    "identifier",
    "literal",
    "scratch",
]
