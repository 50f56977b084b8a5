"""Reads marts through the connection that is handed in, by queries that stand in `sql/` and are shown as they are."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    import duckdb


@cache
def query(name: str) -> str:
    """The text of `sql/<name>.sql`: one SELECT without parameters, so that `lakebed sql` runs it unchanged."""
    return resources.files("reports").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8").strip()


def read(connection: duckdb.DuckDBPyConnection, name: str) -> pl.DataFrame:
    """The rows of a query, DECIMAL as float; no rows and no columns where its table is not there (not built yet)."""
    text = query(name)
    there = connection.execute(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_catalog = current_database()"
    ).fetchall()
    if not set(re.findall(r"\b(?:mart|core|meta)\.\w+", text)) <= {row[0] for row in there}:
        return pl.DataFrame()
    frame: pl.DataFrame = connection.execute(text).pl()
    return frame.with_columns(pl.selectors.decimal().cast(pl.Float64))
