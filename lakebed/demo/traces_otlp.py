"""Traces as the OpenTelemetry Collector's file exporter writes them: gzipped JSON lines, an hour's batch each."""

from __future__ import annotations

import bisect
import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lakebed.demo.behaviour import Behaviour
from lakebed.demo.company import Machine
from lakebed.demo.timeline import Seconds
from lakebed.demo.traces import CLIENT, CONSUMER, SERVER, Traces, Visit

HOUR_NS = 3600 * 10**9
EXCEPTIONS = {
    "java": "java.util.concurrent.TimeoutException",
    "go": "context.DeadlineExceeded",
    "nodejs": "TimeoutError",
    "python": "TimeoutError",
}


@dataclass(frozen=True)
class FailedSpan:
    """A failed server span, so that the service's log can name its trace."""

    service: str
    operation: str
    time_ns: int
    trace_id: str
    span_id: str


def text(key: str, value: str) -> str:
    """An OTLP/JSON attribute with a string value; the values here never need escaping."""
    return f'{{"key":"{key}","value":{{"stringValue":"{value}"}}}}'


def number(key: str, value: int) -> str:
    """An OTLP/JSON attribute with an integer value."""
    return f'{{"key":"{key}","value":{{"intValue":"{value}"}}}}'


def resource_json(world: Behaviour, machine: Machine, version: str) -> str:
    """The attributes of a service's process on a machine, as a JSON array."""
    service = world.company.service(machine.service)
    pairs = (
        ("service.name", machine.service),
        ("service.version", version),
        ("service.instance.id", machine.name),
        ("host.name", machine.name),
        ("cloud.resource_id", machine.resource_id),
        ("telemetry.sdk.language", service.runtime),
        ("team", service.team),
    )
    return "[" + ",".join(text(k, v) for k, v in pairs) + "]"


class Versions:
    """Which version of a service ran at a time."""

    def __init__(self, world: Behaviour) -> None:
        self._deploys: dict[str, tuple[list[float], list[str]]] = {}
        for service in world.company.services:
            mine = [d for d in world.events.deploys if d.service == service.name]
            self._deploys[service.name] = ([d.time.timestamp() for d in mine], ["2.13.0", *(d.version for d in mine)])

    def at(self, service: str, seconds: float) -> str:
        """The version of a service that runs at a time (Unix seconds)."""
        times, versions = self._deploys[service]
        return versions[bisect.bisect_right(times, seconds)]


def _attributes(visit: Visit, failed: bool) -> str:
    if visit.database:
        database = f"{text('db.system.name', 'postgresql')},{text('db.namespace', visit.database)}"
        return f"{database},{text('db.operation.name', 'SELECT')}"
    if visit.kind == CONSUMER:
        return f"{text('messaging.system', 'kafka')},{text('messaging.destination.name', 'orders')}"
    method, _, route = visit.operation.partition(" ")
    side = "http.route" if visit.kind == SERVER else "url.template"
    status = number("http.response.status_code", 503 if failed else 200)
    return f"{text('http.request.method', method)},{text(side, route)},{status}"


def _tail(visit: Visit, runtime: str, failed: bool, end_ns: int) -> str:
    """The end of a span: attributes, the exception of a failed one, and its status."""
    attributes = _attributes(visit, failed)
    if not failed:
        return f'"attributes":[{attributes}],"status":{{}}}}'
    if visit.kind == CLIENT:
        return f'"attributes":[{attributes}],"status":{{"code":2}}}}'
    kind = EXCEPTIONS[runtime]
    exception = f"{text('exception.type', kind)},{text('exception.message', 'upstream did not answer in time')}"
    event = f'{{"timeUnixNano":"{end_ns}","name":"exception","attributes":[{exception}]}}'
    status = '"status":{"code":2,"message":"upstream did not answer in time"}'
    return f'"attributes":[{attributes}],"events":[{event}],{status}}}'


Row = tuple[int, str, int, str]  # start, service, machine, span as JSON


