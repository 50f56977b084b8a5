"""A scratch database with every table of the contracts, and functions to fill it and to run models and their CTEs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from transforms.model import Model, load_frames, load_models, macros, table_macros
from warehouse.contracts import CONTRACTS, contract
from warehouse.contracts.ddl import plain_schema
from warehouse.lake import scratch

Row = dict[str, Any]
FILL = {
    "VARCHAR": "x",
    "BIGINT": 0,
    "INTEGER": 0,
    "DOUBLE": 0.0,
    "BOOLEAN": False,
    "UBIGINT": 0,
    "MAP(VARCHAR, VARCHAR)": {},
    "MAP(INTEGER, BIGINT[])": {0: [1]},
}


class Database:
    """`fill` completes rows with neutral values for required columns and derives `day`; `run` returns rows as dicts."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.filled: set[str] = set()

    def fill(self, table: str, *rows: Row) -> None:
        definition = contract(table)
        self.filled.add(table)
        names = ", ".join(f'"{name}"' for name in definition.column_names)
        marks = ", ".join("?" for _ in definition.columns)
        for row in rows:
            unknown = set(row) - set(definition.column_names)
            assert not unknown, f"{table} has no columns {unknown}"
            given = dict(row)
            if definition.has_day and "day" not in given:
                time = given[definition.time_column or "time"]
                given["day"] = time.date() if isinstance(time, datetime) else time
            missing = {c.name: self._neutral(c.type, given) for c in definition.columns if c.required and c.name not in given}
            values = [{**missing, **given}.get(name) for name in definition.column_names]
            self.connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)

    @staticmethod
    def _neutral(kind: str, row: Row) -> Any:
        if kind in ("TIMESTAMP", "DATE"):
            return next(v for v in (*row.values(), date(2026, 1, 1)) if isinstance(v, (datetime, date)))
        if kind == "UUID":
            return f"00000000-0000-0000-0000-{abs(hash(repr(row))) % 10**12:012d}"
        return 0 if kind.startswith("DECIMAL") else FILL[kind]

    def run(self, name: str, start: date, end: date | None = None, *, cte: str | None = None) -> list[Row]:
        """Rows of a model or frame over the days [start, end), or those of one of its CTEs."""
        model = self.model(name)
        sql = model.sql if cte is None else only(model.sql, cte)
        window = {
            "window_start": datetime.combine(start, datetime.min.time()),
            "window_end": datetime.combine(end or start + timedelta(days=1), datetime.min.time()),
        }
        used = {key: value for key, value in window.items() if f"${key}" in sql}
        result = self.connection.execute(sql, used)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def build(self, name: str, start: date, end: date | None = None) -> list[Row]:
        """Runs a model and stores its rows in its table, for the models that read it."""
        rows = self.run(name, start, end)
        self.fill(name, *rows)
        return rows

    def clear(self) -> None:
        """Empties what was filled."""
        for table in self.filled:
            self.connection.execute(f"DELETE FROM {table}")
        self.filled.clear()

    @staticmethod
    def model(name: str) -> Model:
        models = load_models()
        return models[name] if name in models else load_frames()[name.removeprefix("frames.")]


def only(sql: str, cte: str) -> str:
    """The query with its last SELECT replaced by `SELECT * FROM cte`; CTEs that nothing reads any more go."""
    tree = sqlglot.parse_one(sql, dialect="duckdb")
    withs = tree.args["with_"]
    ctes = list(withs.expressions)
    names = [c.alias for c in ctes]
    assert cte in names, f"there is no CTE {cte}; there are {names}"
    kept = ctes[: names.index(cte) + 1]
    select = exp.select("*").from_(cte)
    select.set("with_", exp.With(expressions=kept))
    return select.sql(dialect="duckdb")


@pytest.fixture(scope="session")
def schema() -> Iterator[Database]:
    """A database with the tables of raw, core, mart and meta, and the macros."""
    connection = scratch()
    for schema in ("raw", "core", "mart", "meta"):
        connection.execute(f"CREATE SCHEMA {schema}")
    for definition in CONTRACTS.values():
        connection.execute(plain_schema(definition))
    connection.execute(macros())
    connection.execute(table_macros())
    yield Database(connection)
    connection.close()


@pytest.fixture
def db(schema: Database) -> Iterator[Database]:
    """The database, empty at the start of every test."""
    schema.clear()
    yield schema
    schema.clear()
