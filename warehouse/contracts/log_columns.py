"""Physical columns of encoded log lines, and the DuckDB expressions that give the lines back.

`body_format` is a format string of DuckDB's `format` (fmt, https://fmt.dev/latest/syntax); what varies is an argument by its number."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from warehouse.contracts.encodings import SHIFT
from warehouse.contracts.model import Column, Encoding

TEXTS, INTS, HEXES, UUIDS, TIMES = 8, 16, 3, 2, 3
FORMS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%d/%b/%Y:%H:%M:%S", "%H:%M:%S")
"""Forms of times in lines, in the order of their flags; decimals come after."""
TEMPLATE = "body_format"


def text_column(number: int) -> str:
    """Texts of one place in the template; numbered from 1, as are the others."""
    return f"body_text_{number}"


def int_column(number: int) -> str:
    """Whole numbers; leading zeros are in the template as a width."""
    return f"body_int_{number}"


def spread_column(number: int) -> str:
    """Numbers of `int_column` with SHIFT added, as DOUBLE."""
    return f"body_spread_{number}"


def hex_column(number: int) -> str:
    """Lower-case hex of at most 16 digits; the width is in the template."""
    return f"body_hex_{number}"


def uuid_column(number: int) -> str:
    """UUIDs in lower case."""
    return f"body_uuid_{number}"


def hex32_column(number: int) -> str:
    """32 lower-case hex digits, such as trace ids, as UUIDs."""
    return f"body_hex32_{number}"


def time_column(number: int) -> str:
    """Times: see `log_times.packed`."""
    return f"body_time_{number}"


def _columns() -> tuple[Column, ...]:
    found = [Column(TEMPLATE, "VARCHAR", "Format string of the line; NULL where `body` holds it as it is")]
    found += [Column(text_column(n), "VARCHAR", "Text in the line") for n in range(1, TEXTS + 1)]
    found += [Column(int_column(n), "BIGINT", "Number in the line") for n in range(1, INTS + 1)]
    found += [Column(spread_column(n), "DOUBLE", f"body_int_{n} + 1.5 * 2^52") for n in range(1, INTS + 1)]
    found += [Column(hex_column(n), "UBIGINT", "Hexadecimal digits in the line") for n in range(1, HEXES + 1)]
    found += [Column(uuid_column(n), "UUID", "UUID in the line") for n in range(1, UUIDS + 1)]
    found += [Column(hex32_column(n), "UUID", "32 hexadecimal digits in the line") for n in range(1, UUIDS + 1)]
    found += [
        Column(time_column(n), "BIGINT", "Time in the line: 32 x its distance to the row's time + flags of its form (log_times.packed)")
        for n in range(1, TIMES + 1)
    ]
    return (
        *found,
        Column("log_id_high", "UBIGINT", "First half of log_id: what the record came in"),
        Column("log_id_low", "UBIGINT", "Second half of log_id: its number in there"),
        Column("time_remainder_ns", "INTEGER", "time_unix_nano beyond `time`", "ns"),
        Column("observed_delay_ns", "BIGINT", "observed_time_unix_nano beyond time_unix_nano", "ns"),
        Column("trace_uuid", "UUID", "trace_id of 32 lower-case hex digits"),
        Column("span_number", "UBIGINT", "span_id of 16 lower-case hex digits"),
        Column("resource_attributes_json", "VARCHAR", "resource_attributes as JSON, where few differ"),
        Column("attributes_json", "VARCHAR", "attributes as JSON, where few differ"),
    )


COLUMNS = _columns()
NANOS = "coalesce(time_unix_nano, epoch_us(time) * 1000 + time_remainder_ns)"
TRACE = "coalesce(trace_id, replace(trace_uuid::VARCHAR, '-', ''))"
SPAN = "coalesce(span_id, CASE WHEN span_number IS NOT NULL THEN format('{:016x}', span_number) END)"


def nanos_column(number: int) -> str:
    """Nanoseconds since 1970 of a time in the line: no column of a file, but made for the arguments to share."""
    return f"body_nanos_{number}"


def _nanos(number: int) -> str:
    column = time_column(number)
    unit = f"CASE {column} & 12 WHEN 0 THEN 1000000000 WHEN 4 THEN 1000000 WHEN 8 THEN 1000 ELSE 1 END"
    return f"({NANOS} // ({unit}) + ({column} >> 5)) * ({unit})"


PREPARED: Mapping[str, str] = MappingProxyType({nanos_column(n): _nanos(n) for n in range(1, TIMES + 1)})
"""What the expressions below read besides the columns."""


def _time_arguments(number: int) -> dict[tuple[str, int], str]:
    """Text to the second, and 9 decimals (or as many as it takes), of a packed time."""
    column, nanos = time_column(number), nanos_column(number)
    forms = " ".join(f"WHEN {style} THEN strftime(make_timestamp({nanos} // 1000), '{form}')" for style, form in enumerate(FORMS))
    decimals = f"right((1000000000 + {nanos} % 1000000000)::VARCHAR, 9)"
    trimmed = f"WHEN {column} & 16 = 16 THEN rtrim({decimals}, '0')"
    return {
        ("time", number): f"CASE {column} & 3 {forms} ELSE '' END",
        ("decimals", number): f"CASE {trimmed} WHEN {column} & 12 > 0 THEN {decimals} ELSE '' END",
    }


def _arguments() -> dict[tuple[str, int], str]:
    """SQL of every argument by its kind and number."""
    found = {("text", n): f"coalesce({text_column(n)}, '')" for n in range(1, TEXTS + 1)}
    found |= {("int", n): f"coalesce({int_column(n)}, ({spread_column(n)} - {SHIFT:.0f})::BIGINT, 0)" for n in range(1, INTS + 1)}
    found |= {("hex", n): f"coalesce({hex_column(n)}, 0)" for n in range(1, HEXES + 1)}
    for n in range(1, UUIDS + 1):
        found[("uuid", n)] = f"coalesce({uuid_column(n)}::VARCHAR, '')"
        found[("hex32", n)] = f"coalesce(replace({hex32_column(n)}::VARCHAR, '-', ''), '')"
    for n in range(1, TIMES + 1):
        found |= _time_arguments(n)
    found[("trace_id", 1)] = f"coalesce({TRACE}, '')"
    found[("span_id", 1)] = f"coalesce({SPAN}, '')"
    return found


TIERS: tuple[Mapping[str, int], ...] = (
    {"time": 1, "decimals": 1, "text": 5, "int": 3, "trace_id": 1, "span_id": 1},
    {"time": 3, "decimals": 3, "text": 5, "int": 6, "hex": 1, "uuid": 1, "hex32": 1},
)
"""How many arguments of each kind come first, and next: `format` takes 10 ns a line for each that it is given, and most lines need few."""


def _tier(key: tuple[str, int]) -> int:
    kind, number = key
    return next((place for place, tier in enumerate(TIERS) if number <= tier.get(kind, 0)), len(TIERS))


def _columns_of(kind: str, number: int) -> tuple[str, ...]:
    """Columns of which one holds an argument's value wherever a template names it."""
    if kind == "int":
        return int_column(number), spread_column(number)
    return (f"body_{'time' if kind == 'decimals' else kind}_{number}",)


