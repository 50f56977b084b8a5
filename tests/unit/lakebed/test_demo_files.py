"""The simulated company's files: formats that readers accept, counts as promised, same bytes for same arguments."""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from lakebed.demo import config, generate, read_truth

END = date(2026, 11, 22)
SMALL: dict[str, Any] = {"end": END, "days": 28, "scale": 0.02}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("company")
    generate(folder, seed=3, **SMALL)
    return folder


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict[str, Any]:
    return read_truth(folder / "truth.json")


def lines(folder: Path, pattern: str) -> Iterator[dict[str, Any]]:
    for file in sorted((folder / "inputs").glob(pattern)):
        with gzip.open(file) as opened:
            for line in opened:
                yield orjson.loads(line)


def spans(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """(service, span) of every trace file."""
    found = []
    for request in lines(folder, "otlp/traces/*.jsonl.gz"):
        for resource in request["resourceSpans"]:
            name = resource["resource"]["attributes"][0]["value"]["stringValue"]
            found += [(name, span) for scope in resource["scopeSpans"] for span in scope["spans"]]
    return found


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_same_arguments_give_the_same_bytes_and_another_seed_others(folder: Path, tmp_path: Path) -> None:
    generate(tmp_path / "again", seed=3, **SMALL)
    generate(tmp_path / "other", seed=4, **SMALL)
    first, again, other = digests(folder), digests(tmp_path / "again"), digests(tmp_path / "other")
    assert first == again
    same = {name for name in first if first[name] == other.get(name)}
    assert same == {"lakebed.toml"}


def test_default_end_is_yesterday_utc(tmp_path: Path) -> None:
    before = datetime.now(UTC).date()
    truth = generate(tmp_path, days=14, scale=0.002)
    assert (before - truth.last_day).days in (0, 1)
    assert truth.last_day < datetime.now(UTC).date()


def test_refuses_to_mix_two_companies_and_senseless_arguments(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="do not mix"):
        generate(folder, **SMALL)
    with pytest.raises(ValueError, match="at least 14 days"):
        generate(tmp_path, days=3)
    with pytest.raises(ValueError, match="positive scale"):
        generate(tmp_path, scale=0.0)


def test_progress_rises_to_one(tmp_path: Path) -> None:
    seen: list[tuple[str, float]] = []
    generate(tmp_path, end=END, days=14, scale=0.002, progress=lambda what, share: seen.append((what, share)))
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert all(what for what, _ in seen)


def test_parquet_metrics_are_as_counted_with_unique_series_and_times(folder: Path, truth: dict[str, Any]) -> None:
    frame = pl.read_parquet(folder / "inputs" / "metrics" / "*.parquet")
    assert len(frame) == truth["counts"]["samples_parquet"]
    assert frame["value"].is_finite().all()
    labels = [c for c in frame.columns if c not in ("time", "value", "unit", "kind")]
    assert frame.select(*labels, "time").is_unique().all()
    start = datetime(2026, 10, 26, tzinfo=UTC)
    assert frame["time"].min() >= start
    assert frame["time"].max() < datetime(2026, 11, 23, tzinfo=UTC)
    assert set(frame["kind"].unique()) == {"gauge", "counter"}


def test_network_counters_reset_at_restarts_only(folder: Path) -> None:
    frame = pl.read_parquet(folder / "inputs" / "metrics" / "*.parquet").filter(pl.col("kind") == "counter")
    falls = frame.sort("host.name", "time").with_columns(pl.col("value").diff().over("host.name").alias("step")).filter(pl.col("step") < 0)
    assert 0 < len(falls) < 60
    assert not set(falls["host.name"].to_list()) & {"reporting-db", "search-v1", "loadtest-runner"}
    assert (falls["value"] >= 0).all()


def test_request_counters_are_cumulative_and_restart_with_a_new_start_time(folder: Path, truth: dict[str, Any]) -> None:
    points: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    for request in lines(folder, "otlp/metrics/*.jsonl.gz"):
        for resource in request["resourceMetrics"]:
            name = resource["resource"]["attributes"][0]["value"]["stringValue"]
            metric = resource["scopeMetrics"][0]["metrics"][0]
            assert metric["sum"]["aggregationTemporality"] == 2
            for point in metric["sum"]["dataPoints"]:
                code = point["attributes"][1]["value"]["intValue"]
                numbers = int(point["timeUnixNano"]), int(point["startTimeUnixNano"]), int(point["asInt"])
                points.setdefault((name, code), []).append(numbers)
    assert sum(map(len, points.values())) == truth["counts"]["samples_otlp"]
    assert {name for name, _ in points} == set(truth["services"])
    resets = 0
    for series in points.values():
        for (time, start, value), (next_time, next_start, next_value) in pairwise(series):
            assert next_time > time
            assert next_start <= next_time
            resets += next_start > start
            assert next_start > start or next_value >= value
    assert resets > 0


def test_histograms_parse_as_length_prefixed_protobuf(folder: Path, truth: dict[str, Any]) -> None:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    count = 0
    for file in sorted((folder / "inputs" / "otlp" / "metrics").glob("*.binpb")):
        data, at = file.read_bytes(), 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            request = ExportMetricsServiceRequest.FromString(data[at + 4 : at + 4 + size])
            at += 4 + size
            for resource in request.resource_metrics:
                point = resource.scope_metrics[0].metrics[0].histogram.data_points[0]
                assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
                assert sum(point.bucket_counts) == point.count
                assert point.start_time_unix_nano <= point.time_unix_nano
                count += 1
        assert at == len(data)
    assert count == truth["counts"]["histogram_points"]


def test_spans_parse_as_otlp_and_every_parent_exists(folder: Path, truth: dict[str, Any]) -> None:
    from google.protobuf import json_format
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    first = next(lines(folder, "otlp/traces/*.jsonl.gz"))
    json_format.ParseDict(first, ExportTraceServiceRequest())
    found = spans(folder)
    assert len(found) == truth["counts"]["spans"]
    by_id = {(s["traceId"], s["spanId"]): (service, s) for service, s in found}
    assert len(by_id) == len(found)
    linked = 0
    for _, span in found:
        assert re.fullmatch(r"[0-9a-f]{32}", span["traceId"])
        assert int(span["startTimeUnixNano"]) < int(span["endTimeUnixNano"])
        if "parentSpanId" in span:
            _, parent = by_id[span["traceId"], span["parentSpanId"]]
            assert int(parent["startTimeUnixNano"]) <= int(span["startTimeUnixNano"])
            assert int(parent["endTimeUnixNano"]) >= int(span["endTimeUnixNano"])
        for link in span.get("links", []):
            assert by_id[link["traceId"], link["spanId"]][0] == "checkout"
            linked += 1
    assert linked > 0
    assert {service for service, _ in found} == set(truth["services"])


def test_logs_hold_the_counted_records(folder: Path, truth: dict[str, Any]) -> None:
    from google.protobuf import json_format
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    requests = list(lines(folder, "otlp/logs/*.jsonl.gz"))
    json_format.ParseDict(requests[0], ExportLogsServiceRequest())
    records = [r for q in requests for g in q["resourceLogs"] for s in g["scopeLogs"] for r in s["logRecords"]]
    java = "".join(p.read_text() for p in sorted((folder / "inputs" / "logs" / "java").glob("*.log")))
    access = "".join(p.read_text() for p in sorted((folder / "inputs" / "logs" / "access").glob("*.log")))
    counts = truth["counts"]
    assert len(records) == counts["log_records_otlp"]
    assert java.count("\n") == counts["log_lines_java"]
    entry = re.compile(r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] (INFO|WARN|ERROR) .+ \(com\.larkspur\.[\w.]+\)$", re.M)
    assert len(entry.findall(java)) == counts["log_records_java"]
    assert java.count("\n\tat ") == 3 * java.count("] ERROR ") > 0
    line = re.compile(r'^\S+ - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "\w+ \S+ HTTP/1\.1" \d{3} (\d+|-) "[^"]*" "[^"]*"$')
    assert sum(bool(line.match(x)) for x in access.splitlines()) == counts["log_records_access"]
    parts = counts["log_records_otlp"] + counts["log_records_java"] + counts["log_records_access"]
    assert counts["log_records"] == parts


def test_error_logs_name_failed_spans(folder: Path) -> None:
    failed = {(s["traceId"], s["spanId"]) for _, s in spans(folder) if s["status"].get("code") == 2}
    named = [
        (r["traceId"], r["spanId"])
        for q in lines(folder, "otlp/logs/*.jsonl.gz")
        for g in q["resourceLogs"]
        for s in g["scopeLogs"]
        for r in s["logRecords"]
        if "traceId" in r
    ]
    assert named
    assert set(named) <= failed


def test_pagerduty_exports_have_the_fields_of_the_rest_api(folder: Path, truth: dict[str, Any]) -> None:
    files = sorted((folder / "inputs" / "pagerduty").glob("*.json"))
    midway, final = (orjson.loads(f.read_bytes())["incidents"] for f in files)
    assert len(midway) + len(final) == truth["counts"]["incident_records"]
    assert midway[-1]["status"] == "acknowledged"
    assert midway[-1]["resolved_at"] is None
    assert len(midway[-1]["acknowledgements"]) == 1
    assert {i["status"] for i in final} == {"resolved"}
    for incident, true in zip(final, truth["incidents"], strict=True):
        assert incident["id"] == true["incident_id"]
        assert incident["service"]["summary"] == true["service"]
        assert incident["service"]["type"] == "service_reference"
        assert incident["created_at"].replace("Z", "+00:00") == true["opened"]
        assert incident["acknowledgements"] == []  # the API empties them on resolution
        entries = {e["type"]: e["created_at"].replace("Z", "+00:00") for e in incident["log_entries"]}
        assert entries["acknowledge_log_entry"] == true["acknowledged"]
        assert incident["resolved_at"] == incident["last_status_change_at"]
        assert incident["resolved_at"].replace("Z", "+00:00") == true["resolved"]
        started = incident["custom_fields"][0]["value"]
        assert (started is not None) == true["start_recorded"]


def test_changes_name_the_two_deploys_among_others(folder: Path, truth: dict[str, Any]) -> None:
    rows = list(csv.DictReader((folder / "inputs" / "changes" / "deploys.csv").read_text().splitlines()))
    assert len(rows) == truth["counts"]["changes"] > 2
    listed = {(r["change_id"], r["service"], r["deployed_at"].replace("Z", "+00:00")) for r in rows}
    assert {(d["change_id"], d["service"], d["time"]) for d in truth["deploys"]} <= listed


def test_configuration_is_valid_and_finds_every_input(folder: Path) -> None:
    from warehouse.settings import load

    settings = load(folder / "lakebed.toml")
    assert (folder / "lakebed.toml").read_text() == config()
    matched: Counter[str] = Counter()
    for source in settings.sources.values():
        for pattern in getattr(source, "paths", ()):
            matched.update(str(p) for p in (folder / "inputs").glob(pattern))
    assert matched == Counter(str(p) for p in (folder / "inputs").rglob("*") if p.is_file())
    assert {rule.kind for rule in settings.capacity} == {"cpu", "memory", "disk", "pool"}
