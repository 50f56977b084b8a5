"""What people see on an asset in the Dagster UI: rows, bytes, columns, owners, and what the last run did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import AssetKey, AssetSpec, DailyPartitionsDefinition, MetadataValue, TableColumn, TableColumnConstraints, TableSchema

from orchestration.deriving import Derived
from warehouse.contracts import Contract
from warehouse.lake.lake import Lake

KINDS = {"raw": {"parquet", "ducklake"}, "core": {"sql", "duckdb"}, "mart": {"duckdb"}}


def key_of(table: str) -> AssetKey:
    """`schema.name` as an asset key."""
    return AssetKey(table.split("."))


def spec_of(contract: Contract, partitions: DailyPartitionsDefinition | None, *, deps: list[str] | None = None) -> AssetSpec:
    """The asset of a table: description, columns, owner and group from its contract."""
    return AssetSpec(
        key=key_of(contract.full_name),
        deps=[key_of(d) for d in deps or []],
        description=contract.description,
        group_name=contract.schema,
        kinds=KINDS[contract.schema],
        owners=[f"team:{contract.owner}"],
        tags=dict.fromkeys(contract.tags, ""),
        metadata={"dagster/column_schema": column_schema(contract), "grain": ", ".join(contract.grain)},
        partitions_def=partitions,
    )


def column_schema(contract: Contract) -> TableSchema:
    """Columns with types, units and meanings as the Dagster UI shows them."""
    return TableSchema(
        columns=[
            TableColumn(
                c.name,
                c.type,
                f"{c.description} [{c.unit}]" if c.unit else c.description,
                TableColumnConstraints(nullable=not c.required),
            )
            for c in contract.columns
        ]
    )


def table_facts(lake: Lake, contract: Contract) -> dict[str, Any]:
    """Rows and bytes that the table holds now."""
    schema, _, name = contract.storage_name.partition(".")
    row = lake.connection.execute(
        """SELECT coalesce(sum(f.record_count), 0)::BIGINT, coalesce(sum(f.file_size_bytes), 0)::BIGINT, count(f.path)
           FROM __ducklake_metadata_lake.ducklake_table AS t
           JOIN __ducklake_metadata_lake.ducklake_schema AS s USING (schema_id)
           LEFT JOIN __ducklake_metadata_lake.ducklake_data_file AS f ON f.table_id = t.table_id AND f.end_snapshot IS NULL
           WHERE s.schema_name = ? AND t.table_name = ? AND t.end_snapshot IS NULL""",
        [schema, name],
    ).fetchone()
    rows, size, files = row or (0, 0, 0)
    return {"dagster/row_count": int(rows), "bytes": int(size), "files": int(files)}


def derived_facts(lake: Lake, contract: Contract, result: Derived) -> dict[str, Any]:
    """What building the table did, and what it holds now."""
    facts: dict[str, Any] = {"rows_written": result.rows, "days_built": len(result.built), **table_facts(lake, contract)}
    if result.waiting:
        facts["days_waiting"] = MetadataValue.md(
            markdown_table({"day": "waits for"}, {str(d): w for d, w in sorted(result.waiting.items())})
        )
    return facts


def markdown_table(header: Mapping[str, str], rows: Mapping[str, object]) -> str:
    """A two-column Markdown table; cells are text, so a label cannot become markup."""
    (left, right) = next(iter(header.items()))
    lines = [f"| {left} | {right} |", "|---|---|"]
    lines += [f"| {_cell(k)} | {_cell(v)} |" for k, v in rows.items()]
    return "\n".join(lines)


def _cell(value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
    return text.replace("<", "&lt;").replace(">", "&gt;")
