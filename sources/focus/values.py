"""Values as bills write them to typed ones, as SQL: exact money, times, enumerations, tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sources.table.mapping import Converted, convert
from sources.times import TimeFormat
from warehouse.contracts.focus import ENUMERATIONS, MONEY
from warehouse.lake.connection import identifier, literal

EXACT = ("DECIMAL", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
# Azure writes 2024-09-01T00:00Z.
NO_SECONDS = r"^(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2})(Z|[+-]\d{2}:?\d{2})?$"
SCIENTIFIC = r"([+-]?)(\d*)\.?(\d*)e([+-]?\d{1,4})"
NUL = "_has_nul_character"
CURRENCIES = ("BillingCurrency", "PricingCurrency")


def present(sql: str, type_name: str, null_values: Sequence[str], target: str) -> str:
    """A value as it stands in a file, trimmed, with texts that mean nothing as NULL, and in a form that casts to `target`: numbers
    exact or as text (binary floating point goes by its shortest text, never by its bits), times with seconds."""
    base = type_name.split("(")[0]
    if target == MONEY and base not in EXACT:
        text = f"lower(trim(CAST({sql} AS VARCHAR)))"
        return f"CASE WHEN {text} IN ({_nulls(null_values, 'nan')}) THEN NULL WHEN contains({text}, 'e') THEN {plain(text)} ELSE {text} END"
    if type_name != "VARCHAR":
        return sql
    text = f"CASE WHEN lower(trim({sql})) NOT IN ({_nulls(null_values)}) THEN trim({sql}) END"
    return f"regexp_replace({text}, {literal(NO_SECONDS)}, '\\1:00\\2')" if target == "TIMESTAMP" else text


def plain(text: str) -> str:
    """SQL for a number with an exponent written without one; other texts stay as they are.

    DuckDB's own cast of an exponent to DECIMAL is off by up to 9 in the last digit: `8.5E-14` became 0.000000000001."""
    part = {name: f"regexp_extract({text}, {literal(SCIENTIFIC)}, {n})" for n, name in enumerate(("sign", "whole", "rest", "exponent"), 1)}
    digits = f"({part['whole']} || {part['rest']})"
    point = f"(len({part['whole']}) + CAST({part['exponent']} AS INTEGER))"
    return f"""CASE WHEN NOT regexp_full_match({text}, {literal(SCIENTIFIC)}) OR {digits} = '' THEN {text}
        WHEN regexp_full_match({digits}, '0+') THEN '0'
        WHEN {point} <= 0 THEN {part["sign"]} || '0.' || repeat('0', least(-{point}, 40)) || {digits}
        WHEN {point} >= len({digits}) THEN {part["sign"]} || {digits} || repeat('0', least({point} - len({digits}), 40))
        ELSE {part["sign"]} || left({digits}, {point}) || '.' || substr({digits}, {point} + 1) END"""


def _nulls(null_values: Sequence[str], *others: str) -> str:
    return ", ".join(sorted({literal(v.lower()) for v in ("", *others, *null_values)}))


def number(name: str, *, required: bool) -> Converted:
    """DECIMAL(38,12), rounded half away from zero at the 12th digit.

    Amounts under a million go by 64 bits: the cast to 128 bits took 3.1 us, this one 0.05."""
    raw, done = identifier("r_" + name), identifier("c_" + name)
    sql = f"coalesce(CAST(TRY_CAST({raw} AS DECIMAL(18,12)) AS {MONEY}), TRY_CAST({raw} AS {MONEY}))"
    absent = ((f"{raw} IS NULL", f"{name}_missing"),) if required else ()
    fine = f"{done} IS NOT NULL" if required else f"{raw} IS NULL OR {done} IS NOT NULL"
    return Converted(sql, fine, (*absent, (f"{raw} IS NOT NULL AND {done} IS NULL", f"{name}_not_a_number")))


def moment(name: str, raw_type: str) -> Converted:
    """A TIMESTAMP in UTC; texts without a zone are UTC."""
    return convert(name, raw_type, "TIMESTAMP", TimeFormat(), required=True)


def words(name: str, raw_type: str, *, required: bool) -> Converted:
    """Text; values of an enumeration are brought to FOCUS's letter case, currencies to upper case."""
    plain = convert(name, raw_type, "VARCHAR", TimeFormat(), required=required)
    if name in CURRENCIES:
        return replace(plain, sql=f"upper({plain.sql})")
    if name not in ENUMERATIONS:
        return plain
    whens = " ".join(f"WHEN {literal(v.lower())} THEN {literal(v)}" for v in ENUMERATIONS[name])
    return replace(plain, sql=f"CASE lower({plain.sql}) {whens} ELSE {plain.sql} END")


def one_look_for_nul(columns: Mapping[str, Converted]) -> dict[str, Converted]:
    """The same columns with one look for NUL characters in all texts (as the column `nul`): forty looks took a third of the reading."""
    found: dict[str, Converted] = {}
    texts: list[tuple[str, str]] = []
    for name, column in columns.items():
        nul = tuple(reason for reason in column.rejects if reason[1].endswith(NUL))
        texts += nul
        others = tuple(reason for reason in column.rejects if reason not in nul)
        fine = " AND ".join(f"NOT ({condition})" for condition, _ in others) or "TRUE"
        found[name] = replace(column, fine=fine, rejects=others) if nul else column
    if texts:
        joined = ", ".join(condition.removeprefix("contains(").removesuffix(", chr(0))") for condition, _ in texts)
        found["nul"] = Converted(f"concat({joined})", "NOT contains(c_nul, chr(0))", tuple(texts))
    return found


def tags(raw: str, raw_type: str) -> tuple[str, str]:
    """SQL for the MAP of a column with all tags, a MAP or JSON text (also without its braces), and for whether it could be read.

    Of a key that stands twice the first value counts."""
    if raw_type.startswith("MAP"):
        return f"CAST({raw} AS MAP(VARCHAR, VARCHAR))", "TRUE"
    text = raw if raw_type in ("VARCHAR", "JSON") else f"CAST(to_json({raw}) AS VARCHAR)"
    braced = f"CASE WHEN starts_with({text}, '{{') THEN {text} ELSE '{{' || {text} || '}}' END"
    readable = f"CASE WHEN json_valid({braced}) THEN json_type({braced}) = 'OBJECT' ELSE FALSE END"
    pointer = "'/' || replace(replace(k, '~', '~0'), '/', '~1')"
    first = f"list_transform(list_distinct(json_keys({braced})), lambda k: {{'k': k, 'v': json_extract_string({braced}, {pointer})}})"
    unique = f"len(json_keys({braced})) = len(list_distinct(json_keys({braced})))"
    whole = f"""from_json({braced}, '"MAP(VARCHAR, VARCHAR)"')"""
    return f"CASE WHEN NOT {readable} THEN NULL WHEN {unique} THEN {whole} ELSE map_from_entries({first}) END", readable


def map_of(entries: Mapping[str, str]) -> str:
    """SQL for a MAP of texts that have a value; NUL characters, which no text store keeps, become U+FFFD."""
    if not entries:
        return "MAP {}::MAP(VARCHAR, VARCHAR)"
    pairs = ", ".join(
        f"{{'k': {literal(name)}, 'v': replace(CAST({sql} AS VARCHAR), chr(0), chr(65533))}}" for name, sql in entries.items()
    )
    return f"map_from_entries(list_filter([{pairs}], lambda e: e.v IS NOT NULL))"
