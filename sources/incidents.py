"""Rows of raw.incidents as readers of incident tools build them, and the records that could not become one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
import pyarrow as pa

from sources.input_file import InputFile
from sources.json_documents import Document, documents
from warehouse.lake import REJECT_SCHEMA, Part

TABLE = "raw.incidents"
RECORD_LIMIT = 10_000
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC)
TIMES = ("started_time", "opened_time", "acknowledged_time", "resolved_time")
TEXTS = ("incident_id", "title", "service", "severity", "status", "description", "url")
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in TEXTS),
        *((name, pa.timestamp("us")) for name in TIMES),
        ("labels", pa.map_(pa.string(), pa.string())),
    ]
)
Status = Literal["triggered", "acknowledged", "resolved"]


class UnreadableRecordError(ValueError):
    """A record cannot become an incident; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A row of raw.incidents. Times are naive UTC; `revision` orders the states of one incident and is not stored."""

    incident_id: str
    status: str
    opened_time: datetime
    title: str | None = None
    service: str | None = None
    severity: str | None = None
    started_time: datetime | None = None
    acknowledged_time: datetime | None = None
    resolved_time: datetime | None = None
    description: str | None = None
    url: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    revision: tuple[object, ...] = ()


@dataclass(slots=True)
class Incidents:
    """Incidents of one unit, the newest state of each, and its rejects. Holds one row per incident in memory.

    collapsed: states that another one of the same incident stands for."""

    origin: str
    collapsed: int = 0
    latest: dict[str, Incident] = field(default_factory=dict)
    rejects: list[dict[str, Any]] = field(default_factory=list)

    def add(self, record: Any, line: int | None, make: Callable[[Any], Incident]) -> None:
        """Make an incident of a record, or a reject with the reason."""
        try:
            incident = make(record)
        except UnreadableRecordError as error:
            self.reject(str(error), line, record)
            return
        known = self.latest.get(incident.incident_id)
        self.collapsed += known is not None
        if known is None or incident.revision >= known.revision:
            self.latest[incident.incident_id] = incident

    def reject(self, reason: str, line: int | None, record: Any) -> None:
        """Keep a record that cannot be read."""
        text = record if isinstance(record, str) else orjson.dumps(record, default=str).decode()
        self.rejects.append({"reason": reason, "file": self.origin, "line": line, "record": text[:RECORD_LIMIT]})

    def parts(self) -> Iterator[Part]:
        """The incidents, and the rejects where there are any."""
        rows = [{**asdict(i), "labels": list(i.labels.items())} for i in self.latest.values()]
        yield Part(TABLE, pa.Table.from_pylist(rows, SCHEMA).to_reader(), collapsed=self.collapsed)
        if self.rejects:
            yield Part(TABLE, pa.Table.from_pylist(self.rejects, REJECT_SCHEMA).to_reader(), rejects=True)


def from_file(file: InputFile, records: Callable[[Any], Iterable[Any] | None], make: Callable[[Any], Incident], expected: str) -> Incidents:
    """All incidents of a JSON file.

    records: the records in a document, None when it is no such document (a reject that says what was `expected`)."""
    found = Incidents(file.origin)
    for document in documents(file):
        inner = _inner(document, records)
        if inner is None:
            found.reject(document.problem or f"no {expected}", document.line, document.text or document.value)
            continue
        for record in inner:
            found.add(record, document.line, make)
    return found


def _inner(document: Document, records: Callable[[Any], Iterable[Any] | None]) -> Iterable[Any] | None:
    if document.problem is not None:
        return None
    if isinstance(document.value, list):
        lists = [(element, records(element)) for element in document.value]
        return [record for element, inner in lists for record in ([element] if inner is None else inner)]
    return records(document.value)


def utc(value: Any, what: str) -> datetime | None:
    """An ISO 8601 time with a zone as naive UTC, cut to us; None for null, an empty text and the zero time of Go
    (year 1).

    Raises UnreadableRecordError when it is no time, has no zone, or is outside of 1970-2261."""
    if value is None or value == "" or (isinstance(value, str) and value.startswith("0001-01-01")):
        return None
    if not isinstance(value, str):
        raise UnreadableRecordError(f"{what} is not a text with a time: {value!r:.100}")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise UnreadableRecordError(f"{what} is not an ISO 8601 time: {value!r:.100}") from None
    if moment.tzinfo is None:
        raise UnreadableRecordError(f"{what} has no zone: {value!r:.100}")
    if not EARLIEST <= moment < LATEST:
        raise UnreadableRecordError(f"{what} is outside of 1970-2261: {value!r:.100}")
    return moment.astimezone(UTC).replace(tzinfo=None)


def text(value: Any) -> str | None:
    """A text as it is, a number or structure as JSON, nothing for null and empty."""
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()


def child(record: Any, *path: str) -> Any:
    """The value under a path of keys, None when a step is missing or no object."""
    for key in path:
        if not isinstance(record, dict):
            return None
        record = record.get(key)
    return record
