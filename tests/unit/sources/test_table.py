"""Tables onto contracts: shapes, formats, what does not fit, and where it stands."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sources.table import points, units
from warehouse.contracts.series import series_id
from warehouse.errors import ConfigError, SourceError
from warehouse.lake.connection import scratch
from warehouse.lake.unit import Former, Slice
from warehouse.settings import Settings
from warehouse.settings.sources import TableSettings

DAY = Slice(datetime(2024, 1, 1).date(), datetime(2024, 1, 2).date())
LONG = {"table": "raw.metric_points", "columns": {"time": "ts", "value": "v", "metric_name": "m"}, "labels": {"host": "h"}}
LOGS = {"table": "raw.logs", "columns": {"time": "ts", "body": "msg", "severity_text": "level", "service": "svc"}}


class Nothing:
    """A lake that knows nothing."""

    def has(self, batch_id: str) -> bool:
        return False

    def has_size(self, size: int) -> bool:
        return False

    def former_origins(self) -> tuple[str, ...]:
        return ()

    def former(self, origin: str) -> Former | None:
        return None

    def watermark(self, table: str) -> datetime | None:
        return None


@dataclass
class Loaded:
    """Rows per table, and rejects."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    rejects: list[dict[str, Any]] = field(default_factory=list)

    @property
    def reasons(self) -> list[tuple[int, str]]:
        return sorted((r["line"], r["reason"]) for r in self.rejects)

    def points(self) -> list[tuple[str, dict[str, str], datetime, float]]:
        series = {s["series_id"]: s for s in self.rows["raw.metric_series"]}
        found = [(series[p["series_id"]], p) for p in self.rows["raw.metric_points"]]
        return sorted(((s["metric_name"], dict(s["labels"]), p["time"], p["value"]) for s, p in found), key=str)


def load(folder: Path, config: dict[str, Any], known: Any = None) -> Loaded:
    settings = TableSettings.model_validate({"kind": "table", "path": "*", **config})
    loaded = Loaded()
    for unit in units("s", settings, config=Settings(root=folder), known=known or Nothing(), window=DAY):
        connection = scratch()
        for part in unit.open(connection):
            rows = part.rows
            table = rows.to_arrow_table() if isinstance(rows, duckdb.DuckDBPyRelation) else rows.read_all()
            target = loaded.rejects if part.rejects else loaded.rows.setdefault(part.table, [])
            target.extend(table.to_pylist())
    return loaded


