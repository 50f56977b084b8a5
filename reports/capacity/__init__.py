"""The capacity report: every limit by risk and money, then each resource at risk on a page of its own.

`data` reads all marts once; `fleet`, `record` and `outlook` speak of all resources, `resource` of one.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from reports.answer import assemble
from reports.capacity.data import load
from reports.capacity.fleet import fleet
from reports.capacity.outlook import demand, totals, what_if
from reports.capacity.record import record
from reports.capacity.resource import resource
from reports.page import Report

if TYPE_CHECKING:
    import duckdb

ANSWERS: Final = "which limits are reached when, what to order by when and for how much, and how far that can be trusted"
MOST: Final = 12
"""Resources with a section of their own; the others stand in the table of all."""


def build(connection: duckdb.DuckDBPyConnection, *, made_at: datetime) -> Report:
    """The report from what the marts hold now."""
    data = load(connection)
    first = [resource(data, row, turn) for turn, row in enumerate(data.at_risk.head(MOST).iter_rows(named=True), start=1)]
    answers = [fleet(data), *first, record(data), what_if(data), demand(data), totals(data)]
    return assemble("capacity", "Capacity: what runs out, and what to order", answers, made_at=made_at)
