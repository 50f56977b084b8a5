"""What stands in the rows: identity and units of series, histograms, summaries, spans, logs."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from warehouse.contracts.series import series_id

NANO = 1_700_000_000_123_456_789
TIME = dt.datetime(2023, 11, 14, 22, 13, 20, 123456)
Read = Callable[..., Any]


def attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def metric_line(*metrics: dict[str, Any], scope: dict[str, Any] | None = None) -> bytes:
    resource = {"attributes": [attribute("service.name", "shop")]}
    group = {"resource": resource, "scopeMetrics": [{"scope": scope or {}, "metrics": list(metrics)}]}
    return json.dumps({"resourceMetrics": [group]}).encode()


def span_line(**span: Any) -> bytes:
    full = {
        "traceId": "0AF7651916CD43DD8448EB211C80319C",
        "spanId": "b7ad6b7169203331",
        "name": "GET /",
        "startTimeUnixNano": str(NANO),
        "endTimeUnixNano": str(NANO + 5),
    } | span
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [full]}]}]}).encode()


def log_line(**log: Any) -> bytes:
    full = {"timeUnixNano": str(NANO), "body": {"stringValue": "hello"}} | log
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [full]}]}]}).encode()


def test_a_gauge_with_its_series(read_bytes: Read) -> None:
    point = {"timeUnixNano": str(NANO), "asDouble": 250.0, "attributes": [attribute("route", "/a")]}
    scope = {"name": "lib", "version": "2", "attributes": [attribute("team", "x")]}
    metric = {"name": "wait", "unit": "ms", "description": "How long", "gauge": {"dataPoints": [point]}}
    found = read_bytes(metric_line(metric, scope=scope))
    labels = {"route": "/a", "resource.service.name": "shop", "scope.team": "x", "scope.name": "lib", "scope.version": "2"}
    identity = series_id("telemetry", "wait", labels)
    assert found.one("metric_points") == {"series_id": identity, "time": TIME, "value": 0.25}
    assert found.one("metric_series") == {
        "series_id": identity,
        "metric_name": "wait",
        "labels": labels,
        "kind": "gauge",
        "unit": "s",
        "original_unit": "ms",
        "unit_scale": 0.001,
        "temporality": None,
        "is_monotonic": None,
        "description": "How long",
        "first_seen": TIME,
        "last_seen": TIME,
    }


@pytest.mark.parametrize(
    ("temporality", "expected"),
    [(1, "delta"), (2, "cumulative"), ("AGGREGATION_TEMPORALITY_DELTA", "delta"), ("2", "cumulative"), (None, None), (0, None)],
)
def test_temporality_of_a_sum(temporality: Any, expected: str | None, read_bytes: Read) -> None:
    points = [{"timeUnixNano": NANO, "asInt": "-7"}]
    data = {"dataPoints": points, "aggregationTemporality": temporality, "isMonotonic": True}
    found = read_bytes(metric_line({"name": "n", "sum": data}))
    series = found.one("metric_series")
    assert (series["kind"], series["temporality"], series["is_monotonic"]) == ("counter", expected, True)
    assert found.one("metric_points")["value"] == -7.0


def test_first_and_last_seen_span_the_series_rows(read_bytes: Read) -> None:
    points = [{"timeUnixNano": NANO + i * 10**9, "asInt": i + 1} for i in (5, 0, 9)]
    series = read_bytes(metric_line({"name": "n", "gauge": {"dataPoints": points}})).one("metric_series")
    assert (series["first_seen"], series["last_seen"]) == (TIME, TIME + dt.timedelta(seconds=9))


def test_a_series_without_rows_does_not_appear(read_bytes: Read) -> None:
    points = [{"timeUnixNano": NANO, "asInt": 1, "flags": 1}]
    found = read_bytes(metric_line({"name": "n", "gauge": {"dataPoints": points}}))
    assert found.of("metric_series") == []
    assert found.reasons() == ["no recorded value"]


def test_an_explicit_histogram_is_scaled(read_bytes: Read) -> None:
    point = {
        "timeUnixNano": NANO,
        "count": "3",
        "sum": 600,
        "min": 100,
        "max": 400,
        "bucketCounts": ["1", 2],
        "explicitBounds": [200],
    }
    row = read_bytes(metric_line({"name": "h", "unit": "ms", "histogram": {"dataPoints": [point]}})).one("metric_histograms")
    assert (row["count"], row["sum"], row["min"], row["max"]) == (3, 0.6, 0.1, 0.4)
    assert (row["bounds"], row["bucket_counts"], row["scale"], row["positive_counts"]) == ([0.2], [1, 2], None, None)


def test_an_exponential_histogram_keeps_its_unit(read_bytes: Read) -> None:
    point = {
        "timeUnixNano": NANO,
        "count": 12,
        "sum": 45.5,
        "scale": 3,
        "zeroCount": 1,
        "positive": {"offset": 2, "bucketCounts": ["3", "4"]},
        "negative": {"offset": -1, "bucketCounts": [1, 0]},
    }
    found = read_bytes(metric_line({"name": "h", "unit": "ms", "exponentialHistogram": {"dataPoints": [point]}}))
    row, series = found.one("metric_histograms"), found.one("metric_series")
    assert (row["sum"], row["scale"], row["zero_count"], row["bounds"]) == (45.5, 3, 1, None)
    assert (row["positive_offset"], row["positive_counts"]) == (2, [3, 4])
    assert (row["negative_offset"], row["negative_counts"]) == (-1, [1, 0])
    assert (series["kind"], series["unit"], series["unit_scale"]) == ("histogram", "ms", 1.0)


def test_a_summary_becomes_quantiles_sum_and_count(read_bytes: Read) -> None:
    quantiles = [{"quantile": 0.5, "value": 20}, {"quantile": 1, "value": 50}]
    point = {"timeUnixNano": NANO, "count": "5", "sum": 180, "quantileValues": quantiles, "attributes": [attribute("route", "/a")]}
    found = read_bytes(metric_line({"name": "lat", "unit": "ms", "summary": {"dataPoints": [point]}}))
    assert {s["labels"]["route"] for s in found.of("metric_series")} == {"/a"}
    names = {s["series_id"]: (s["metric_name"], s["labels"].get("quantile"), s["kind"], s["unit"]) for s in found.of("metric_series")}
    assert {names[p["series_id"]]: p["value"] for p in found.of("metric_points")} == {
        ("lat", "0.5", "summary", "s"): 0.02,
        ("lat", "1", "summary", "s"): 0.05,
        ("lat_sum", None, "counter", "s"): 0.18,
        ("lat_count", None, "counter", "1"): 5.0,
    }


def test_one_broken_point_costs_only_itself(read_bytes: Read) -> None:
    good = {"timeUnixNano": str(NANO), "asDouble": 1.5}
    broken = [
        {"timeUnixNano": str(NANO)},
        {"asDouble": 1},
        {"timeUnixNano": "18446744073709551615", "asDouble": 1},
        {"timeUnixNano": "soon", "asDouble": 1},
        {"timeUnixNano": str(NANO), "asDouble": "much"},
        {"timeUnixNano": str(NANO), "asDouble": 1, "flags": 1},
        {"timeUnixNano": str(NANO), "asDouble": 1, "attributes": [7]},
        {"timeUnixNano": str(NANO), "asDouble": 1, "attributes": 7},
        "point",
        None,
    ]
    found = read_bytes(metric_line({"name": "n", "gauge": {"dataPoints": [*broken, good]}}))
    assert [p["value"] for p in found.of("metric_points")] == [1.5]
    assert found.reasons() == [
        "value is missing",
        "time is missing",
        "time is beyond the range of timestamps: 18446744073709551615",
        "time is not an integer",
        "value is not a number",
        "no recorded value",
        "an attribute is not a pair of a key and a value",
        "attributes is not a list",
        "a data point is not an object",
        "a data point is not an object",
    ]


def test_points_of_a_metric_without_a_name_are_rejected(read_bytes: Read) -> None:
    found = read_bytes(metric_line({"gauge": {"dataPoints": [{"timeUnixNano": NANO, "asInt": 1}] * 2}}))
    assert found.reasons() == ["the metric has no name"] * 2
    assert found.of("metric_points") == []


@pytest.mark.parametrize(
    ("written", "stored"),
    [("NaN", "nan"), ("Infinity", "inf"), ("-Infinity", "-inf"), (-0.0, "-0.0"), (9007199254740993, "9007199254740992.0")],
)
def test_special_values(written: Any, stored: str, read_bytes: Read) -> None:
    found = read_bytes(metric_line({"name": "n", "gauge": {"dataPoints": [{"timeUnixNano": NANO, "asDouble": written}]}}))
    assert repr(found.one("metric_points")["value"]) == stored


def test_snake_case_in_part_of_a_message(read_bytes: Read) -> None:
    points = [{"time_unix_nano": str(NANO), "as_int": "3"}, {"timeUnixNano": NANO, "as_double": 4}, {"timeUnixNano": NANO, "asInt": 5}]
    found = read_bytes(metric_line({"name": "n", "gauge": {"data_points": points}}))
    assert [p["value"] for p in found.of("metric_points")] == [3.0, 4.0, 5.0]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"stringValue": "a"}, "a"),
        ({"boolValue": True}, "true"),
        ({"intValue": "10"}, "10"),
        ({"int_value": 10}, "10"),
        ({"doubleValue": 637.704}, "637.704"),
        ({"doubleValue": "NaN"}, "NaN"),
        ({"bytesValue": "aGk="}, "aGk="),
        ({"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}, {}]}}, '["a",1,null]'),
        ({"kvlistValue": {"values": [{"key": "k", "value": {"bytesValue": "aGk="}}]}}, '{"k":"aGk="}'),
        ({"stringValue": None, "intValue": 4}, "4"),
        ({}, ""),
        (None, ""),
    ],
)
def test_values_of_every_kind(value: Any, text: str, read_bytes: Read) -> None:
    row = read_bytes(span_line(attributes=[{"key": "a", "value": value}])).one("spans")
    assert row["attributes"] == {"a": text}


def test_a_span(read_bytes: Read) -> None:
    row = read_bytes(
        span_line(
            parentSpanId="AAAAAAAAAAE=",
            kind="SPAN_KIND_SERVER",
            status={"code": 2, "message": "boom"},
            traceState="a=b",
            events=[{"timeUnixNano": str(NANO), "name": "e", "attributes": [attribute("k", "v")]}],
            links=[{"traceId": "CvdlGRbNQ92ESOshHIAxnA==", "spanId": "b7ad6b7169203331"}],
        )
    ).one("spans")
    assert row == {
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "parent_span_id": "0000000000000001",
        "service": "unknown",
        "name": "GET /",
        "kind": "SERVER",
        "time": TIME,
        "time_unix_nano": NANO,
        "duration_ns": 5,
        "status_code": "ERROR",
        "status_message": "boom",
        "trace_state": "a=b",
        "scope_name": None,
        "scope_version": None,
        "resource_attributes": {},
        "attributes": {},
        "events": [{"time_unix_nano": NANO, "name": "e", "attributes": {"k": "v"}}],
        "links": [
            {
                "trace_id": "0af7651916cd43dd8448eb211c80319c",
                "span_id": "b7ad6b7169203331",
                "trace_state": None,
                "attributes": {},
            }
        ],
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"traceId": ""}, "trace id is missing"),
        ({"traceId": "0" * 32}, "trace id is missing"),
        ({"spanId": None}, "span id is missing"),
        ({"startTimeUnixNano": "0"}, "start time is missing"),
        ({"endTimeUnixNano": None}, "end time is missing"),
        ({"endTimeUnixNano": 2**64 - 1}, "end time is beyond the range of timestamps: 18446744073709551615"),
        ({"name": 4}, "a text is not a text"),
        ({"events": [4]}, "an event is not an object"),
        ({"links": {}}, "links is not a list"),
        ({"attributes": [{"key": "a", "value": "bare"}]}, "a value is not an AnyValue object"),
    ],
)
def test_a_span_that_cannot_be_a_row(change: dict[str, Any], reason: str, read_bytes: Read) -> None:
    found = read_bytes(span_line() + b"\n" + span_line(**change))
    assert found.counts() == {"raw.spans": (1, 1)}
    (reject,) = found.rejects["raw.spans"]
    assert (reject["reason"], reject["line"], reject["file"]) == (reason, 2, "x.jsonl")
    assert json.loads(reject["record"])["name"] == change.get("name", "GET /")


def test_a_span_that_ends_before_it_starts_is_left_to_the_contract(read_bytes: Read) -> None:
    assert read_bytes(span_line(endTimeUnixNano=NANO - 3)).one("spans")["duration_ns"] == -3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"severityNumber": 9}, ("INFO", 9)),
        ({"severityNumber": 24}, ("FATAL", 24)),
        ({"severityNumber": "SEVERITY_NUMBER_WARN3"}, ("WARN", 15)),
        ({"severityNumber": 0, "severityText": "warning"}, ("WARN", None)),
        ({"severityNumber": 99, "severityText": "odd"}, ("UNKNOWN", None)),
        ({}, ("UNKNOWN", None)),
    ],
)
def test_severity(given: dict[str, Any], expected: tuple[str, int | None], read_bytes: Read) -> None:
    row = read_bytes(log_line(**given)).one("logs")
    assert (row["severity"], row["severity_number"]) == expected


def test_a_log_takes_the_time_of_its_observation(read_bytes: Read) -> None:
    row = read_bytes(log_line(timeUnixNano="0", observedTimeUnixNano=str(NANO))).one("logs")
    assert (row["time"], row["time_unix_nano"], row["observed_time_unix_nano"]) == (TIME, NANO, NANO)
    assert read_bytes(log_line(timeUnixNano=None)).reasons() == ["time is missing"]


def test_equal_logs_keep_ids_of_their_own(read_bytes: Read) -> None:
    rows = read_bytes(b"\n".join([log_line()] * 3)).of("logs")
    assert len({row["log_id"] for row in rows}) == 3
    assert rows == read_bytes(b"\n".join([log_line()] * 3)).of("logs")


def test_a_line_with_several_signals(read_bytes: Read) -> None:
    point = {"name": "n", "gauge": {"dataPoints": [{"timeUnixNano": NANO, "asInt": 1}]}}
    line = json.loads(log_line()) | json.loads(span_line()) | json.loads(metric_line(point))
    assert read_bytes(json.dumps([line, line]).encode() + b"\n").counts() == {
        "raw.logs": (2, 0),
        "raw.metric_points": (2, 0),
        "raw.spans": (2, 0),
    }


def test_a_broken_character_in_protobuf_costs_only_itself(read_bytes: Read) -> None:
    from opentelemetry.proto.logs.v1.logs_pb2 import LogsData

    message = LogsData()
    record = message.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=NANO)
    record.body.string_value = "caXXe"
    damaged = message.SerializeToString().replace(b"XX", b"\xff\x00")
    assert read_bytes(damaged, "x.pb").one("logs")["body"] == "ca\ufffd\x00e"


def number_message(*groups: list[Any]) -> Any:
    """A message that gives one metric several times, each time with a group of points."""
    from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData

    message = MetricsData()
    scope = message.resource_metrics.add().scope_metrics.add()
    for points in groups:
        scope.metrics.add(name="n", unit="ms").sum.data_points.extend(points)
    return message


def point(value: float | int | None, *, time: int = NANO, attributes: dict[str, str] | None = None, **fields: Any) -> Any:
    from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint

    found = NumberDataPoint(time_unix_nano=time, **fields)
    if value is not None:
        setattr(found, "as_int" if isinstance(value, int) else "as_double", value)
    for key, label in (attributes or {}).items():
        found.attributes.add(key=key).value.string_value = label
    return found


def test_protobuf_points_of_every_layout(read_bytes: Read) -> None:
    """With and without start, exemplars and flags, doubles and integers: in one metric, in any order."""
    exemplar = [{"time_unix_nano": NANO, "as_double": 1.0, "trace_id": bytes(16)}]
    points = [
        point(1000.0, start_time_unix_nano=1),
        point(2000),
        point(3000.0, exemplars=exemplar),
        point(4000, attributes={"a": "b"}, exemplars=exemplar, start_time_unix_nano=1),
        point(5000, attributes={"a": "b"}),
        point(6000, flags=2),
        point(2**53 + 1, attributes={"a": "c"}),
        point(-0.0, attributes={"a": "d"}),
        point(float("nan"), attributes={"a": "d"}),
        point(None),
        point(None, start_time_unix_nano=1, attributes={"k": "", "a": "b"}),  # attributes exactly where a value would be
        point(7, flags=1),
        point(7, flags=1, attributes={"a": "b"}),
        point(8, time=0),
        point(9, time=2**64 - 1),
    ]
    short = [p for p in points if p.ByteSize() < 27]
    long = [p for p in points if p.ByteSize() >= 27]
    for groups in ([points], [points[::-1]], [[p] for p in points], [[p] for p in points[::-1]], [long, short], [short, long[::-1]]):
        found = read_bytes(number_message(*groups).SerializeToString(), "x.pb")
        labels = {s["series_id"]: s["labels"].get("a") for s in found.of("metric_series")}
        assert sorted((str(labels[p["series_id"]]), repr(p["value"])) for p in found.of("metric_points")) == [
            ("None", "1.0"),
            ("None", "2.0"),
            ("None", "3.0"),
            ("None", "6.0"),
            ("b", "4.0"),
            ("b", "5.0"),
            ("c", repr(2.0**53 * 0.001)),
            ("d", "-0.0"),
            ("d", "nan"),
        ]
        assert sorted(found.reasons()) == [
            "no recorded value",
            "no recorded value",
            "time is beyond the range of timestamps: 18446744073709551615",
            "time is missing",
            "value is missing",
            "value is missing",
        ]
        assert {p["time"] for p in found.of("metric_points")} == {TIME}


def test_attributes_are_remembered_and_what_differs_from_point_to_point_is_not(tmp_path: Path) -> None:
    from sources.otlp.metrics import Family, Metric, MetricRows
    from sources.otlp.samples import Samples

    family = Family(Metric("n", None, None, "gauge", {}), 1.0)
    samples = Samples(MetricRows(tmp_path, "telemetry"), lambda _: {})
    plain = point(1.0, attributes={"a": "b"}).SerializeToString()
    exemplar = point(None, time=0, exemplars=[{"time_unix_nano": 5}]).SerializeToString()
    samples.add([plain, plain, plain + exemplar], family)
    assert len(family.ids) == 1
    assert samples.finish() == [(plain + exemplar, family)]


def test_a_time_that_no_day_of_the_lake_holds_is_not_seen(read_bytes: Read) -> None:
    """The row itself is left to the contract's row rule."""
    points = [{"timeUnixNano": time, "asInt": 1} for time in (NANO, 2**63 - 1)]
    found = read_bytes(metric_line({"name": "n", "gauge": {"dataPoints": points}}))
    assert len(found.of("metric_points")) == 2
    assert found.one("metric_series")["last_seen"] == TIME


def test_a_series_that_was_forgotten_still_appears_once(read_bytes: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sources.otlp.metrics.CACHED_SERIES", 0)
    line = metric_line({"name": "n", "gauge": {"dataPoints": [{"timeUnixNano": NANO, "asInt": 1}]}})
    found = read_bytes(b"\n".join([line] * 3))
    assert (len(found.of("metric_series")), len(found.of("metric_points"))) == (1, 3)
