"""`python -m benchmarks.storage_logs [--scale MIB]`: bytes of settled logs, side by side with clp-s and gzip -9 on the same lines.

Sets: Kafka, Apache and nezha (TrainTicket) from the real data, and generated lines (64 MiB, or as many as `--scale` says).
Lakebed's bytes are whole files with all columns of raw.logs; `text only` leaves out the columns that clp-s and gzip do not hold either
(ids, severity, source, service, batch). clp-s gets every line as the field `body`, or cut around its time, which it then parses; the
smaller one counts. Every side is first shown to give the same lines back, Lakebed all columns of all rows."""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import clp
from benchmarks.log_sets import LogSet, log_sets
from benchmarks.processes import Peak
from warehouse.contracts import log_columns
from warehouse.contracts.ddl import decoded
from warehouse.contracts.raw import LOGS
from warehouse.lake.digest import quick_digest
from warehouse.tiers.encoding import logs, writing

DERIVED = ("source", "log_id_high", "log_id_low", "severity", "service", "batch_id")
CLP_DEFAULT, CLP_BEST = 3, 19
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Sizes:
    """One set: bytes of the text and of each side, and lines per second of processor time to encode."""

    name: str
    lines: int
    text: int
    lakebed: int
    text_only: int
    gzip: int
    clp_default: int | None
    clp_best: int | None
    rate: float
    scan: float


def view(paths: Sequence[Path]) -> duckdb.DuckDBPyConnection:
    """A connection with the files as `logs`, as the lake's view shows them; one thread."""
    connection = duckdb.connect(config={"threads": 1})
    contract = [c for c in LOGS.columns if c.name != "day"]
    connection.execute(f"CREATE TABLE physical ({', '.join(f'{c.name} {c.type}' for c in (*contract, *log_columns.COLUMNS))})")
    files = [str(p) for p in paths]
    stored = f"(SELECT *, NULL::DATE AS day FROM physical UNION ALL BY NAME FROM read_parquet({files!r}, union_by_name = true))"
    connection.execute(f"CREATE VIEW logs AS SELECT * EXCLUDE (day) FROM ({decoded(LOGS, stored)})")
    return connection


def encoded(chosen: LogSet, folder: Path) -> tuple[list[Path], float]:
    """The set's files, and the seconds of processor time that encoding took (without reading the lines)."""
    numbers = count()
    reader, spent = chosen.rows(), 0.0

    def batches() -> Any:
        nonlocal spent
        while True:
            started = time.process_time()
            batch = next(reader, None)
            spent += time.process_time() - started
            if batch is None:
                return
            yield batch

    started = time.process_time()
    paths = logs.encode(pa.RecordBatchReader.from_batches(reader.schema, batches()), lambda: folder / f"{next(numbers)}.parquet")
    return paths, time.process_time() - started - spent


def prove(chosen: LogSet, connection: duckdb.DuckDBPyConnection) -> None:
    """Raise RuntimeError when the view has other rows than the set."""
    with duckdb.connect() as own:
        expected = quick_digest(own, chosen.rows())
        rows = connection.execute("FROM logs").to_arrow_reader(65_536)
        if quick_digest(own, rows.cast(chosen.rows().schema)) != expected:
            raise RuntimeError(f"{chosen.name}: the encoded files do not hold the set's rows")


def scan_ratio(chosen: LogSet, connection: duckdb.DuckDBPyConnection, folder: Path) -> float:
    """Seconds to read all bodies, encoded / plain zstd Parquet of DuckDB, medians of three in turn, one thread."""
    plain = folder / "plain.parquet"
    with duckdb.connect(config={"threads": 1}) as own:
        own.register("rows", chosen.rows())
        own.execute(f"COPY (FROM rows) TO '{plain}' (FORMAT parquet, COMPRESSION zstd)")
        sides: list[tuple[duckdb.DuckDBPyConnection, str]] = [(connection, "logs"), (own, f"'{plain}'")]
        times: list[list[float]] = [[], []]
        for _ in range(3):
            for (side, table), seconds in zip(sides, times, strict=True):
                started = time.perf_counter()
                side.execute(f"SELECT sum(strlen(body)) FROM {table}").fetchone()
                seconds.append(time.perf_counter() - started)
    plain.unlink()
    return statistics.median(times[0]) / statistics.median(times[1])


