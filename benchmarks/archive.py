"""`python -m benchmarks.archive [ROWS]`: checking an archive, side by side with `sha256sum` over the same files.

Ratio is a speed: bytes per second of `verify` / of `sha256sum`, medians of interleaved rounds in one run; the files are in the page cache
for both, so that what is compared is the work and not the disk. The default is 1.2 GB in 12 bundles: days of log records whose bodies are
random. Both are first shown to read the same bytes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from benchmarks.processes import measure
from warehouse.archive.sealing import seal
from warehouse.archive.storage import storage_of
from warehouse.archive.verifying import verify
from warehouse.contracts import contract
from warehouse.lake.connection import scratch
from warehouse.lake.lake import Lake
from warehouse.lake.rewriting import put_day
from warehouse.settings import parse

ROWS = 1_150_000
DAYS = 12
FIRST = date(2026, 3, 1)
ROUNDS = 5
BAR = 0.8


def fill(lake: Lake, rows: int) -> None:
    """Days of log records of 2 KB that compress to about half, each day sealed."""
    definition = contract("raw.logs")
    known = {
        "source": "'bench'",
        "log_id": "uuid()",
        "service": "'s'",
        "severity": "'INFO'",
        "batch_id": "'b'",
        "resource_attributes": "MAP {}",
        "attributes": "MAP {}",
        "time_unix_nano": "i",
        "body": "list_aggregate(list_transform(range(128), x -> printf('%016x', hash(i, x))), 'string_agg', '')",
    }
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        known |= {"time": f"TIMESTAMP '{day}' + to_milliseconds(i * 100)", "day": f"DATE '{day}'"}
        columns = ", ".join(f"CAST({known.get(c.name, 'NULL')} AS {c.type}) AS {c.name}" for c in definition.columns)
        with scratch(lake.settings.lake) as connection:
            first = number * (rows // DAYS)
            connection.execute(f"CREATE TABLE logs AS SELECT {columns} FROM range({first}, {first + rows // DAYS}) AS r(i)")
            put_day(lake, definition, day, connection, "logs", reason="benchmark")
        seal(lake, definition.full_name, day)
        print(f"sealed {day}", flush=True)


def sha256sum(root: Path, paths: list[str]) -> tuple[float, dict[str, str]]:
    """Seconds of one `sha256sum` process over files, and what it printed: path -> digest."""
    started = time.perf_counter()
    output = subprocess.run(["sha256sum", *paths], cwd=root, check=True, capture_output=True, text=True).stdout
    seconds = time.perf_counter() - started
    return seconds, {line[66:]: line[:64] for line in output.splitlines()}


def main() -> None:
    """Fill, compare once, measure, print."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory(prefix="lakebed-archive-bench-") as folder:
        config = parse({"lake": {"memory_limit": "1GiB"}}, Path(folder) / "lakebed.toml")
        with Lake.open(config) as lake:
            fill(lake, rows)
            storage, root = storage_of(lake), Path(config.resolve(config.archive.path))
            listing = storage.listing()
            size = sum(listing.values())
            _seconds, digests = sha256sum(root, list(listing))
            assert all(storage.digest(path) == digests[path] for path in list(listing)[:: max(1, len(listing) // 8)])
            ours, theirs = [], []
            for _round in range(ROUNDS):
                started = time.perf_counter()
                result = verify(lake)
                ours.append(time.perf_counter() - started)
                assert not result.problems, result.problems
                theirs.append(sha256sum(root, list(listing))[0])
        version = measure(["sha256sum", "--version"]).output.splitlines()[0]
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(f"{len(listing)} files, {size / 1e9:.2f} GB; {version}, one process; verify on {os.cpu_count()} cores")
    print(f"{'':12}{'seconds':>9}{'MB/s':>9}")
    for name, seconds in (("verify", mine), ("sha256sum", other)):
        print(f"{name:12}{seconds:9.2f}{size / 1e6 / seconds:9.0f}")
    ratio = other / mine
    found = {"verify_vs_sha256sum": round(ratio, 3), "bar": BAR, "bytes": size, "files": len(listing), "rounds": ROUNDS}
    print(json.dumps({**found, "verify_s": [round(s, 3) for s in ours], "sha256sum_s": [round(s, 3) for s in theirs]}))


if __name__ == "__main__":
    main()
