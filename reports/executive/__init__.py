"""The executive report: is the observability worth it, what does everything cost, when does it run out, what broke.

One module per question; each reads its queries and returns a section. `build` puts them together.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from reports.answer import assemble
from reports.executive.capacity import capacity
from reports.executive.changes import changes
from reports.executive.cost import cost
from reports.executive.data import data
from reports.executive.incidents import incidents
from reports.executive.opportunities import opportunities
from reports.executive.returns import returns
from reports.executive.services import services
from reports.page import Report

if TYPE_CHECKING:
    import duckdb

ANSWERS = "is it worth it, what does it cost, what can be saved, when do we run out, what broke, what changed"
_QUESTIONS = (returns, cost, opportunities, capacity, incidents, changes, services, data)


def build(connection: duckdb.DuckDBPyConnection, *, made_at: datetime) -> Report:
    """The report from what the marts hold now."""
    answers = [question(connection) for question in _QUESTIONS]
    return assemble("executive", "Observability: cost, risk and return", answers, made_at=made_at)
