"""Messages built with the published classes give the same rows in every form that they can be written in."""

from __future__ import annotations

import base64
import gzip
import struct
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import zstandard
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1 import metrics_pb2 as m
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData

IDS = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")
NANO = 1_700_000_000_000_000_000

texts = st.text(max_size=6)
times = st.one_of(st.integers(NANO, NANO + 10**15), st.sampled_from([0, 1, 2**63 - 1, 2**63, 2**64 - 1]))
doubles = st.floats(width=64)
ints = st.integers(-(2**63), 2**63 - 1)
unsigned = st.integers(0, 2**64 - 1)
scalars = st.one_of(
    st.just(AnyValue()),
    st.builds(AnyValue, string_value=texts),
    st.builds(AnyValue, bool_value=st.booleans()),
    st.builds(AnyValue, int_value=ints),
    st.builds(AnyValue, double_value=doubles),
    st.builds(AnyValue, bytes_value=st.binary(max_size=5)),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.builds(AnyValue, array_value=st.builds(ArrayValue, values=st.lists(inner, max_size=2))),
        st.builds(
            AnyValue,
            kvlist_value=st.builds(KeyValueList, values=st.lists(st.builds(KeyValue, key=texts, value=inner), max_size=2)),
        ),
    ),
    max_leaves=4,
)
attributes = st.lists(st.builds(KeyValue, key=texts, value=values), max_size=3)
resources = st.builds(Resource, attributes=attributes)
scopes = st.builds(InstrumentationScope, name=texts, version=texts, attributes=attributes)
flags = st.sampled_from([0, 0, 0, 1, 2])
common = {"attributes": attributes, "time_unix_nano": times, "flags": flags}
optional = {"sum": doubles, "min": doubles, "max": doubles}
buckets = st.lists(unsigned, max_size=3)
numbers = st.one_of(
    st.builds(m.NumberDataPoint, **common, as_double=doubles),
    st.builds(m.NumberDataPoint, **common, as_int=ints),
    st.builds(m.NumberDataPoint, **common),
)
explicit = st.one_of(
    st.builds(
        m.HistogramDataPoint,
        **common,
        **extra,
        count=unsigned,
        bucket_counts=buckets,
        explicit_bounds=st.lists(doubles, max_size=3),
    )
    for extra in ({}, optional)
)
sides = st.builds(m.ExponentialHistogramDataPoint.Buckets, offset=st.integers(-9, 9), bucket_counts=buckets)
exponential = st.one_of(
    st.builds(
        m.ExponentialHistogramDataPoint,
        **common,
        **extra,
        count=unsigned,
        scale=st.integers(-10, 20),
        zero_count=unsigned,
        zero_threshold=doubles,
        positive=sides,
    )
    for extra in ({}, optional | {"negative": sides})
)
summaries = st.builds(
    m.SummaryDataPoint,
    **common,
    count=unsigned,
    sum=doubles,
    quantile_values=st.lists(st.builds(m.SummaryDataPoint.ValueAtQuantile, quantile=st.floats(0, 1), value=doubles), max_size=2),
)
temporality = st.integers(0, 2)
datas = st.one_of(
    st.fixed_dictionaries({"gauge": st.builds(m.Gauge, data_points=st.lists(numbers, max_size=3))}),
    st.fixed_dictionaries(
        {
            "sum": st.builds(
                m.Sum,
                data_points=st.lists(numbers, max_size=3),
                aggregation_temporality=temporality,
                is_monotonic=st.booleans(),
            )
        }
    ),
    st.fixed_dictionaries(
        {"histogram": st.builds(m.Histogram, data_points=st.lists(explicit, max_size=2), aggregation_temporality=temporality)}
    ),
    st.fixed_dictionaries(
        {
            "exponential_histogram": st.builds(
                m.ExponentialHistogram, data_points=st.lists(exponential, max_size=2), aggregation_temporality=temporality
            )
        }
    ),
    st.fixed_dictionaries({"summary": st.builds(m.Summary, data_points=st.lists(summaries, max_size=2))}),
)
units = st.sampled_from(["", "1", "ms", "KiBy", "By/s", "furlong"])
metrics = st.builds(lambda data, **shared: m.Metric(**shared, **data), data=datas, name=texts, unit=units, description=texts)
metric_messages = st.builds(
    m.MetricsData,
    resource_metrics=st.lists(
        st.builds(
            m.ResourceMetrics,
            resource=resources,
            scope_metrics=st.lists(st.builds(m.ScopeMetrics, scope=scopes, metrics=st.lists(metrics, max_size=3)), max_size=2),
        ),
        max_size=2,
    ),
)
trace_ids = st.sampled_from([b"", bytes(16), bytes(range(16)), b"\xff" * 16])
span_ids = st.sampled_from([b"", bytes(8), bytes(range(8)), b"\xfe" * 8])
events = st.builds(Span.Event, time_unix_nano=times, name=texts, attributes=attributes)
links = st.builds(Span.Link, trace_id=trace_ids, span_id=span_ids, trace_state=texts, attributes=attributes)
spans = st.builds(
    Span,
    trace_id=trace_ids,
    span_id=span_ids,
    parent_span_id=span_ids,
    trace_state=texts,
    name=texts,
    kind=st.integers(0, 5),
    start_time_unix_nano=times,
    end_time_unix_nano=times,
    attributes=attributes,
    events=st.lists(events, max_size=2),
    links=st.lists(links, max_size=2),
    status=st.builds(Status, message=texts, code=st.integers(0, 2)),
)
span_messages = st.builds(
    TracesData,
    resource_spans=st.lists(
        st.builds(
            ResourceSpans,
            resource=resources,
            scope_spans=st.lists(st.builds(ScopeSpans, scope=scopes, spans=st.lists(spans, min_size=1, max_size=3)), max_size=2),
        ),
        max_size=2,
    ),
)
logs = st.builds(
    LogRecord,
    time_unix_nano=times,
    observed_time_unix_nano=times,
    severity_number=st.integers(0, 24),
    severity_text=texts,
    body=values,
    attributes=attributes,
    trace_id=trace_ids,
    span_id=span_ids,
    event_name=texts,
)
log_messages = st.builds(
    LogsData,
    resource_logs=st.lists(
        st.builds(
            ResourceLogs,
            resource=resources,
            scope_logs=st.lists(st.builds(ScopeLogs, scope=scopes, log_records=st.lists(logs, min_size=1, max_size=3)), max_size=2),
        ),
        max_size=2,
    ),
)


