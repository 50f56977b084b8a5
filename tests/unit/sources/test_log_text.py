"""Text logs: patterns, entries of several lines, times that are missing, lines that are no text."""

from __future__ import annotations

import gzip
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sources.log_text import units
from warehouse.errors import ConfigError, SourceError
from warehouse.lake.connection import scratch
from warehouse.lake.unit import Former, Slice
from warehouse.settings import Settings
from warehouse.settings.sources import LogTextSettings

DAY = Slice(datetime(2024, 1, 1).date(), datetime(2024, 1, 2).date())
WRITTEN = 1_700_000_000


class Past:
    """A lake that knows some origins."""

    def __init__(self, **origins: Former) -> None:
        self.origins = origins

    def has(self, batch_id: str) -> bool:
        return False

    def has_size(self, size: int) -> bool:
        return False

    def former_origins(self) -> tuple[str, ...]:
        return tuple(self.origins)

    def former(self, origin: str) -> Former | None:
        return self.origins.get(origin)

    def watermark(self, table: str) -> datetime | None:
        return None


def load(folder: Path, known: Past | None = None, **config: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    settings = LogTextSettings.model_validate({"kind": "log_text", "path": "*", **config})
    rows: list[dict[str, Any]] = []
    rejects: list[dict[str, Any]] = []
    for unit in units("s", settings, config=Settings(root=folder), known=known or Past(), window=DAY):
        for part in unit.open(scratch()):
            table = part.rows.read_all()  # type: ignore[union-attr]
            (rejects if part.rejects else rows).extend(table.to_pylist())
    for row in rows:
        row["attributes"] = dict(row["attributes"])
    return rows, rejects


def put(folder: Path, content: str | bytes, name: str = "a.log") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.utime(path, (WRITTEN, WRITTEN))
    return path


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_access_logs_combined_and_common(tmp_path: Path) -> None:
    put(
        tmp_path,
        '1.2.3.4 - bob [17/May/2015:10:05:03 +0200] "GET /a?x=1 HTTP/1.1" 200 5 "http://r/" "Agent \\"x\\""\n'
        '::1 - - [17/May/2015:10:05:04 +0000] "-" 408 -\n'
        '1.2.3.4 - - [17/May/2015:10:05:05 +0000] "POST /b HTTP/2.0" 503 17 "-" "-"\n',
    )
    rows, rejects = load(tmp_path, pattern="apache_combined", service="web")
    assert rejects == []
    assert [(r["time"], r["severity"], r["severity_number"], r["service"]) for r in rows] == [
        (at("2015-05-17 08:05:03"), "INFO", 9, "web"),
        (at("2015-05-17 10:05:04"), "WARN", 13, "web"),
        (at("2015-05-17 10:05:05"), "ERROR", 17, "web"),
    ]
    assert rows[0]["attributes"] == {
        "client.address": "1.2.3.4",
        "user.name": "bob",
        "http.request.method": "GET",
        "url.original": "/a?x=1",
        "network.protocol.version": "1.1",
        "http.response.status_code": "200",
        "http.response.body.size": "5",
        "http.request.header.referer": "http://r/",
        "user_agent.original": 'Agent \\"x\\"',
    }
    assert rows[1]["attributes"] == {"client.address": "::1", "http.response.status_code": "408"}


def test_stack_traces_belong_to_their_entry(tmp_path: Path) -> None:
    put(
        tmp_path,
        "[2016-12-19 16:31:46,143] INFO Starting [x] up (kafka.server.KafkaServer)\n"
        "[2016-12-19 16:31:47,001] ERROR Request failed (kafka.server.Api)\n"
        "java.io.IOException: gone\n"
        "\tat a.b.C(C.java:1)\n"
        "\n"
        "Caused by: nothing\n"
        "2016-12-19 16:31:48,5 [main] WARN  org.acme.Shop - low stock\n"
        "2016-12-19T16:31:49.123456789Z ERROR [pool-1] org.acme.Shop: none left\n",
    )
    rows, rejects = load(tmp_path, pattern="log4j", service="kafka")
    assert rejects == []
    assert [(r["severity"], r["scope_name"], r["body"]) for r in rows] == [
        ("INFO", "kafka.server.KafkaServer", "Starting [x] up"),
        ("ERROR", "kafka.server.Api", "Request failed\njava.io.IOException: gone\n\tat a.b.C(C.java:1)\n\nCaused by: nothing"),
        ("WARN", "org.acme.Shop", "low stock"),
        ("ERROR", "org.acme.Shop", "none left"),
    ]
    assert rows[3]["time_unix_nano"] == 1482165109123456789
    assert [r["attributes"].get("thread.name") for r in rows] == [None, None, "main", "pool-1"]


def test_json_lines_keep_what_has_no_column_as_attributes(tmp_path: Path) -> None:
    put(
        tmp_path,
        '{"time":"2024-01-01T00:00:00Z","level":"error","msg":"<script>","service":"web","trace_id":"t","user":{"id":7},"n":null}\n'
        '{"ts":"2024-01-01T00:00:01Z","severity":"weird"}\n'
        '{"a":1,"a":2}\n'
        "no json\n",
    )
    rows, _ = load(tmp_path, pattern="json")
    assert [(r["severity"], r["severity_text"], r["body"], r["service"]) for r in rows] == [
        ("ERROR", "error", "<script>", "web"),
        ("UNKNOWN", "weird", '{"ts":"2024-01-01T00:00:01Z","severity":"weird"}', "unknown"),
        ("UNKNOWN", None, '{"a":1,"a":2}', "unknown"),
        ("UNKNOWN", None, "no json", "unknown"),
    ]
    assert rows[0]["attributes"] == {"user": '{"id":7}'}
    assert [r["attributes"].get("lakebed.parsed") for r in rows] == [None, None, "false", "false"]


@pytest.mark.parametrize("body", [r"(?P<body>.*)", r"(?P<body>(?!never).*)"], ids=["linear", "backtracking"])
def test_named_groups_are_columns_or_attributes(tmp_path: Path, body: str) -> None:
    put(tmp_path, "17.11.2023 10:00:00|W|42|it's 'so'\nother\n")
    rows, _ = load(
        tmp_path,
        pattern=r"^(?P<time>[\d. :]+)\|(?P<level>\w)\|(?P<shop__id>\d+)\|" + body,
        time_format="%d.%m.%Y %H:%M:%S",
        time_zone="Europe/Berlin",
        service="shop",
    )
    assert [(r["time"], r["severity"], r["body"]) for r in rows] == [
        (at("2023-11-17 09:00"), "WARN", "it's 'so'"),
        (at("2023-11-17 09:00"), "UNKNOWN", "other"),
    ]
    assert rows[0]["attributes"] == {"shop.id": "42"}
    assert rows[1]["attributes"] == {"lakebed.parsed": "false", "lakebed.time": "previous_entry"}


def test_an_expression_that_backtracks_for_ever_is_stopped(tmp_path: Path) -> None:
    put(tmp_path, "a" * 60 + "!\nok\n")
    begin = time.monotonic()
    rows, _ = load(tmp_path, pattern=r"(?P<body>^(?=a)(a|a?)+$|ok)")
    assert time.monotonic() - begin < 5
    assert [(r["severity"], r["attributes"].get("lakebed.parsed")) for r in rows] == [("UNKNOWN", "false"), ("UNKNOWN", None)]


def test_a_line_without_a_time_has_that_of_the_line_before_else_of_the_file(tmp_path: Path) -> None:
    put(tmp_path, "first\n2024-01-01 00:00:00 INFO x\nsecond\n9999-01-01 00:00:00 INFO late\n")
    rows, _ = load(tmp_path, pattern=r"^(?P<time>[\d-]+ [\d:]+) (?P<level>\w+) (?P<body>.*)")
    assert [(r["time"], r["attributes"].get("lakebed.time")) for r in rows] == [
        (at("2023-11-14 22:13:20"), "file_modified"),
        (at("2024-01-01"), None),
        (at("2024-01-01"), "previous_entry"),
        (at("2024-01-01"), "previous_entry"),
    ]


def test_lines_that_are_no_text_are_rejected_and_the_others_land(tmp_path: Path) -> None:
    put(tmp_path, b"good\n\xff\xfe bad\nnul \x00\n" + b"x" * 10_000_000 + b"\n'; DROP TABLE raw.logs; --\r\nlast")
    rows, rejects = load(tmp_path, pattern="log4j")
    assert [r["body"] for r in rows] == ["good", "'; DROP TABLE raw.logs; --\nlast"]
    assert [(r["line"], r["reason"], len(r["record"])) for r in rejects] == [
        (2, "invalid_utf8", 6),
        (3, "nul_character", 5),
        (4, "line_too_long", 10_000),
    ]


def test_equal_lines_all_survive_and_ids_stay_when_the_file_grows(tmp_path: Path) -> None:
    put(tmp_path, "same\n" * 3)
    rows, _ = load(tmp_path, pattern="json")
    assert len({r["log_id"] for r in rows}) == 3
    settings = LogTextSettings.model_validate({"kind": "log_text", "path": "*", "pattern": "json"})
    (unit,) = units("s", settings, config=Settings(root=tmp_path), known=Past(), window=DAY)
    put(tmp_path, "same\n" * 4)
    grown, _ = load(tmp_path, Past(**{"a.log": Former((unit.batch_id,), unit.offset, unit.digest)}), pattern="json")
    assert len(grown) == 1
    assert grown[0]["log_id"] not in {r["log_id"] for r in rows}


def test_what_follows_in_a_growing_file_has_the_time_before_it(tmp_path: Path) -> None:
    put(tmp_path, "2024-01-01 00:00:00,000 INFO a\n")
    settings = LogTextSettings.model_validate({"kind": "log_text", "path": "*", "pattern": "log4j"})
    (unit,) = units("s", settings, config=Settings(root=tmp_path), known=Past(), window=DAY)
    put(tmp_path, "2024-01-01 00:00:00,000 INFO a\n\tat late.Line\n")
    rows, _ = load(tmp_path, Past(**{"a.log": Former((unit.batch_id,), unit.offset, unit.digest)}), pattern="log4j")
    assert [(r["time"], r["body"], r["attributes"]) for r in rows] == [
        (at("2024-01-01"), "\tat late.Line", {"lakebed.parsed": "false", "lakebed.time": "previous_entry"})
    ]


def test_many_chunks_join_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sources.lines.CHUNK", 100)
    lines = "".join(f"2024-01-01 00:00:{n % 60:02d},000 INFO entry {n}\n\tmore of {n}\n" for n in range(12))
    put(tmp_path, gzip.compress(lines.encode()), "a.log.gz")
    rows, _ = load(tmp_path, pattern="log4j")
    assert [r["body"] for r in rows] == [f"entry {n}\n\tmore of {n}" for n in range(12)]


def test_an_empty_file_is_a_batch_of_nothing_and_a_cut_one_an_error(tmp_path: Path) -> None:
    put(tmp_path, b"")
    assert load(tmp_path, pattern="log4j") == ([], [])
    put(tmp_path, gzip.compress(os.urandom(100_000))[:-100], "b.log.gz")
    with pytest.raises(SourceError, match=r"b\.log\.gz: the compressed data is cut"):
        load(tmp_path, pattern="log4j")


def test_service_and_attributes_come_from_the_file_name(tmp_path: Path) -> None:
    put(tmp_path, "x\n", "shop-7.log")
    rows, _ = load(tmp_path, pattern="json", filename_pattern=r"(?P<app>\w+)-(?P<n>\d)", service="{app}", attributes={"host": "h{n}"})
    assert rows[0]["service"] == "shop"
    assert rows[0]["attributes"]["host"] == "h7"


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("apache_combine", "did you mean apache_combined"), ("(?P<a>", "is no regular expression"), (r"^\d+$", "named groups")],
)
def test_what_is_no_pattern_is_a_configuration_error(tmp_path: Path, pattern: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, pattern=pattern)


@pytest.mark.realdata
def test_every_line_of_the_real_logs_is_accounted_for(realdata: Path) -> None:
    folder = realdata / "elastic_logs"
    apache, rejects = load(folder, pattern="apache_combined", path="apache_logs.log")
    assert (len(apache), len(rejects)) == (10_000, 0)
    assert not [r for r in apache if "lakebed.parsed" in r["attributes"]]
    kafka, rejects = load(folder, pattern="log4j", path="kafka/*/*")
    lines = sum(path.read_bytes().count(b"\n") for path in (folder / "kafka").rglob("*.log*"))
    assert sum(1 + r["body"].count("\n") for r in kafka) + len(rejects) == lines
    assert {r["severity"] for r in kafka} == {"TRACE", "DEBUG", "INFO", "WARN", "ERROR"}
