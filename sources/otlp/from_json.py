"""OTLP/JSON messages into rows: lowerCamelCase and snake_case, ids in hex and base64, integers as numbers and as text, nulls.

Samples take a fast way by column; what does not fit it is looked at point by point, and what cannot become a row is rejected with the
reason, so one broken element never costs its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import orjson

from sources.otlp.collecting import Collector
from sources.otlp.metrics import (
    INT32,
    NO_RECORDED_VALUE,
    TEMPORALITIES,
    TEMPORALITY,
    Family,
    Histogram,
    Metric,
    Shared,
    shared_labels,
    times_in_range,
)
from sources.otlp.records import Event, Link, Scope
from sources.otlp.values import (
    MAX_U64,
    RowError,
    as_text,
    base64_bytes,
    counts,
    enumeration,
    integer,
    nanoseconds,
    number,
    numbers,
    optional_number,
)

Json = dict[str, Any]
DATA = {
    "gauge": "gauge",
    "sum": "counter",
    "histogram": "histogram",
    "exponentialHistogram": "histogram",
    "summary": "summary",
}
KNOWN = ("resourceMetrics", "resourceSpans", "resourceLogs")


def camel(raw: Any, what: str) -> Json:
    """An object with lowerCamelCase keys. Raises RowError when it is none."""
    if not isinstance(raw, dict):
        raise RowError(f"{what} is not an object")
    if "_" not in "".join(raw):
        return raw
    return {_camel_key(key): value for key, value in raw.items()}


def _camel_key(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(part.capitalize() for part in rest)


def items(raw: Any, what: str) -> list[Any]:
    """A list; None is an empty one. Raises RowError when it is something else."""
    if raw is None:
        return []
    if not isinstance(raw, list):
        raise RowError(f"{what} is not a list")
    return raw


def attributes(raw: Any) -> dict[str, str]:
    """Attributes as texts; of equal keys the last one counts. Raises RowError when they are not pairs of a key and a value."""
    found = {}
    for pair in items(raw, "attributes"):
        try:
            key, value = pair.get("key"), pair.get("value")
        except AttributeError:
            raise RowError("an attribute is not a pair of a key and a value") from None
        found[text(key) or ""] = as_text(plain(value))
    return found


def plain(value: Any) -> Any:
    """An AnyValue as a plain value (bytes for bytesValue)."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise RowError("a value is not an AnyValue object")
    for name, raw in value.items():
        if raw is None:
            continue
        if name in ("stringValue", "string_value"):
            return text(raw)
        convert = VALUES.get(name)
        if convert:
            return convert(raw)
    return None


def _flag(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise RowError("boolValue is not a boolean")
    return raw


def _array(raw: Any) -> list[Any]:
    return [plain(v) for v in items(camel(raw, "arrayValue").get("values"), "values")]


def _pairs(raw: Any) -> Json:
    pairs = [camel(p, "a pair") for p in items(camel(raw, "kvlistValue").get("values"), "values")]
    return {str(p.get("key") or ""): plain(p.get("value")) for p in pairs}


VALUES: dict[str, Callable[[Any], Any]] = {
    name: convert
    for camel_name, snake_name, convert in (
        ("boolValue", "bool_value", _flag),
        ("intValue", "int_value", lambda raw: integer(raw, "intValue", -(2**63), 2**63 - 1)),
        ("doubleValue", "double_value", lambda raw: number(raw, "doubleValue")),
        ("bytesValue", "bytes_value", lambda raw: base64_bytes(text(raw) or "")),
        ("arrayValue", "array_value", _array),
        ("kvlistValue", "kvlist_value", _pairs),
    )
    for name in (camel_name, snake_name)
}


def text(raw: Any) -> str | None:
    """A text or None. Raises RowError when it is something else."""
    if raw is None or isinstance(raw, str):
        return raw
    raise RowError("a text is not a text")


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
        ("raw.metric_points", "resourceMetrics", "scopeMetrics", "metrics", _metric),
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


def _metric(raw: Any, shared: Shared, collector: Collector) -> None:
    metric = camel(raw, "a metric")
    kind = next((name for name in DATA if metric.get(name) is not None), None)
    if kind is None:
        raise RowError("the metric has neither gauge, sum, histogram, exponentialHistogram nor summary")
    data = camel(metric[kind], kind)
    points = items(data.get("dataPoints"), "dataPoints")
    described = (
        text(metric.get("name")) or "",
        text(metric.get("unit")),
        text(metric.get("description")),
        kind,
        enumeration(data.get("aggregationTemporality"), TEMPORALITIES, "AGGREGATION_TEMPORALITY_"),
        data.get("isMonotonic") is True,
    )
    family = collector.metrics.family((shared.key, described), lambda: _described(described, shared.labels))
    if kind in ("gauge", "sum"):
        _samples(points, family, collector)
        return
    add = _summary if kind == "summary" else _histogram
    table = "raw.metric_points" if kind == "summary" else "raw.metric_histograms"
    for raw_point in points:
        try:
            add(_recorded(raw_point), family, collector)
        except (RowError, RecursionError) as error:
            collector.reject(table, str(error), raw_point)


def _described(described: tuple[str, str | None, str | None, str, int, bool], labels: Mapping[str, str]) -> Metric:
    name, unit, description, kind, temporality, monotonic = described
    return Metric(
        name,
        unit,
        description,
        DATA[kind],
        labels,
        TEMPORALITY.get(temporality),
        monotonic if kind == "sum" else None,
        kind == "exponentialHistogram",
    )


def _samples(points: list[Any], family: Family, collector: Collector) -> None:
    """Samples by column; one by one when a point is not of the common shape."""
    try:
        times = [int(p["timeUnixNano"]) for p in points]
        values = [float(p["asDouble"] if "asDouble" in p else p["asInt"]) for p in points]
        flags = [p.get("flags") for p in points]
        keys = [orjson.dumps(p.get("attributes")) for p in points]
        ids = [family.ids.get(key) for key in keys]
        if not any(flags) and times_in_range(times):
            if None in ids:
                ids = [_series(family, k, p, collector) for k, p in zip(keys, points, strict=True)]
            collector.metrics.add_points(family, ids, times, values)  # type: ignore[arg-type]
            return
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError, RecursionError):
        pass  # one of the points is special: each is looked at
    for point in points:
        try:
            _sample(_recorded(point), family, collector)
        except (RowError, RecursionError) as error:
            collector.reject("raw.metric_points", str(error), point)


