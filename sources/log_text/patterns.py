"""Patterns of log lines as SQL: which text is the time, the severity, the message. Every query reads `entries` (line, text, problem)
and gives `line, text, problem, matched, time_text, severity_text, body, service, trace_id, span_id, scope_name, attributes`."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field

from warehouse.errors import ConfigError
from warehouse.lake.connection import identifier, literal

NO_LABELS = "MAP {}::MAP(VARCHAR, VARCHAR)"
APACHE = r'^(\S+ \S+ \S+) \[([^\]]+)\] "([^"\\]*(?:\\.[^"\\]*)*)" ([0-9]{3} (?:[0-9]+|-).*)$'
APACHE_REST = r'^[0-9]{3} \S+ "([^"\\]*(?:\\.[^"\\]*)*)" "([^"\\]*(?:\\.[^"\\]*)*)"'
APACHE_PROTOCOL = r" HTTP/([0-9.]+)$"
APACHE_TIME = "%d/%b/%Y:%H:%M:%S %z"
STAMP = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
LEVELS = "TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|SEVERE|CRITICAL"
LOG4J_START = rf"^\[?{STAMP}\]?\s"
LOG4J = rf"(?s)^\[?({STAMP})\]?\s+(?:\[([^\]]*)\]\s+)?({LEVELS})\s+(.*)$"
KAFKA_LOGGER = r" \(([A-Za-z_$][\w$]*(?:\.[\w$-]+)+)\)$"
LOGGER = r"^(?:\[([^\]]*)\] )?([A-Za-z_$][\w$]*(?:\.[\w$]+)+)(?::| -) "
JSON_FIELDS = {
    "time_text": ("time", "timestamp", "@timestamp", "ts", "datetime", "eventTime", "asctime", "t"),
    "severity_text": ("level", "severity", "log.level", "severity_text", "levelname", "lvl"),
    "body": ("message", "msg", "body", "log", "text"),
    "service": ("service", "service.name", "service_name", "app", "application"),
    "trace_id": ("trace_id", "traceId", "traceID", "trace.id"),
    "span_id": ("span_id", "spanId", "spanID", "span.id"),
    "scope_name": ("logger", "logger_name", "log.logger", "name"),
}
GROUPS = {
    "time_text": ("time", "timestamp", "ts"),
    "severity_text": ("severity", "level"),
    "body": ("body", "message", "msg"),
    "service": ("service", "app"),
    "trace_id": ("trace_id",),
    "span_id": ("span_id",),
    "scope_name": ("logger", "scope_name"),
}


@dataclass(frozen=True, slots=True)
class Pattern:
    """A way to read entries. start: RE2 pattern of an entry's first line (None: each line is one). time_format: what `auto` means.

    slow: the regular expression, when RE2 has no such construct; its groups come as columns `g_NAME` and `matched`."""

    sql: str
    start: str | None = None
    time_format: str | None = None
    decimal_comma: bool = False
    slow: str | None = None
    groups: tuple[str, ...] = field(default=())


def find(name: str) -> Pattern:
    """The pattern of that name, or of that regular expression.

    Raises ConfigError for a text that is neither a name nor has a named group, or is no regular expression."""
    named = {"apache_combined": apache_combined, "log4j": log4j, "json": json_lines}
    if name in named:
        return named[name]()
    if "(?P<" not in name and "(?<" not in name:
        near = difflib.get_close_matches(name, named, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"log pattern {name!r} is none of {', '.join(named)}, nor a regular expression with named groups{hint}")
    return custom(name)


def _labels(columns: dict[str, str]) -> str:
    entries = ", ".join(f"{{'k': {literal(name)}, 'v': {sql}}}" for name, sql in columns.items())
    return f"map_from_entries(list_filter([{entries}], lambda e: e.v <> '' AND e.v <> '-'))" if columns else NO_LABELS


def apache_combined() -> Pattern:
    """Apache and nginx access logs, common or combined. The severity follows from the status; the body is the line.

    Four groups at most: with more, RE2 leaves its fast path (3.9 against 1.0 us a line).
    https://httpd.apache.org/docs/2.4/logs.html#combined; attribute names by the OpenTelemetry semantic conventions for HTTP."""
    target = "CASE WHEN version <> '' THEN left(s.request, length(s.request) - length(version) - 6) ELSE s.request END"
    attributes = {
        "client.address": "split_part(s.who, ' ', 1)",
        "user.name": "split_part(s.who, ' ', 3)",
        "http.request.method": "CASE WHEN contains(s.request, ' ') THEN split_part(s.request, ' ', 1) END",
        "url.original": f"CASE WHEN contains(s.request, ' ') THEN substr({target}, length(split_part(s.request, ' ', 1)) + 2) END",
        "network.protocol.version": "version",
        "http.response.status_code": "status",
        "http.response.body.size": "split_part(s.rest, ' ', 2)",
        "http.request.header.referer": "r.referer",
        "user_agent.original": "r.agent",
    }
    sql = f"""
        SELECT line, text, problem, s.time <> '' AS matched, s.time AS time_text,
               CASE WHEN status >= '500' THEN 'ERROR' WHEN status >= '400' THEN 'WARN' WHEN status <> '' THEN 'INFO' END AS severity_text,
               text AS body, NULL::VARCHAR AS service, NULL::VARCHAR AS trace_id, NULL::VARCHAR AS span_id, NULL::VARCHAR AS scope_name,
               {_labels(attributes)} AS attributes
        FROM (SELECT *, left(s.rest, 3) AS status, regexp_extract(s.request, {literal(APACHE_PROTOCOL)}, 1) AS version,
                     regexp_extract(s.rest, {literal(APACHE_REST)}, ['referer', 'agent']) AS r
              FROM (SELECT *, regexp_extract(text, {literal(APACHE)}, ['who', 'time', 'request', 'rest']) AS s FROM entries))"""
    return Pattern(sql, time_format=APACHE_TIME)


