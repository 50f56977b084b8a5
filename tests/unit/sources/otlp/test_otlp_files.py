"""Every file of the open sets: what is in it by protobuf's own JSON parser, and what the reader gives."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

pytestmark = pytest.mark.realdata

POINTS, HISTOGRAMS, SPANS, LOGS = "raw.metric_points", "raw.metric_histograms", "raw.spans", "raw.logs"

# (rows, rejects) per table. Rejects: a span without a start has no day; a time past int64 is no timestamp; lines that are no OTLP.
EXPECTED: dict[str, dict[str, tuple[int, int]]] = {
    "duckdb-otlp/empty.jsonl": {},
    "duckdb-otlp/whitespace.jsonl": {},
    "duckdb-otlp/logs_document.json": {LOGS: (1, 0)},
    "duckdb-otlp/logs_nulls.jsonl": {LOGS: (3, 0)},
    "duckdb-otlp/logs_simple.jsonl": {LOGS: (3, 0)},
    "duckdb-otlp/malformed.jsonl": {LOGS: (0, 2), SPANS: (1, 1)},
    "duckdb-otlp/metrics_all_types.jsonl": {POINTS: (6, 0), HISTOGRAMS: (2, 0)},
    "duckdb-otlp/metrics_exp_histogram_ndjson.jsonl": {HISTOGRAMS: (1, 0)},
    "duckdb-otlp/metrics_histogram_ndjson.jsonl": {HISTOGRAMS: (1, 0)},
    "duckdb-otlp/metrics_nulls.jsonl": {POINTS: (2, 0), HISTOGRAMS: (1, 0)},
    "duckdb-otlp/metrics_optional_fields.jsonl": {POINTS: (4, 0), HISTOGRAMS: (2, 0)},
    "duckdb-otlp/metrics_simple.jsonl": {POINTS: (2, 0), HISTOGRAMS: (1, 0)},
    "duckdb-otlp/metrics_summary_only.jsonl": {POINTS: (8, 0)},
    "duckdb-otlp/metrics_temporality_strings.jsonl": {POINTS: (1, 0)},
    "duckdb-otlp/multifile_malformed_traces.jsonl": {SPANS: (0, 1)},
    "duckdb-otlp/multifile_valid_traces.jsonl": {SPANS: (1, 0)},
    "duckdb-otlp/otlp_logs.pb": {LOGS: (1, 0)},
    "duckdb-otlp/otlp_metrics.pb": {POINTS: (1, 0)},
    "duckdb-otlp/otlp_traces.pb": {SPANS: (1, 0)},
    "duckdb-otlp/single_trace.jsonl": {SPANS: (0, 1)},
    "duckdb-otlp/traces_deep_nesting.jsonl": {SPANS: (0, 1)},
    "duckdb-otlp/traces_large_attrs.jsonl": {SPANS: (0, 1)},
    "duckdb-otlp/traces_nulls.jsonl": {SPANS: (0, 3)},
    "duckdb-otlp/traces_simple.jsonl": {SPANS: (3, 0)},
    "duckdb-otlp/ts_boundary_logs.jsonl": {LOGS: (1, 0)},
    "duckdb-otlp/ts_overflow_logs.jsonl": {LOGS: (0, 1)},
    "opentelemetry-proto/events.json": {LOGS: (1, 0)},
    "opentelemetry-proto/logs.json": {LOGS: (1, 0)},
    "opentelemetry-proto/metrics.json": {POINTS: (2, 0), HISTOGRAMS: (2, 0)},
    "opentelemetry-proto/trace.json": {SPANS: (1, 0)},
}
UNREADABLE = {"duckdb-otlp/malformed.jsonl": 3, "duckdb-otlp/multifile_malformed_traces.jsonl": 1}


def test_every_file_is_expected(realdata: Path) -> None:
    files = {
        path.relative_to(realdata / "otlp").as_posix()
        for path in (realdata / "otlp").rglob("*")
        if path.suffix in (".json", ".jsonl", ".pb")
    }
    assert files == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_rows_and_rejects(name: str, realdata: Path, read_file: Callable[..., Any]) -> None:
    assert read_file(realdata / "otlp" / name).counts() == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_protobufs_own_parser_finds_as_many(name: str, realdata: Path) -> None:
    """Rows and rejects together are what an independent parser counts, plus the lines that it cannot read."""
    path = realdata / "otlp" / name
    counted: Counter[str] = Counter()
    unreadable = 0
    for message in messages(path):
        if message is None:
            unreadable += 1
        else:
            counted.update(elements(message))
    expected = Counter({table: sum(pair) for table, pair in EXPECTED[name].items()})
    assert unreadable == UNREADABLE.get(name, 0)
    assert counted.total() + unreadable == expected.total()
    assert unreadable or counted == expected


def messages(path: Path) -> Iterator[Any]:
    """Messages of a file by json_format and the official classes; None for what they cannot read."""
    if path.suffix == ".pb":
        kind = next(k for mark, k in (("logs", LogsData), ("metrics", MetricsData), ("traces", TracesData)) if mark in path.name)
        yield kind.FromString(path.read_bytes())
        return
    texts = [path.read_text()] if path.suffix == ".json" else path.read_text().splitlines()
    for text in texts:
        if not text.strip():
            continue
        try:
            document = hex_to_base64(json.loads(text))
        except ValueError:
            yield None
            continue
        kind = {"resourceLogs": LogsData, "resourceMetrics": MetricsData, "resourceSpans": TracesData}.get(next(iter(document)))
        yield json_format.ParseDict(document, kind(), ignore_unknown_fields=True) if kind else None


def hex_to_base64(node: Any) -> Any:
    """protobuf's JSON mapping has bytes in base64, OTLP has ids in hex."""
    if isinstance(node, list):
        return [hex_to_base64(n) for n in node]
    if not isinstance(node, dict):
        return node
    ids = ("traceId", "spanId", "parentSpanId")
    return {
        key: base64.b64encode(bytes.fromhex(value if len(value) % 2 == 0 else "0" + value)).decode() if key in ids else hex_to_base64(value)
        for key, value in node.items()
    }


def elements(message: Any) -> Iterator[str]:
    if isinstance(message, LogsData):
        yield from (LOGS for r in message.resource_logs for s in r.scope_logs for _ in s.log_records)
    elif isinstance(message, TracesData):
        yield from (SPANS for r in message.resource_spans for s in r.scope_spans for _ in s.spans)
    else:
        for metric in (m for r in message.resource_metrics for s in r.scope_metrics for m in s.metrics):
            kind = metric.WhichOneof("data")
            for point in getattr(metric, kind).data_points:
                rows = len(point.quantile_values) + 2 if kind == "summary" else 1
                yield from [HISTOGRAMS if "histogram" in kind else POINTS] * rows
