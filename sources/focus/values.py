"""Values as bills write them to typed ones, as SQL: exact money, times, enumerations, tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sources.table.mapping import Converted, convert
from sources.times import TimeFormat
from warehouse.contracts.focus import ENUMERATIONS, MONEY
from warehouse.lake.connection import literal

EXACT = ("DECIMAL", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
NO_SECONDS = r"^(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2})(Z|[+-]\d{2}:?\d{2})?$"
CURRENCIES = ("BillingCurrency", "PricingCurrency")


def present(sql: str, type_name: str, null_values: Sequence[str]) -> str:
    """A value as it stands in a file, with the texts that mean nothing as NULL, and trimmed."""
    if type_name != "VARCHAR":
        return sql
    nulls = ", ".join(literal(v.lower()) for v in {"", *null_values})
    return f"CASE WHEN lower(trim({sql})) NOT IN ({nulls}) THEN trim({sql}) END"


def number(name: str, raw: str, raw_type: str, *, required: bool) -> Converted:
    """DECIMAL(38,12), rounded half away from zero at the 12th digit. Binary floating point goes by its shortest text, never by its
    bits; NaN is no value. Text with an exponent is exact."""
    text = raw if raw_type.split("(")[0] in (*EXACT, "VARCHAR") else f"CAST({raw} AS VARCHAR)"
    if raw_type.split("(")[0] not in EXACT:
        text = f"CASE WHEN lower({text}) <> 'nan' THEN {text} END"
    sql = f"TRY_CAST({text} AS {MONEY})"
    absent = ((f"{text} IS NULL", f"{name}_missing"),) if required else ()
    return Converted(sql, (*absent, (f"{text} IS NOT NULL AND {sql} IS NULL", f"{name}_not_a_number")))


def moment(name: str, raw: str, raw_type: str) -> Converted:
    """A TIMESTAMP in UTC; texts without a zone are UTC, and Azure's `2024-09-01T00:00Z` has no seconds."""
    text = f"regexp_replace({raw}, {literal(NO_SECONDS)}, '\\1:00\\2')" if raw_type == "VARCHAR" else raw
    return convert(name, text, raw_type, "TIMESTAMP", TimeFormat(), required=True)


def words(name: str, raw: str, raw_type: str, *, required: bool) -> Converted:
    """Text; values of an enumeration are brought to FOCUS's letter case, currencies to upper case."""
    plain = convert(name, raw, raw_type, "VARCHAR", TimeFormat(), required=required)
    if name in CURRENCIES:
        return Converted(f"upper({plain.sql})", plain.rejects)
    if name not in ENUMERATIONS:
        return plain
    whens = " ".join(f"WHEN {literal(v.lower())} THEN {literal(v)}" for v in ENUMERATIONS[name])
    return Converted(f"CASE lower({plain.sql}) {whens} ELSE {plain.sql} END", plain.rejects)


def tag_map(raw: str, raw_type: str) -> str:
    """SQL for the MAP of a column with all tags: a MAP, or JSON text (also without its braces). NULL for what is neither."""
    if raw_type.startswith("MAP"):
        return f"CAST({raw} AS MAP(VARCHAR, VARCHAR))"
    text = raw if raw_type in ("VARCHAR", "JSON") else f"CAST(to_json({raw}) AS VARCHAR)"
    braced = f"CASE WHEN starts_with({text}, '{{') THEN {text} ELSE '{{' || {text} || '}}' END"
    document = f"CASE WHEN json_valid({braced}) THEN {braced} END"
    pointer = "'/' || replace(replace(k, '~', '~0'), '/', '~1')"
    entries = f"list_transform(list_distinct(json_keys(j)), lambda k: {{'k': k, 'v': json_extract_string(j, {pointer})}})"
    return f"list_transform([{document}], lambda j: CASE WHEN json_type(j) = 'OBJECT' THEN map_from_entries({entries}) END)[1]"


def map_of(entries: Mapping[str, str]) -> str:
    """SQL for a MAP of texts that have a value; NUL characters, which no text store keeps, become U+FFFD."""
    if not entries:
        return "MAP {}::MAP(VARCHAR, VARCHAR)"
    pairs = ", ".join(
        f"{{'k': {literal(name)}, 'v': replace(CAST({sql} AS VARCHAR), chr(0), chr(65533))}}" for name, sql in entries.items()
    )
    return f"map_from_entries(list_filter([{pairs}], lambda e: e.v IS NOT NULL))"
