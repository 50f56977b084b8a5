"""Masked lines to templates and typed columns.

Lines of one shape (and one layout of their times) become one template: what is the same in all of them is text, what is the same as
another token of the line is the same argument, the rest goes to columns by its type. Groups of few lines, and lines that need more columns
than there are, are left for the caller."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts.encodings import SHIFT
from warehouse.contracts.log_columns import (
    ARGUMENT_NUMBERS,
    HEXES,
    INTS,
    TEMPLATE,
    TEXTS,
    TIMES,
    UUIDS,
    hex32_column,
    hex_column,
    int_column,
    spread_column,
    text_column,
    time_column,
    uuid_column,
)
from warehouse.tiers.encoding.log_ids import uuid_array
from warehouse.tiers.encoding.log_times import Times, grouped, one_layout, packed, read_times, spec
from warehouse.tiers.encoding.masking import MARK, Flags, Ints, Masked
from warehouse.tiers.encoding.writing import smallest

LIMITS = {"text": TEXTS, "int": INTS, "hex": HEXES, "uuid": UUIDS, "hex32": UUIDS, "time": TIMES}
POOLED = ("text", "uuid", "hex32")
"""Kinds whose values stand for texts."""
INT_DIGITS = 18
KEPT_FIRST, KEPT_LAST = 5, 2
"""Places with columns of their own in a line that has too many."""


@dataclass(slots=True)
class Typed:
    """Typed columns of lines under construction. template: per line the number of its template, -1 without; columns: (kind, number) ->
    pieces (line numbers, values); texts: what the values of text and uuid columns stand for."""

    template: Ints
    templates: dict[str, int] = field(default_factory=dict)
    columns: dict[tuple[str, int], list[tuple[Ints, Ints]]] = field(default_factory=dict)
    texts: list[pl.Series] = field(default_factory=list)
    texts_count: int = 0


@dataclass(frozen=True, slots=True)
class Tokens:
    """What each distinct token can be stored as. value: of digits, -1 of others; hex: likewise; width: bytes."""

    text: pl.Series
    width: Ints
    value: Ints
    padded: Flags
    hex: Flags
    uuid: Flags
    hex32: Flags
    times: Times


def classify(tokens: pl.Series) -> Tokens:
    """Look at each distinct token once."""
    width = tokens.str.len_bytes().cast(pl.Int64).to_numpy()
    digits = tokens.str.contains(r"^[0-9]+$").to_numpy() & (tokens.str.strip_chars_start("0").str.len_bytes().to_numpy() <= INT_DIGITS)
    value = np.full(len(tokens), -1, np.int64)
    value[digits] = tokens.filter(pl.Series(digits)).cast(pl.Int64, strict=False).fill_null(0).to_numpy()
    return Tokens(
        tokens,
        width,
        value,
        digits & (width > 1) & tokens.str.starts_with("0").to_numpy(),
        tokens.str.contains(r"^[0-9a-f]{1,16}$").to_numpy(),
        tokens.str.contains(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$").to_numpy(),
        tokens.str.contains(r"^[0-9a-f]{32}$").to_numpy(),
        read_times(tokens),
    )


@dataclass(frozen=True, slots=True)
class Rows:
    """The lines' columns that lines repeat: time in ns since 1970, trace and span id (text, NULL where there is none)."""

    nanos: Ints
    trace_id: pl.Series
    span_id: pl.Series


def add_templates(typed: Typed, masked: Masked, lines: Ints, rows: Rows, least: int) -> None:
    """Give templates to those of the masked lines (numbers in `typed` and `rows`) whose group has at least `least` lines."""
    tokens = classify(masked.tokens)
    same = {"trace_id": _index_in(rows.trace_id.gather(lines), tokens.text), "span_id": _index_in(rows.span_id.gather(lines), tokens.text)}
    offset, extra = typed.texts_count, list[str]()
    for shape, members in _groups(masked, tokens, least):
        pieces = masked.shapes[shape].split(MARK)
        width = len(pieces) - 1
        codes = masked.code[masked.start[members][:, None] + np.arange(width)]
        group = _Group(tokens, extra, codes, {k: v[members] for k, v in same.items()}, rows.nanos[lines[members]])
        template = group.template(pieces)
        if template is None:
            continue
        typed.template[lines[members]] = typed.templates.setdefault(template, len(typed.templates))
        for (kind, number), values in group.columns.items():
            moved = values + offset if kind in POOLED else values
            typed.columns.setdefault((kind, number), []).append((lines[members], moved))
    typed.texts += [tokens.text, pl.Series("joined", extra, pl.String)]
    typed.texts_count += len(tokens.text) + len(extra)


