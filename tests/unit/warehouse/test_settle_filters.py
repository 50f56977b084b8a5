"""Conditions and aggregates on what the views decode, over landed and settled days together: the catalog's statistics are those of the
physical columns, and no answer may come from them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest

from tests.contract_rows import Row, reader, row, write
from tests.lakes import open_lake
from warehouse.contracts import Contract, contract
from warehouse.contracts.ddl import create_table
from warehouse.lake.connection import literal
from warehouse.lake.lake import Lake
from warehouse.lake.rewriting import rewrite
from warehouse.tiers.settle import DENSE

FIRST, SECOND, LATE = (date(2026, 3, day) for day in (1, 2, 9))
LOGS = ("log_id", "time_unix_nano", "observed_time_unix_nano", "body", "trace_id", "span_id", "attributes")
SPANS = ("trace_id", "span_id", "parent_span_id", "time_unix_nano", "duration_ns")


def ids(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def nanos(time: datetime) -> int:
    return (time.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def log(table: Contract, number: int, day: date) -> Row:
    """Lines of one shape but for every fourth; ids of both shapes or none. On the late day, lines without a text."""
    key, time = f"{day} {number}", datetime(day.year, day.month, day.day, 1) + timedelta(milliseconds=7 * number, microseconds=number)
    body = f"user {number} took {number * 3} ms at {ids(key, 8)}" if number % 4 else f"odd {ids(key, 5)} {{}} {number}"
    return row(table, number, day) | {
        "log_id": UUID(int=(day.day << 64) + number),
        "time": time,
        "time_unix_nano": nanos(time) + number % 3,
        "observed_time_unix_nano": None if number % 2 else nanos(time) + 5000 + number,
        "service": f"service {number % 3}",
        "body": None if day == LATE and number % 2 else body,
        "trace_id": (ids(key, 32), None, f"T{number}")[number % 3],
        "span_id": ids(f"s{key}", 16) if number % 3 == 0 else None,
        "attributes": [("n", str(number % 7))] if number % 2 else [("k", "v")],
    }


def span(table: Contract, number: int, day: date) -> Row:
    """Ids as OpenTelemetry has them, but for some; every second span has a parent."""
    key, time = f"{day} {number}", datetime(day.year, day.month, day.day, 1) + timedelta(milliseconds=number)
    return row(table, number, day) | {
        "trace_id": ids(key, 32) if number % 5 else f"odd{key}",
        "span_id": ids(f"s{key}", 16) if number % 7 else f"x{key}",
        "parent_span_id": ids(f"p{key}", 16) if number % 2 else None,
        "time": time,
        "time_unix_nano": nanos(time) + number % 900,
        "duration_ns": number * 1000 + 1,
    }


def point(table: Contract, number: int, day: date) -> Row:
    """Six series that grow by whole numbers or tenths; a few of the late day are infinite, negative zero or not a number."""
    series = number % 6
    grown = number * 1_000_003 + int(ids(f"{day} {number}", 4), 16)
    odd = {60: float("inf"), 120: -0.0, 180: float("nan")} if day == LATE else {}
    value = odd.get(number, grown if series < 3 else grown / 10)
    time = datetime(day.year, day.month, day.day, 2) + timedelta(seconds=15 * (number // 6))
    return row(table, series, day) | {"series_id": series, "time": time, "value": float(value)}


TABLES: dict[str, tuple[Callable[[Contract, int, date], Row], int, Sequence[str]]] = {
    "raw.logs": (log, 240, LOGS),
    "raw.spans": (span, 240, SPANS),
    "raw.metric_points": (point, 6000, ("value",)),
}
"""How a row of a table is made, how many of them are a day, and the columns that settled days hold in other ones."""


class Twin:
    """A table of a lake, and the same rows in a plain one."""

    def __init__(self, name: str) -> None:
        self.table, (self.made, self.rows, self.columns) = contract(name), TABLES[name]
        self.plain = duckdb.connect()
        self.plain.execute("CREATE SCHEMA raw")
        self.plain.execute(create_table(name, tuple(c for c in self.table.columns if c.name not in ("source", "batch_id", "day"))))
        self.probes: dict[str, list[Any]] = {column: [] for column in self.columns}

    def land(self, lake: Lake, day: date) -> None:
        rows = [self.made(self.table, number, day) for number in range(self.rows)]
        write(lake, self.table, rows, batch=str(day))
        self.plain.register("given", reader(lake, self.table, rows).read_all())
        self.plain.execute(f"INSERT INTO {self.table.full_name} BY NAME FROM given")
        for column, values in self.probes.items():
            values.append(next(r[column] for r in rows[self.rows // 2 + 1 :] if r[column] is not None))

    def differences(self, lake: Lake) -> list[str]:
        """Queries that the lake answers otherwise than the plain table."""
        return [q for q in self._queries() if answer(lake.connection, q) != answer(self.plain, q)]

    def _queries(self) -> Iterator[str]:
        types = {c.name: c.type for c in self.table.columns}
        for name, values in self.probes.items():
            value, kind = (name, types[name]) if not types[name].startswith("MAP") else (f"{name}['n']", "VARCHAR")
            texts = [str(dict(v)["n"] if isinstance(v, list) else v) for v in values]
            first, last = (f"{literal(text)}::{kind}" for text in (texts[0], texts[-1]))
            conditions = [f"{value} {operator} {first}" for operator in ("=", "<>", "<", "IS DISTINCT FROM")]
            conditions += [
                f"{value} = {last}",
                f"{value} > {last}",
                f"{value} IN ({first}, {last})",
                f"{value} IS NULL",
                f"{name} IS NOT NULL",
            ]
            for condition in conditions:
                yield f"SELECT count(*), count({value}), bit_xor(hash({value})) FROM {self.table.full_name} WHERE {condition}"
            for aggregate in (f"min({value})", f"max({value})", f"count(DISTINCT {value})"):
                yield f"SELECT ({aggregate})::VARCHAR FROM {self.table.full_name}"


def answer(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    return connection.execute(query).fetchone()


@pytest.mark.parametrize("name", TABLES)
def test_landed_and_settled_days_answer_as_a_plain_table_does(lake: Lake, tmp_path: Path, name: str) -> None:
    twin = Twin(name)
    for day in (FIRST, SECOND):
        twin.land(lake, day)
    rewrite(lake, name, [FIRST], DENSE[name])
    encoded = ", ".join(f"count(*) FILTER (WHERE {c} IS NULL)" for c in twin.columns)
    stored = answer(lake.connection, f"SELECT {encoded} FROM {twin.table.storage_name}")
    given = answer(twin.plain, f"SELECT {encoded} FROM {name}")
    assert [c for c, a, b in zip(twin.columns, stored, given, strict=True) if a <= b] == [], "stored as they came"
    assert twin.differences(lake) == []
    rewrite(lake, name, [SECOND], DENSE[name])
    twin.land(lake, LATE)
    lake.close()
    with open_lake(tmp_path) as reopened:
        assert twin.differences(reopened) == []
