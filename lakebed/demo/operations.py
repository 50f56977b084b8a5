"""Incidents as PagerDuty's REST API lists them, and deploys as the delivery pipeline logs them."""

from __future__ import annotations

import csv
import zlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from lakebed.demo.events import Deploy, Events, Incident

SITE = "https://larkspur.pagerduty.com"
RESPONDERS = (("PMB3J2K", "Ada Moreau"), ("PQ7W1RD", "Jonas Iversen"), ("PZ0T4XN", "Rhea Castellanos"))


def iso(time: datetime) -> str:
    """A time as both systems write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _reference(kind: str, identity: str, summary: str, path: str) -> dict[str, str]:
    url = f"{SITE}/{path}/{identity}"
    return {
        "id": identity,
        "type": f"{kind}_reference",
        "summary": summary,
        "self": f"https://api.pagerduty.com/{path}/{identity}",
        "html_url": url,
    }


def is_reviewed(incident: Incident) -> bool:
    """Whether a review was written, which is where the true start is entered. Low urgency gets none."""
    return incident.urgency == "high"


def _log_entries(incident: Incident, seen: datetime, user: dict[str, str], service: dict[str, str]) -> list[dict[str, Any]]:
    """What happened to the incident by `seen`. The only place where a resolved incident still says when it was acknowledged."""
    happened = (
        ("trigger_log_entry", incident.opened, service),
        ("acknowledge_log_entry", incident.acknowledged, user),
        ("resolve_log_entry", incident.resolved, user),
    )
    return [
        {"id": f"R{incident.number}{i}", "type": kind, "created_at": iso(time), "agent": agent}
        for i, (kind, time, agent) in enumerate(happened)
        if time <= seen
    ]


def incident_json(incident: Incident, seen: datetime) -> dict[str, Any]:
    """An incident with its log entries as the API gives them at the time `seen`: triggered, acknowledged or resolved by then."""
    user = _reference("user", *RESPONDERS[incident.number % 3], "users")
    acknowledged, resolved = incident.acknowledged <= seen, incident.resolved <= seen
    status = "resolved" if resolved else "acknowledged" if acknowledged else "triggered"
    changed = incident.resolved if resolved else incident.acknowledged if acknowledged else incident.opened
    service = _reference("service", f"P{zlib.crc32(incident.service.encode()):08X}"[:7], incident.service, "service-directory")
    custom = {
        "id": "PT4KHEE",
        "type": "field_value",
        "name": "started_at",
        "display_name": "Started at",
        "data_type": "datetime",
        "field_type": "single_value",
        "value": iso(incident.started) if resolved and is_reviewed(incident) else None,
    }
    return {
        "id": incident.incident_id,
        "type": "incident",
        "incident_number": incident.number,
        "summary": f"[#{incident.number}] {incident.title}",
        "title": incident.title,
        "description": incident.title,
        "self": f"https://api.pagerduty.com/incidents/{incident.incident_id}",
        "html_url": f"{SITE}/incidents/{incident.incident_id}",
        "incident_key": f"{incident.service}/{incident.number}",
        "created_at": iso(incident.opened),
        "updated_at": iso(changed),
        "resolved_at": iso(incident.resolved) if resolved else None,
        "status": status,
        "urgency": incident.urgency,
        "priority": {
            "id": f"PRIO{incident.priority[1]}",
            "type": "priority",
            "summary": incident.priority,
            "name": incident.priority,
        },
        "service": service,
        "teams": [],
        "assignments": [] if resolved else [{"at": iso(incident.opened), "assignee": user}],
        "acknowledgements": [{"at": iso(incident.acknowledged), "acknowledger": user}] if status == "acknowledged" else [],
        "log_entries": _log_entries(incident, seen, user, service),
        "last_status_change_at": iso(changed),
        "last_status_change_by": user if acknowledged else service,
        "escalation_policy": _reference("escalation_policy", "PT20YPA", "Default", "escalation_policies"),
        "alert_counts": {"all": 1, "triggered": 0 if resolved else 1, "resolved": 1 if resolved else 0},
        "is_mergeable": not resolved,
        "custom_fields": [custom],
    }


def write_incidents(events: Events, folder: Path, end_s: datetime) -> tuple[int, int]:
    """Write two exports: one taken while the fifth incident was being worked on, and one of everything at the end.

    Returns the number of incidents and the number of records in both files."""
    folder.mkdir(parents=True, exist_ok=True)
    fifth = events.incidents[min(4, len(events.incidents) - 1)]
    midway = fifth.acknowledged + timedelta(minutes=1)
    records = 0
    for taken in (midway, end_s):
        listed = [incident_json(i, taken) for i in events.incidents if i.opened <= taken]
        document = {"incidents": listed, "limit": 100, "offset": 0, "total": None, "more": False}
        name = f"incidents-{taken:%Y-%m-%dT%H%M%SZ}.json"
        (folder / name).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
        records += len(listed)
    return len(events.incidents), records


def write_changes(deploys: tuple[Deploy, ...], folder: Path) -> int:
    """Write `deploys.csv`; returns the number of deploys."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "deploys.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["change_id", "kind", "service", "deployed_at", "version", "title", "committed_at"])
        for deploy in deploys:
            times = iso(deploy.time), iso(deploy.committed)
            writer.writerow([deploy.change_id, "deploy", deploy.service, times[0], deploy.version, deploy.title, times[1]])
    return len(deploys)
