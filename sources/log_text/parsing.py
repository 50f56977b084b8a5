"""Entries to rows of raw.logs: a chunk at a time on a scratch connection of its own, with times carried from entry to entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from sources.log_text.patterns import NO_LABELS, Pattern
from sources.ordinals import ordinal_uuid
from sources.rejects import KEPT_CHARS
from sources.severity import severity_join
from sources.times import TimeFormat, detect
from warehouse.lake.connection import literal

if TYPE_CHECKING:
    import pyarrow as pa

SLOW_SECONDS = 0.1
FIRST_NS, LAST_NS = 0, 9214646400 * 10**9


@dataclass(frozen=True, slots=True)
class Context:
    """What the rows of a file share: what identifies its content, service and attributes that are fixed, time when a file has none (ns)."""

    content: str
    service: str | None
    attributes: Mapping[str, str]
    modified_ns: int
    times: TimeFormat | None
    zone: str


class Parser:
    """Turns tables of entries (line, text, problem) into tables of raw.logs, in order; remembers the last time it saw."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, pattern: Pattern, context: Context) -> None:
        self._connection, self._pattern, self._context = connection, pattern, context
        self._times = context.times
        self.last_ns: int | None = None

    def parse(self, entries: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Rows of raw.logs (without `source`) and rejects (line, reason, record)."""
        if self._pattern.slow:
            entries = with_groups(entries, self._pattern)
        self._connection.register("entries", entries)
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE parsed AS {self._pattern.sql}")
        self._connection.unregister("entries")
        if self._times is None:
            self._times = self._detected()
        rows = self._connection.execute(self._query(), {"last": self.last_ns, "modified": self._context.modified_ns}).to_arrow_table()
        rejects = self._connection.execute(
            f"""SELECT line, coalesce(problem, 'nul_character') AS reason, left(text, {KEPT_CHARS}) AS record
                FROM parsed WHERE problem IS NOT NULL OR contains(text, chr(0)) ORDER BY line"""
        ).to_arrow_table()
        if rows.num_rows:
            last = rows["known_ns"][-1].as_py()
            self.last_ns = last if last is not None else self.last_ns
        return rows.drop_columns(["known_ns"]), rejects

    def _detected(self) -> TimeFormat | None:
        """How `auto` times are written: by the first thousand of the first chunk that has any."""
        if self._pattern.time_format:
            return TimeFormat(self._pattern.time_format, self._context.zone)
        sample = self._connection.execute("SELECT time_text FROM parsed WHERE matched AND time_text <> '' LIMIT 1000").fetchall()
        return TimeFormat(detect([str(r[0]) for r in sample]), self._context.zone) if sample else None

    def _query(self) -> str:
        times = self._times or TimeFormat("text", self._context.zone)
        text = "replace(time_text, ',', '.')" if self._pattern.decimal_comma else "time_text"
        nano = times.nanoseconds(text, "VARCHAR")
        fixed = self._context.attributes
        attributes = f"map_concat(attributes, {_map(fixed)})" if fixed else "attributes"
        service = literal(self._context.service) if self._context.service else "NULL::VARCHAR"
        filled = "coalesce(own_ns, before_ns, CAST($last AS BIGINT), CAST($modified AS BIGINT))"
        marks = _map({"lakebed.time": "'previous_entry'"}, raw=True)
        late = _map({"lakebed.time": "'file_modified'"}, raw=True)
        return f"""
            WITH timed AS (
                SELECT *, CASE WHEN matched AND ns BETWEEN {FIRST_NS} AND {LAST_NS} THEN ns END AS own_ns
                FROM (SELECT *, {nano} AS ns FROM parsed WHERE problem IS NULL AND NOT contains(text, chr(0)))),
            filled AS (SELECT *, last_value(own_ns IGNORE NULLS) OVER (ORDER BY line ROWS UNBOUNDED PRECEDING) AS before_ns FROM timed)
            SELECT {ordinal_uuid(self._context.content, "line")} AS log_id,
                   make_timestamp({filled} // 1000) AS time, {filled} AS time_unix_nano,
                   coalesce({service}, nullif(service, ''), 'unknown') AS service,
                   coalesce(level, 'UNKNOWN') AS severity,
                   nullif(severity_text, '') AS severity_text,
                   level_number::INTEGER AS severity_number,
                   CASE WHEN matched THEN body ELSE text END AS body, trace_id, span_id, scope_name,
                   CASE WHEN matched AND own_ns IS NOT NULL THEN {attributes} ELSE map_concat({attributes},
                       CASE WHEN own_ns IS NOT NULL THEN {NO_LABELS}
                            WHEN coalesce(before_ns, CAST($last AS BIGINT)) IS NOT NULL THEN {marks} ELSE {late} END,
                       CASE WHEN matched THEN {NO_LABELS} ELSE MAP {{'lakebed.parsed': 'false'}} END) END AS attributes,
                   coalesce(before_ns, CAST($last AS BIGINT)) AS known_ns
            FROM filled {severity_join("CASE WHEN matched THEN severity_text END")} ORDER BY line"""


def _map(values: Mapping[str, str], *, raw: bool = False) -> str:
    if not values:
        return NO_LABELS
    return "MAP {" + ", ".join(f"{literal(k)}: {v if raw else literal(v)}" for k, v in values.items()) + "}"


def with_groups(entries: pa.Table, pattern: Pattern) -> pa.Table:
    """The groups of a backtracking expression as columns `g_NAME`, and `matched`; a text that takes too long does not match."""
    import pyarrow as pa
    import regex

    compiled = regex.compile(str(pattern.slow))
    found: list[dict[str, str | None] | None] = []
    for text in entries["text"].to_pylist():
        try:
            match = compiled.search(text, timeout=SLOW_SECONDS)
        except TimeoutError:
            match = None
        found.append(match.groupdict() if match else None)
    for name in pattern.groups:
        entries = entries.append_column(f"g_{name}", pa.array([f[name] if f else None for f in found], pa.string()))
    return entries.append_column("matched", pa.array([f is not None for f in found], pa.bool_()))
