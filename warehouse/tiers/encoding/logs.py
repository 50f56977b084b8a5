"""Settled log lines: a template and typed columns in place of the text, bit for bit the same when read back.

`encode` writes the files, `warehouse.contracts.log_columns` says how the view reads them.
A line that no template serves stays in `body` as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.tiers.encoding.log_attributes import attribute_columns
from warehouse.tiers.encoding.log_ids import log_id_columns, span_columns, time_columns, trace_columns
from warehouse.tiers.encoding.masking import COARSE, FINE, Ints, mask, maskable
from warehouse.tiers.encoding.templates import Rows, Typed, add_templates, finished
from warehouse.tiers.encoding.writing import TrialFiles, chunks, quick_size

ORDER = "service, date_trunc('hour', time), log_id"
"""How the caller orders a day's rows. log_id is the order of the lines in what they came in: their templates and ids repeat best there, and
the hours keep row groups narrow in time."""

LEAST, LEAST_SHARE = 3, 20_000
"""Lines that a template must have: 3 (on Kafka's, 12 took 5% more bytes, and 2 took 8% more), or as many as leave no more than 20,000
templates."""
SEGMENT_ROWS, PART_ROWS = 4096, 32_768
SAMPLE_ROWS, TRIED_ROWS = 16_384, 8_192
METHODS = ((FINE,), (FINE, COARSE), (COARSE,), ())
"""Patterns to mask with, one after the other on what is left; which method suits a service is tried on a sample."""


def encode(rows: pa.RecordBatchReader, new_path: Callable[[], Path], row_group_rows: int = 524_288) -> list[Path]:
    """Write one day of raw.logs as dense files; returns their paths.

    rows: columns of the contract without `day`, ordered by ORDER (other orders are right too, but larger). new_path: gives a path that is
    not there yet. Memory is that of one row group, which has at most `row_group_rows` rows and about 64 MiB of text.
    Raises pyarrow.ArrowInvalid for columns of other types."""
    files = TrialFiles(new_path, statistics=("source", "service", "severity", "time"))
    methods: dict[str | None, tuple[str, ...]] = {}
    try:
        for chunk in chunks(rows, row_group_rows):
            for part in _parts(chunk):
                files.write(_encoded(part, methods))
    finally:
        files.close()
    return files.paths


def _parts(chunk: pa.Table) -> Iterator[pa.Table]:
    """A chunk cut where a service with many rows begins and ends: its columns are best written in their own way."""
    start = 0
    for run in _runs(chunk.column("service").combine_chunks()):
        if len(run) >= PART_ROWS:
            if start < run[0]:
                yield chunk.slice(start, run[0] - start)
            yield chunk.slice(run[0], len(run))
            start = run[-1] + 1
    if start < chunk.num_rows:
        yield chunk.slice(start)


def _encoded(chunk: pa.Table, methods: dict[str | None, tuple[str, ...]]) -> pa.Table:
    """One row group in its physical columns; those without values are left out. methods: those of the services tried so far."""
    columns = {name: chunk.column(name).combine_chunks() for name in chunk.column_names}
    nanos = columns["time_unix_nano"].to_numpy(zero_copy_only=False).astype(np.int64)
    rows = Rows(nanos, _series(columns["trace_id"]), _series(columns["span_id"]))
    columns |= _body_columns(_series(columns["body"]), rows, _segments(columns["service"]), methods)
    columns |= log_id_columns(columns["log_id"]) | time_columns(columns["time"], nanos, columns["observed_time_unix_nano"])
    columns |= trace_columns(columns["trace_id"]) | span_columns(columns["span_id"])
    columns |= attribute_columns({name: columns[name] for name in ("resource_attributes", "attributes")})
    return pa.table({name: values for name, values in columns.items() if values.null_count < len(values)})


def _series(array: Any) -> pl.Series:
    return pl.Series(pl.from_arrow(array.cast(pa.large_string())), dtype=pl.String)


def _segments(service: Any) -> list[tuple[str | None, Ints]]:
    """Runs of one service that are long enough to be tried by themselves, and all other rows together (None)."""
    runs = _runs(service)
    short = [run for run in runs if len(run) < SEGMENT_ROWS]
    long = [(service[int(run[0])].as_py(), run) for run in runs if len(run) >= SEGMENT_ROWS]
    return long + ([(None, np.concatenate(short))] if short else [])


def _runs(service: Any) -> list[Ints]:
    codes = pc.fill_null(service.dictionary_encode().indices, -1).to_numpy(zero_copy_only=False)
    borders = np.concatenate(([0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]))
    return [np.arange(a, b) for a, b in pairwise(borders)]


def _body_columns(
    body: pl.Series, rows: Rows, segments: list[tuple[str | None, Ints]], methods: dict[str | None, tuple[str, ...]]
) -> dict[str, pa.Array]:
    typed = Typed(np.full(len(body), -1, np.int64))
    good = maskable(body)
    for service, segment in segments:
        lines = segment[good[segment]]
        if len(lines) < LEAST:
            continue
        if service is None or service not in methods:
            methods[service] = _method(body, rows, lines)
        _mask(typed, body, rows, lines, methods[service])
    plain = body.to_frame("body").select(pl.when(pl.Series(typed.template < 0)).then(pl.col("body")))["body"]
    return finished(typed) | {"body": plain.to_arrow().cast(pa.string())}


def _mask(typed: Typed, body: pl.Series, rows: Rows, lines: Ints, method: tuple[str, ...]) -> None:
    for pattern in method:
        left = lines[typed.template[lines] < 0]
        if len(left):
            add_templates(typed, mask(body.gather(left), pattern), left, rows, max(LEAST, len(left) // LEAST_SHARE))


def _method(body: pl.Series, rows: Rows, lines: Ints) -> tuple[str, ...]:
    """The method that makes a sample of the lines smallest: four runs of neighbours, or all of them where there are few.

    Where there are very few, trying costs more time than it saves bytes."""
    if len(lines) < TRIED_ROWS:
        return FINE, COARSE
    sample = lines
    if len(lines) > SAMPLE_ROWS:
        starts = np.linspace(0, len(lines) - SAMPLE_ROWS // 4, 4).astype(np.int64)
        sample = np.concatenate([lines[s : s + SAMPLE_ROWS // 4] for s in starts])
    texts = body.gather(sample)
    known = Rows(rows.nanos[sample], rows.trace_id.gather(sample), rows.span_id.gather(sample))
    sizes = {method: _size(texts, known, method) for method in METHODS}
    return min(sizes, key=sizes.__getitem__)


def _size(body: pl.Series, rows: Rows, method: tuple[str, ...]) -> int:
    typed = Typed(np.full(len(body), -1, np.int64))
    _mask(typed, body, rows, np.arange(len(body)), method)
    plain = body.to_frame("body").select(pl.when(pl.Series(typed.template < 0)).then(pl.col("body")))["body"]
    return quick_size(pa.table(finished(typed, quick=True) | {"body": plain.to_arrow().cast(pa.string())}))