def to_json(message: Any, *, snake: bool = False, base64_ids: bool = False, **options: bool) -> bytes:
    """OTLP/JSON of a message; ids in hex unless base64_ids."""
    document = json_format.MessageToDict(message, preserving_proto_field_name=snake, **options)
    return orjson.dumps(document if base64_ids else with_hex_ids(document))


def with_hex_ids(node: Any) -> Any:
    if isinstance(node, list):
        return [with_hex_ids(n) for n in node]
    if not isinstance(node, dict):
        return node
    return {k: base64.b64decode(v).hex() if k in IDS else with_hex_ids(v) for k, v in node.items()}


def with_numbers(node: Any, key: str = "") -> Any:
    """64-bit integers as JSON numbers, where protobuf's mapping writes them as text."""
    if isinstance(node, list):
        return [with_numbers(n, key) for n in node]
    if isinstance(node, dict):
        return {k: with_numbers(v, k) for k, v in node.items()}
    integers = ("asInt", "intValue", "count", "zeroCount", "bucketCounts")
    return int(node) if isinstance(node, str) and (key in integers or key.endswith("UnixNano")) else node


def prefixed(*payloads: bytes) -> bytes:
    """Messages as the file exporter writes them."""
    return b"".join(struct.pack(">I", len(p)) + p for p in payloads)


def rows(found: Any) -> tuple[str, list[str]]:
    """Rows in a form in which NaN equals NaN, and the reasons of rejects."""
    everything = {table: sorted(repr(row) for row in found.rows[table]) for table in sorted(found.rows)}
    return repr(everything), sorted(found.reasons())


FORMS: dict[str, Callable[[Any], bytes]] = {
    "json": to_json,
    "json_snake": lambda message: to_json(message, snake=True),
    "json_base64": lambda message: to_json(message, base64_ids=True),
    "json_enum_numbers": lambda message: to_json(message, use_integers_for_enums=True),
    "json_defaults": lambda message: to_json(message, always_print_fields_with_no_presence=True),
    "json_numbers": lambda message: orjson.dumps(with_numbers(orjson.loads(to_json(message)))),
    "json_indented": lambda message: orjson.dumps(orjson.loads(to_json(message)), option=orjson.OPT_INDENT_2),
    "gzip": lambda message: gzip.compress(to_json(message)),
    "zstd": lambda message: zstandard.compress(to_json(message)),
    "prefixed": lambda message: prefixed(message.SerializeToString()),
    "prefixed_zstd": lambda message: prefixed(zstandard.compress(message.SerializeToString())),
    "prefixed_json_zstd": lambda message: prefixed(zstandard.compress(to_json(message))),
}


@pytest.mark.parametrize("messages", [metric_messages, span_messages, log_messages], ids=["metrics", "spans", "logs"])
def test_every_form_gives_the_same_rows(messages: Any, read_bytes: Callable[..., Any]) -> None:
    @settings(max_examples=30, suppress_health_check=list(HealthCheck))
    @given(messages)
    def check(message: Any) -> None:
        expected = rows(read_bytes(message.SerializeToString(), "x.pb"))
        for name, form in FORMS.items():
            assert rows(read_bytes(form(message), "x.bin")) == expected, name

    check()
