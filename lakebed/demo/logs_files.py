"""Logs as real systems write them: OpenTelemetry JSON lines, Log4j with stack traces, a web server's access log."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from lakebed.demo.behaviour import Behaviour
from lakebed.demo.logs import (
    ACCESS_LINES,
    LOG4J_RECORDS,
    LOG4J_SERVICES,
    OTLP_RECORDS,
    OTLP_SERVICES,
    Records,
    log_times,
    service_records,
)
from lakebed.demo.timeline import Window, stream
from lakebed.demo.traces_otlp import FailedSpan, Versions, resource_json, text

NUMBER = {"INFO": 9, "WARN": 13, "ERROR": 17}
PATHS = ("/", "/product/{}", "/search?q=item+{}", "/cart", "/checkout", "/static/app.{}.js", "/account")
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
)
HTTP = {"OK": 200, "CREATED": 201, "NOT_MODIFIED": 304, "NOT_FOUND": 404, "UNAVAILABLE": 503}
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _weeks(window: Window, times: np.ndarray) -> Iterator[tuple[str, int, int]]:
    """Per week its first day and the range of indices of the sorted times that fall into it."""
    for day, begin, finish in window.weeks():
        first, last = np.searchsorted(times, [begin, finish])
        yield str(day), int(first), int(last)


def _otlp_rows(records: Records) -> list[tuple[int, str, int, str]]:
    """A service's records as (time, service, draw, JSON)."""
    rows = []
    nanos = (records.times * 1_000_000).astype(np.int64) * 1000
    for time, severity, body, draw in zip(nanos.tolist(), records.severities, records.bodies, records.draws, strict=True):
        rows.append(
            (
                time,
                records.service,
                draw,
                _record(time, severity, body, f'"attributes":[{text("logger", records.logger)}]'),
            )
        )
    return rows


def _record(time_ns: int, severity: str, body: str, rest: str) -> str:
    return (
        f'{{"timeUnixNano":"{time_ns}","observedTimeUnixNano":"{time_ns + 2_000_000}",'
        f'"severityNumber":{NUMBER[severity]},"severityText":"{severity}","body":{{"stringValue":"{body}"}},{rest}}}'
    )


def _failure_rows(failures: list[FailedSpan]) -> list[tuple[int, str, int, str]]:
    """One error record per failed server span of the services that log over OpenTelemetry, naming its trace."""
    rows = []
    for failure in failures:
        if failure.service in OTLP_SERVICES:
            ids = f'"traceId":"{failure.trace_id}","spanId":"{failure.span_id}"'
            body = f"{failure.operation} failed: upstream did not answer in time"
            draw = int(failure.trace_id[-4:], 16)
            rows.append((failure.time_ns, failure.service, draw, _record(failure.time_ns, "ERROR", body, ids)))
    return rows


