"""Incidents from exports of PagerDuty's REST API: pages `{"incidents": [...]}`, arrays of incidents, or one incident
a line.

Fields: https://developer.pagerduty.com/api-reference/9d0b4b12e36f9-list-incidents. The API empties `acknowledgements`
when an incident resolves, so an export that should tell times to acknowledge carries `log_entries` (or
`acknowledged_at`) in its incidents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import duckdb

from sources.files import file_units, is_line_file
from sources.incidents import Incident, UnreadableRecordError, child, from_file, text, utc
from sources.input_file import InputFile
from warehouse.lake import Known, Part, Slice, Unit
from warehouse.settings import Settings
from warehouse.settings.sources import PagerDutySettings

EXPECTED = 'PagerDuty incidents: {"incidents": [...]}, an array of incidents, or one incident a line'
START_FIELDS = ("started_at", "start_time", "impact_started_at")
LABELS = {
    "urgency": ("urgency",),
    "priority": ("priority", "summary"),
    "incident_number": ("incident_number",),
    "incident_key": ("incident_key",),
    "service_id": ("service", "id"),
    "escalation_policy": ("escalation_policy", "summary"),
    "resolve_reason": ("resolve_reason", "type"),
    "incident_type": ("incident_type", "name"),
}


def units(name: str, settings: PagerDutySettings, *, config: Settings, known: Known, window: Slice) -> Iterator[Unit]:
    """Each new export as a unit of raw.incidents; `window` is ignored, a file says itself which incidents it holds.

    A later export closes what an earlier one had open: rows are keyed by incident id. Records that are no incident
    become rejects.
    Raises SourceError for a path that does not exist; the units raise it for a file without JSON."""

    def opened(file: InputFile, _: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        return from_file(file, _records, incident, EXPECTED).parts()

    yield from file_units(name, settings, config=config, known=known, opener=opened, growing=is_line_file)


def _records(document: Any) -> Iterable[Any] | None:
    if not isinstance(document, dict):
        return None
    if isinstance(document.get("incidents"), list):
        return list(document["incidents"])
    if isinstance(document.get("incident"), dict):
        return [document["incident"]]
    return [document] if "id" in document and "created_at" in document else None


def incident(record: Any) -> Incident:
    """A row from one incident of the API. Raises UnreadableRecordError with the reason."""
    if not isinstance(record, dict):
        raise UnreadableRecordError(f"no {EXPECTED}")
    identity, opened = text(record.get("id")), utc(record.get("created_at"), "created_at")
    if identity is None or opened is None:
        raise UnreadableRecordError(f"the incident has no {'id' if identity is None else 'created_at'}")
    status = text(record.get("status")) or ""
    title = text(record.get("title")) or text(record.get("summary"))
    described = text(record.get("description")) or text(child(record, "body", "details"))
    return Incident(
        incident_id=identity,
        status=status,
        opened_time=opened,
        title=title,
        service=text(child(record, "service", "summary")) or text(child(record, "service", "name")),
        severity=text(child(record, "priority", "summary")) or text(record.get("urgency")),
        started_time=_started(record),
        acknowledged_time=_acknowledged(record, opened),
        resolved_time=_resolved(record) if status == "resolved" else None,
        description=described if described != title else None,
        url=text(record.get("html_url")),
        labels=_labels(record),
        revision=(utc(record.get("updated_at"), "updated_at") or utc(_changed(record), "last_status_change_at") or opened,),
    )


def _changed(record: dict[str, Any]) -> Any:
    return record.get("last_status_change_at")


def _acknowledged(record: dict[str, Any], opened: datetime) -> datetime | None:
    """The first acknowledgement that any part of the record tells of."""
    times = [utc(record.get("acknowledged_at"), "acknowledged_at"), *_entries(record, "acknowledge_log_entry")]
    times += [utc(child(given, "at"), "acknowledgements.at") for given in _list(record.get("acknowledgements"))]
    seconds = record.get("seconds_to_first_ack")
    if isinstance(seconds, int | float) and 0 <= seconds < 1e9:
        times.append(opened + timedelta(seconds=seconds))
    return min((t for t in times if t is not None), default=None)


def _resolved(record: dict[str, Any]) -> datetime | None:
    """`resolved_at`; exports from before it existed have the last change of the status, or the log."""
    given = utc(record.get("resolved_at"), "resolved_at") or utc(_changed(record), "last_status_change_at")
    return given or max(_entries(record, "resolve_log_entry"), default=None)


def _entries(record: dict[str, Any], kind: str) -> list[datetime]:
    entries = [e for e in _list(record.get("log_entries")) if str(child(e, "type")).startswith(kind)]
    return [t for t in (utc(child(e, "created_at"), "log_entries.created_at") for e in entries) if t is not None]


def _started(record: dict[str, Any]) -> datetime | None:
    """When the fault began: a field of the incident, of its details, of the first trigger's details, or a custom
    field."""
    places = (record, child(record, "body", "details"), child(record, "first_trigger_log_entry", "channel", "details"))
    for place in places:
        for name in START_FIELDS:
            found = utc(child(place, name), name)
            if found is not None:
                return found
    for custom in _list(record.get("custom_fields")):
        if child(custom, "name") in START_FIELDS:
            return utc(child(custom, "value"), f"custom field {custom['name']}")
    return None


def _labels(record: dict[str, Any]) -> dict[str, str]:
    labels = {label: text(child(record, *path)) for label, path in LABELS.items()}
    for custom in _list(record.get("custom_fields")):
        if isinstance(child(custom, "name"), str):
            labels[f"custom.{custom['name']}"] = text(child(custom, "value"))
    teams = [text(child(team, "summary")) for team in _list(record.get("teams"))]
    labels["teams"] = ",".join(team for team in teams if team) or None
    return {label: value for label, value in labels.items() if value is not None}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