ARGUMENTS: Mapping[tuple[str, int], str] = MappingProxyType(dict(sorted(_arguments().items(), key=lambda item: _tier(item[0]))))
"""SQL of every argument by its kind and number, in the order of `format`'s arguments."""
ARGUMENT_NUMBERS: Mapping[tuple[str, int], int] = MappingProxyType({key: number for number, key in enumerate(ARGUMENTS)})


def _body() -> str:
    """The line, made of no more arguments than those up to the last tier in which its columns hold a value."""
    branches = []
    for tier in range(len(TIERS)):
        values = ", ".join(value for key, value in ARGUMENTS.items() if _tier(key) <= tier)
        beyond = dict.fromkeys(column for key in ARGUMENTS if _tier(key) > tier for column in _columns_of(*key))
        branches.append(f"WHEN {' AND '.join(f'{column} IS NULL' for column in beyond)} THEN format({TEMPLATE}, {values})")
    return f"CASE WHEN body IS NOT NULL THEN body {' '.join(branches)} ELSE format({TEMPLATE}, {', '.join(ARGUMENTS.values())}) END"


ATTRIBUTES = "coalesce({0}, from_json({0}_json, '\"MAP(VARCHAR, VARCHAR)\"'))"
DECODED: Mapping[str, str] = MappingProxyType(
    {
        "log_id": "coalesce(log_id, format('{:016x}{:016x}', log_id_high, log_id_low)::UUID)",
        "time_unix_nano": NANOS,
        "observed_time_unix_nano": f"coalesce(observed_time_unix_nano, {NANOS} + observed_delay_ns)",
        "body": _body(),
        "trace_id": TRACE,
        "span_id": SPAN,
        "resource_attributes": ATTRIBUTES.format("resource_attributes"),
        "attributes": ATTRIBUTES.format("attributes"),
    }
)
"""Column of raw.logs -> its value, as an SQL expression over the physical columns and PREPARED."""

LOGS = Encoding(COLUMNS, tuple(DECODED.items()), tuple(PREPARED.items()))