def _rows(world: Behaviour, traces: Traces, orders: Traces | None, failures: list[FailedSpan]) -> list[Row]:
    """One row per span of a tree's traces. A consumed order links to the checkout that placed one (`orders`)."""
    rows: list[Row] = []
    machines = {s.name: len(world.company.app_machines(s.name)) for s in world.company.services}
    links = _links(traces, orders)
    for v, visit in enumerate(traces.visits):
        runtime = world.company.service(visit.service).runtime
        fine = _tail(visit, runtime, False, 0)
        parents = traces.span_ids[visit.parent] if visit.parent >= 0 else None
        begin, lasted, failed = traces.start_ns[v].tolist(), traces.duration_ns[v].tolist(), traces.failed[v].tolist()
        count = machines[visit.service]
        for i, trace_id in enumerate(traces.ids):
            span_id, end_ns = traces.span_ids[v][i], begin[i] + lasted[i]
            parent = f'"parentSpanId":"{parents[i]}",' if parents else links[i]
            tail = _tail(visit, runtime, True, end_ns) if failed[i] else fine
            rows.append(
                (
                    begin[i],
                    visit.service,
                    int(trace_id[-4:], 16) % count,
                    f'{{"traceId":"{trace_id}","spanId":"{span_id}",{parent}"name":"{visit.operation}","kind":{visit.kind},'
                    f'"startTimeUnixNano":"{begin[i]}","endTimeUnixNano":"{end_ns}",{tail}',
                )
            )
            if failed[i] and visit.kind == SERVER:
                failures.append(FailedSpan(visit.service, visit.operation, end_ns, trace_id, span_id))
    return rows


def _links(traces: Traces, orders: Traces | None) -> list[str]:
    """Per trace the link of its root to the latest order before it, as JSON, or nothing."""
    if orders is None or traces.visits[0].kind != CONSUMER:
        return [""] * len(traces.ids)
    placed = next(v for v, visit in enumerate(orders.visits) if visit.service == "checkout")
    latest = np.searchsorted(orders.start_ns[0], traces.start_ns[0]) - 1
    return [
        f'"links":[{{"traceId":"{orders.ids[i]}","spanId":"{orders.span_ids[placed][i]}"}}],' if i >= 0 else "" for i in latest.tolist()
    ]


def _lines(world: Behaviour, rows: list[Row], versions: Versions) -> str:
    """The rows of a week as export requests: one line per hour, spans grouped by the process that sent them."""
    heads: dict[tuple[str, int, str], str] = {}
    out: list[str] = []
    hour_now, groups = -1, dict[tuple[str, int, str], list[str]]()

    def flush() -> None:
        parts = [f"{heads[key]}{','.join(spans)}]}}]}}" for key, spans in groups.items()]
        out.append(f'{{"resourceSpans":[{",".join(parts)}]}}\n')

    for begin, service, machine, span in rows:
        hour = begin // HOUR_NS
        if hour != hour_now:
            if groups:
                flush()
            hour_now, groups = hour, {}
        key = (service, machine, versions.at(service, begin / 1e9))
        if key not in heads:
            attributes = resource_json(world, world.company.app_machines(service)[machine], key[2])
            scope = f'"scope":{{"name":"io.opentelemetry.{world.company.service(service).runtime}","version":"1.9.0"}}'
            heads[key] = f'{{"resource":{{"attributes":{attributes}}},"scopeSpans":[{{{scope},"spans":['
        groups.setdefault(key, []).append(span)
    if groups:
        flush()
    return "".join(out)


def write_traces(world: Behaviour, traces: list[Traces], folder: Path) -> tuple[int, list[FailedSpan]]:
    """Write `traces-<first day>.jsonl.gz` per week; returns how many spans, and the failed server spans by time."""
    folder.mkdir(parents=True, exist_ok=True)
    orders = next(t for t in traces if any(v.service == "checkout" for v in t.visits))
    failures: list[FailedSpan] = []
    rows = [row for tree in traces for row in _rows(world, tree, orders, failures)]
    rows.sort()
    versions = Versions(world)
    begins: Seconds = np.array([row[0] for row in rows], dtype=np.int64)
    for day, begin, finish in world.window.weeks():
        first, last = (int(i) for i in np.searchsorted(begins, [begin * 10**9, finish * 10**9]))
        content = _lines(world, rows[first:last], versions).encode()
        (folder / f"traces-{day}.jsonl.gz").write_bytes(gzip.compress(content, compresslevel=3, mtime=0))
    failures.sort(key=lambda f: (f.time_ns, f.span_id))
    return len(rows), failures
