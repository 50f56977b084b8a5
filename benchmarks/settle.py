"""`python -m benchmarks.settle [GIB]`: settling a large day of samples, and of logs and spans, within `memory_limit = "1GiB"`.

GIB (default 5): samples of one day, counted at 24 bytes each (series, time, value), in the order in which a server is scraped; logs and
spans are a tenth of that each, at 200 bytes a row. A process of its own settles them, and its memory is the most that was seen of it and
its children; another settles again. What the views give is hashed before and after."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path

import duckdb

from benchmarks.processes import measure
from warehouse.contracts import contract
from warehouse.lake import Part, Slice, Unit
from warehouse.lake.digest import BATCH_ROWS, Digest, quick_digest
from warehouse.lake.lake import Lake
from warehouse.lake.partitions import partition
from warehouse.settings import load
from warehouse.tiers.settle import settle

GIB = 5.0
DAY = date(2026, 3, 1)
SAMPLE_BYTES, ROW_BYTES, SMALLER = 24, 200, 10
STEP_S, METRICS, PARTS = 15, 200, 24

SAMPLES = """
SELECT ((s % {metrics})::UBIGINT << 52) | (hash(s) >> 12) AS series_id,
       TIMESTAMP '{day}' + to_milliseconds(t * {step} * 1000 + hash(s) % 7) AS time,
       CASE s % 6
           WHEN 0 THEN t * (s % 1000) + hash(s, t) % 10                        -- a counter
           WHEN 1 THEN round(50 + 20 * sin(t / 400.0) + hash(s, t) % 100 / 100, 2)
           WHEN 2 THEN 4096.0 * (s * 1000 + hash(s, t) % 5000)                 -- bytes in pages
           WHEN 3 THEN (hash(s, t) % 9007199254740993)::DOUBLE / 9007199254740993
           WHEN 4 THEN (t // 100 + s) % 3                                      -- a state
           ELSE (hash(s, t) % 1000) / 1000 * 1.1                               -- decimals that arithmetic has moved
       END::DOUBLE AS value
FROM (SELECT i % {each} AS s, {first} + i // {each} AS t FROM range({rows}) AS r(i))"""
LOGS = """
SELECT CAST(md5(i || 'log') AS UUID) AS log_id, "at" AS time, epoch_us("at") * 1000 + i % 1000 AS time_unix_nano,
       epoch_us("at") * 1000 + 1000000 + i % 5000 AS observed_time_unix_nano, 'service-' || hash(i) % 12 AS service,
       ['INFO', 'INFO', 'INFO', 'WARN', 'ERROR'][(1 + hash(i) % 5)::INT] AS severity,
       CASE hash(i) % 4
           WHEN 0 THEN 'GET /api/v1/orders/' || hash(i, 1) % 100000 || ' 200 in ' || hash(i, 2) % 900 || ' ms for ' || hash(i, 3) % 5000
           WHEN 1 THEN 'payment ' || left(md5(i::VARCHAR), 12) || ' accepted, amount=' || (hash(i, 4) % 100000) / 100
           WHEN 2 THEN 'cache miss for key session:' || hash(i, 5) % 20000 || ' on node 10.0.' || hash(i) % 200 || '.' || hash(i, 6) % 250
           ELSE 'flushed ' || hash(i, 7) % 4000 || ' records of partition ' || i % 64 || ' to /var/data/segment-' || i // 1000 || '.log'
       END AS body, CASE WHEN hash(i) % 4 = 0 THEN md5((i // 3)::VARCHAR) END AS trace_id,
       MAP {{'host.name': 'node-' || hash(i) % 40}} AS resource_attributes
FROM (SELECT i, TIMESTAMP '{day}' + to_microseconds(i * 86399000000 // {total}) AS "at" FROM range({first}, {first} + {rows}) AS r(i))"""
SPANS = """
SELECT md5((i // 8)::VARCHAR) AS trace_id, left(md5('s' || i), 16) AS span_id,
       CASE WHEN i % 8 > 0 THEN left(md5('s' || (i - 1 - hash(i) % (i % 8))), 16) END AS parent_span_id,
       'service-' || hash(i) % 30 AS service, 'operation-' || hash(i) % 200 AS name, 'SERVER' AS kind, 'OK' AS status_code,
       "at" AS time, epoch_us("at") * 1000 + i % 1000 AS time_unix_nano, (1000 + hash(i) % 90000000)::BIGINT AS duration_ns,
       MAP {{'k8s.pod.name': 'pod-' || hash(i) % 90}} AS attributes
FROM (SELECT i, TIMESTAMP '{day}' + to_microseconds(i * 86399000000 // {total} + (hash(i) % 500000)::BIGINT) AS "at"
      FROM range({first}, {first} + {rows}) AS r(i))"""


def queries(gib: float) -> dict[str, list[str]]:
    """By table, the SELECTs whose rows together are its day, in order of time."""
    steps = 86_400 // STEP_S // PARTS
    each = int(gib * 2**30) // SAMPLE_BYTES // (steps * PARTS)
    samples = [SAMPLES.format(metrics=METRICS, day=DAY, step=STEP_S, each=each, first=n * steps, rows=each * steps) for n in range(PARTS)]
    rows = int(gib * 2**30 / SMALLER) // ROW_BYTES // PARTS // 8 * 8
    parts = [{"day": DAY, "first": n * rows, "rows": rows, "total": rows * PARTS} for n in range(PARTS)]
    return {"raw.metric_points": samples, "raw.logs": [LOGS.format(**p) for p in parts], "raw.spans": [SPANS.format(**p) for p in parts]}


def land(lake: Lake, table: str, selects: list[str]) -> None:
    """Land a day in as many files as there are SELECTs, and let its checks pass."""

    def parts(connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        for select in selects:
            yield Part(table, connection.sql(select))

    lake.land(Unit("prometheus", "0123456789abcdef0123456789abcdef", table, parts, slice=Slice(DAY, DAY + timedelta(days=1))))
    lake.set_states(table, {DAY: ("passed", None)})


def contents(lake: Lake, table: str) -> Digest:
    """Hash of all rows as the view gives them."""
    reader = lake.connection.execute(f"SELECT * FROM {table}").to_arrow_reader(BATCH_ROWS)
    with lake.connection.cursor() as cursor:
        return quick_digest(cursor, reader)


def settle_once(file: Path, table: str) -> None:
    """What the measured process does: settle a table, and print what that was."""
    with Lake.open(load(file)) as lake:
        print(json.dumps(asdict(settle(lake, tables=[table]))))


def measured(file: Path, table: str) -> tuple[dict[str, float], float]:
    """Settle in a process of its own; returns what it printed, and the most MiB that it had resident."""
    done = measure([sys.executable, "-m", "benchmarks.settle", "--settle", str(file), table])
    return json.loads(done.output), done.peak_mib


def one_table(folder: Path, table: str, selects: list[str]) -> tuple[float, float]:
    """Land, settle twice and compare; prints a line and returns the peak in MiB and the seconds of the second time."""
    small, large = folder / "settle.toml", folder / "land.toml"
    small.write_text('[lake]\nmemory_limit = "1GiB"\n')
    large.write_text('[lake]\nmemory_limit = "6GiB"\n')
    with Lake.open(load(large)) as lake:
        land(lake, table, selects)
        before = contents(lake, table)
    done, peak = measured(small, table)
    again, peak_again = measured(small, table)
    with Lake.open(load(large), read_only=True) as lake:
        files = partition(lake.connection, contract(table).storage_name, DAY).files
        if contents(lake, table) != before or done["rows"] != before.rows or again["days"]:
            raise RuntimeError(f"{table}: the settled day does not hold the rows that were landed, or was settled twice")
    print(
        f"{table}: {before.rows:,} rows, {done['bytes_before'] / 2**20:,.0f} MiB landed, {done['bytes_after'] / 2**20:,.0f} MiB in "
        f"{len(files)} settled files; {done['seconds']:,.0f} s, {before.rows / done['seconds']:,.0f} rows/s, peak {peak:,.0f} MiB; "
        f"again {again['seconds']:.2f} s, equal by hash",
        flush=True,
    )
    return max(peak, peak_again), again["seconds"]


def main(gib: float) -> None:
    """Measure and print."""
    found = []
    for table, selects in queries(gib).items():
        with tempfile.TemporaryDirectory(prefix="lakebed-settle-") as folder:
            found.append(one_table(Path(folder), table, selects))
    peaks, again = zip(*found, strict=True)
    print(json.dumps({"settle_peak_mib": max(peaks), "settle_gib": gib, "settle_again_s": max(again)}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--settle"]:
        settle_once(Path(sys.argv[2]), sys.argv[3])
    else:
        main(float(sys.argv[1]) if sys.argv[1:] else GIB)
