"""OTLP protobuf messages into rows. Every field of a message that parses has its type, so only values can be wrong here.

The counterpart of from_json: the same message gives the same rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sources.otlp.collecting import Collector
from sources.otlp.messages import message
from sources.otlp.metrics import (
    NO_RECORDED_VALUE,
    TEMPORALITY,
    Family,
    Histogram,
    Metric,
    Shared,
    shared_labels,
)
from sources.otlp.records import Scope
from sources.otlp.samples import Samples
from sources.otlp.values import RowError, as_text, nanoseconds
from sources.otlp.wire import Signal

MESSAGES = {"metrics": "metrics.v1.MetricsData", "spans": "trace.v1.TracesData", "logs": "logs.v1.LogsData"}
KINDS = {
    "gauge": "gauge",
    "sum": "counter",
    "histogram": "histogram",
    "exponential_histogram": "histogram",
    "summary": "summary",
}


def text(raw: bytes) -> str:
    """Bytes that should be UTF-8 as text; broken characters become U+FFFD, so that a broken label does not cost a message."""
    return raw.decode("utf-8", "replace")


def attributes(pairs: Any) -> dict[str, str]:
    """Attributes as texts; of equal keys the last one counts."""
    return {text(pair.key): as_text(plain(pair.value)) for pair in pairs}


def plain(value: Any) -> Any:
    """An AnyValue as a plain value."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    raw = getattr(value, kind)
    if kind == "string_value":
        return text(raw)
    if kind == "array_value":
        return [plain(v) for v in raw.values]
    if kind == "kvlist_value":
        return {text(pair.key): plain(pair.value) for pair in raw.values}
    return raw if kind in ("bool_value", "int_value", "double_value", "bytes_value") else None


def read(payload: bytes, signal: Signal, collector: Collector) -> None:
    """Collect the rows of one message of a signal. Raises google.protobuf.message.DecodeError when it does not parse."""
    found = message(MESSAGES[signal]).FromString(payload)
    if signal == "metrics":
        _read_metrics(found, collector)
        return
    spans = signal == "spans"
    table, add = ("raw.spans", _span) if spans else ("raw.logs", _log)
    for group in found.resource_spans if spans else found.resource_logs:
        resource = attributes(group.resource.attributes)
        for scoped in group.scope_spans if spans else group.scope_logs:
            scope = Scope(resource, text(scoped.scope.name), text(scoped.scope.version))
            for record in scoped.spans if spans else scoped.log_records:
                _one(add, record, scope, collector, table)


def _one(add: Callable[..., None], record: Any, context: Any, collector: Collector, table: str) -> None:
    try:
        add(record, context, collector)
    except (RowError, RecursionError) as error:
        collector.reject(table, str(error), record)


def _read_metrics(found: Any, collector: Collector) -> None:
    samples = Samples(collector.metrics, _point_attributes)
    for group in found.resource_metrics:
        resource = attributes(group.resource.attributes)
        for scoped in group.scope_metrics:
            scope = scoped.scope
            labels = shared_labels(resource, text(scope.name), text(scope.version), attributes(scope.attributes))
            shared = collector.metrics.shared(labels)
            for metric in scoped.metrics:
                _one(_metric, metric, (shared, samples), collector, "raw.metric_points")
    point = message("metrics.v1.NumberDataPoint")
    for raw, family in samples.finish():
        _one(_sample, point.FromString(raw), family, collector, "raw.metric_points")


