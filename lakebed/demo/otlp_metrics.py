"""Metrics as the OpenTelemetry Collector's file exporter writes them: counters as JSON lines, histograms as protobuf.

Counters and histograms are cumulative; both begin at zero again, with a new start time, when the service restarts.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from lakebed.demo.behaviour import Behaviour
from lakebed.demo.metrics import P95_OVER_P50
from lakebed.demo.timeline import Floats, Seconds, sampling_step, stream

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5)
SCOPE = "io.opentelemetry.http.server"
Z95 = 1.6449


def starts(world: Behaviour, service: str, times: Seconds) -> Seconds:
    """For each time, when the counter in force began: some hours before the window, or at the latest restart."""
    begun = np.array([world.window.start_s - 21_463, *(int(r.timestamp()) for r in world.events.restarts[service])], dtype=np.int64)
    return np.asarray(begun[np.searchsorted(begun, times, side="right") - 1], dtype=np.int64)


def accumulate(amounts: Floats, begun: Seconds) -> Floats:
    """Running totals of `amounts` (what came since the time before) along the last axis, anew where `begun` changes."""
    total = np.cumsum(amounts, axis=-1)
    fresh = np.flatnonzero(np.diff(begun) != 0) + 1
    base = np.zeros_like(total)
    for at in fresh:
        base[..., at:] = total[..., at - 1 : at]
    return np.asarray(total - base, dtype=np.float64)


def _resource_json(world: Behaviour, name: str) -> str:
    team = world.company.service(name).team
    pairs = (
        ("service.name", name),
        ("service.namespace", "larkspur"),
        ("team", team),
        ("deployment.environment.name", "prod"),
    )
    attributes = ",".join(f'{{"key":"{k}","value":{{"stringValue":"{v}"}}}}' for k, v in pairs)
    scope = f'"scope":{{"name":"{SCOPE}","version":"1.9.0"}}'
    return f'{{"resource":{{"attributes":[{attributes}]}},"scopeMetrics":[{{{scope},"metrics":[{{'


def _request_counts(world: Behaviour, times: Seconds, rng: np.random.Generator) -> dict[str, tuple[list[int], list[int], list[int]]]:
    """Per service: start times, and running totals of requests answered well and badly."""
    step = float(times[1] - times[0])
    errors = world.error_share(times)
    counts = {}
    for service in world.company.services:
        expected = world.request_rate(service.name, times) * step
        total = rng.poisson(expected * np.exp(0.03 * rng.standard_normal(len(times))))
        failed = rng.binomial(total, errors[service.name])
        begun = starts(world, service.name, times)
        totals = accumulate(np.stack([total - failed, failed]).astype(np.float64), begun).astype(np.int64)
        counts[service.name] = (begun.tolist(), totals[0].tolist(), totals[1].tolist())
    return counts


def _point(code: int, begun: int, time: int, value: int) -> str:
    attributes = (
        '{"key":"http.request.method","value":{"stringValue":"ANY"}},'
        f'{{"key":"http.response.status_code","value":{{"intValue":"{code}"}}}}'
    )
    nanos = f'"startTimeUnixNano":"{begun}000000000","timeUnixNano":"{time}000000000"'
    return f'{{"attributes":[{attributes}],{nanos},"asInt":"{value}"}}'


def write_counters(world: Behaviour, folder: Path, seed: int, scale: float) -> int:
    """Write `requests-<first day>.jsonl.gz` per week, one line an export; returns the number of samples."""
    folder.mkdir(parents=True, exist_ok=True)
    times = world.window.grid(sampling_step(15, scale))
    counts = _request_counts(world, times, stream(seed, "requests"))
    heads = {name: _resource_json(world, name) for name in counts}
    opening = '"name":"http.server.requests","unit":"{request}","description":"Requests answered","sum":{"dataPoints":['
    closing = '],"aggregationTemporality":2,"isMonotonic":true}}]}]}'
    for day, begin, finish in world.window.weeks():
        first, last = (int(i) for i in np.searchsorted(times, [begin, finish]))
        lines = []
        for i in range(first, last):
            time = int(times[i])
            parts = [
                f"{heads[name]}{opening}{_point(200, begun[i], time, good[i])},{_point(500, begun[i], time, bad[i])}{closing}"
                for name, (begun, good, bad) in counts.items()
            ]
            lines.append(f'{{"resourceMetrics":[{",".join(parts)}]}}\n')
        (folder / f"requests-{day}.jsonl.gz").write_bytes(gzip.compress("".join(lines).encode(), compresslevel=3, mtime=0))
    return len(times) * len(counts) * 2


def _bucket_shares(median_s: Floats) -> Floats:
    """Share of requests per bucket (buckets x times) for lognormal latency with the metrics' ratio of p95 to p50."""
    sigma = np.log(P95_OVER_P50) / Z95
    z = (np.log(np.array(BOUNDS_S))[:, None] - np.log(median_s)[None, :]) / sigma
    below = 1.0 / (1.0 + np.exp(-1.702 * z))  # logistic approximation of the normal distribution, error under 0.01
    edges = np.vstack([np.zeros(len(median_s)), below, np.ones(len(median_s))])
    return np.diff(edges, axis=0)


