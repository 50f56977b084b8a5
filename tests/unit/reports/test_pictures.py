"""Pictures on assets: the reports' own charts, as images within the text."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from orchestration.pictures import PICTURES, picture
from tests.unit.reports.conftest import TODAY


@dataclass(frozen=True)
class Marts:
    """The small company's marts, asked as a lake is."""

    connection: duckdb.DuckDBPyConnection

    def query(self, sql: str, parameters: dict[str, Any]) -> pa.Table:
        """Rows as Arrow."""
        return self.connection.execute(sql, parameters).to_arrow_table()


@pytest.mark.parametrize(("table", "titles"), [("mart.capacity_plan", 3), ("mart.cost_opportunities", 1), ("mart.roi", 1)])
def test_tables_have_pictures(filled, table, titles):
    found = picture(Marts(filled), table, TODAY)  # type: ignore[arg-type]
    assert found is not None
    assert found.md_str is not None
    images = re.findall(r"!\[\]\(data:image/png;base64,([^)]+)\)", found.md_str)
    assert len(images) == titles
    assert all(base64.b64decode(image).startswith(b"\x89PNG") for image in images)


def test_names_are_text_in_markdown(filled, hostile):
    found = picture(Marts(filled), "mart.capacity_plan", TODAY)  # type: ignore[arg-type]
    assert found is not None
    assert not re.search(r"(?<!\\)<script", found.md_str or "")


def test_no_rows_and_no_chart_are_no_picture(filled):
    assert {picture(Marts(filled), table, TODAY - timedelta(days=900)) for table in PICTURES} == {None}  # type: ignore[arg-type]
    assert picture(Marts(filled), "mart.trends", TODAY) is None  # type: ignore[arg-type]