def _index_in(values: pl.Series, tokens: pl.Series) -> Ints:
    found: Any = pc.index_in(values.to_arrow(), value_set=tokens.to_arrow())
    result: Ints = pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return result


def _groups(masked: Masked, tokens: Tokens, least: int) -> Iterator[tuple[int, Ints]]:
    """(shape, line numbers in order) of each group of lines with one shape and one sequence of time layouts."""
    layouts = grouped(tokens.times.layout)[masked.code]
    place = np.arange(len(layouts)) - np.repeat(masked.start[:-1], np.diff(masked.start))
    sums = np.concatenate(([0], np.cumsum(layouts * (2 * place + 1))))
    signature = sums[masked.start[1:]] - sums[masked.start[:-1]]
    _, key = np.unique(signature, return_inverse=True)
    _, group, counts = np.unique(masked.shape * (key.max(initial=0) + 1) + key, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(counts)
    for end, count in zip(ends, counts, strict=True):
        if count >= least:
            members = order[end - count : end]
            yield int(masked.shape[members[0]]), members


class _Group:
    """Lines of one shape: assigns columns to places, left to right. extra: texts that are no tokens, numbered after them."""

    def __init__(self, tokens: Tokens, extra: list[str], codes: Ints, same: dict[str, Ints], nanos: Ints) -> None:
        self.tokens, self.extra, self.codes, self.same, self.nanos = tokens, extra, codes, same, nanos
        self.columns: dict[tuple[str, int], Ints] = {}
        self.used = dict.fromkeys(LIMITS, 0)

    def template(self, pieces: list[str]) -> str | None:
        """The format string, or None when columns do not suffice. Of a line with very many places, those in the middle are one text."""
        found = self._format(pieces, range(0))
        if found is None:
            varying = np.flatnonzero((self.codes != self.codes[0]).any(axis=0))
            if len(varying) > KEPT_FIRST + KEPT_LAST:
                self.columns.clear()
                self.used = dict.fromkeys(LIMITS, 0)
                found = self._format(pieces, range(int(varying[KEPT_FIRST]), int(varying[-KEPT_LAST - 1]) + 1))
        return found

    def _format(self, pieces: list[str], middle: range) -> str | None:
        seen: dict[bytes, str] = {}
        parts = [_literal(pieces[0])]
        for place, piece in enumerate(pieces[1:]):
            if place in middle and place != middle[-1]:
                continue
            codes = np.ascontiguousarray(self.codes[:, place])
            if place in middle:
                part = self._text(self._joined(pieces, middle))
            elif (codes == codes[0]).all():
                part = _literal(self.tokens.text[int(codes[0])])
            else:
                part = seen.get(codes.tobytes()) or self._place(codes)
                seen[codes.tobytes()] = part or ""
            if part is None:
                return None
            parts += [part, _literal(piece)]
        return "".join(parts)

    def _joined(self, pieces: list[str], middle: range) -> Ints:
        """Numbers of the texts from the first to the last of some places."""
        distinct, back = np.unique(self.codes[:, middle.start : middle.stop], axis=0, return_inverse=True)
        between = [*pieces[middle.start + 1 : middle.stop], ""]
        start = len(self.tokens.text) + len(self.extra)
        words = iter(self.tokens.text.gather(distinct.reshape(-1)).to_list())
        self.extra += ["".join([next(words) + b for b in between]) for _ in distinct]
        numbers: Ints = start + back.reshape(-1)
        return numbers

    def _place(self, codes: Ints) -> str | None:
        for name, same in self.same.items():
            if (codes == same).all():
                return f"{{{ARGUMENT_NUMBERS[name, 1]}}}"
        return self._time(codes) or self._number(codes) or self._hex(codes) or self._text(codes)

    def _take(self, kind: str, values: Ints) -> int | None:
        if self.used[kind] == LIMITS[kind]:
            return None
        self.used[kind] += 1
        self.columns[kind, self.used[kind]] = values
        return self.used[kind]

    def _time(self, codes: Ints) -> str | None:
        nanos = self.tokens.times.nanos[codes]
        layout = one_layout(self.tokens.times.layout[codes], nanos)
        values = packed(layout, nanos, self.nanos) if layout else None
        number = None if values is None else self._take("time", values)
        if number is None:
            return None
        return spec(layout, ARGUMENT_NUMBERS["time", number], ARGUMENT_NUMBERS["decimals", number])

    def _number(self, codes: Ints) -> str | None:
        values, width = self.tokens.value[codes], self.tokens.width[codes]
        padded = bool(self.tokens.padded[codes].any())
        if (values < 0).any() or (padded and not (width == width[0]).all()):
            return None
        number = self._take("int", values)
        if number is None:
            return None
        return f"{{{ARGUMENT_NUMBERS['int', number]}{f':0{width[0]}d' if padded else ''}}}"

    def _hex(self, codes: Ints) -> str | None:
        width = self.tokens.width[codes]
        for kind, fits in (("uuid", self.tokens.uuid), ("hex32", self.tokens.hex32)):
            if fits[codes].all() and (number := self._take(kind, codes)):
                return f"{{{ARGUMENT_NUMBERS[kind, number]}}}"
        if not self.tokens.hex[codes].all() or not (width == width[0]).all():
            return None
        distinct, back = np.unique(codes, return_inverse=True)
        values = np.array([int(t, 16) for t in self.tokens.text.gather(distinct)], np.uint64).view(np.int64)
        number = self._take("hex", values[back])
        return None if number is None else f"{{{ARGUMENT_NUMBERS['hex', number]}:0{width[0]}x}}"

    def _text(self, codes: Ints) -> str | None:
        number = self._take("text", codes)
        return None if number is None else f"{{{ARGUMENT_NUMBERS['text', number]}}}"


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def finished(typed: Typed, *, quick: bool = False) -> dict[str, pa.Array]:
    """The columns as Arrow arrays of all lines, by physical name; NULL where a line does not use one.

    quick: numbers as they are, without trying which form of them is smaller."""
    name_of = {
        "text": text_column,
        "int": int_column,
        "hex": hex_column,
        "uuid": uuid_column,
        "hex32": hex32_column,
        "time": time_column,
    }
    count = len(typed.template)
    pool = pl.concat([t.alias("text") for t in typed.texts]).to_arrow() if typed.texts else pa.array([], pa.large_string())
    result = {TEMPLATE: pa.array(list(typed.templates), pa.string()).take(pa.array(typed.template, mask=typed.template < 0))}
    for kind, number in sorted(typed.columns):
        values, absent = np.zeros(count, np.int64), np.ones(count, np.bool_)
        for lines, numbers in typed.columns[kind, number]:
            values[lines], absent[lines] = numbers, False
        form = (
            _numbers(number, values, absent) if kind == "int" and not quick else {name_of[kind](number): _array(kind, values, absent, pool)}
        )
        result |= form
    return result


def _numbers(number: int, values: Ints, absent: Flags) -> dict[str, pa.Array]:
    """Whole numbers as they are or spread over a DOUBLE, whichever is smaller."""
    plain = pa.array(values, mask=absent)
    if values.max(initial=0) >= 2**51:
        return {int_column(number): plain}
    spread = pa.array(values.astype(np.float64) + SHIFT, mask=absent)
    return {spread_column(number): spread} if smallest(plain, spread) else {int_column(number): plain}


def _array(kind: str, values: Ints, absent: Flags, pool: Any) -> pa.Array:
    if kind == "text":
        return pool.take(pa.array(values, mask=absent)).cast(pa.string())
    if kind in POOLED:
        return uuid_array(pl.Series(pl.from_arrow(pool.take(pa.array(values, mask=absent)))))
    return pa.array(values.view(np.uint64) if kind == "hex" else values, mask=absent)
