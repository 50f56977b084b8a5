"""Pictures on assets: the reports' own charts, as images within the text."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

from orchestration.pictures import PICTURES, picture
from reports.page import Chart
from tests.unit.reports.conftest import TODAY, put


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


def test_pictures_are_white_where_nothing_is_drawn(filled):
    """The Dagster UI has a dark mode, and the ink of pictures is dark."""
    found = picture(Marts(filled), "mart.capacity_plan", TODAY)  # type: ignore[arg-type]
    assert found is not None
    first = re.search(r"data:image/png;base64,([^)]+)\)", found.md_str or "")
    assert first is not None
    image = Image.open(io.BytesIO(base64.b64decode(first[1]))).convert("RGBA")
    assert [image.getpixel(place) for place in ((0, 0), (image.width - 1, image.height - 1))] == [(255, 255, 255, 255)] * 2
    assert image.getchannel("A").getextrema() == (255, 255)


def test_bars_of_names_that_are_shortened_alike_stay_apart(filled):
    filled.execute("DELETE FROM mart.cost_opportunities")
    long = [f"{'a' * 60}{i}{'b' * 60}" for i in range(3)]
    frame = pl.DataFrame({"day": TODAY, "opportunity_id": long, "saving_per_month": [30.0, 20.0, 10.0]})
    put(filled, "mart.cost_opportunities", frame.to_dicts())
    drawn = []

    def look(chart: Chart, _dots: float) -> bytes:
        drawn.append(chart.draw(400, 300).to_dict(validate=False))
        return b""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reports.theme.png", look)
        picture(Marts(filled), "mart.cost_opportunities", TODAY)  # type: ignore[arg-type]
    (rows,) = drawn[0]["datasets"].values()
    assert len({row["name"] for row in rows}) == 3


def test_names_are_text_in_markdown(filled, hostile):
    found = picture(Marts(filled), "mart.capacity_plan", TODAY)  # type: ignore[arg-type]
    assert found is not None
    assert not re.search(r"(?<!\\)<script", found.md_str or "")


def test_no_rows_and_no_chart_are_no_picture(filled):
    assert {picture(Marts(filled), table, TODAY - timedelta(days=900)) for table in PICTURES} == {None}  # type: ignore[arg-type]
    assert picture(Marts(filled), "mart.trends", TODAY) is None  # type: ignore[arg-type]
