"""OTLP/JSON messages into rows: lowerCamelCase and snake_case, ids in hex and base64, integers as numbers and as text, nulls.

The walk from a message to its records, spans and logs; one broken element never costs its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from sources.otlp.collecting import Collector
from sources.otlp.json_metrics import read_metric
from sources.otlp.json_values import Json, attributes, camel, items, plain, text
from sources.otlp.metrics import shared_labels
from sources.otlp.records import Event, Link, Scope
from sources.otlp.values import RowError, as_text

KNOWN = ("resourceMetrics", "resourceSpans", "resourceLogs")


def read(document: Any, collector: Collector) -> None:
    """Collect the rows of one message, or of a list of messages, which may hold several signals."""
    for message in document if isinstance(document, list) else [document]:
        _read_message(message, collector)


def _read_message(message: Any, collector: Collector) -> None:
    try:
        found = camel(message, "the message")
    except RowError as error:
        collector.reject(None, str(error), message)
        return
    if found and not any(key in found for key in KNOWN):
        collector.reject(None, "no resourceMetrics, resourceSpans or resourceLogs", message)
    for table, key, inner, record_key, one in (
        ("raw.metric_points", "resourceMetrics", "scopeMetrics", "metrics", read_metric),
        ("raw.spans", "resourceSpans", "scopeSpans", "spans", _span),
        ("raw.logs", "resourceLogs", "scopeLogs", "logRecords", _log),
    ):
        if found.get(key) is None:
            continue
        for resource, scope, records in _scopes(found[key], key, inner, record_key, table, collector):
            shared = _shared(table, resource, scope, collector)
            for record in records:
                try:
                    one(record, shared, collector)
                except (RowError, RecursionError) as error:
                    collector.reject(table, str(error), record)


def _shared(table: str, resource: dict[str, str], scope: Json, collector: Collector) -> Any:
    name, version = text(scope.get("name")) or "", text(scope.get("version")) or ""
    if table == "raw.metric_points":
        labels = shared_labels(resource, name, version, attributes(scope.get("attributes")))
        return collector.metrics.shared(labels)
    return Scope(resource, name, version)


def _scopes(
    raw: Any, key: str, inner: str, record_key: str, table: str, collector: Collector
) -> Iterator[tuple[dict[str, str], Json, list[Any]]]:
    """Resource attributes, scope and records of every scope; a broken group is rejected as a whole."""
    groups = _checked(collector, table, raw, lambda: items(raw, key)) or []
    for group in groups:
        found = _checked(collector, table, group, partial(_resource, group, inner))
        for scoped in found[1] if found else ():
            one = _checked(collector, table, scoped, partial(_scope, scoped, record_key))
            if one:
                yield found[0], *one


def _checked(collector: Collector, table: str, record: Any, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except (RowError, RecursionError) as error:
        collector.reject(table, str(error), record)
        return None


def _resource(group: Any, inner: str) -> tuple[dict[str, str], list[Any]]:
    found = camel(group, "a resource group")
    resource = camel(found.get("resource") or {}, "resource")
    return attributes(resource.get("attributes")), items(found.get(inner), inner)


def _scope(scoped: Any, record_key: str) -> tuple[Json, list[Any]]:
    found = camel(scoped, "a scope group")
    scope = camel(found.get("scope") or {}, "scope")
    for key in ("name", "version"):
        text(scope.get(key))
    attributes(scope.get("attributes"))
    return scope, items(found.get(record_key), record_key)


def _span(raw: Any, scope: Scope, collector: Collector) -> None:
    span = camel(raw, "a span")
    status = camel(span.get("status") or {}, "status")
    collector.spans.add(
        scope,
        ids=(text(span.get("traceId")), text(span.get("spanId")), text(span.get("parentSpanId"))),
        name=text(span.get("name")),
        kind=span.get("kind"),
        start=span.get("startTimeUnixNano"),
        end=span.get("endTimeUnixNano"),
        status=(status.get("code"), text(status.get("message"))),
        trace_state=text(span.get("traceState")),
        attributes=attributes(span.get("attributes")),
        events=[_event(e) for e in items(span.get("events"), "events")],
        links=[_link(k) for k in items(span.get("links"), "links")],
    )


def _event(raw: Any) -> Event:
    event = camel(raw, "an event")
    return event.get("timeUnixNano"), text(event.get("name")) or "", attributes(event.get("attributes"))


def _link(raw: Any) -> Link:
    link = camel(raw, "a link")
    return (
        text(link.get("traceId")),
        text(link.get("spanId")),
        text(link.get("traceState")),
        attributes(link.get("attributes")),
    )


def _log(raw: Any, scope: Scope, collector: Collector) -> None:
    log = camel(raw, "a log record")
    body = plain(log.get("body"))
    collector.logs.add(
        scope,
        time=log.get("timeUnixNano"),
        observed=log.get("observedTimeUnixNano"),
        severity_number=log.get("severityNumber"),
        severity_text=text(log.get("severityText")),
        body=None if body is None else as_text(body),
        ids=(text(log.get("traceId")), text(log.get("spanId"))),
        event_name=text(log.get("eventName")),
        attributes=attributes(log.get("attributes")),
    )
