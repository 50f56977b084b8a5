"""The first line of defence, from the contracts: one corrupted row per rule goes to quarantine under its name, the others land."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract_rows import BREAKS, TABLES, Row, breaks_of, row, write
from tests.lakes import open_lake
from warehouse.contracts import CONTRACTS, Contract
from warehouse.contracts.ddl import quarantine_name
from warehouse.lake.lake import Lake

PLAIN = ("VARCHAR", "BIGINT", "UBIGINT", "INTEGER", "UUID")
VALID_ROWS = 3


@pytest.fixture(scope="module")
def shared_lake(tmp_path_factory: pytest.TempPathFactory, empty_lake: Path) -> Iterator[Lake]:
    """One lake for all tables."""
    folder = tmp_path_factory.mktemp("rules")
    shutil.copytree(empty_lake, folder, dirs_exist_ok=True)
    with open_lake(folder) as opened:
        yield opened


@pytest.mark.parametrize("table", TABLES, ids=lambda t: t.full_name)
def test_every_rule_quarantines_its_row_and_the_others_land(shared_lake: Lake, table: Contract) -> None:
    breaks = breaks_of(table)
    good = [row(table, n) for n in range(1, VALID_ROWS + 1)]
    bad = {name: row(table, n) | change for n, (name, change) in enumerate(breaks.items(), VALID_ROWS + 1)}
    write(shared_lake, table, [*good, *bad.values()], batch=table.full_name)

    held = shared_lake.connection.execute(f"SELECT reason, record, file FROM {quarantine_name(table)}").fetchall()
    records = {reason: json.loads(record) for reason, record, _ in held}
    assert sorted(reason for reason, _, _ in held) == sorted(breaks)
    assert all(_same(table, records[name], bad[name]) for name in breaks)
    assert all(file for *_, file in held)
    landed = shared_lake.query(f"SELECT * FROM {table.full_name}").to_pylist()
    assert sorted(_keys(table, landed), key=str) == sorted(_keys(table, good), key=str)
    counted = "SELECT rows_read, rows_landed, rows_collapsed, rows_quarantined FROM meta.ingest_log WHERE table_name = ?"
    assert shared_lake.connection.execute(counted, [table.full_name]).fetchall() == [(VALID_ROWS + len(breaks), VALID_ROWS, 0, len(breaks))]


def test_rules_are_broken_for_tables_that_exist() -> None:
    assert set(BREAKS) <= set(CONTRACTS)


@pytest.mark.parametrize("table", [t for t in TABLES if t.has_day], ids=lambda t: t.full_name)
def test_every_table_with_days_refuses_rows_of_other_days(table: Contract) -> None:
    assert "time_in_slice" in {r.name for r in table.row_rules}


def _columns(table: Contract) -> list[str]:
    return [c.name for c in table.columns if c.type in PLAIN and c.name not in ("source", "batch_id")]


def _same(table: Contract, record: Row, expected: Row) -> bool:
    return all(_text(record.get(n)) == _text(expected.get(n)) for n in _columns(table))


def _keys(table: Contract, rows: list[Row]) -> list[tuple[str | None, ...]]:
    names = [n for n in table.column_names if n in (*_columns(table), table.time_column)]
    return [tuple(_text(one.get(n)) for n in names) for one in rows]


def _text(value: object) -> str | None:
    return None if value is None else str(value)
