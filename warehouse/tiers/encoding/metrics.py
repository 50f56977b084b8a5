"""Samples in files that are smaller than a specialised store's: every run of one series in the form that packs it best, bit for bit.

A run is tried in each form with the writer itself; runs of one form share a file, because a Parquet file has one encoding per column.
What a file does not need, it leaves out: the lake reads a missing column as NULL, and a scan of it costs nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts.encodings import SHIFT
from warehouse.tiers.encoding.numbers import Doubles, Scaled, scaled
from warehouse.tiers.encoding.writing import DenseFile, column_size

CHUNK_ROWS, FEW_ROWS = 1_048_576, 65_536
"""Rows that are written at a time. Of fewer than FEW_ROWS all runs have one form, or two: trying each costs more than it saves."""
FILE_COST = 2_500
"""Bytes that one more file costs (footer, dictionaries): a form is used where it saves more than that."""
APART_ROWS = 262_144
"""Integers that need no divisor get a file of their own when both kinds are this many: such a file is read without any arithmetic."""


class Form(NamedTuple):
    """Which physical column holds a run's values, and in which Parquet encoding."""

    column: str
    encoding: str


RAW = (Form("value", "PLAIN"), Form("value", "BYTE_STREAM_SPLIT"), Form("value", "DICTIONARY"))
INTEGER = (
    Form("value_integer", "DELTA_BINARY_PACKED"),
    Form("value_shifted", "BYTE_STREAM_SPLIT"),
    Form("value_integer", "PLAIN"),
    Form("value_integer", "DICTIONARY"),
)


class Run(NamedTuple):
    """Neighbouring rows of one series within a chunk: [start, end), their values as integers where they are, and bytes per form."""

    start: int
    end: int
    scaled: Scaled | None
    costs: dict[Form, int]


@dataclass(slots=True)
class Encoder:
    """Writes one day's samples; `rows` in order of source, series_id and time, with all columns of the contract but `day`."""

    new_path: Callable[[], Path]
    files: dict[tuple[Form, bool, str], DenseFile] = field(default_factory=dict)
    forms: set[Form] = field(default_factory=set)

    def encode(self, rows: pa.RecordBatchReader) -> list[Path]:
        """Write all rows; returns the files. What was written before an error stays, under paths that `new_path` gave."""
        for chunk in _chunks(rows):
            self._write(chunk)
        return [path for file in self.files.values() for path in file.close()]

    def _write(self, chunk: pa.Table) -> None:
        values = chunk["value"].to_numpy()
        edges = _runs(chunk)
        runs = _tried_together(values, edges) if len(values) < FEW_ROWS else [_tried(values, start, end) for start, end in edges]
        unit = "ms" if _whole_milliseconds(chunk["time"]) else "us"
        groups: dict[tuple[Form, bool], list[Run]] = defaultdict(list)
        chosen = choose([r.costs for r in runs], self.forms)
        self.forms.update(chosen)
        for run, form in zip(runs, chosen, strict=True):
            groups[form, form in INTEGER and not (run.scaled and run.scaled.is_plain_integer)].append(run)
        for (form, divided), group in sorted(_merged(groups).items()):
            file = self.files.setdefault((form, divided, unit), DenseFile(self.new_path))
            file.write(*_coded(chunk, values, group, form, unit))


def encode(rows: pa.RecordBatchReader, new_path: Callable[[], Path]) -> list[Path]:
    """Samples of raw.metric_points, sorted by source, series_id and time and without `day`, into a few dense Parquet files."""
    return Encoder(new_path).encode(rows)


def choose(costs: Sequence[dict[Form, int]], free: set[Form], file_cost: int = FILE_COST) -> list[Form]:
    """The form of each run. Forms are given up as long as what is left comes out smaller, each form in use costing a file unless `free`."""

    def total(live: set[Form]) -> int:
        picked = [min((f for f in c if f in live), key=c.__getitem__) for c in costs]
        return sum(c[f] for c, f in zip(costs, picked, strict=True)) + file_cost * len(set(picked) - free)

    live = {min(c, key=c.__getitem__) for c in costs}
    live |= {f for c in costs if not live & set(c) for f in c}
    best = total(live)
    while True:
        fewer = [live - {f} for f in live if all(set(c) & (live - {f}) for c in costs)]
        totals = [(total(rest), sorted(rest)) for rest in fewer]
        if not totals or min(totals)[0] >= best:
            break
        best, kept = min(totals)
        live = set(kept)
    return [min((f for f in c if f in live), key=c.__getitem__) for c in costs]


def _chunks(rows: pa.RecordBatchReader) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in rows:
        held.append(_shared(batch))
        count += batch.num_rows
        if count >= CHUNK_ROWS:
            yield pa.Table.from_batches(held).combine_chunks()
            held, count = [], 0
    if count:
        yield pa.Table.from_batches(held).combine_chunks()


