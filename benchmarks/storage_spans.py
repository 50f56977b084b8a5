"""Bytes per span of settled spans beside ClickHouse's OpenTelemetry table (chDB, ZSTD(1)), attributes and indexes counted.

The table is the one that the ClickHouse exporter of the OpenTelemetry Collector makes (`otel_traces`), merged into one part per day."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

from benchmarks.sample_sets import real_data
from warehouse.lake import Part, Unit
from warehouse.lake.lake import Lake
from warehouse.lake.partitions import partitions
from warehouse.settings import parse
from warehouse.tiers.settle import settle

SPANS = """
SELECT DISTINCT ON (trace_id, span_id) * FROM (
    SELECT TraceID AS trace_id, SpanID AS span_id, nullif(ParentID, 'root') AS parent_span_id, OperationName AS name,
           regexp_replace(PodName, '-[0-9a-f]+-[0-9a-z]+$', '') AS service, 'UNSPECIFIED' AS kind, 'UNSET' AS status_code,
           make_timestamp(StartTimeUnixNano::BIGINT // 1000) AS time, StartTimeUnixNano::BIGINT AS time_unix_nano,
           EndTimeUnixNano::BIGINT - StartTimeUnixNano::BIGINT AS duration_ns, MAP {{'k8s.pod.name': PodName}} AS attributes
    FROM read_csv('{folder}/nezha/*/*/trace/*_trace.csv.gz', union_by_name = true, all_varchar = true))"""

OTEL_TRACES = """
CREATE TABLE otel.otel_traces (
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)), TraceId String CODEC(ZSTD(1)), SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)), TraceState String CODEC(ZSTD(1)), SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)), ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)), ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)), SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(ZSTD(1)), StatusCode LowCardinality(String) CODEC(ZSTD(1)), StatusMessage String CODEC(ZSTD(1)),
    Events Nested (Timestamp DateTime64(9), Name LowCardinality(String), Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    Links Nested (TraceId String, SpanId String, TraceState String, Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1
) ENGINE = MergeTree() PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1"""
COMPARED = "trace_id, span_id, parent_span_id, service, name, time_unix_nano, duration_ns, attributes"
CHECKSUM = "count(), sum(Duration), uniqExact(TraceId), uniqExact(SpanId), uniqExact(ParentSpanId)"


def measure() -> dict[str, float | None]:
    """Print the table; the ratio of bytes, null where the real data or chDB is missing."""
    folder = real_data()
    try:
        import chdb
        from chdb import session
    except ImportError:
        print("# spans: chdb is not installed; `make peers` does it")
        return {"spans_vs_clickhouse": None}
    if folder is None:
        print("# spans: the real data is not here")
        return {"spans_vs_clickhouse": None}
    with tempfile.TemporaryDirectory(prefix="lakebed-spans-") as name:
        rows, ours = _settled(folder, Path(name))
        peer = session.Session(f"{name}/chdb")
        peer.query("CREATE DATABASE otel ENGINE = Atomic")
        peer.query(OTEL_TRACES)
        peer.query(
            f"""INSERT INTO otel.otel_traces
                (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, SpanAttributes, Duration, StatusCode)
                SELECT fromUnixTimestamp64Nano(time_unix_nano), trace_id, span_id, coalesce(parent_span_id, ''), name, kind, service,
                       attributes, toUInt64(duration_ns), status_code FROM file('{name}/spans.parquet', Parquet)"""
        )
        peer.query("OPTIMIZE TABLE otel.otel_traces FINAL")
        theirs = json.loads(str(peer.query(f"SELECT {CHECKSUM} FROM otel.otel_traces", "JSONCompact")))["data"][0]
        if [int(x) for x in theirs] != list(rows):
            raise RuntimeError(f"ClickHouse holds {theirs}, the lake {rows}")
        size = json.loads(
            str(peer.query("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'otel_traces'", "JSONCompact"))
        )["data"][0][0]
        peer.close()
    ratio = ours / int(size)
    print(f"# bytes per span, {rows[0]:,} spans of nezha with their attributes; chDB {chdb.__version__}, every index counted")
    print(f"Lakebed {ours / rows[0]:.2f}   ClickHouse otel_traces {int(size) / rows[0]:.2f}   ratio {ratio:.3f}")
    return {"spans_vs_clickhouse": ratio}


def _settled(folder: Path, place: Path) -> tuple[tuple[int, ...], int]:
    """What the settled lake answers to the checksum, and its bytes. The rows lie in `spans.parquet` for the peer."""

    def parts(connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        connection.execute(f"COPY ({SPANS.format(folder=folder)}) TO '{place}/spans.parquet' (FORMAT parquet)")
        yield Part("raw.spans", connection.sql(f"FROM '{place}/spans.parquet'"))

    with Lake.open(parse({}, place / "lakebed.toml")) as lake:
        lake.land(Unit("nezha", "n" * 64, "nezha", parts))
        lake.set_states("raw.spans", dict.fromkeys(lake.states("raw.spans"), ("passed", None)))
        settle(lake, tables=["raw.spans"])
        row = lake.connection.execute(
            """SELECT count(*), sum(duration_ns)::BIGINT, count(DISTINCT trace_id), count(DISTINCT span_id),
                      count(DISTINCT coalesce(parent_span_id, '')) FROM raw.spans"""
        ).fetchone()
        other = lake.connection.execute(
            f"SELECT count(*) FROM (SELECT {COMPARED} FROM raw.spans EXCEPT ALL SELECT {COMPARED} FROM '{place}/spans.parquet')"
        ).fetchone()
        assert row is not None
        if other != (0,):
            raise RuntimeError(f"{other} settled spans differ from those that landed")
        return tuple(row), sum(p.bytes for p in partitions(lake.connection, ["store.raw_spans"]))


if __name__ == "__main__":
    print(json.dumps(measure()))
