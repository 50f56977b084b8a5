"""`python -m benchmarks.ingest [SAMPLES]`: files to validated lake rows, side by side with a bare DuckDB COPY of the same file to Parquet.

Ratios are speeds (Lakebed / COPY), medians of interleaved rounds in one process. Both sides are first shown to hold the same rows. The file
has 12 million samples (or as many as asked for) of 1,000 series over six days: 0.9 GB of CSV. What a commit costs whatever its size shows
in smaller ones. OTLP and Prometheus are rows per second; Prometheus needs its Debian package."""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.processes import Peak
from sources import units
from warehouse.lake import Slice, scratch
from warehouse.lake.lake import Lake
from warehouse.settings import Settings, parse

SAMPLES = 12_000_000
SERIES, DAYS = 1000, 6
ROUNDS = 5
FORMATS = ("csv", "ndjson", "parquet")
BARS = {"csv": 0.7, "ndjson": 0.7, "parquet": 0.5}
READERS = {"csv": "read_csv('{}')", "ndjson": "read_ndjson('{}')", "parquet": "read_parquet('{}')"}


def write_files(folder: Path, samples: int) -> None:
    """The same rows in three formats."""
    step = DAYS * 86_400_000 * SERIES // samples
    with duckdb.connect() as connection:
        connection.execute(
            f"""CREATE TABLE t AS SELECT
                TIMESTAMP '2026-03-01' + to_milliseconds((i // {SERIES}) * {step}) AS time, 'cpu_seconds' AS metric,
                'host-' || (i % {SERIES}) AS instance, 'service-' || (i % 12) AS service, hash(i) / 1.8446744073709552e19 AS value
                FROM range({samples}) AS r(i)"""
        )
        connection.execute(f"COPY t TO '{folder}/samples.csv' (HEADER)")
        connection.execute(f"COPY t TO '{folder}/samples.ndjson' (FORMAT json)")
        connection.execute(f"COPY t TO '{folder}/samples.parquet' (FORMAT parquet, COMPRESSION zstd)")


def settings(folder: Path, file: str) -> Settings:
    """A lake in a folder with one table source."""
    source = {
        "kind": "table",
        "table": "raw.metric_points",
        "path": file,
        "columns": {"time": "time", "metric_name": "metric", "value": "value"},
        "labels": {"instance": "instance", "service": "service"},
        "settle_seconds": 0,
    }
    return parse({"data_root": str(folder), "sources": {"bench": source}}, folder / "lake" / "lakebed.toml")


def lake_rows(config: Settings) -> tuple[float, int]:
    """Seconds from opening the source to the commit, and rows in the lake; the lake is open before the clock starts."""
    shutil.rmtree(config.root, ignore_errors=True)
    config.root.mkdir(parents=True)
    with Lake.open(config) as lake:
        started = time.perf_counter()
        for unit in units("bench", config.sources["bench"], config=config, known=lake.known("bench"), window=Slice(date.min, date.max)):
            lake.land(unit)
        seconds = time.perf_counter() - started
        row = lake.connection.execute("SELECT count(*) FROM raw.metric_points").fetchone()
        return seconds, int(row[0]) if row else 0


def bare_copy(folder: Path, form: str) -> float:
    """Seconds of a plain COPY of the file to Parquet."""
    target = folder / "copy.parquet"
    target.unlink(missing_ok=True)
    with scratch() as connection:
        started = time.perf_counter()
        source = READERS[form].format(folder / f"samples.{form}")
        connection.execute(f"COPY (FROM {source}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        return time.perf_counter() - started


def against_copy(folder: Path, form: str, samples: int) -> float:
    """Median over rounds of COPY seconds / Lakebed seconds, measured in turn."""
    config = settings(folder, f"samples.{form}")
    ratios = []
    for _ in range(ROUNDS):
        bare = bare_copy(folder, form)
        seconds, rows = lake_rows(config)
        if rows != samples:
            raise RuntimeError(f"{form}: the lake holds {rows} rows instead of {samples}")
        ratios.append(bare / seconds)
    print(f"{form:24}{statistics.median(ratios):10.2f}  bar {BARS[form]}   rounds {', '.join(f'{r:.2f}' for r in ratios)}")
    return statistics.median(ratios)


def otlp_rate(folder: Path, write: Callable[[Path], int], pattern: str) -> float:
    """Points per second of wall time from OTLP files to the lake."""
    points = write(folder)
    config = parse(
        {"data_root": str(folder), "sources": {"bench": {"kind": "otlp", "path": pattern, "settle_seconds": 0}}},
        folder / "lake" / "lakebed.toml",
    )
    seconds, rows = lake_rows(config)
    if rows != points:
        raise RuntimeError(f"{pattern}: the lake holds {rows} rows instead of {points}")
    return rows / seconds


def request(number: int) -> Any:
    """One export request: 100 gauges and sums with 20 points each."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    message = ExportMetricsServiceRequest()
    resource = message.resource_metrics.add()
    attribute = resource.resource.attributes.add(key="service.name")
    attribute.value.string_value = f"service-{number % 12}"
    scope = resource.scope_metrics.add()
    start = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()) * 10**9
    for metric in range(100):
        entry = scope.metrics.add(name=f"metric_{metric}", unit="s")
        for step in range(20):
            point = entry.gauge.data_points.add(
                time_unix_nano=start + (number * 20 + step) * 15 * 10**9, as_double=number + metric / 7 + step
            )
            label = point.attributes.add(key="instance")
            label.value.string_value = "host-1"
    return message


def write_json(folder: Path) -> int:
    """150 requests as JSON lines; returns the points."""
    from google.protobuf.json_format import MessageToJson

    with (folder / "points.jsonl").open("w") as file:
        for number in range(150):
            file.write(MessageToJson(request(number), indent=None) + "\n")
    return 150 * 2000


def write_protobuf(folder: Path) -> int:
    """150 requests, length-prefixed; returns the points."""
    with (folder / "points.binpb").open("wb") as file:
        for number in range(150):
            raw = request(number).SerializeToString()
            file.write(len(raw).to_bytes(4, "big") + raw)
    return 150 * 2000


def prometheus_rate(folder: Path) -> float | None:
    """Samples per second over HTTP from a real Prometheus; None where it is not installed."""
    from benchmarks.prometheus import samples_per_second

    return samples_per_second(folder)


def main() -> None:
    """Measure and print."""
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    print(f"duckdb {duckdb.__version__}, {samples:,} samples, {ROUNDS} rounds in turn; ratio of speeds to a bare COPY")
    with tempfile.TemporaryDirectory(prefix="lakebed-bench-") as name, Peak() as peak:
        folder = Path(name)
        write_files(folder, samples)
        result: dict[str, float | None] = {f"{form}_vs_duckdb_copy": round(against_copy(folder, form, samples), 3) for form in FORMATS}
        result["otlp_json_points_per_s"] = round(otlp_rate(folder, write_json, "points.jsonl"))
        result["otlp_protobuf_points_per_s"] = round(otlp_rate(folder, write_protobuf, "points.binpb"))
        rate = prometheus_rate(folder)
        result["prometheus_samples_per_s"] = round(rate) if rate else None
    result["peak_mib"] = round(peak.mib)
    for key in ("otlp_json_points_per_s", "otlp_protobuf_points_per_s", "prometheus_samples_per_s", "peak_mib"):
        print(f"{key:32}{result[key]}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