def text_size(chosen: LogSet) -> tuple[int, int, int]:
    """Lines, bytes of the text, and bytes of gzip -9."""

    class Sink:
        size = 0

        def write(self, data: bytes) -> int:
            self.size += len(data)
            return len(data)

        def flush(self) -> None:
            return

    sink, lines, size = Sink(), 0, 0
    with gzip.GzipFile(fileobj=sink, mode="wb", compresslevel=9, filename="", mtime=0) as packed:
        for line in chosen.lines():
            data = line.encode() + b"\n"
            size += packed.write(data)
            lines += 1
    return lines, size, sink.size


def column_bytes(paths: Sequence[Path], names: Sequence[str]) -> int:
    """Bytes of some columns."""
    total = 0
    for path in paths:
        metadata = pq.read_metadata(path)
        for group in range(metadata.num_row_groups):
            columns = (metadata.row_group(group).column(i) for i in range(metadata.num_columns))
            total += sum(c.total_compressed_size for c in columns if c.path_in_schema in names)
    return total


def best_clp(chosen: LogSet, folder: Path, level: int) -> int | None:
    """The smaller of clp-s' layouts; None where it is not installed."""
    program = clp.program()
    if program is None:
        return None
    sizes = {layout: clp.compressed(program, chosen.lines(), folder, layout, level) for layout in clp.LAYOUTS}
    print(f"  clp-s level {level}: {', '.join(f'{k}: {v:,}' if v else f'{k}: refused' for k, v in sizes.items())}")
    return min(size for size in sizes.values() if size)


def measured(chosen: LogSet, folder: Path) -> Sizes:
    """One set, all sides."""
    paths, seconds = encoded(chosen, folder)
    size = sum(p.stat().st_size for p in paths)
    with view(paths) as connection:
        prove(chosen, connection)
        scan = scan_ratio(chosen, connection, folder)
    lines, text, packed = text_size(chosen)
    print(f"{chosen.name}: {lines:,} lines, {text:,} bytes, {len(paths)} file(s) of {size:,}; all rows come back")
    own = size - column_bytes(paths, DERIVED)
    for path in paths:
        path.unlink()
    default, best = best_clp(chosen, folder, CLP_DEFAULT), best_clp(chosen, folder, CLP_BEST)
    return Sizes(chosen.name, lines, text, size, own, packed, default, best, lines / seconds, scan)


def ratio(sides: Sequence[int | None], own: Sequence[int]) -> float | None:
    """Geometric mean of the other side's bytes over Lakebed's."""
    known = [s for s in sides if s is not None]
    return round(statistics.geometric_mean([s / o for s, o in zip(known, own, strict=True)]), 3) if len(known) == len(own) else None


def measure(size: int = 64 * MIB) -> dict[str, float | None]:
    """Measure all sets and print the table. size: bytes of generated lines."""
    peer = f"{clp.version()}, levels {CLP_DEFAULT} and {CLP_BEST}" if clp.program() else "clp-s not installed (make peers), left out"
    print(f"duckdb {duckdb.__version__}, pyarrow {pa.__version__}, zstd level {writing.LEVEL}; {peer}; gzip -9")
    with tempfile.TemporaryDirectory(prefix="lakebed-bench-") as name, Peak() as peak:
        found = [measured(chosen, Path(name)) for chosen in log_sets(size)]
    print(f"{'text / bytes':12}{'lakebed':>9}{'text only':>11}{'gzip -9':>9}{'clp-s':>8}{'best':>8}{'lines/s':>10}{'scan':>7}")
    for s in found:
        sides = [f"{s.text / side:.1f}" if side else "-" for side in (s.lakebed, s.text_only, s.gzip, s.clp_default, s.clp_best)]
        print(f"{s.name:12}{sides[0]:>9}{sides[1]:>11}{sides[2]:>9}{sides[3]:>8}{sides[4]:>8}{s.rate:>10,.0f}{s.scan:>7.2f}")
    own = [s.lakebed for s in found]
    return {
        "logs_vs_clp_default": ratio([s.clp_default for s in found], own),
        "logs_vs_clp_best": ratio([s.clp_best for s in found], own),
        "logs_vs_gzip9": ratio([s.gzip for s in found], own),
        "logs_text_only_vs_gzip9": ratio([s.gzip for s in found], [s.text_only for s in found]),
        "lines_per_s_core": round(found[-1].rate),
        "body_scan_vs_plain": round(statistics.geometric_mean([s.scan for s in found]), 2),
        "peak_mib": round(peak.mib),
    }


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage_logs")
    parser.add_argument(
        "--scale", type=int, default=64, metavar="MIB", help="size of the generated set (default 64; 1024 for the full one)"
    )
    print(json.dumps(measure(parser.parse_args(arguments).scale * MIB)))


if __name__ == "__main__":
    main(sys.argv[1:])
