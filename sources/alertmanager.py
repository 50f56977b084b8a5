"""Alerts from Alertmanager: its v2 API, which lists what fires now, and saved webhook bodies, which also tell when an
alert was resolved.

API: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml. Webhook:
https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. An alert is known by its fingerprint and the
time it began, so one that fires again is a new incident."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import duckdb
import orjson
import pyarrow as pa

from sources.files import file_units, is_line_file
from sources.http import HttpServer
from sources.incidents import TEXTS, TIMES, Incident, Incidents, UnreadableRecordError, child, from_file, text, utc
from sources.input_file import InputFile
from warehouse.errors import SourceError
from warehouse.lake import Known, Part, Slice, Unit, batch_id
from warehouse.settings import Settings
from warehouse.settings.sources import AlertmanagerSettings

EXPECTED = 'Alertmanager webhook body: {"version": "4", "alerts": [...]}'
EVERY_STATE = {"active": "true", "silenced": "true", "inhibited": "true", "unprocessed": "true"}
CUT = "truncatedAlerts"
SERVICE_LABELS = ("service", "service_name", "app", "job")
FNV_OFFSET, FNV_PRIME, MASK = 0xCBF29CE484222325, 0x100000001B3, (1 << 64) - 1


def units(
    name: str, settings: AlertmanagerSettings, *, config: Settings, known: Known, window: Slice, now: datetime | None = None
) -> Iterator[Unit]:
    """What the API lists now as one unit, and each new file of webhook bodies as one; `window` is ignored.

    A firing alert has no end, whatever its `endsAt` (that is when it lapses unless it is sent again). The API does
    not list resolved alerts: one that this API listed and lists no longer is closed at the time of reading, with the
    label `lakebed.closed_by`; webhook bodies give the exact time. now: naive UTC; the clock by default.
    Raises SourceError when the server cannot be read or a path does not exist."""
    if settings.url:
        unit = _listed(name, settings, settings.url, known, now or datetime.now(UTC).replace(tzinfo=None))
        if unit is not None:
            yield unit
    if settings.paths or settings.inbox:
        yield from file_units(name, settings, config=config, known=known, opener=_opened, growing=is_line_file)


def _opened(file: InputFile, _: duckdb.DuckDBPyConnection) -> Iterator[Part]:
    return from_file(file, _alerts, _from_webhook, EXPECTED).parts()


def _listed(name: str, settings: AlertmanagerSettings, url: str, known: Known, now: datetime) -> Unit | None:
    """One reading of the API; None when it answers what it answered last time and nothing has vanished.

    Its identity is the answer after the reading before it, because the same answer may come again later: an alert that
    is back and gone once more has to be closed once more."""
    server = HttpServer(name, url, settings.auth, timeout_seconds=settings.timeout_seconds, max_attempts=settings.max_attempts)
    with server:
        alerts = server.json("/api/v2/alerts", EVERY_STATE)
    if not isinstance(alerts, list):
        raise SourceError(f"source {name}: {server.url}/api/v2/alerts did not answer with a list of alerts; check its url")
    origin = f"{server.url}/api/v2/alerts"
    found = Incidents(origin)
    for alert in alerts:
        found.add(alert, None, _from_api)
    closed = {gone.incident_id: gone for gone in _closed(found, known.open_incidents(origin), now)}
    found.latest.update(closed)
    answer = sorted(orjson.dumps(alert, option=orjson.OPT_SORT_KEYS) for alert in alerts)
    digest = hashlib.sha256(b"\n".join(answer)).hexdigest()
    former = known.former(origin)
    if former is not None and former.digest == digest and not closed:
        return None
    before = former.batch_ids[-1:] if former is not None else ()
    return Unit(
        source=name,
        batch_id=batch_id("push", name, origin, *before, digest),
        origin=origin,
        open=lambda _: found.parts(),
        bytes_read=server.bytes_read,
        digest=digest,
    )


def _closed(found: Incidents, held: pa.Table, now: datetime) -> Iterator[Incident]:
    """Incidents that the lake holds as open and that fire no more."""
    for row in held.to_pylist(maps_as_pydicts="strict"):
        if row["incident_id"] not in found.latest:
            fields = {key: row.get(key) for key in (*TEXTS, *TIMES)}
            labels = {**(row.get("labels") or {}), "lakebed.closed_by": "no longer listed"}
            gone = Incident(**{**fields, "labels": labels})
            yield replace(gone, status="resolved", resolved_time=max(now, gone.opened_time))


def _alerts(document: Any) -> Iterable[Any] | None:
    """The alerts of a webhook body, and one record more that stands for those which Alertmanager cut off."""
    if not isinstance(document, dict) or not isinstance(document.get("alerts"), list):
        return None
    cut = document.get(CUT)
    return [*document["alerts"], *([{CUT: cut}] if isinstance(cut, int) and cut > 0 else [])]


def _from_api(alert: Any) -> Incident:
    return _incident(alert, "triggered", None, text(child(alert, "status", "state")))


def _from_webhook(alert: Any) -> Incident:
    """An alert of a webhook body, or of a saved answer of the API."""
    if not isinstance(alert, dict):
        raise UnreadableRecordError(f"no {EXPECTED}")
    if CUT in alert:
        raise UnreadableRecordError(f"{alert[CUT]} alerts were cut off by the receiver's max_alerts")
    if isinstance(alert.get("status"), dict):
        return _from_api(alert)
    if alert.get("status") not in ("firing", "resolved"):
        raise UnreadableRecordError(f"the alert's status is neither firing nor resolved: {alert.get('status')!r:.100}")
    if alert["status"] == "firing":
        return _incident(alert, "triggered", None, None)
    ended = utc(alert.get("endsAt"), "endsAt")
    if ended is None:
        raise UnreadableRecordError("the alert is resolved but has no endsAt")
    return _incident(alert, "resolved", ended, None)


def _incident(alert: Any, status: str, ended: datetime | None, state: str | None) -> Incident:
    """A row from one alert. Times are cut to ms, because the API gives no more and the webhook does: both must name
    the same incident."""
    labels = _texts(child(alert, "labels"))
    opened = utc(child(alert, "startsAt"), "startsAt")
    if opened is None or not labels:
        raise UnreadableRecordError(f"the alert has no {'startsAt' if opened is None else 'labels'}")
    opened = opened.replace(microsecond=opened.microsecond // 1000 * 1000)
    notes = _texts(child(alert, "annotations"))
    identity = text(child(alert, "fingerprint")) or fingerprint(labels)
    return Incident(
        incident_id=f"{identity}-{opened.isoformat(timespec='milliseconds')}Z",
        status=status,
        opened_time=opened,
        title=labels.get("alertname") or notes.get("summary"),
        service=next((labels[key] for key in SERVICE_LABELS if labels.get(key)), None),
        severity=labels.get("severity"),
        resolved_time=max(ended, opened) if ended else None,
        description=notes.get("description") or notes.get("summary") or notes.get("message"),
        url=text(child(alert, "generatorURL")),
        labels={**labels, **{f"annotation.{k}": v for k, v in notes.items()}, **({"alertmanager.state": state} if state else {})},
        revision=(status == "resolved",),
    )


def _texts(value: Any) -> dict[str, str]:
    return {str(key): str(found) for key, found in value.items()} if isinstance(value, dict) else {}


def fingerprint(labels: dict[str, str]) -> str:
    """Alertmanager's own fingerprint of a label set, for bodies of releases that did not send it: FNV-1a over the
    sorted labels, each name and value followed by 0xff (prometheus/common, model.LabelSet.Fingerprint)."""
    state = FNV_OFFSET
    for name in sorted(labels):
        for byte in (*name.encode(), 0xFF, *labels[name].encode(), 0xFF):
            state = ((state ^ byte) * FNV_PRIME) & MASK
    return f"{state:016x}"
