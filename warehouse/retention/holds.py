"""Holds: placed and lifted by people (manual, legal), and those that incidents place by themselves."""

from __future__ import annotations

import getpass
import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import cast
from uuid import uuid4

from warehouse.contracts import CONTRACTS
from warehouse.errors import RetentionError
from warehouse.lake.lake import Lake
from warehouse.lake.state import next_time
from warehouse.retention.policy import Hold, HoldKind
from warehouse.retention.rows import RESOURCE_LABELS, conformed, first_label

INCIDENT_TABLES = ("raw.*", "core.*")


def placed_holds(lake: Lake) -> list[Hold]:
    """Holds that people placed and did not lift; expired ones too."""
    rows = lake.connection.execute(
        """SELECT hold_id, coalesce(kind, 'manual'), reason, tables, from_day, to_day, expires, services FROM meta.holds
           QUALIFY row_number() OVER (PARTITION BY hold_id ORDER BY changed_at DESC) = 1 AND active ORDER BY from_day, hold_id"""
    ).fetchall()
    return [Hold(r[0], cast("HoldKind", r[1]), r[2], tuple(r[3].split()), r[4], r[5], r[6], tuple(json.loads(r[7] or "[]"))) for r in rows]


def incident_holds(lake: Lake, today: date) -> list[Hold]:
    """One hold per incident, from when it began to when it was resolved (open ones: today), with the configured margin of days; on the rows
    of its service, as it came and as it is conformed, or of all when none is known."""
    return incident_windows(lake, today) if lake.settings.retention.hold_incidents else []


def incident_windows(lake: Lake, today: date) -> list[Hold]:
    """The holds of incidents, whether or not they are in force."""
    margin = timedelta(days=lake.settings.retention.hold_incident_days)
    mapped, values = conformed("i.service", first_label(("labels",), RESOURCE_LABELS), lake.settings.service_map)
    rows = lake.connection.execute(
        f"""SELECT source, incident_id, coalesce(i.title, incident_id), least(i.started_time, i.opened_time), i.resolved_time,
                   list_filter([i.service, {mapped}, c.service], LAMBDA s: s <> '' AND s <> 'unknown')
            FROM raw.incidents AS i LEFT JOIN core.incidents AS c USING (source, incident_id) ORDER BY ALL""",
        list(values),
    ).fetchall()
    return [
        Hold(
            f"{source}/{incident}",
            "incident",
            str(title)[:80],
            INCIDENT_TABLES,
            _day(began) - margin,
            _day(ended or today) + margin,
            services=tuple(dict.fromkeys(services)),
        )
        for source, incident, title, began, ended, services in rows
    ]


def all_holds(lake: Lake, today: date) -> list[Hold]:
    """Placed holds and those of incidents."""
    return [*placed_holds(lake), *incident_holds(lake, today)]


def add_hold(
    lake: Lake,
    *,
    reason: str,
    tables: Sequence[str],
    from_day: date,
    to_day: date,
    legal: bool = False,
    expires: date | None = None,
    services: Sequence[str] = (),
    placed_by: str | None = None,
) -> Hold:
    """Place a hold on days (both ends included) of tables, given as names or patterns; services: on their rows alone.

    Raises RetentionError for an empty reason, days in the wrong order, or a pattern that matches no table."""
    if not reason.strip():
        raise RetentionError("say why: a hold without a reason cannot be judged later")
    if from_day > to_day:
        raise RetentionError(f"the hold would begin on {from_day}, after its end on {to_day}")
    hold = Hold(uuid4().hex[:8], "legal" if legal else "manual", reason.strip(), tuple(tables), from_day, to_day, expires, tuple(services))
    for pattern in tables:
        if " " in pattern or not any(Hold("", "manual", "", (pattern,), from_day, to_day).covers(t, from_day, from_day) for t in _names()):
            raise RetentionError(f"{pattern!r} matches no table; write raw.logs, or a pattern such as raw.*")
    _record(lake, hold, active=True, placed_by=placed_by or getpass.getuser())
    return hold


def remove_hold(lake: Lake, hold_id: str) -> Hold:
    """Lift a hold. Raises RetentionError when there is none of this id."""
    found = next((h for h in placed_holds(lake) if h.hold_id == hold_id), None)
    if found is None:
        raise RetentionError(f"there is no hold {hold_id}; `lakebed hold list` shows them (holds of incidents follow the incidents)")
    _record(lake, found, active=False, placed_by=getpass.getuser())
    return found


def _record(lake: Lake, hold: Hold, *, active: bool, placed_by: str) -> None:
    newest = lake.connection.execute("SELECT max(changed_at) FROM meta.holds").fetchone()
    now = next_time(lake.connection, newest[0] if newest else None)
    days = hold.from_day, hold.to_day, hold.expires
    services = json.dumps(hold.services, ensure_ascii=False) if hold.services else None
    row = (hold.hold_id, hold.reason, " ".join(hold.tables), *days, active, placed_by, now, hold.kind, services)
    lake.append_log("meta.holds", [row])


def _names() -> list[str]:
    tables = [c for c in CONTRACTS.values() if c.schema != "meta"]
    return [c.full_name for c in tables] + [f"quarantine.{c.name}" for c in tables]


def _day(time: datetime | date) -> date:
    return time.date() if isinstance(time, datetime) else time