def write_otlp_logs(world: Behaviour, failures: list[FailedSpan], folder: Path, seed: int, scale: float) -> int:
    """Write `logs-<first day>.jsonl.gz` per week, a line an hour; returns the number of records."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = _failure_rows(failures)
    for records in service_records(world, seed, OTLP_SERVICES, int(OTLP_RECORDS * scale)):
        rows += _otlp_rows(records)
    rows.sort()
    versions = Versions(world)
    times = np.array([row[0] for row in rows], dtype=np.int64) // 10**9
    for day, first, last in _weeks(world.window, times):
        hours: dict[int, dict[str, list[str]]] = {}
        for time, service, draw, record in rows[first:last]:
            machines = world.company.app_machines(service)
            head = resource_json(world, machines[draw % len(machines)], versions.at(service, time / 1e9))
            hours.setdefault(time // (3600 * 10**9), {}).setdefault(head, []).append(record)
        lines = []
        for groups in hours.values():
            parts = [
                f'{{"resource":{{"attributes":{head}}},"scopeLogs":[{{"scope":{{}},"logRecords":[{",".join(group)}]}}]}}'
                for head, group in groups.items()
            ]
            lines.append(f'{{"resourceLogs":[{",".join(parts)}]}}\n')
        (folder / f"logs-{day}.jsonl.gz").write_bytes(gzip.compress("".join(lines).encode(), compresslevel=3, mtime=0))
    return len(rows)


def _stack(logger: str, draw: int) -> str:
    """The stack trace under an error."""
    package = logger.rsplit(".", 1)[0]
    return (
        "java.util.concurrent.TimeoutException: no answer in time\n"
        f"\tat {package}.Client.call(Client.java:{40 + draw % 300})\n"
        f"\tat {logger}.handle({logger.rsplit('.', 1)[1]}.java:{60 + draw % 200})\n"
        "\tat java.base/java.lang.Thread.run(Thread.java:1583)\n"
    )


def write_log4j(world: Behaviour, folder: Path, seed: int, scale: float) -> tuple[int, int]:
    """Write `<service>.<first day>.log` per Java service and week; returns the number of entries and of lines."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = lines = 0
    for records in service_records(world, seed, LOG4J_SERVICES, int(LOG4J_RECORDS * scale)):
        stamps = np.datetime_as_string((records.times * 1000).astype("datetime64[ms]")).tolist()
        for day, first, last in _weeks(world.window, records.times):
            out = []
            for i in range(first, last):
                stamp = stamps[i].replace("T", " ").replace(".", ",")
                out.append(f"[{stamp}] {records.severities[i]} {records.bodies[i]} ({records.logger})\n")
                if records.severities[i] == "ERROR":
                    out.append(_stack(records.logger, records.draws[i]))
            content = "".join(out)
            entries += last - first
            lines += content.count("\n")
            (folder / f"{records.service}.{day}.log").write_text(content, encoding="utf-8")
    return entries, lines


def _statuses(world: Behaviour, rng: np.random.Generator, times: np.ndarray) -> list[int]:
    """HTTP status per access line: failures with the front end's error share, the rest as in any shop."""
    whole = times.astype(np.int64)
    failing = world.error_share(whole)["web-frontend"]
    usual = rng.choice([HTTP["OK"], HTTP["CREATED"], HTTP["NOT_MODIFIED"], HTTP["NOT_FOUND"]], len(times), p=[0.86, 0.02, 0.10, 0.02])
    return [int(s) for s in np.where(rng.random(len(times)) < failing, HTTP["UNAVAILABLE"], usual)]


def write_access_log(world: Behaviour, folder: Path, seed: int, scale: float) -> int:
    """Write `access.<first day>.log` per week in Apache's combined format; returns the number of lines."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = stream(seed, "access log")
    times = log_times(world, rng, "web-frontend", int(ACCESS_LINES * scale))
    count = len(times)
    statuses = _statuses(world, rng, times)
    a, b = rng.integers(0, 2**16, count).tolist(), rng.integers(0, 2**16, count).tolist()
    paths = rng.choice(len(PATHS), count, p=[0.2, 0.3, 0.16, 0.1, 0.05, 0.14, 0.05]).tolist()
    sizes = np.exp(rng.normal(8.6, 0.9, count)).astype(int).tolist()
    for day, first, last in _weeks(world.window, times):
        out = []
        for i in range(first, last):
            at = datetime.fromtimestamp(int(times[i]), UTC)
            stamp = f"{at.day:02d}/{MONTHS[at.month - 1]}/{at.year}:{at.hour:02d}:{at.minute:02d}:{at.second:02d} +0000"
            verb = "POST" if paths[i] in (3, 4) and b[i] % 3 == 0 else "GET"
            path = PATHS[paths[i]].format(a[i] % 48000)
            size = "-" if statuses[i] == HTTP["NOT_MODIFIED"] else str(sizes[i])
            referer = "-" if a[i] % 3 else "https://shop.larkspur.example/"
            address = f"198.51.{100 + a[i] % 20}.{b[i] % 250}"
            request = f'{address} - - [{stamp}] "{verb} {path} HTTP/1.1"'
            out.append(f'{request} {statuses[i]} {size} "{referer}" "{AGENTS[b[i] % 4]}"\n')
        (folder / f"access.{day}.log").write_text("".join(out), encoding="utf-8")
    return count
