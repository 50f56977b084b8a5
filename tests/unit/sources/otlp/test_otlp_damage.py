"""Damaged, oversized and hostile files: a clear error or a reject, and never anything else."""

from __future__ import annotations

import contextlib
import gzip
import json
import struct
from collections.abc import Callable
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData

from warehouse.errors import SourceError

NANO = 1_700_000_000_000_000_000
Read = Callable[..., Any]


def log_line(body: str = "hello") -> bytes:
    record = {"timeUnixNano": str(NANO), "body": {"stringValue": body}}
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode() + b"\n"


def log_message(count: int = 1) -> bytes:
    message = LogsData()
    scope = message.resource_logs.add().scope_logs.add()
    for index in range(count):
        scope.log_records.add(time_unix_nano=NANO + index).body.string_value = f"record {index}"
    return message.SerializeToString()


def prefixed(*payloads: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(p)) + p for p in payloads)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"resourceLogs":[{', "not JSON: "),
        (b'{"resourceLogs":[]}trailing', "not JSON: "),
        (b'{"resourceLogs":[{"scopeLogs":"\xff\xfe"}]}', "not JSON: "),
        (b'{"resourceLogs":"\x00"}', "not JSON: "),
        (b'{"resourceLogs":' + b"[" * 2000 + b"]" * 2000 + b"}", "not JSON: "),
        (b'{"resourceLogs":5}', "resourceLogs is not a list"),
        (b'{"resourceLogs":[5]}', "a resource group is not an object"),
        (b'{"resourceLogs":[{"resource":5}]}', "resource is not an object"),
        (b'{"resourceLogs":[{"scopeLogs":[{"scope":{"name":5}}]}]}', "a text is not a text"),
        (b'{"resourceLogs":[{"scopeLogs":[{"logRecords":{}}]}]}', "logRecords is not a list"),
        (b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[[]]}]}]}', "a log record is not an object"),
        (b'{"resourceProfiles":[{}]}', "no resourceMetrics, resourceSpans or resourceLogs"),
        (b"5", "the message is not an object"),
    ],
)
def test_a_bad_line_in_the_middle(bad: bytes, reason: str, read_bytes: Read) -> None:
    found = read_bytes(log_line("first") + bad + b"\n" + log_line("last"))
    assert {row["body"] for row in found.of("logs")} == {"first", "last"}
    (reject,) = found.rejects["raw.logs"]
    assert reject["reason"].startswith(reason)
    assert (reject["line"], reject["file"]) == (2, "x.jsonl")
    assert len(reject["record"]) > 0


def test_a_long_line_is_read(read_bytes: Read) -> None:
    found = read_bytes(log_line("first") + log_line("x" * 10_000_000) + log_line("last"))
    assert sorted(len(row["body"]) for row in found.of("logs")) == [4, 5, 10_000_000]


def test_a_line_over_the_limit_is_rejected_and_the_next_one_read(read_bytes: Read) -> None:
    data = log_line("first") + log_line("x" * 100_000) + log_line("last") + log_line("y" * 100_000)
    found = read_bytes(data, max_line_bytes=20_000)
    assert {row["body"] for row in found.of("logs")} == {"first", "last"}
    assert [(r["line"], r["reason"], len(r["record"])) for r in found.rejects["raw.logs"]] == [
        (2, "line of over max_line_bytes 20000", 10_000),
        (4, "line of over max_line_bytes 20000", 10_000),
    ]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"  \t\r\n", b"\xef\xbb\xbf", b"{}\n", b'{"resourceLogs":null}'])
def test_nothing(data: bytes, read_bytes: Read) -> None:
    """A batch of no rows, so that the file is known from then on."""
    found = read_bytes(data)
    assert (found.rows, found.rejects) == ({"raw.logs": []}, {})


def test_a_byte_order_mark_and_carriage_returns(read_bytes: Read) -> None:
    found = read_bytes(b"\xef\xbb\xbf" + log_line("a").replace(b"\n", b"\r\n") + log_line("b"))
    assert {row["body"] for row in found.of("logs")} == {"a", "b"}


@pytest.mark.parametrize("size", range(1, 200, 7))
def test_a_message_is_not_taken_for_json_whatever_its_length(size: int, read_bytes: Read) -> None:
    """A message begins with a line end, and its length may be the byte of an opening brace."""
    message = LogsData()
    message.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=NANO).body.string_value = "x" * size
    for pad in range(8):
        message.resource_logs[0].schema_url = "u" * pad
        assert len(read_bytes(message.SerializeToString(), "x.pb").of("logs")) == 1


def test_json_after_an_empty_line(read_bytes: Read) -> None:
    assert len(read_bytes(b"\n" + log_line()).of("logs")) == 1
    assert len(read_bytes(b"\n{\n" + log_line()[1:]).of("logs")) == 1


@pytest.mark.parametrize("cut", [2, 5, 60])
def test_a_document_that_is_cut(cut: int, read_bytes: Read) -> None:
    text = json.dumps(json.loads(log_line()), indent=1).encode()
    assert len(read_bytes(text).of("logs")) == 1
    with pytest.raises(SourceError, match=r"x\.json: a JSON document that is cut or damaged at its line \d+"):
        read_bytes(text[:-cut], "x.json")


