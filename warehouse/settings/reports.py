"""Settings of the reports that the schedule writes."""

from __future__ import annotations

from pydantic import Field

from warehouse.settings.section import Section


class ReportSettings(Section):
    """What the monthly schedule writes; `lakebed report` lists the names and formats there are."""

    names: tuple[str, ...] = Field(default=(), description="Reports to write; none named: all")
    formats: tuple[str, ...] = Field(default=(), description="Formats to write them in; none named: all")
    path: str = Field(default="reports", description="Folder to write to")