def _series(family: Family, key: bytes, point: Json, collector: Collector) -> int:
    return collector.metrics.id(family, key, lambda: attributes(point.get("attributes")))


def _point_series(family: Family, point: Json, collector: Collector) -> int:
    try:
        key = orjson.dumps(point.get("attributes"))
    except TypeError as error:
        raise RowError(f"attributes cannot be written as JSON: {error}") from None
    return _series(family, key, point, collector)


def _recorded(raw: Any) -> Json:
    """A data point, without nulls. Raises RowError when it is flagged as a gap."""
    point = {key: value for key, value in camel(raw, "a data point").items() if value is not None}
    if integer(point.get("flags"), "flags", 0, 2**32 - 1) & NO_RECORDED_VALUE:
        raise RowError("no recorded value")
    return point


def _sample(point: Json, family: Family, collector: Collector) -> None:
    time = nanoseconds(point.get("timeUnixNano"))
    value = number(point.get("asDouble", point.get("asInt")))
    collector.metrics.add_points(family, [_point_series(family, point, collector)], [time], [value])


def _summary(point: Json, family: Family, collector: Collector) -> None:
    quantiles = [camel(q, "a quantile") for q in items(point.get("quantileValues"), "quantileValues")]
    collector.metrics.add_summary(
        family,
        attributes(point.get("attributes")),
        nanoseconds(point.get("timeUnixNano")),
        [(number(q.get("quantile") or 0, "quantile"), number(q.get("value") or 0)) for q in quantiles],
        number(point.get("sum", 0), "sum"),
        integer(point.get("count"), "count", 0, MAX_U64),
    )


def _histogram(point: Json, family: Family, collector: Collector) -> None:
    exponential = family.metric.keeps_unit
    found = Histogram(
        time=nanoseconds(point.get("timeUnixNano")),
        count=integer(point.get("count"), "count", 0, MAX_U64),
        sum=optional_number(point.get("sum"), "sum"),
        min=optional_number(point.get("min"), "min"),
        max=optional_number(point.get("max"), "max"),
        bounds=None if exponential else numbers(point.get("explicitBounds"), "explicitBounds"),
        bucket_counts=None if exponential else counts(point.get("bucketCounts"), "bucketCounts"),
        scale=integer(point.get("scale"), "scale", *INT32) if exponential else None,
        zero_count=integer(point.get("zeroCount"), "zeroCount", 0, MAX_U64) if exponential else None,
        zero_threshold=number(point.get("zeroThreshold", 0), "zeroThreshold") if exponential else None,
        positive=_buckets(point.get("positive")) if exponential else None,
        negative=_buckets(point.get("negative")) if exponential else None,
    )
    collector.metrics.add_histogram(family, _point_series(family, point, collector), found)


def _buckets(raw: Any) -> tuple[int, list[int]]:
    found = camel(raw or {}, "buckets")
    return integer(found.get("offset"), "offset", *INT32), counts(found.get("bucketCounts"), "bucketCounts")


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