@pytest.fixture(params=["small", "large"], autouse=True)
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything holds for files of any size: large ones are read in another way as long as every record is plainly good."""
    if request.param == "large":
        monkeypatch.setattr(points, "LARGE", 0)
        monkeypatch.setattr(points, "LOOK_AHEAD", 2)
    return str(request.param)


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.utime(path, (time.time() - 3600,) * 2)
    return path


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_long_table_becomes_series_and_samples(tmp_path: Path) -> None:
    put(
        tmp_path,
        "a.csv",
        "ts,m,h,v\n2024-01-01 00:00:00,cpu,a,1.5\n2024-01-01 00:01:00,cpu,a,2\n2024-01-01 00:00:00,cpu,b,3\n2024-01-01,mem,,4\n",
    )
    loaded = load(tmp_path, LONG)
    assert loaded.points() == [
        ("cpu", {"host": "a"}, at("2024-01-01 00:00"), 1.5),
        ("cpu", {"host": "a"}, at("2024-01-01 00:01"), 2.0),
        ("cpu", {"host": "b"}, at("2024-01-01 00:00"), 3.0),
        ("mem", {}, at("2024-01-01 00:00"), 4.0),
    ]
    series = {s["series_id"]: s for s in loaded.rows["raw.metric_series"]}
    first = series[series_id("s", "cpu", {"host": "a"})]
    assert (first["first_seen"], first["last_seen"], first["kind"]) == (at("2024-01-01 00:00"), at("2024-01-01 00:01"), "gauge")
    assert loaded.rejects == []


def test_a_wide_table_has_a_metric_per_column_and_no_sample_where_a_cell_is_empty(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "t,pod,CpuUsage(m),Lat(ms)\n1700000000,p1,5,\n1700000060,p1,,250\n")
    config = {
        "table": "raw.metric_points",
        "columns": {"time": "t"},
        "labels": {"pod": "pod"},
        "metrics": {"cpu": "CpuUsage(m)", "latency": {"column": "Lat(ms)", "unit": "ms", "labels": {"quantile": "0.9"}}},
    }
    loaded = load(tmp_path, config)
    assert loaded.points() == [
        ("cpu", {"pod": "p1"}, at("2023-11-14 22:13:20"), 5.0),
        ("latency", {"pod": "p1", "quantile": "0.9"}, at("2023-11-14 22:14:20"), 0.25),
    ]
    latency = next(s for s in loaded.rows["raw.metric_series"] if s["metric_name"] == "latency")
    assert (latency["unit"], latency["original_unit"], latency["unit_scale"]) == ("s", "ms", 0.001)


def test_several_header_rows_are_joined_and_columns_found_by_pattern(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "service,A,A,a\nmetric,lat,rps,lat\nstat,p90,sum,p90\nunix,,,\n1700000000,1,2,3\n")
    config = {
        "table": "raw.metric_points",
        "header_rows": 4,
        "columns": {"time": "service|metric|stat|unix"},
        "metric_columns": r"(?P<service>[^|]+)\|(?P<metric>[^|]+)\|(?P<statistic>[^|]+)",
        "metrics": {"rps": {"kind": "counter"}},
    }
    loaded = load(tmp_path, config)
    assert [(p[0], p[1], p[3]) for p in loaded.points()] == [
        ("lat", {"service": "A", "statistic": "p90"}, 1.0),
        ("lat", {"service": "a", "statistic": "p90"}, 3.0),
        ("rps", {"service": "A", "statistic": "sum"}, 2.0),
    ]
    assert Counter(s["kind"] for s in loaded.rows["raw.metric_series"]) == {"gauge": 2, "counter": 1}


@pytest.mark.parametrize("pack", ["csv", "tsv", "csv.gz", "parquet", "ndjson"])
def test_formats_give_the_same_rows(tmp_path: Path, pack: str) -> None:
    rows = [
        {"ts": "2024-01-01T10:00:00+02:00", "msg": 'it\'s, "so"', "level": "warning", "svc": "web"},
        {"ts": "2024-01-01 09:00:00", "msg": "b"},
    ]
    names = ["ts", "msg", "level", "svc"]
    if pack == "parquet":
        pq.write_table(pa.table({n: [r.get(n) for r in rows] for n in names}), tmp_path / "a.parquet")
    elif pack == "ndjson":
        put(tmp_path, "a.ndjson", "".join(json.dumps(r) + "\n" for r in rows))
    else:
        mark = "\t" if pack == "tsv" else ","
        text = "\n".join(
            [
                mark.join(names),
                f'2024-01-01T10:00:00+02:00{mark}"it\'s, ""so"""{mark}warning{mark}web',
                f"2024-01-01 09:00:00{mark}b{mark}{mark}",
                "",
            ]
        )
        put(tmp_path, f"a.{pack}", gzip.compress(text.encode()) if pack.endswith("gz") else text)
    loaded = load(tmp_path, LOGS)
    found = sorted(loaded.rows["raw.logs"], key=lambda r: r["time"])
    assert [(r["time"], r["time_unix_nano"], r["body"], r["severity"], r["severity_number"], r["service"]) for r in found] == [
        (at("2024-01-01 08:00"), 1704096000 * 10**9, 'it\'s, "so"', "WARN", 13, "web"),
        (at("2024-01-01 09:00"), 1704099600 * 10**9, "b", "UNKNOWN", None, "unknown"),
    ]
    assert len({r["log_id"] for r in found}) == 2
    assert loaded.rejects == []


def test_equal_log_rows_all_survive_under_ids_that_do_not_change(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "ts,msg,level,svc\n" + "2024-01-01,x,,\n" * 5)
    first, again = (sorted(r["log_id"] for r in load(tmp_path, LOGS).rows["raw.logs"]) for _ in range(2))
    assert len(set(first)) == 5
    assert first == again


