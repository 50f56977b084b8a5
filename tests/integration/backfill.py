"""Real series with millisecond jitter, written the way Prometheus and VictoriaMetrics take history in."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import orjson

from warehouse.lake import Slice

DAY_MS = 86_400_000
EPOCH = date(1970, 1, 1)
Times = npt.NDArray[np.integer[Any]]
Values = npt.NDArray[np.floating[Any]]
Series = dict[tuple[str, tuple[tuple[str, str], ...]], tuple[Times, Values]]
"""(metric, sorted labels) -> (Unix ms, values), sorted by time, no time twice."""


def real_series(realdata: Path, seed: int = 0) -> Series:
    """All 27 series of nab and the 50 machines of opendc, each time moved by 0-999 ms; of equal times the last stays."""
    rng = np.random.default_rng(seed)
    nab = f"""SELECT filename AS id, epoch_ms("timestamp") AS ms, value::DOUBLE AS value
              FROM read_csv('{realdata}/nab/data/*/*.csv', filename = true, union_by_name = true)"""
    opendc = f"""SELECT id, epoch_ms("timestamp") AS ms, cpu_usage AS value
                 FROM '{realdata}/opendc/bitbrains_small_trace.parquet'"""
    series: Series = {}
    for name, label, sql in (("nab_value", "file", nab), ("opendc_cpu_usage", "vm", opendc)):
        rows = duckdb.sql(f"SELECT id, list(ms ORDER BY ms), list(value ORDER BY ms) FROM ({sql}) GROUP BY id ORDER BY id")
        for identity, times, values in rows.fetchall():
            name_of_file = "/".join(identity.split("/")[-2:])
            labels = ((label, name_of_file), ("x_text", 'q"uo\\te\n{}[[]]é'))
            jittered = np.array(times, dtype=np.int64) + rng.integers(0, 1000, len(times))
            unique, first_from_behind = np.unique(jittered[::-1], return_index=True)
            series[name, labels] = unique, np.array(values, dtype=np.float64)[::-1][first_from_behind]
    return series


def counts(series: Series) -> int:
    """Samples in all."""
    return sum(len(times) for times, _ in series.values())


def spans_of_days(series: Series) -> Iterator[Slice]:
    """The days that hold samples, neighbours joined."""
    days = sorted({int(day) for times, _ in series.values() for day in np.unique(times // DAY_MS)})
    start = days[0]
    for day, following in zip(days, [*days[1:], None], strict=True):
        if following != day + 1:
            yield Slice(EPOCH + timedelta(days=start), EPOCH + timedelta(days=day + 1))
            start = following or 0


def openmetrics(series: Series, file: Path) -> None:
    """Write series as an OpenMetrics file: https://prometheus.io/docs/prometheus/latest/storage/#backfilling-from-openmetrics-format."""
    with file.open("w", encoding="utf-8") as out:
        for metric in sorted({name for name, _ in series}):
            out.write(f"# TYPE {metric} gauge\n")
            for (name, labels), (times, values) in series.items():
                if name == metric:
                    head = metric + "{" + ",".join(f'{key}="{_escaped(text)}"' for key, text in labels) + "}"
                    out.writelines(
                        f"{head} {value!r} {time // 1000}.{time % 1000:03d}\n"
                        for time, value in zip(times.tolist(), values.tolist(), strict=True)
                    )
        out.write("# EOF\n")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def create_blocks(promtool: str, series: Series, folder: Path) -> Path:
    """A Prometheus TSDB folder that holds the series."""
    source, tsdb = folder / "history.om", folder / "tsdb"
    openmetrics(series, source)
    command = [promtool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=20000h", str(source), str(tsdb)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return tsdb


def import_lines(series: Mapping[tuple[str, tuple[tuple[str, str], ...]], tuple[Times, Values]]) -> Iterator[bytes]:
    """The series in the form of VictoriaMetrics' `/api/v1/import`."""
    for (name, labels), (times, values) in series.items():
        metric = {"__name__": name, **dict(labels)}
        yield orjson.dumps({"metric": metric, "values": values.tolist(), "timestamps": times.tolist()}) + b"\n"
