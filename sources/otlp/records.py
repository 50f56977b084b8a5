"""Spans and log records as rows. Both wire forms end here: ids, enumerations and times are brought to their columns in one place."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sources.otlp.spool import LOGS, SPANS, Spool
from sources.otlp.values import (
    SPAN_ID_BYTES,
    TRACE_ID_BYTES,
    RowError,
    enumeration,
    hex_id,
    nanoseconds,
    optional_nanoseconds,
)
from sources.severity import WORDS

Id = str | bytes | None
Attributes = Mapping[str, str]
Event = tuple[Any, str, Attributes]
Link = tuple[Id, Id, str | None, Attributes]

NO_SERVICE = "unknown"
KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
KIND_NUMBERS = {name: number for number, name in enumerate(KINDS)}
STATUSES = ("UNSET", "OK", "ERROR")
STATUS_NUMBERS = {name: number for number, name in enumerate(STATUSES)}
SEVERITIES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
SEVERITY_NUMBERS = {"UNSPECIFIED": 0} | {
    f"{name}{step or ''}": index * 4 + max(step, 1) for index, name in enumerate(SEVERITIES) for step in (0, 2, 3, 4)
}
SEVERITY_TEXTS = {word: level for level, words in WORDS.items() for word in words}


class Scope:
    """What the records of one scope share."""

    __slots__ = ("name", "resource", "service", "version")

    def __init__(self, resource: Attributes, name: str, version: str) -> None:
        self.resource = list(resource.items())
        self.service = resource.get("service.name") or NO_SERVICE
        self.name = name or None
        self.version = version or None


class SpanRows:
    """Collects the spans of one file."""

    def __init__(self, folder: Path) -> None:
        self.spans = Spool(folder, "spans", SPANS)

    def add(
        self,
        scope: Scope,
        *,
        ids: tuple[Id, Id, Id],
        name: str | None,
        kind: Any,
        start: Any,
        end: Any,
        status: tuple[Any, str | None],
        trace_state: str | None,
        attributes: Attributes,
        events: Sequence[Event],
        links: Sequence[Link],
    ) -> None:
        """One span. ids: of trace, span and parent, as they came; times in ns as they came. Raises RowError when it cannot be a row."""
        trace_id, span_id = hex_id(ids[0], TRACE_ID_BYTES), hex_id(ids[1], SPAN_ID_BYTES)
        if not trace_id or not span_id:
            raise RowError("trace id is missing" if not trace_id else "span id is missing")
        started = nanoseconds(start, "start time")
        self.spans.append(
            (
                trace_id,
                span_id,
                hex_id(ids[2], SPAN_ID_BYTES) or None,
                scope.service,
                name or "",
                _named(KINDS, enumeration(kind, KIND_NUMBERS, "SPAN_KIND_"), "UNSPECIFIED"),
                started,
                started,
                nanoseconds(end, "end time") - started,
                _status(status[0]),
                status[1] or None,
                trace_state or None,
                scope.name,
                scope.version,
                scope.resource,
                list(attributes.items()),
                [_event(e) for e in events],
                [_link(k) for k in links],
            )
        )


def _named(names: Sequence[str], number: int, otherwise: str) -> str:
    return names[number] if 0 <= number < len(names) else otherwise


def _status(raw: Any) -> str:
    """Unknown codes stay as they came: the contract's row rule names them."""
    return _named(STATUSES, enumeration(raw, STATUS_NUMBERS, "STATUS_CODE_"), str(raw))


def _event(event: Event) -> dict[str, Any]:
    time, name, attributes = event
    return {
        "time_unix_nano": optional_nanoseconds(time, "event time"),
        "name": name,
        "attributes": list(attributes.items()),
    }


def _link(link: Link) -> dict[str, Any]:
    return {
        "trace_id": hex_id(link[0], TRACE_ID_BYTES),
        "span_id": hex_id(link[1], SPAN_ID_BYTES),
        "trace_state": link[2] or None,
        "attributes": list(link[3].items()),
    }


class LogRows:
    """Collects the log records of one file. Ids are a hash of source and content, and the record's ordinal within the file."""

    def __init__(self, folder: Path, source: str, digest: str) -> None:
        self.logs = Spool(folder, "logs", LOGS)
        prefix = hashlib.sha256(f"{len(source)}:{source}{digest}".encode()).hexdigest()
        self._prefix = f"{prefix[:8]}-{prefix[8:12]}-{prefix[12:16]}-{prefix[16:20]}"
        self._ordinal = 0

    def add(
        self,
        scope: Scope,
        *,
        time: Any,
        observed: Any,
        severity_number: Any,
        severity_text: str | None,
        body: str | None,
        ids: tuple[Id, Id],
        event_name: str | None,
        attributes: Attributes,
    ) -> None:
        """One record; its time is that of the observation when it has none itself. Raises RowError when it has neither."""
        self._ordinal += 1
        seen = optional_nanoseconds(observed, "observed time")
        at = optional_nanoseconds(time, "time") or seen
        if at is None:
            raise RowError("time is missing")
        number = enumeration(severity_number, SEVERITY_NUMBERS, "SEVERITY_NUMBER_")
        self.logs.append(
            (
                f"{self._prefix}-{self._ordinal:012x}",
                at,
                at,
                seen,
                scope.service,
                severity(number, severity_text),
                severity_text or None,
                number if 1 <= number <= 24 else None,
                body,
                hex_id(ids[0], TRACE_ID_BYTES) or None,
                hex_id(ids[1], SPAN_ID_BYTES) or None,
                event_name or None,
                scope.name,
                scope.resource,
                list(attributes.items()),
            )
        )


def severity(number: int, text: str | None) -> str:
    """The severity's name, from its number (1-24 in steps of four), else from the text, else UNKNOWN."""
    if 1 <= number <= 24:
        return SEVERITIES[(number - 1) // 4]
    return SEVERITY_TEXTS.get((text or "").strip().upper(), "UNKNOWN")
