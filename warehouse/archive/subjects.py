"""Which rows are a subject's: by one column of one table, or by a value wherever text stands in any table."""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.contracts import CONTRACTS, Contract, contract
from warehouse.errors import ArchiveError
from warehouse.lake.connection import identifier, literal
from warehouse.lake.lake import Lake

OURS = ("source", "batch_id", "day")
SERIES = "raw.metric_series"


@dataclass(frozen=True, slots=True)
class Match:
    """Rows of a table: an SQL condition over its columns, with `?` for each of the values."""

    definition: Contract
    condition: str
    values: tuple[object, ...]


def column_match(table: str, column: str, value: str) -> Match:
    """Rows whose `column`, or key of a map column (`MAPCOLUMN.KEY`), is exactly a value. Raises ArchiveError for another column."""
    definition = contract(table)
    types = {c.name: c.type for c in definition.columns}
    if column in types:
        return Match(definition, f"CAST({identifier(column)} AS VARCHAR) = ?", (value,))
    name, dot, key = column.partition(".")
    if dot and key and types.get(name, "").startswith("MAP(VARCHAR, VARCHAR)"):
        return Match(definition, f"{identifier(name)}[{literal(key)}] = ?", (value,))
    raise ArchiveError(f"{definition.full_name} has no column {column!r}; its columns are {', '.join(types)} (KEY of a map as COLUMN.KEY)")


def value_matches(lake: Lake, value: str) -> list[Match]:
    """Rows of any table in which a value stands as a text, as a value of a map, or inside a nested value; and, because a number says
    nothing without its series, all rows of series whose labels have it. raw.metric_series comes last: it tells which series those are."""
    series = _value_match(contract(SERIES), value)
    assert series is not None
    numbers = [r[0] for r in lake.connection.execute(f"SELECT series_id FROM {SERIES} WHERE {series.condition}", series.values).fetchall()]
    found = []
    for definition in CONTRACTS.values():
        if definition.schema == "meta" or definition.full_name == SERIES:
            continue
        match = _value_match(definition, value)
        kind = next((c.type for c in definition.columns if c.name == "series_id"), None)
        if numbers and kind is not None:
            known: list[object] = [str(n) for n in numbers] if kind == "VARCHAR" else list(numbers)
            listed = f"list_contains(?::{kind}[], series_id)"
            match = Match(definition, f"{match.condition} OR {listed}" if match else listed, (*(match.values if match else ()), known))
        if match is not None:
            found.append(match)
    return [*found, series]


def _value_match(definition: Contract, value: str) -> Match | None:
    conditions = []
    for column in definition.columns:
        name = identifier(column.name)
        if column.name in OURS or ("VARCHAR" not in column.type and column.type != "JSON"):
            continue
        if column.type == "VARCHAR":
            conditions.append(f"{name} = ?")
        elif column.type.startswith("MAP(VARCHAR, VARCHAR)"):
            conditions.append(f"coalesce(list_contains(map_values({name}), ?), FALSE)")
        else:
            conditions.append(f"coalesce(contains(CAST(to_json({name}) AS VARCHAR), CAST(to_json(?::VARCHAR) AS VARCHAR)), FALSE)")
    return Match(definition, " OR ".join(conditions), (value,) * len(conditions)) if conditions else None