def test_a_document_over_the_limit(read_bytes: Read) -> None:
    text = json.dumps(json.loads(log_line("x" * 3000)), indent=1).encode()
    with pytest.raises(SourceError, match="a JSON document of over 2000 bytes"):
        read_bytes(text, max_line_bytes=2000)


def test_several_messages(read_bytes: Read) -> None:
    assert len(read_bytes(prefixed(log_message(2), b"", log_message(3)), "x.pb").of("logs")) == 5


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (prefixed(log_message()) + b"\x00\x00", r"cut at byte \d+, within the length"),
        (prefixed(log_message(), log_message())[:-3], r"the message at byte \d+ announces \d+ bytes, but only \d+ follow: cut at byte"),
        (prefixed(log_message(), b"\x0a\xff"), r"the protobuf message at byte \d+ is cut or damaged"),
        (prefixed(b"\x99\x99"), "the protobuf message at byte 0 is cut or damaged"),
        (prefixed(b"\x12\x02hi"), "field 2 is not one of an export request"),
        (prefixed(b"\x0a\x07\x12\x05\x12\x03\x22\x01a"), "neither metrics, spans nor logs"),
        (log_message()[:-2], "the protobuf message at byte 0 is cut or damaged"),
        (b"\xfe\xff" + b"random" * 10, "byte 0 announces a message of .* bytes, over max_line_bytes"),
        (prefixed(b"\x28\xb5\x2f\xfd" + b"damaged"), "the compressed message at byte 0 is damaged"),
        (prefixed(zstandard.compress(bytes(10**8))), "the message at byte 0 expands beyond max_line_bytes"),
    ],
)
def test_damaged_protobuf_names_the_byte(data: bytes, message: str, read_bytes: Read) -> None:
    with pytest.raises(SourceError, match=message) as error:
        read_bytes(data, "x.pb")
    assert str(error.value).startswith("x.pb: ")


def test_a_message_over_the_limit(read_bytes: Read) -> None:
    with pytest.raises(SourceError, match="one protobuf message of over 100 bytes"):
        read_bytes(log_message(50), "x.pb", max_line_bytes=100)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_cut_compressed_file(compress: Callable[[bytes], bytes], read_bytes: Read) -> None:
    data = compress(b"".join(log_line(str(i)) for i in range(2000)))
    assert len(read_bytes(data, "x.jsonl").of("logs")) == 2000
    with pytest.raises(SourceError, match="cut or damaged"):
        read_bytes(data[:-20], "x.jsonl")


def test_a_bomb(read_bytes: Read) -> None:
    with pytest.raises(SourceError, match="expands beyond 1000000 bytes"):
        read_bytes(gzip.compress(bytes(5_000_000)), "x.jsonl.gz", max_expanded_bytes=1_000_000)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["key", "value", "values", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)
SHAPES = [
    {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "n", "unit": "s", kind: {"dataPoints": [point]}}]}]}]}
    for kind, point in [
        ("gauge", {"timeUnixNano": NANO, "asDouble": 1.0, "flags": 0, "attributes": []}),
        ("sum", {"timeUnixNano": NANO, "asInt": "1"}),
        ("histogram", {"timeUnixNano": NANO, "count": 1, "sum": 1, "bucketCounts": [1], "explicitBounds": []}),
        ("exponentialHistogram", {"timeUnixNano": NANO, "scale": 1, "positive": {"offset": 1, "bucketCounts": [1]}}),
        ("summary", {"timeUnixNano": NANO, "quantileValues": [{"quantile": 0.5, "value": 1}]}),
    ]
] + [
    {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "a", "value": {"stringValue": "b"}}]},
                "scopeSpans": [
                    {
                        "scope": {"name": "s"},
                        "spans": [
                            {
                                "traceId": "1" * 32,
                                "spanId": "1" * 16,
                                "name": "n",
                                "kind": 1,
                                "startTimeUnixNano": NANO,
                                "endTimeUnixNano": NANO,
                                "status": {"code": 1},
                                "events": [{"name": "e", "timeUnixNano": NANO}],
                                "links": [{"traceId": "1" * 32}],
                            }
                        ],
                    }
                ],
            }
        ]
    },
    {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": NANO, "severityNumber": 9, "body": {"intValue": 1}}]}]}]},
]


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) within a document."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return [(node, key) for key in keys] + [place for key in keys for place in places(node[key])]


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(shape=st.sampled_from(SHAPES), where=st.integers(0, 200), value=json_values)
def test_any_value_anywhere_is_a_row_or_a_reject(shape: Any, where: int, value: Any, read_bytes: Read) -> None:
    document = json.loads(json.dumps(shape))
    found_places = places(document)
    container, key = found_places[where % len(found_places)]
    container[key] = value
    found = read_bytes(json.dumps(document).encode() + b"\n" + log_line("good"))
    assert "good" in [row["body"] for row in found.of("logs")]
    assert sum(rows + rejects for rows, rejects in found.counts().values()) >= 1


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(prefixed), st.binary(max_size=60).map(lambda b: b"\x0a" + b)))
def test_any_bytes_are_rows_rejects_or_a_source_error(data: bytes, read_bytes: Read) -> None:
    with contextlib.suppress(SourceError):
        found = read_bytes(data, "x.bin")
        assert all(reason for reason in found.reasons())
