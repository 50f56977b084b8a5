"""What an untrusted query may say: one SELECT, or EXPLAIN of one, over the lake's own tables.

DuckDB's own parser is asked, never a regular expression: `json_serialize_sql` takes nothing but SELECT, and the tree that it gives is
walked for what a SELECT can still do harm with: functions, tables of other databases, files named as tables."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import duckdb

from warehouse.errors import QueryError

SCHEMAS = ("raw", "core", "mart", "meta", "quarantine", "archive", "information_schema")
TABLE_MACROS = {
    "series_window": ("core.metric_rollup_1h", "core.metric_rollup_5m", "meta.day_state", "raw.metric_points", "raw.metric_series"),
}
"""Table macros of `transforms/windows`, and the tables that they read."""
TABLE_FUNCTIONS = ("generate_series", "json_each", "json_tree", "range", "unnest", *TABLE_MACROS)
ALLOWED = (
    f"allowed is one SELECT, DESCRIBE or SUMMARIZE, or EXPLAIN of one, over the schemas {', '.join(SCHEMAS)} "
    f"and the table functions {', '.join(TABLE_FUNCTIONS)}"
)
FORBIDDEN_PREFIXES = (
    *("ducklake_", "duckdb_", "pragma_", "pg_", "postgres_", "sqlite_", "read_", "write_", "parquet_", "sniff_", "enable_", "disable_"),
    *("json_execute", "which_secret", "arrow_scan", "pandas_scan", "python_"),
)
FORBIDDEN = frozenset(
    {"getenv", "current_setting", "getvariable", "nextval", "currval", "setseed", "sleep_ms", "query", "query_table", "glob"}
)
HARMLESS = frozenset({"pg_typeof", "pg_size_pretty"})
EXPLAIN_OPTIONS = re.compile(r"\(\s*(ANALYZE\s*,?\s*)?(?:FORMAT\s+(\w+)\s*)?\)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """A query that was found harmless: the text to run, and the tables that it names (`schema.table`, sorted)."""

    text: str
    tables: tuple[str, ...]


def check(connection: duckdb.DuckDBPyConnection, sql: str) -> Statement:
    """The one statement in a text, if it only reads the lake. The connection only parses.

    Raises QueryError that says what is not allowed and what is."""
    try:
        sql.encode()
        found = connection.extract_statements(sql)
    except UnicodeEncodeError:
        raise QueryError("the query is not valid Unicode text") from None
    except duckdb.Error as error:
        raise QueryError(f"the query cannot be parsed: {error}") from None
    if not found:
        raise QueryError(f"there is no query; {ALLOWED}")
    kinds = [statement.type.name for statement in found]
    if kinds == ["CREATE", "SELECT"] and not found[0].query:
        raise QueryError("PIVOT needs the values that become columns: PIVOT ... ON column IN (value, ...)")
    if len(found) > 1:
        raise QueryError(f"there are {len(found)} statements; {ALLOWED}")
    if kinds[0] not in ("SELECT", "EXPLAIN"):
        raise QueryError(f"{kinds[0]} is not allowed here; {ALLOWED}")
    prefix, query = _without_explain(sql) if kinds[0] == "EXPLAIN" else ("", sql)
    tables: set[str] = set()
    try:
        _walk(_tree(connection, query), frozenset(), tables)
    except RecursionError:
        raise QueryError("the query is nested too deeply; split it with WITH") from None
    return Statement(prefix + query, tuple(sorted(tables)))


def _without_explain(sql: str) -> tuple[str, str]:
    """An EXPLAIN, written anew from what is known to be harmless, and the query behind it."""
    starts = [start for start, _kind in duckdb.tokenize(sql)]
    rest = sql.encode()[starts[1] :].decode()
    options = EXPLAIN_OPTIONS.match(rest)
    if options:
        layout = f"FORMAT {options.group(2)}" if options.group(2) else ""
        listed = ", ".join(o for o in ("ANALYZE" if options.group(1) else "", layout) if o)
        return (f"EXPLAIN ({listed}) " if listed else "EXPLAIN "), rest[options.end() :]
    if re.match(r"ANALY[SZ]E\b", rest, re.IGNORECASE):
        return "EXPLAIN ANALYZE ", rest[len("ANALYZE") :]
    return "EXPLAIN ", rest


def _tree(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    """The parsed SELECT as DuckDB writes it to JSON. Raises QueryError for anything that is not one SELECT."""
    row = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchone()
    assert row is not None
    document = json.loads(row[0])
    if document["error"]:
        raise QueryError(f"{document['error_message']}; {ALLOWED}")
    if len(document["statements"]) != 1:
        raise QueryError(f"there are {len(document['statements'])} statements; {ALLOWED}")
    return document["statements"][0]


def _walk(node: Any, scope: frozenset[str], tables: set[str]) -> None:
    """Check every table and function below a node; `scope` holds the names of the CTEs that are visible there."""
    if isinstance(node, list):
        for child in node:
            _walk(child, scope, tables)
    if not isinstance(node, dict):
        return
    skipped = {"cte_map"}
    if "cte_map" in node:
        scope = _walk_ctes(node["cte_map"]["map"], scope, tables)
    kind = node.get("type")
    if kind == "BASE_TABLE":
        _check_table(node, scope, tables)
    elif kind == "TABLE_FUNCTION":
        skipped.add("function")
        _check_table_function(node["function"], tables)
        _walk(node["function"]["children"], scope, tables)
    elif kind == "SHOW_REF" and (node["query"] is None or node["show_type"] not in ("DESCRIBE", "SUMMARY")):
        raise QueryError(f"SHOW is not allowed here, read information_schema.tables or use .tables; {ALLOWED}")
    elif isinstance(node.get("function_name"), str):
        _check_function(node["function_name"])
    for key, child in node.items():
        if key not in skipped:
            _walk(child, scope, tables)


def _walk_ctes(entries: list[Any], scope: frozenset[str], tables: set[str]) -> frozenset[str]:
    """Check the CTEs of a query in their order; each sees those before it, and itself only in its recursive half."""
    for entry in entries:
        name = entry["key"].lower()
        if name.startswith(FORBIDDEN_PREFIXES):
            raise QueryError(f"call the CTE {entry['key']!r} something else: that is how the database names its own tables")
        query = entry["value"]["query"]["node"]
        if query["type"] == "RECURSIVE_CTE_NODE":
            halves = {"left": scope, "right": scope | {name}}
            inner = _walk_ctes(query["cte_map"]["map"], scope, tables)
            for key, child in query.items():
                if key != "cte_map":
                    _walk(child, inner | halves.get(key, scope), tables)
        else:
            _walk(query, scope, tables)
        scope |= {name}
    return scope


def _check_table(node: dict[str, Any], scope: frozenset[str], tables: set[str]) -> None:
    catalog, schema, table = node["catalog_name"].lower(), node["schema_name"].lower(), node["table_name"]
    if not catalog and not schema:
        if table.lower() not in scope:
            raise QueryError(f"{table!r} is no table here: write schema.table, for example mart.trends; files cannot be read; {ALLOWED}")
        return
    if catalog not in ("", "lake") or schema not in SCHEMAS:
        name = ".".join(p for p in (node["catalog_name"], node["schema_name"], table) if p)
        raise QueryError(f"table {name} cannot be read here; {ALLOWED}")
    tables.add(f"{schema}.{table.lower()}")


def _check_table_function(function: dict[str, Any], tables: set[str]) -> None:
    name = str(function.get("function_name", "")).lower()
    if name not in TABLE_FUNCTIONS or function.get("schema", "") not in ("", "main") or function.get("catalog", ""):
        raise QueryError(f"the table function {name} is not allowed here; {ALLOWED}")
    tables.update(TABLE_MACROS.get(name, ()))


def _check_function(written: str) -> None:
    name = written.lower()
    if name in FORBIDDEN or (name.startswith(FORBIDDEN_PREFIXES) and name not in HARMLESS):
        raise QueryError(f"the function {name} is not allowed here; {ALLOWED}")