def _shared(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows with every text once: as columns of texts, source and batch are two thirds of the memory."""
    columns = [pc.dictionary_encode(c) if pa.types.is_string(c.type) else c for c in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _runs(chunk: pa.Table) -> list[tuple[int, int]]:
    series = chunk["series_id"].to_numpy()
    sources = chunk["source"].combine_chunks().indices.to_numpy()
    borders = np.flatnonzero((series[1:] != series[:-1]) | (sources[1:] != sources[:-1])) + 1
    return list(pairwise([0, *borders.tolist(), len(series)]))


def _tried(values: Doubles, start: int, end: int) -> Run:
    """A run with what each form would cost, by trial."""
    run = values[start:end]
    whole = scaled(run)
    if whole is None:
        return Run(start, end, None, _raw_costs(run))
    integers, outside = whole.integers[whole.fits], 8 * int((~whole.fits).sum())
    if len(integers) and (integers == integers[0]).all() and not outside and not whole.residual.any():
        return Run(start, end, whole, dict.fromkeys(INTEGER, 16))
    outside += column_size(pa.array(whole.residual), "DICTIONARY") if whole.residual.any() else 0
    costs = {form: column_size(_column(integers, form), form.encoding) + outside for form in INTEGER}
    raw = _raw_costs(run) if outside else {RAW[0]: column_size(pa.array(run), RAW[0].encoding)}
    return Run(start, end, whole, costs | raw)


def _tried_together(values: Doubles, edges: Sequence[tuple[int, int]]) -> list[Run]:
    """Runs with what each form would cost all those that are integers, and all others: the first of either kind bears the cost."""
    runs = [Run(start, end, scaled(values[start:end]), {}) for start, end in edges]
    found = []
    for kind in ([r for r in runs if r.scaled is not None], [r for r in runs if r.scaled is None]):
        if not kind:
            continue
        together = np.concatenate([values[r.start : r.end] for r in kind])
        parts = [r.scaled for r in kind if r.scaled is not None]
        integers = np.concatenate([p.integers[p.fits] for p in parts]) if parts else None
        costs = {form: column_size(_column(integers, form), form.encoding) for form in INTEGER} if integers is not None else {}
        costs |= _raw_costs(together)
        found += [Run(r.start, r.end, r.scaled, costs if r is kind[0] else dict.fromkeys(costs, 0)) for r in kind]
    return sorted(found, key=lambda r: r.start)


def _raw_costs(run: Doubles) -> dict[Form, int]:
    return {form: column_size(pa.array(run), form.encoding) for form in RAW if form.encoding != "DICTIONARY" or _may_share(run)}


def _may_share(run: Doubles) -> bool:
    """Whether a dictionary keeps every bit: it takes all NaN for one, and -0.0 for 0.0."""
    return not (np.isnan(run) | ((run == 0) & np.signbit(run))).any()


def _column(integers: npt.NDArray[np.int64], form: Form) -> pa.Array:
    return pa.array(integers + SHIFT if form.column == "value_shifted" else integers)


def _merged(groups: dict[tuple[Form, bool], list[Run]]) -> dict[tuple[Form, bool], list[Run]]:
    """Few plain integers go into the file of those that are divided."""
    merged: dict[tuple[Form, bool], list[Run]] = {}
    for form in {form for form, _ in groups}:
        plain, divided = groups.get((form, False), []), groups.get((form, True), [])
        if plain and divided and min(sum(r.end - r.start for r in g) for g in (plain, divided)) < APART_ROWS:
            plain, divided = [], sorted([*plain, *divided])
        merged |= {(form, kind): group for kind, group in ((False, plain), (True, divided)) if group}
    return merged


def _whole_milliseconds(times: pa.ChunkedArray) -> bool:
    return not (times.cast(pa.int64()).to_numpy() % 1000).any()


def _coded(chunk: pa.Table, values: Doubles, runs: Sequence[Run], form: Form, unit: str) -> tuple[pa.Table, dict[str, str]]:
    """The rows of some runs as they stand in a file, and the encoding of each column (absent: dictionary)."""
    rows = np.concatenate([np.arange(r.start, r.end) for r in runs])
    part = chunk.take(pa.array(rows)) if len(rows) < len(values) else chunk
    columns = {n: part[n] for n in part.column_names if n not in ("time", "value")}
    columns["time"] = part["time"].cast(pa.timestamp(unit))
    encodings = {"time": "DELTA_BINARY_PACKED", form.column: form.encoding}
    if form.column == "value":
        columns["value"] = part["value"]
        return pa.table(columns), encodings
    columns |= _integer_columns(values[rows], runs, form)
    encodings["value"] = "PLAIN"
    return pa.table(columns), encodings


def _integer_columns(values: Doubles, runs: Sequence[Run], form: Form) -> dict[str, pa.Array]:
    """Integer, divisor and residual of every row, and the value itself where it does not fit. A column that some rows of a file need, all
    have: readers choose by what is NULL, which costs least where the rows are alike."""
    parts = [r.scaled for r in runs if r.scaled is not None]
    fits = np.concatenate([p.fits for p in parts])
    integers = np.concatenate([p.integers for p in parts])
    residual = np.concatenate([p.residual for p in parts])
    divisor = np.concatenate([np.full(len(p.fits), p.divisor) for p in parts])
    divided = any(not p.is_plain_integer for p in parts)
    columns = {form.column: pa.array(integers + SHIFT if form.column == "value_shifted" else integers, mask=~fits)}
    if divided:
        columns["value_divisor"] = pa.array(divisor, mask=~fits)
    if residual.any():
        columns["value_residual"] = pa.array(residual, mask=~fits)
    if not fits.all():
        columns["value"] = pa.array(values, mask=fits)
    return columns
