"""Times as tables write them (Unix seconds to nanoseconds, ISO texts, patterns, zones) to UTC, as SQL expressions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from warehouse.lake.connection import literal

UNIX = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
MAGNITUDES = ((10**11, "s"), (10**14, "ms"), (10**17, "us"))
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT")
ZONED = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """How the times of a file are written: `s`, `ms`, `us`, `ns`, `text` or a strptime pattern, and the zone of texts without one."""

    form: str = "text"
    zone: str = "UTC"

    def nanoseconds(self, expression: str, type_name: str) -> str:
        """SQL for BIGINT nanoseconds since 1970 in UTC; NULL for what is not such a time. (TRY is slow where it catches: not used.)"""
        if is_time(type_name):
            return f"epoch_ns(TRY_CAST({self._shifted(expression, type_name)} AS TIMESTAMP_NS))"
        if self.form in UNIX:
            return _unix(expression, type_name, UNIX[self.form])
        return f"epoch_ns(TRY_CAST({self._text(expression)} AS TIMESTAMP_NS))"

    def timestamp(self, expression: str, type_name: str) -> str:
        """SQL for a TIMESTAMP (us) in UTC; NULL for what is not such a time."""
        if is_time(type_name):
            return f"TRY_CAST({self._shifted(expression, type_name)} AS TIMESTAMP)"
        if self.form in UNIX:
            return f"make_timestamp({_unix(expression, type_name, UNIX[self.form])} // 1000)"
        return f"CAST({self._text(expression)} AS TIMESTAMP)"

    def _shifted(self, expression: str, type_name: str) -> str:
        """A typed time in UTC; those without a zone are in `zone`."""
        if "TIME ZONE" in type_name:
            return f"CAST({expression} AS TIMESTAMP)"
        if self.zone == "UTC":
            return expression
        return f"timezone('UTC', timezone({literal(self.zone)}, CAST({expression} AS TIMESTAMP)))"

    def _text(self, expression: str) -> str:
        """A text as TIMESTAMP_NS or TIMESTAMP in UTC. The cast to TIMESTAMP_NS heeds offsets, the one to TIMESTAMP ignores them."""
        if self.form != "text":
            parsed = f"TRY_STRPTIME({expression}, {literal(self.form)})"
            zoned = "%z" in self.form or "%Z" in self.form
            return f"CAST({parsed} AS TIMESTAMP)" if zoned else self._shifted(parsed, "TIMESTAMP")
        utc = f"TRY_CAST({expression} AS TIMESTAMP_NS)"
        if self.zone == "UTC":
            return utc
        local = self._shifted(f"TRY_CAST({expression} AS TIMESTAMP)", "TIMESTAMP")
        return f"CASE WHEN regexp_matches({expression}, {literal(ZONED)}) THEN CAST({utc} AS TIMESTAMP) ELSE {local} END"


def is_time(type_name: str) -> bool:
    """Whether a DuckDB type is a date or a time stamp."""
    return type_name.startswith("TIMESTAMP") or type_name == "DATE"


def _unix(expression: str, type_name: str, factor: int) -> str:
    """Nanoseconds of a Unix time; NULL outside of 64 bits. Whole and written fractions exactly, floating point to the microsecond.

    (Arithmetic on DECIMAL(38, 9) took 50 us a row.)"""
    limit = (2**63 - 1) // factor - 1
    if type_name in INTEGERS:
        return f"CASE WHEN {expression} BETWEEN -{limit} AND {limit} THEN CAST({expression} AS BIGINT) * {factor} END"
    number = f"TRY_CAST({expression} AS DOUBLE)"
    step = min(factor, 1000)
    floating = f"CASE WHEN abs({number}) < {limit} THEN CAST(round({number} * {factor // step}) AS BIGINT) * {step} END"
    if type_name != "VARCHAR":
        return floating
    whole = f"TRY_CAST({expression} AS BIGINT)"
    before = f"TRY_CAST(split_part({expression}, '.', 1) AS BIGINT)"
    after = f"CAST(rpad(left(split_part({expression}, '.', 2), 9), 9, '0') AS BIGINT) * {factor} // 1000000000"
    return (
        f"CASE WHEN regexp_full_match({expression}, '[0-9]+[.][0-9]*') "
        f"THEN CASE WHEN {before} < {limit} THEN {before} * {factor} + {after} END "
        f"WHEN contains({expression}, '.') OR contains(lower({expression}), 'e') THEN {floating} "
        f"WHEN {whole} BETWEEN -{limit} AND {limit} THEN {whole} * {factor} END"
    )


def detect(sample: list[str]) -> str:
    """The form of some times of a file: a Unix unit by the magnitude of the median when most are numbers, else `text`."""
    values = [text for text in sample if NUMBER.fullmatch(text.strip())]
    if len(values) * 2 < len(sample) or not values:
        return "text"
    middle = sorted(abs(float(v)) for v in values)[len(values) // 2]
    return next((form for limit, form in MAGNITUDES if middle < limit), "ns")
