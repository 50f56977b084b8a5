"""Reading answers: any samples in any pieces come back bit for bit; what is not whole or says that something is
missing is refused."""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.http import BrokenAnswerError
from sources.prometheus import lines, matrix
from sources.prometheus.samples import Answer, Collector, TooManySamplesError, floats
from warehouse.errors import SourceError

WIDE = (-(1 << 52), 1 << 52)
Sample = tuple[int, float]
Found = dict[str, list[tuple[int, bytes]]]

values = st.floats() | st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 1e22, 5e-324, 2.0**53 + 2, -(2.0**64)])
texts = st.text(max_size=8) | st.sampled_from(['"values":[[', ',"values":[[1,"2"]]}', '{"metric":', "]]}", "\\", '"', "\x00", "],[", "é"])
labels = st.dictionaries(texts, texts, max_size=3)
samples = st.lists(st.tuples(st.integers(0, 4_102_444_800_000), values), min_size=1, max_size=5)
series = st.lists(st.tuples(labels, samples), max_size=4)


def as_go(value: float) -> str:
    """A value as Prometheus writes it (strconv.FormatFloat with 'f' and -1; big ones come with an exponent)."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value).removesuffix(".0")


def seconds(ms: int) -> str:
    return f"{ms // 1000}" if ms % 1000 == 0 else f"{ms / 1000:.3f}".rstrip("0")


def as_matrix(given_series: list[tuple[dict[str, str], list[Sample]]], **more: Any) -> bytes:
    parts = []
    for metric, points in given_series:
        pairs = ",".join(f'[{seconds(ms)},"{as_go(value)}"]' for ms, value in points)
        parts.append(b'{"metric":' + orjson.dumps(metric) + f',"values":[{pairs}]}}'.encode())
    tail = b"".join(b"," + orjson.dumps({key: value})[1:-1] for key, value in more.items())
    return b'{"status":"success","data":{"resultType":"matrix","result":[' + b",".join(parts) + b"]}" + tail + b"}"


def as_export(given_series: list[tuple[dict[str, str], list[Sample]]]) -> bytes:
    result = b""
    for metric, points in given_series:
        written = ",".join(as_go(value) for _, value in points)
        stamps = ",".join(str(ms) for ms, _ in points)
        result += b'{"metric":' + orjson.dumps(metric) + f',"values":[{written}],"timestamps":[{stamps}]}}\n'.encode()
    return result


def pieces(body: bytes, cuts: list[int]) -> Iterator[bytes]:
    at = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return (body[a:b] for a, b in itertools.pairwise(at))


def found(answer: Answer) -> Found:
    result: Found = {}
    for block in answer.blocks:
        at = 0
        for metric, count in zip(block.metrics, block.counts.tolist(), strict=True):
            key = orjson.dumps(orjson.loads(metric), option=orjson.OPT_SORT_KEYS).decode()
            rows = zip(block.times[at : at + count].tolist(), block.values[at : at + count].tolist(), strict=True)
            result.setdefault(key, []).extend((time, bits(value)) for time, value in rows)
            at += count
        assert at == len(block.times)
    return {key: sorted(rows) for key, rows in result.items()}


def bits(value: float) -> bytes:
    return struct.pack(">d", math.nan if math.isnan(value) else value)


def expected(given_series: list[tuple[dict[str, str], list[Sample]]]) -> Found:
    result: Found = {}
    for metric, points in given_series:
        key = orjson.dumps(metric, option=orjson.OPT_SORT_KEYS).decode()
        result.setdefault(key, []).extend((ms * 1000, bits(value)) for ms, value in points)
    return {key: sorted(rows) for key, rows in result.items()}


@given(series, st.lists(st.integers(0, 5000), max_size=6))
def test_a_matrix_comes_back_bit_for_bit_in_any_pieces(given_series: Any, cuts: list[int]) -> None:
    answer = matrix.read(pieces(as_matrix(given_series), cuts), Collector(*WIDE, limit=10_000))
    assert found(answer) == expected(given_series)


@given(series, st.lists(st.integers(0, 5000), max_size=6))
def test_an_export_comes_back_bit_for_bit_in_any_pieces(given_series: Any, cuts: list[int]) -> None:
    answer = lines.read(pieces(as_export(given_series), cuts), Collector(*WIDE, limit=10_000))
    assert found(answer) == expected(given_series)


@given(series, st.integers(1, 5000))
def test_no_part_of_a_matrix_passes_for_the_whole(given_series: Any, missing: int) -> None:
    body = as_matrix(given_series)
    with pytest.raises(BrokenAnswerError):
        matrix.read(iter([body[: -min(missing, len(body))]]), Collector(*WIDE, limit=10_000))


def test_an_export_that_stops_in_a_line_is_not_whole() -> None:
    body = as_export([({"__name__": "a"}, [(1, 1.0)])] * 2)
    for end in range(1, len(body)):
        if body[end - 1 : end] != b"\n":
            with pytest.raises(BrokenAnswerError):
                lines.read(iter([body[:end]]), Collector(*WIDE, limit=100))


@given(samples, st.integers(0, 4_102_444_800_000), st.integers(0, 4_102_444_800_000))
def test_only_the_half_open_window_is_kept(points: list[Sample], one: int, other: int) -> None:
    start, end = min(one, other), max(one, other)
    answer = matrix.read(iter([as_matrix([({"a": "b"}, points)])]), Collector(start, end, limit=100))
    (kept,) = found(answer).values() or [[]]
    assert kept == sorted((ms * 1000, bits(v)) for ms, v in points if start <= ms < end)


def test_adjoining_windows_take_a_border_sample_once() -> None:
    body = as_matrix([({"__name__": "up"}, [(999, 1.0), (1000, 2.0), (1001, 3.0)])])
    left = matrix.read(iter([body]), Collector(0, 1000, limit=10))
    right = matrix.read(iter([body]), Collector(1000, 2000, limit=10))
    assert [len(rows) for answer in (left, right) for rows in found(answer).values()] == [1, 2]


@pytest.mark.parametrize("more", [{"warnings": ["store a is down"]}, {"isPartial": True}])
def test_an_answer_that_says_samples_are_missing_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(SourceError, match="may be missing"):
        matrix.read(iter([as_matrix([({"a": "b"}, [(1, 1.0)])], **more)]), Collector(*WIDE, limit=10))


def test_notes_that_miss_nothing_are_accepted() -> None:
    assert matrix.read(iter([as_matrix([({"a": "b"}, [(1, 1.0)])], infos=["hint"])]), Collector(*WIDE, limit=10)).samples == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"status":"success","data":{"resultType":"vector","result":[]}}',
        b'{"status":"error","errorType":"bad_data","error":"x","data":{"resultType":"matrix","result":[]}}',
        b'{"status":"success","data":{"resultType":"matrix","result":[7]}}',
    ],
)
def test_another_kind_of_answer_is_refused(body: bytes) -> None:
    with pytest.raises(SourceError, match="instead of the samples"):
        matrix.read(iter([body]), Collector(*WIDE, limit=10))


@pytest.mark.parametrize("body", [b"", b"<html>login</html>", b"[]", b'{"status":"success"}'])
def test_what_is_no_answer_to_a_query_may_be_asked_again(body: bytes) -> None:
    with pytest.raises(BrokenAnswerError):
        matrix.read(iter([body]), Collector(*WIDE, limit=10))


def test_an_endless_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "MAX_SERIES_BYTES", 1000)
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1000)
    for reader in (matrix, lines):
        with pytest.raises(SourceError, match="without the end"):
            reader.read((b"x" * 100 for _ in range(10**9)), Collector(*WIDE, limit=10))


def test_more_samples_than_a_window_may_hold_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sources.prometheus.samples.FLUSH_BYTES", 100)
    body = as_matrix([({"__name__": "up", "i": str(i)}, [(ms, 1.0) for ms in range(10)]) for i in range(20)])
    with pytest.raises(TooManySamplesError):
        matrix.read(pieces(body, list(range(0, len(body), 50))), Collector(*WIDE, limit=50))


def test_native_histograms_are_rejects_and_plain_samples_of_all_series_land() -> None:
    histogram = '[1.5,{"count":"3","sum":"4.5","buckets":[[0,"1","2","3"]]}]'
    only = f'{{"metric":{{"__name__":"h","x":"}}{{"}},"histograms":[{histogram},{histogram}]}}'
    both = f'{{"metric":{{"__name__":"b"}},"values":[[1,"0.30000000000000004"]],"histograms":[{histogram}]}}'
    plain = '{"metric":{"__name__":"p"},"values":[[2,"7"]]}'
    body = f'{{"status":"success","data":{{"resultType":"matrix","result":[{only},{plain},{both},{only}]}}}}'.encode()
    for cut in range(1, len(body), 7):
        answer = matrix.read(pieces(body, [cut]), Collector(*WIDE, limit=10))
        assert found(answer) == {'{"__name__":"p"}': [(2_000_000, bits(7.0))], '{"__name__":"b"}': [(1_000_000, bits(0.1 + 0.2))]}
        assert len(answer.rejects) == 5
        assert {reason.partition(":")[0] for _, reason in answer.rejects} == {"native histogram sample"}


def test_stale_markers_of_an_export_are_left_out_and_infinities_kept() -> None:
    line = b'{"metric":{"__name__":"a"},"values":[null,+Inf,"-Infinity",2,null],"timestamps":[1,2,3,4,5]}\n'
    only = b'{"metric":{"__name__":"b"},"values":[null],"timestamps":[1]}\n'
    answer = lines.read(iter([line + only]), Collector(*WIDE, limit=10))
    assert found(answer) == {'{"__name__":"a"}': [(2000, bits(math.inf)), (3000, bits(-math.inf)), (4000, bits(2.0))]}


@pytest.mark.parametrize(
    "line",
    [
        b'{"metric":{},"values":[1],"timestamps":[1,2]}',
        b'{"metric":{},"values":[1,2],"timestamps":[1]}',
        b'{"metric":{},"values":[x],"timestamps":[1]}',
        b'{"metric":{},"values":[1],"timestamps":[x]}',
        b"<html>",
    ],
)
def test_a_line_that_is_no_export_is_refused(line: bytes) -> None:
    with pytest.raises(BrokenAnswerError):
        lines.read(iter([line + b"\n"]), Collector(*WIDE, limit=10))


@given(st.lists(st.floats() | st.integers(-(2**70), 2**70).map(float)))
def test_numbers_are_the_nearest_doubles(numbers: list[float]) -> None:
    text = ",".join(as_go(n) for n in numbers).encode()
    assert [bits(v) for v in floats(text).tolist()] == [bits(n) for n in numbers]


def test_integers_beyond_53_bits_are_rounded_as_floats_are() -> None:
    text = b"9007199254740993,18446744073709551615,123456789012345678901234567890,-9223372036854775809"
    assert floats(text).tolist() == [float(t) for t in text.split(b",")]


def test_empty_text_is_no_number() -> None:
    assert np.array_equal(floats(b""), np.empty(0))
