"""Which signal a protobuf message holds, from its wire format: the three signals share their outer fields and differ in their records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

Signal = Literal["metrics", "spans", "logs"]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
LOG_MARKS = {(1, FIXED64), (11, FIXED64), (2, VARINT), (8, FIXED32)}
SPAN_MARKS = {(7, FIXED64), (8, FIXED64), (6, VARINT), (16, FIXED32)}
METRIC_DATA = {5, 7, 9, 10, 11}
METRIC_DATA_FIELDS = {(1, BYTES), (2, VARINT), (3, VARINT)}
RECORDS_ASKED = 1000

Field = tuple[int, int, int, int]


def fields(data: bytes, start: int, end: int) -> Iterator[Field]:
    """Fields of the message in data[start:end] as (number, wire type, value start, value end).

    Raises ValueError, naming the byte within `data`, when the bytes are no protobuf message."""
    position = start
    while position < end:
        at = position
        tag, position = _varint(data, position, end)
        number, kind = tag >> 3, tag & 7
        value = position
        if kind == VARINT:
            _, position = _varint(data, position, end)
        elif kind == BYTES:
            size, value = _varint(data, position, end)
            position = value + size
        elif kind in (FIXED64, FIXED32):
            position += 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"byte {at}: no field of a message")
        if position > end or number == 0:
            raise ValueError(f"byte {at}: a field that goes past its message")
        yield number, kind, value, position


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    found = shift = 0
    while position < end and shift < 70:
        byte = data[position]
        found |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return found, position
        shift += 7
    raise ValueError(f"byte {position}: a number that does not end")


def signal(data: bytes) -> Signal | None:
    """The signal of a message, None when it holds no records.

    Raises ValueError when it is no protobuf, or holds records that are neither metrics, spans nor logs."""
    asked = False
    for number, kind, start, end in fields(data, 0, len(data)):
        if (number, kind) != (1, BYTES):
            raise ValueError(f"byte {start}: field {number} is not one of an export request")
        for found in _records(data, start, end):
            asked = True
            known = _signal_of(data, *found)
            if known:
                return known
    if asked:
        raise ValueError("its records are neither metrics, spans nor logs")
    return None


def _records(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    count = 0
    for number, kind, scope_start, scope_end in fields(data, start, end):
        if (number, kind) != (2, BYTES):
            continue
        for inner, inner_kind, record_start, record_end in fields(data, scope_start, scope_end):
            if (inner, inner_kind) == (2, BYTES) and count < RECORDS_ASKED:
                count += 1
                yield record_start, record_end


def _signal_of(data: bytes, start: int, end: int) -> Signal | None:
    found = list(fields(data, start, end))
    marks = {(number, kind) for number, kind, _, _ in found}
    if marks & LOG_MARKS:
        return "logs"
    if marks & SPAN_MARKS:
        return "spans"
    if any(n in METRIC_DATA and k == BYTES and _is_metric_data(data, a, b) for n, k, a, b in found):
        return "metrics"
    return None


def _is_metric_data(data: bytes, start: int, end: int) -> bool:
    try:
        return all((number, kind) in METRIC_DATA_FIELDS for number, kind, _, _ in fields(data, start, end))
    except ValueError:
        return False