BAD_CSV = (
    b"ts,m,h,v\n"
    b"2024-01-01,cpu,a,1\n"
    b'2024-01-01,cpu,"two\nlines",2\n'
    b"\n"
    b"2024-01-01,cpu,a\n"
    b"2024-01-01,cpu,a,4,5\n"
    b"2024-01-01,cpu,\xff\xfe,6\n"
    b"2024-01-01,cpu,nul\x00,7\n"
    b"yesterday,cpu,a,8\n"
    b"2024-01-01,cpu,a,many\n"
    b"2024-01-01,cpu,a,9007199254740993\n"
    b"2024-01-01,cpu,a,9007199254740992\n"
    b"2024-01-01,cpu,a,NaN\n"
    b"2024-01-01,cpu,a,-inf\n"
    b"2024-01-01,,a,15\n"
    b"2024-01-01,cpu,a,\n"
    b"9999-01-01,cpu,a,17\n"
    b"2024-01-01,cpu,'; DROP TABLE x,18\n"
)


def test_bad_csv_rows_are_rejected_with_line_and_reason_and_the_good_ones_land(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", BAD_CSV)
    loaded = load(tmp_path, {**LONG, "labels": {"host": "h"}})
    assert loaded.reasons == [
        (6, "csv_missing_columns"),
        (7, "csv_too_many_columns"),
        (8, "csv_invalid_encoding"),
        (9, "label_host_has_nul_character"),
        (10, "time_not_a_time"),
        (11, "value_not_a_number"),
        (12, "value_beyond_2_53_not_exact"),
        (14, "value_not_finite"),
        (15, "value_not_finite"),
        (16, "metric_name_missing"),
        (17, "value_missing"),
        (18, "time_not_a_time"),
    ]
    assert sorted(p["value"] for p in loaded.rows["raw.metric_points"]) == [1, 2, 18, 9007199254740992]
    assert {r["file"] for r in loaded.rejects} == {"a.csv"}
    assert "yesterday" in next(r["record"] for r in loaded.rejects if r["line"] == 10)


def test_text_after_a_quote_costs_its_own_line_only(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", 'ts,m,h,v\n2024-01-01,cpu,"a",1\n2024-01-01,cpu,"a"b"",2\n2024-01-01,cpu,"c""\nd",3\n2024-01-01,cpu,e,x\n')
    loaded = load(tmp_path, LONG)
    assert [p[1] for p in loaded.points()] == [{"host": "a"}, {"host": 'c"\nd'}]
    assert loaded.reasons == [(3, "csv_unquoted_value"), (6, "value_not_a_number")]
    assert loaded.rejects[0]["record"] == '2024-01-01,cpu,"a"b"",2'


BAD_NDJSON = (
    b'{"ts":"2024-01-01","m":"cpu","h":"a","v":1}\n'
    b'{"ts":"2024-01-01","m":"cpu","h":"a","v":\n'
    b"\n"
    b'{"ts":"2024-01-01","m":"cpu","h":"a","v":9007199254740993}\n'
    b'{"ts":"2024-01-01","m":"cpu","h":"\xff","v":5}\n'
    b"[1,2]\n"
    b"{}\n"
    b'{"ts":"2024-01-01","m":"cpu","h":"a","v":1e400}\n'
    b'{"ts":"2024-01-01","m":"cpu","h":"a\\u0000","v":9}\n'
    b'{"ts":99999999999999999999,"m":"cpu","h":"a","v":10}\n'
    b'{"ts":"2024-01-01","m":"cpu","h":{"deep":[1]},"v":"11","extra":true}\n'
)


def test_bad_json_lines_are_rejected_with_line_and_reason_and_the_good_ones_land(tmp_path: Path) -> None:
    put(tmp_path, "a.ndjson", BAD_NDJSON)
    loaded = load(tmp_path, LONG)
    assert loaded.reasons == [
        (2, "malformed_json"),
        (4, "value_beyond_2_53_not_exact"),
        (5, "invalid_utf8"),
        (6, "not_an_object"),
        (7, "empty_record"),
        (8, "value_not_finite"),
        (9, "label_host_has_nul_character"),
        (10, "time_not_a_time"),
    ]
    assert [(p[1], p[3]) for p in loaded.points()] == [({"host": "a"}, 1.0), ({"host": '{"deep":[1]}'}, 11.0)]


def test_a_malformed_line_of_a_wide_json_table_is_not_lost(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", '{"t":1700000000,"a":1,"b":2}\n{"t":17\n{"t":1700000060,"b":"x"}\n')
    loaded = load(tmp_path, {"table": "raw.metric_points", "columns": {"time": "t"}, "metrics": {"a": "a", "b": "b"}})
    assert [p[3] for p in loaded.points()] == [1.0, 2.0]
    assert loaded.reasons == [(2, "malformed_json"), (3, "value_not_a_number")]


def test_bad_parquet_values_name_their_row(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"ts": [at("2024-01-01"), None, at("2024-01-01")], "m": ["a", "a", "a"], "h": ["x"] * 3, "v": [1.0, 2.0, float("nan")]}),
        tmp_path / "a.parquet",
    )
    loaded = load(tmp_path, LONG)
    assert loaded.reasons == [(2, "time_missing"), (3, "value_not_finite")]
    assert len(loaded.rows["raw.metric_points"]) == 1


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"time": "tz", "value": "v", "metric_name": "m"},
            r"there is no column 'tz' for time; the file has ts, m, h, v; did you mean 'ts'\?",
        ),
        ({"time": "ts", "value": "upper(w)", "metric_name": "m"}, r"there is no column 'w' for value; the file has ts, m, h, v"),
        ({"time": "ts", "value": "v +", "metric_name": "m"}, r"`v \+` for value is no valid expression"),
    ],
)
def test_a_column_that_the_file_lacks_is_an_error_with_the_nearest(tmp_path: Path, columns: dict[str, str], message: str) -> None:
    put(tmp_path, "a.csv", "ts,m,h,v\n2024-01-01,cpu,a,1\n")
    with pytest.raises(SourceError, match="a.csv: " + message):
        load(tmp_path, {**LONG, "columns": columns})