def log4j() -> Pattern:
    """`time [thread] LEVEL logger - message` and Kafka's `[time] LEVEL message (logger)`, with the lines that follow an entry.

    https://logging.apache.org/log4j/2.x/manual/pattern-layout.html"""
    sql = f"""
        SELECT line, text, problem, s.time <> '' AS matched, s.time AS time_text, s.level AS severity_text,
               CASE WHEN s.time = '' THEN text WHEN kafka <> '' AND ends THEN regexp_replace(s.rest, {literal(KAFKA_LOGGER)}, '')
                    WHEN kafka <> '' THEN regexp_replace(first, {literal(KAFKA_LOGGER)}, '') || s.rest[strlen(first) + 1:]
                    WHEN p.logger <> '' THEN regexp_replace(s.rest, {literal(LOGGER)}, '') ELSE s.rest END AS body,
               NULL::VARCHAR AS service, NULL::VARCHAR AS trace_id, NULL::VARCHAR AS span_id,
               nullif(coalesce(nullif(kafka, ''), p.logger), '') AS scope_name,
               {_labels({"thread.name": "coalesce(nullif(s.thread, ''), p.thread)"})} AS attributes
        FROM (SELECT *, split_part(s.rest, chr(10), 1) AS first, NOT contains(s.rest, chr(10)) AS ends,
                     regexp_extract(split_part(s.rest, chr(10), 1), {literal(KAFKA_LOGGER)}, 1) AS kafka,
                     regexp_extract(s.rest, {literal(LOGGER)}, ['thread', 'logger']) AS p
              FROM (SELECT *, regexp_extract(text, {literal(LOG4J)}, ['time', 'thread', 'level', 'rest']) AS s FROM entries))"""
    return Pattern(sql.replace("strlen(first)", "length(first)"), start=LOG4J_START, decimal_comma=True)


def json_lines() -> Pattern:
    """A JSON object per line, under the names that loggers commonly use; every other key is an attribute."""

    def first(keys: tuple[str, ...]) -> str:
        return f"coalesce({', '.join(f'm[{literal(k)}]' for k in keys)})"

    used = sorted({key for keys in JSON_FIELDS.values() for key in keys})
    columns = ", ".join(f"{first(keys)} AS {name}" for name, keys in JSON_FIELDS.items() if name != "body")
    valid = "json_valid(text) AND json_type(text) = 'OBJECT' AND len(json_keys(text)) = len(list_distinct(json_keys(text)))"
    sql = f"""
        SELECT line, text, problem, m IS NOT NULL AS matched, {columns}, coalesce({first(JSON_FIELDS["body"])}, text) AS body,
               map_from_entries(list_filter(map_entries(coalesce(m, {NO_LABELS})),
                   lambda e: e.value IS NOT NULL AND NOT list_contains([{", ".join(literal(k) for k in used)}], e.key))) AS attributes
        FROM (SELECT *, CASE WHEN {valid} THEN CAST(text::JSON AS MAP(VARCHAR, VARCHAR)) END AS m FROM entries)"""
    return Pattern(sql)


def custom(expression: str) -> Pattern:
    """A regular expression with named groups, by RE2 (linear time) where it can, else by a backtracking engine with a time limit."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import regex

    try:
        compiled = regex.compile(expression)
    except regex.error as error:
        raise ConfigError(f"log pattern {expression!r} is no regular expression: {error}") from None
    index = {number: name for name, number in compiled.groupindex.items()}
    names = [index.get(n, f"group{n}") for n in range(1, compiled.groups + 1)]
    re2 = re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", expression)
    try:
        pc.match_substring_regex(pa.array([""]), re2)
        slow = None
    except pa.ArrowInvalid:
        slow = expression
    given = tuple(index.values())
    return Pattern(_custom_sql(re2, names, given, slow), slow=slow, groups=given)


def _custom_sql(expression: str, names: list[str], given: tuple[str, ...], slow: str | None) -> str:
    if slow:
        value = {name: f"nullif({identifier('g_' + name)}, '')" for name in given}
        source = "entries"
        matched = "matched"
    else:
        value = {name: f"nullif(s.{identifier(name)}, '')" for name in given}
        listed = ", ".join(literal(n) for n in names)
        matched = f"regexp_matches(text, {literal(expression)})"
        source = f"(SELECT *, regexp_extract(text, {literal(expression)}, [{listed}]) AS s FROM entries)"
    columns = {}
    used = set()
    for column, groups in GROUPS.items():
        found = [value[g] for g in groups if g in value]
        used |= set(groups) & set(value)
        columns[column] = f"coalesce({', '.join([*found, 'NULL'])})::VARCHAR"
    columns["body"] = f"coalesce({columns['body']}, text)"
    listed = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    attributes = _labels({name.replace("__", "."): sql for name, sql in value.items() if name not in used})
    return f"SELECT line, text, problem, {matched} AS matched, {listed}, {attributes} AS attributes FROM {source}"