def _metric(metric: Any, context: tuple[Shared, Samples], collector: Collector) -> None:
    shared, samples = context
    kind = metric.WhichOneof("data")
    if kind is None:
        raise RowError("the metric has neither gauge, sum, histogram, exponential_histogram nor summary")
    data = getattr(metric, kind)
    temporality = TEMPORALITY.get(getattr(data, "aggregation_temporality", 0))
    monotonic = data.is_monotonic if kind == "sum" else None
    described = (metric.name, metric.unit, metric.description, kind, temporality, monotonic)
    family = collector.metrics.family(
        (shared.key, described),
        lambda: Metric(
            text(metric.name),
            text(metric.unit),
            text(metric.description),
            KINDS[kind],
            shared.labels,
            temporality,
            monotonic,
            kind == "exponential_histogram",
        ),
    )
    if kind in ("gauge", "sum"):
        samples.add(list(data.data_points), family)
        return
    table = "raw.metric_points" if kind == "summary" else "raw.metric_histograms"
    add = {"histogram": _explicit, "exponential_histogram": _exponential, "summary": _summary}[kind]
    for point in data.data_points:
        _one(add, point, family, collector, table)


def _series(family: Family, key: tuple[bytes, ...], collector: Collector) -> int:
    return collector.metrics.id(family, key, lambda: _point_attributes(key))


def _point_attributes(raw: tuple[bytes, ...]) -> dict[str, str]:
    from google.protobuf.message import DecodeError

    pair = message("common.v1.KeyValue")
    try:
        return attributes([pair.FromString(one) for one in raw])
    except DecodeError as error:
        raise RowError(f"attributes are no protobuf: {error}") from None


def _time(point: Any) -> int:
    """The time of a point. Raises RowError when it has none, or is flagged as a gap."""
    if point.flags & NO_RECORDED_VALUE:
        raise RowError("no recorded value")
    return nanoseconds(point.time_unix_nano)


def _sample(point: Any, family: Family, collector: Collector) -> None:
    time = _time(point)
    kind = point.WhichOneof("value")
    if kind is None:
        raise RowError("value is missing")
    value = float(getattr(point, kind))
    collector.metrics.add_points(family, [_series(family, tuple(point.attributes), collector)], [time], [value])


def _summary(point: Any, family: Family, collector: Collector) -> None:
    quantiles = [(q.quantile, q.value) for q in point.quantile_values]
    found = _point_attributes(tuple(point.attributes))
    collector.metrics.add_summary(family, found, _time(point), quantiles, point.sum, point.count)


def _common(point: Any) -> dict[str, Any]:
    return {
        "time": _time(point),
        "count": point.count,
        **{name: getattr(point, name) if point.HasField(name) else None for name in ("sum", "min", "max")},
    }


def _explicit(point: Any, family: Family, collector: Collector) -> None:
    found = Histogram(**_common(point), bounds=list(point.explicit_bounds), bucket_counts=list(point.bucket_counts))
    collector.metrics.add_histogram(family, _series(family, tuple(point.attributes), collector), found)


def _exponential(point: Any, family: Family, collector: Collector) -> None:
    found = Histogram(
        **_common(point),
        scale=point.scale,
        zero_count=point.zero_count,
        zero_threshold=point.zero_threshold,
        positive=(point.positive.offset, list(point.positive.bucket_counts)),
        negative=(point.negative.offset, list(point.negative.bucket_counts)),
    )
    collector.metrics.add_histogram(family, _series(family, tuple(point.attributes), collector), found)


def _span(span: Any, scope: Scope, collector: Collector) -> None:
    collector.spans.add(
        scope,
        ids=(span.trace_id, span.span_id, span.parent_span_id),
        name=text(span.name),
        kind=span.kind,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        status=(span.status.code, text(span.status.message)),
        trace_state=text(span.trace_state),
        attributes=attributes(span.attributes),
        events=[(e.time_unix_nano, text(e.name), attributes(e.attributes)) for e in span.events],
        links=[(k.trace_id, k.span_id, text(k.trace_state), attributes(k.attributes)) for k in span.links],
    )


def _log(log: Any, scope: Scope, collector: Collector) -> None:
    body = plain(log.body)
    collector.logs.add(
        scope,
        time=log.time_unix_nano,
        observed=log.observed_time_unix_nano,
        severity_number=log.severity_number,
        severity_text=text(log.severity_text),
        body=None if body is None else as_text(body),
        ids=(log.trace_id, log.span_id),
        event_name=text(log.event_name),
        attributes=attributes(log.attributes),
    )