def test_a_type_that_cannot_hold_the_values_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"ts": [at("2024-01-01")], "m": ["a"], "h": ["x"], "v": [[1.0]]}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=r"a\.parquet: value needs a DOUBLE, and the file has DOUBLE\[\]; the file has ts TIMESTAMP"):
        load(tmp_path, LONG)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", bytes(range(128, 256)) * 4 + b"\n", "header line is no CSV text"),
        ("a.parquet", b"", "is no whole Parquet file"),
        ("a.parquet", b"PAR1" + os.urandom(500), "is no whole Parquet file"),
        ("a.ndjson", os.urandom(500).replace(b"\n", b"") + b"\xff", "none of its first"),
        ("a.json", b"{", "is no JSON document"),
        ("a.bin", b"x", "names no table format"),
        ("a.csv", b'ts,m,h,v\n2024-01-01,cpu,"a,1\n' + b"2024-01-01,cpu,a,1\n" * 9, "line 2: a quote opens that is never closed"),
    ],
)
def test_what_is_no_table_is_an_error_that_says_so(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    put(tmp_path, name, content)
    with pytest.raises(SourceError, match=rf"{name}.*{message}"):
        load(tmp_path, LONG)


def test_a_line_file_of_nothing_is_a_batch_of_nothing(tmp_path: Path) -> None:
    put(tmp_path, "a.ndjson", b"")
    assert load(tmp_path, LONG).rows == {"raw.metric_points": []}


def test_a_ten_megabyte_line_does_no_harm(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "ts,m,h,v\n2024-01-01,cpu,a,1\n2024-01-01,cpu," + "y" * 10_000_000 + ",2\n2024-01-01,cpu,a,3\n")
    loaded = load(tmp_path, LONG)
    assert [p[3] for p in loaded.points()] == [1.0, 3.0]
    assert loaded.reasons == [(3, "csv_line_size_over_maximum")]
    assert len(loaded.rejects[0]["record"]) <= 10_000


def test_documents_of_json_have_their_rows_at_a_path(tmp_path: Path) -> None:
    put(
        tmp_path,
        "f.json",
        json.dumps({"08": [{"when": "2023-01-29 08:43:04", "pod": "p-1", "what": "return"}], "09": [{"when": "never", "pod": "p-2"}]}),
    )
    config = {
        "table": "raw.incidents",
        "array_path": "$.*[*]",
        "columns": {
            "incident_id": "pod || '/' || \"when\"",
            "opened_time": "when",
            "title": "what",
            "service": "regexp_extract(pod, '^[a-z]+')",
        },
        "labels": {"pod": "pod"},
    }
    loaded = load(tmp_path, config)
    (row,) = loaded.rows["raw.incidents"]
    assert (row["incident_id"], row["service"], row["status"], dict(row["labels"])) == (
        "p-1/2023-01-29 08:43:04",
        "p",
        "triggered",
        {"pod": "p-1"},
    )
    assert loaded.reasons == [(2, "opened_time_not_a_time")]


def test_spans_get_their_duration_from_the_end(tmp_path: Path) -> None:
    put(
        tmp_path,
        "a.csv",
        "TraceID,SpanID,Parent,Op,Start,End\nt,s1,root,op,1661140374351773094,1661140374362982609\nt,s2,s1,op,1661140374351773094,x\n",
    )
    config = {
        "table": "raw.spans",
        "columns": {
            "trace_id": "TraceID", "span_id": "SpanID", "parent_span_id": "nullif(Parent, 'root')",
            "name": "Op", "time_unix_nano": "Start", "end_time": "End", "service": "'web'",
        },
    }  # fmt: skip
    loaded = load(tmp_path, config)
    (span,) = loaded.rows["raw.spans"]
    assert (span["parent_span_id"], span["time_unix_nano"], span["duration_ns"], span["kind"]) == (
        None,
        1661140374351773094,
        11209515,
        "UNSPECIFIED",
    )
    assert span["time"] == at("2022-08-22 03:52:54.351773")
    assert loaded.reasons == [(3, "end_time_not_a_time")]


def test_groups_of_the_file_name_and_lookups_are_columns(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    put(tmp_path / "web", "commits.csv", "sha,t\na1,2024-01-01T00:00:00-05:00\nb2,2024-01-02T00:00:00Z\n")
    put(tmp_path / "web", "tags.csv", "sha,tag\na1,v1\na1,v2\n")
    config = {
        "path": "*/commits.csv",
        "table": "raw.changes",
        "filename_pattern": r"(?P<project>[^/]+)/commits",
        "lookups": {"release": {"path": "{project}/tags.csv", "key": "sha"}},
        "columns": {"change_id": "sha", "kind": "'commit'", "time": "t", "service": "project", "version": "release.tag"},
    }
    rows = sorted(load(tmp_path, config).rows["raw.changes"], key=lambda r: r["change_id"])
    assert [(r["change_id"], r["service"], r["version"], r["time"]) for r in rows] == [
        ("a1", "web", "v1", at("2024-01-01 05:00")),
        ("b2", "web", None, at("2024-01-02 00:00")),
    ]


@pytest.mark.parametrize(
    ("form", "zone", "text", "expected"),
    [
        ("auto", "UTC", "1700000000", "2023-11-14 22:13:20"),
        ("auto", "UTC", "1700000000.25", "2023-11-14 22:13:20.25"),
        ("auto", "UTC", "1.7e9", "2023-11-14 22:13:20"),
        ("auto", "UTC", "1700000000123", "2023-11-14 22:13:20.123"),
        ("auto", "UTC", "1700000000123456", "2023-11-14 22:13:20.123456"),
        ("auto", "UTC", "1700000000123456789", "2023-11-14 22:13:20.123456"),
        ("s", "UTC", "86400", "1970-01-02 00:00:00"),
        ("auto", "Europe/Berlin", "2024-07-01 12:00:00", "2024-07-01 10:00:00"),
        ("auto", "Europe/Berlin", "2024-07-01T12:00:00Z", "2024-07-01 12:00:00"),
        ("%d/%m/%Y %H:%M", "Asia/Shanghai", "01/07/2024 12:00", "2024-07-01 04:00:00"),
        ("%d/%b/%Y:%H:%M:%S %z", "Asia/Shanghai", "01/Jul/2024:12:00:00 +0200", "2024-07-01 10:00:00"),
    ],
)
def test_times_in_every_dress(tmp_path: Path, form: str, zone: str, text: str, expected: str) -> None:
    put(tmp_path, "a.csv", f"ts,m,h,v\n{text},cpu,a,1\n")
    assert [p[2] for p in load(tmp_path, {**LONG, "time_format": form, "time_zone": zone}).points()] == [at(expected)]


def test_a_growing_csv_keeps_its_header_and_its_line_numbers(tmp_path: Path) -> None:
    path = put(tmp_path, "a.csv", "ts,m,h,v\n2024-01-01,cpu,a,1\n")
    settings = TableSettings.model_validate({"kind": "table", "path": "*", **LONG})
    (first,) = units("s", settings, config=Settings(root=tmp_path), known=Nothing(), window=DAY)

    class Before(Nothing):
        def former(self, origin: str) -> Former | None:
            return Former((first.batch_id,), first.offset, first.digest)

    put(tmp_path, "a.csv", path.read_text() + "2024-01-02,cpu,a,2\nbroken\n")
    loaded = load(tmp_path, LONG, Before())
    assert [p[3] for p in loaded.points()] == [2.0]
    assert loaded.reasons == [(4, "csv_missing_columns")]


def test_rows_that_where_leaves_out_are_not_read(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "ts,m,h,v\n2024-01-01,cpu,a,1\nbad,mem,a,2\n")
    loaded = load(tmp_path, {**LONG, "where": "m = 'cpu'"})
    assert len(loaded.points()) == 1
    assert loaded.rejects == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**LOGS, "columns": {"bodi": "msg"}}, "raw.logs has no such column; did you mean body"),
        ({**LONG, "columns": {"time": "ts"}}, "metric_name, value must be given"),
        ({"table": "raw.metric_series", "columns": {"kind": "x"}}, "metrics go to raw.metric_points"),
        ({"table": "mart.roi", "columns": {"kind": "x"}}, "cannot fill mart.roi"),
    ],
)
def test_a_mapping_that_no_contract_has_is_a_configuration_error(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, config)


