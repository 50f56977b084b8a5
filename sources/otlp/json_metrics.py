"""Metrics of OTLP/JSON into rows.

Samples take a fast way by column; what does not fit it is looked at point by point, and what cannot become a row is rejected with the
reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from sources.otlp.collecting import Collector
from sources.otlp.json_values import Json, attributes, camel, items, text
from sources.otlp.metrics import (
    INT32,
    NO_RECORDED_VALUE,
    TEMPORALITIES,
    TEMPORALITY,
    Family,
    Histogram,
    Metric,
    Shared,
    times_in_range,
)
from sources.otlp.values import (
    MAX_U64,
    RowError,
    counts,
    enumeration,
    integer,
    nanoseconds,
    number,
    numbers,
    optional_number,
)

DATA = {
    "gauge": "gauge",
    "sum": "counter",
    "histogram": "histogram",
    "exponentialHistogram": "histogram",
    "summary": "summary",
}


def read_metric(raw: Any, shared: Shared, collector: Collector) -> None:
    """Collect the points of one metric. Raises RowError when it cannot be read at all."""
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
