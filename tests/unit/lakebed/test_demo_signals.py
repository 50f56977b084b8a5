"""At full scale: the promised sizes, and each incident and deploy can be seen in metrics, traces and logs alike."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest

from lakebed.demo import generate, read_truth

END = date(2026, 11, 22)
HOUR = 3600.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("company")
    generate(folder, seed=1, end=END)
    return folder


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict[str, Any]:
    return read_truth(folder / "truth.json")


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def lines(folder: Path, pattern: str) -> Iterator[dict[str, Any]]:
    for file in sorted((folder / "inputs").glob(pattern)):
        for line in gzip.decompress(file.read_bytes()).splitlines():
            yield orjson.loads(line)


def service_of(resource: dict[str, Any]) -> str:
    return str(resource["resource"]["attributes"][0]["value"]["stringValue"])


@pytest.fixture(scope="module")
def served(folder: Path) -> pl.DataFrame:
    """Server and consumer spans: service, time (epoch s), seconds, failed."""
    rows = [
        (
            name,
            int(s["startTimeUnixNano"]) / 1e9,
            int(s["endTimeUnixNano"]) - int(s["startTimeUnixNano"]),
            "code" in s["status"],
        )
        for request in lines(folder, "otlp/traces/*.jsonl.gz")
        for resource in request["resourceSpans"]
        for name in [service_of(resource)]
        for scope in resource["scopeSpans"]
        for s in scope["spans"]
        if s["kind"] != 3
    ]
    return pl.DataFrame(rows, schema=["service", "time", "nanos", "failed"], orient="row")


@pytest.fixture(scope="module")
def troubles(folder: Path) -> pl.DataFrame:
    """Warnings and errors in OpenTelemetry and Java logs: service, time (epoch s)."""
    rows = [
        (service_of(group), int(r["timeUnixNano"]) / 1e9)
        for request in lines(folder, "otlp/logs/*.jsonl.gz")
        for group in request["resourceLogs"]
        for scope in group["scopeLogs"]
        for r in scope["logRecords"]
        if r["severityNumber"] >= 13
    ]
    entry = re.compile(r"^\[(\S+) (\S+),\d+\] (?:WARN|ERROR)", re.M)
    for file in sorted((folder / "inputs" / "logs" / "java").glob("*.log")):
        stamps = [f"{day}T{clock}+00:00" for day, clock in entry.findall(file.read_text())]
        rows += [(file.name.split(".")[0], epoch(stamp)) for stamp in stamps]
    return pl.DataFrame(rows, schema=["service", "time"], orient="row")


def test_full_scale_reaches_the_promised_sizes(truth: dict[str, Any]) -> None:
    assert truth["counts"]["samples"] >= 2_000_000
    assert truth["counts"]["spans"] >= 200_000
    assert truth["counts"]["log_records"] >= 300_000
    assert len(truth["services"]) == 12
    assert len(truth["holidays"]) == 2


def test_incidents_show_in_metrics(folder: Path, truth: dict[str, Any]) -> None:
    median = pl.scan_parquet(folder / "inputs" / "metrics" / "*.parquet").filter(
        (pl.col("metric") == "http.server.request.latency") & (pl.col("quantile") == "0.5")
    )
    latency = median.select("service.name", pl.col("time").dt.epoch("s"), "value").collect()
    failures: dict[str, list[tuple[float, int]]] = {}
    for request in lines(folder, "otlp/metrics/*.jsonl.gz"):
        for resource in request["resourceMetrics"]:
            bad = resource["scopeMetrics"][0]["metrics"][0]["sum"]["dataPoints"][1]
            failures.setdefault(service_of(resource), []).append((int(bad["timeUnixNano"]) / 1e9, int(bad["asInt"])))
    for incident in truth["incidents"]:
        start, stop = epoch(incident["started"]), epoch(incident["resolved"])
        mine = latency.filter(pl.col("service.name") == incident["service"])
        during = mine.filter(pl.col("time").is_between(start + 300, stop - 600))["value"].to_numpy()
        usual = mine["value"].to_numpy()
        counter = np.array(failures[incident["service"]])
        rate = np.maximum(np.diff(counter[:, 1]), 0)
        troubled = (counter[1:, 0] > start + 900) & (counter[1:, 0] < stop)
        slow = np.median(during) > np.quantile(usual, 0.98)
        failing = rate[troubled].mean() > 3 * np.median(rate)
        assert slow or failing, incident["title"]
        assert failing, incident["title"]


def test_incidents_show_in_traces(served: pl.DataFrame, truth: dict[str, Any]) -> None:
    for incident in truth["incidents"]:
        mine = served.filter(pl.col("service") == incident["service"])
        inside = pl.col("time").is_between(epoch(incident["started"]) + 60, epoch(incident["resolved"]) - 300)
        during, usual = mine.filter(inside), mine.filter(~inside)
        assert len(during) >= 20, incident["title"]
        slower = np.median(during["nanos"].to_numpy()) / np.median(usual["nanos"].to_numpy())
        failing = float(during["failed"].to_numpy().mean()) - float(usual["failed"].to_numpy().mean())
        assert slower > 1.5 or failing > 0.08, (incident["title"], slower, failing)


def test_incidents_show_in_logs(troubles: pl.DataFrame, truth: dict[str, Any]) -> None:
    for incident in truth["incidents"]:
        mine = troubles.filter(pl.col("service") == incident["service"])["time"].to_numpy()
        start, stop = epoch(incident["started"]), epoch(incident["resolved"])
        per_hour = np.sum((mine >= start) & (mine <= stop)) / ((stop - start) / HOUR)
        usual = len(mine) / (90 * 24)
        assert per_hour > 6 * usual, (incident["title"], per_hour, usual)


def test_deploys_show_in_traces(served: pl.DataFrame, truth: dict[str, Any]) -> None:
    for deploy in truth["deploys"]:
        at = epoch(deploy["time"])
        mine = served.filter(pl.col("service") == deploy["service"])
        before = mine.filter(pl.col("time").is_between(at - 14 * 86_400, at))["nanos"].to_numpy()
        after = mine.filter(pl.col("time").is_between(at, at + 14 * 86_400))["nanos"].to_numpy()
        change = float(np.median(after) / np.median(before)) - 1
        assert change == pytest.approx(deploy["relative_latency_change"], abs=0.08)


def test_traffic_has_days_weeks_and_holidays(folder: Path, truth: dict[str, Any]) -> None:
    totals: dict[int, int] = {}
    for request in lines(folder, "otlp/metrics/*.jsonl.gz"):
        for resource in request["resourceMetrics"]:
            if service_of(resource) == "catalog":
                good = resource["scopeMetrics"][0]["metrics"][0]["sum"]["dataPoints"][0]
                totals[int(good["timeUnixNano"]) // 10**9] = int(good["asInt"])
    times = np.array(sorted(totals))
    rate = np.diff([totals[t] for t in times])
    hour, day = (times[1:] % 86_400) // 3600, times[1:] // 86_400
    kept = rate > 0
    assert np.median(rate[kept & (hour == 14)]) > 2 * np.median(rate[kept & (hour == 3)])
    daily = {d: float(np.median(rate[kept & (day == d)])) for d in np.unique(day)}
    weekend = [v for d, v in daily.items() if (d + 3) % 7 >= 5]
    weekdays = [v for d, v in daily.items() if (d + 3) % 7 < 5]
    assert np.median(weekend) < 0.95 * np.median(weekdays)
    for holiday in truth["holidays"]:
        number = int(datetime.fromisoformat(holiday).replace(tzinfo=UTC).timestamp()) // 86_400
        assert daily[number] < 0.75 * np.median(weekdays)
