"""DDL from contracts: tables, the views that readers use, and quarantine. Nothing else in Lakebed writes DDL for the lake."""

from __future__ import annotations

from warehouse.contracts.model import Column, Contract

QUARANTINE_COLUMNS = (
    Column("source", "VARCHAR", "Source of the row", required=True),
    Column("batch_id", "VARCHAR", "Batch that brought it", required=True),
    Column("reason", "VARCHAR", "Row rule that it broke, or why it could not be read", required=True),
    Column("file", "VARCHAR", "File or window that it came from"),
    Column("line", "BIGINT", "Line in the file, where known"),
    Column("record", "VARCHAR", "The row as JSON, or the text as it came (at most 10,000 characters)"),
    Column("day", "DATE", "Day of the row, where it has a usable time"),
    Column("quarantined_at", "TIMESTAMP", "When", required=True),
)


def quarantine_name(contract: Contract) -> str:
    """`quarantine.<table>` for raw tables, `quarantine.<schema>_<table>` for others (core and raw share names)."""
    return f"quarantine.{contract.name}" if contract.schema == "raw" else f"quarantine.{contract.schema}_{contract.name}"


def create_table(name: str, columns: tuple[Column, ...]) -> str:
    """CREATE TABLE with types and NOT NULL; keys and checks do not exist in a lake and are enforced by the writer."""
    lines = ",\n  ".join(f'"{c.name}" {c.type}{" NOT NULL" if c.required else ""}' for c in columns)
    return f"CREATE TABLE {name} (\n  {lines}\n)"


def create_view(contract: Contract) -> str:
    """The view that people and transforms read, over the table that holds the rows.

    meta.day_state shows the latest record of each (table, day); every other view shows its table."""
    query = decoded(contract, contract.storage_name)
    if contract.full_name == "meta.day_state":
        query += " QUALIFY row_number() OVER (PARTITION BY table_name, day ORDER BY version DESC, sequence DESC) = 1"
    return f"CREATE OR REPLACE VIEW {contract.full_name} AS {query}"


def decoded(contract: Contract, stored: str, *extra: str) -> str:
    """The SELECT of the contract's columns, and of `extra` ones as they are, from a relation with the stored columns."""
    expressions = dict(contract.encoding.decoded) if contract.encoding else {}
    columns = [f'{expressions[name]} AS "{name}"' if name in expressions else f'"{name}"' for name in contract.column_names]
    if contract.encoding and contract.encoding.prepared:
        prepared = (f"{expression} AS {name}" for name, expression in contract.encoding.prepared)
        stored = f"(SELECT {', '.join(['*', *extra, *prepared])} FROM {stored})"
    return f"SELECT {', '.join([*columns, *extra])} FROM {stored}"


def plain_schema(contract: Contract) -> str:
    """CREATE TABLE under the name that people read: for tests and scratch databases without a lake."""
    return create_table(contract.full_name, contract.columns)