def _histograms(world: Behaviour, times: Seconds, rng: np.random.Generator) -> dict[str, tuple[Seconds, Seconds, Floats]]:
    """Per service: start times, running bucket counts (buckets x times) and running sums of seconds."""
    step = float(times[1] - times[0])
    medians = world.latency_s(times)
    sigma = np.log(P95_OVER_P50) / Z95
    found = {}
    for service in world.company.services:
        begun = starts(world, service.name, times)
        expected = _bucket_shares(medians[service.name]) * world.request_rate(service.name, times) * step
        counts = rng.poisson(expected).astype(np.float64)
        seconds = counts.sum(axis=0) * medians[service.name] * np.exp(sigma**2 / 2)
        found[service.name] = (begun, accumulate(counts, begun).astype(np.int64), accumulate(seconds, begun).round(3))
    return found


def write_histograms(world: Behaviour, folder: Path, seed: int) -> int:
    """Write `durations-<first day>.binpb` per week: messages after their four-byte length; returns how many points."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
    from opentelemetry.proto.metrics.v1.metrics_pb2 import (
        AGGREGATION_TEMPORALITY_CUMULATIVE,
        Histogram,
        HistogramDataPoint,
        Metric,
        ResourceMetrics,
        ScopeMetrics,
    )
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource

    folder.mkdir(parents=True, exist_ok=True)
    times = world.window.grid(3600)
    data = _histograms(world, times, stream(seed, "histograms"))
    resources = {name: Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value=name))]) for name in data}
    scope = InstrumentationScope(name=SCOPE, version="1.9.0")
    for day, begin, finish in world.window.weeks():
        first, last = (int(i) for i in np.searchsorted(times, [begin, finish]))
        blocks = []
        for i in range(first, last):
            request = ExportMetricsServiceRequest()
            for name, (begun, counts, sums) in data.items():
                point = HistogramDataPoint(
                    start_time_unix_nano=int(begun[i]) * 10**9,
                    time_unix_nano=int(times[i]) * 10**9,
                    count=int(counts[:, i].sum()),
                    sum=float(sums[i]),
                    explicit_bounds=BOUNDS_S,
                    bucket_counts=counts[:, i].tolist(),
                )
                histogram = Histogram(data_points=[point], aggregation_temporality=AGGREGATION_TEMPORALITY_CUMULATIVE)
                metric = Metric(name="http.server.request.duration", unit="s", histogram=histogram)
                scoped = ScopeMetrics(scope=scope, metrics=[metric])
                request.resource_metrics.append(ResourceMetrics(resource=resources[name], scope_metrics=[scoped]))
            message = request.SerializeToString(deterministic=True)
            blocks.append(len(message).to_bytes(4, "big") + message)
        (folder / f"durations-{day}.binpb").write_bytes(b"".join(blocks))
    return len(times) * len(data)