@pytest.mark.parametrize("form", ["csv", "ndjson"])
@pytest.mark.parametrize("spoiled", ["", "label", "value", "big", "empty"])
def test_a_large_file_is_read_as_a_small_one(tmp_path: Path, form: str, spoiled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[dict[str, Any]] = [
        {"ts": f"2024-01-01 00:00:{i:02}", "v": 0.1 * i, "m": "cpu", "h": f"h{i % 3}" if i < 30 else f"late{i % 4}"} for i in range(60)
    ]
    if spoiled:
        rows[41] |= {"label": {"h": "a\0b"}, "value": {"v": "much"}, "big": {"v": 2**53 + 1}, "empty": {"v": None}}[spoiled]
    if form == "ndjson":
        text = "\n".join(json.dumps(r) for r in rows)
    else:
        text = "ts,v,m,h\n" + "\n".join(",".join("" if v is None else str(v) for v in r.values()) for r in rows)
    put(tmp_path, f"a.{form}", text + "\n")
    monkeypatch.setattr(points, "LARGE", 0)
    monkeypatch.setattr(points, "LOOK_AHEAD", 6)
    fast = load(tmp_path, LONG)
    monkeypatch.setattr(points, "LARGE", 1 << 40)
    careful = load(tmp_path, LONG)
    assert fast.points() == careful.points()
    assert len(fast.points()) == 60 - bool(spoiled)
    assert fast.reasons == careful.reasons
    assert len(fast.reasons) == bool(spoiled)


def test_booleans_of_json_are_numbers_in_files_of_any_size(tmp_path: Path) -> None:
    lines = [{"ts": f"2024-01-01 00:00:0{i}", "v": v, "m": "up", "h": f"h{i % 2}"} for i, v in enumerate([True, False, 1, 0])]
    put(tmp_path, "a.ndjson", "\n".join(map(json.dumps, lines)) + "\n")
    assert [p[3] for p in sorted(load(tmp_path, LONG).points(), key=lambda p: p[2])] == [1.0, 0.0, 1.0, 0.0]


def test_bad_text_in_a_file_of_which_some_columns_are_read(tmp_path: Path) -> None:
    lines = [b"ts,more,m,h,v", b"2024-01-01 00:00:00,x,cpu,a,1", b"2024-01-01 00:00:01,x,cp\x80u,a,2", b"2024-01-01 00:00:02,x,cpu,b,3"]
    put(tmp_path, "a.csv", b"\n".join(lines) + b"\n")
    loaded = load(tmp_path, LONG)
    assert loaded.reasons == [(3, "csv_invalid_encoding")]
    assert [p[3] for p in loaded.points()] == [1.0, 3.0]
