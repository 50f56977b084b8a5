"""`lakebed init` and `lakebed doctor`: an example that is valid, and problems that are named with what to do."""

from __future__ import annotations

import json
import os
import re
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from lakebed.cli import doctor
from lakebed.cli.setup import example
from tests.lakes import at, open_lake, points_unit
from warehouse.errors import ConfigError
from warehouse.lake.catalog import Catalog
from warehouse.lake.maintenance import tidy
from warehouse.settings import Settings, load, parse

Run = Callable[..., Result]


def findings(run: Run, *arguments: str) -> dict[str, list[dict[str, Any]]]:
    """What the doctor says, by check."""
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(run("doctor", "--json", *arguments).stdout)["findings"]:
        found.setdefault(finding["check"], []).append(finding)
    return found


def test_init_writes_the_example_and_never_over_a_file(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "new" / "place"
    assert run("init", str(folder)).exit_code == 0
    assert (folder / "lakebed.toml").read_text() == example()
    (folder / "lakebed.toml").write_text("mine")
    assert isinstance(run("init", str(folder)).exception, ConfigError)
    assert (folder / "lakebed.toml").read_text() == "mine"


def test_the_example_is_valid_and_equal_to_the_defaults(tmp_path: Path) -> None:
    written = parse(tomllib.loads(example()), tmp_path / "lakebed.toml")
    assert written.model_copy(update={"data_root": ""}) == parse({}, tmp_path / "lakebed.toml")


def test_the_example_is_valid_with_everything_uncommented(tmp_path: Path) -> None:
    text = re.sub(r"^# (?=(\[|[a-z_0-9.]+ = |  \{|\]))", "", example(), flags=re.MULTILINE)
    settings = parse(tomllib.loads(text), tmp_path / "lakebed.toml")
    kinds = {s.kind for s in settings.sources.values()}
    assert kinds == {"prometheus", "otlp", "focus", "log_text", "pagerduty", "alertmanager", "table"}
    assert settings.capacity
    assert settings.price
    assert settings.service_map
    assert settings.roi.inputs


def test_a_sound_project_has_nothing_to_mend(project: Path, run: Run) -> None:
    result = run("doctor")
    assert result.exit_code == 0
    assert "nothing to mend" in result.output
    found = findings(run)
    assert {"configuration", "extensions", "memory", "folders", "space", "catalog", "leftovers", "clock"} <= set(found)
    assert {f["level"] for name in ("extensions", "folders", "catalog", "clock") for f in found[name]} == {"ok"}


def test_missing_secrets_are_all_named_before_anything_else(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LB_HERE", "x")
    (project / "lakebed.toml").write_text('[lake]\ncatalog = "postgres:password=${LB_ONE}"\ns3_endpoint = "${LB_HERE}${LB_TWO}"\n')
    result = run("doctor")
    assert result.exit_code == 1
    assert "LB_ONE is not set" in result.output
    assert "LB_TWO is not set" in result.output
    assert "LB_HERE is set" in result.output


def test_files_inboxes_and_servers_that_are_not_there(project: Path, run: Run) -> None:
    (project / "here.csv").write_text("a\n1\n")
    (project / "inbox").mkdir()
    sources = """
[sources.good]
kind = "focus"
path = "*.csv"
inbox = "inbox"
[sources.bad]
kind = "focus"
path = "nowhere/*.csv"
inbox = "missing"
[sources.off]
kind = "focus"
enabled = false
path = "nowhere/*.csv"
[sources.gone]
kind = "prometheus"
url = "http://127.0.0.1:9"
"""
    with (project / "lakebed.toml").open("a") as stream:
        stream.write(sources)
    found = findings(run)["sources"]
    levels = [(f["message"].split(":")[0].removeprefix("source "), f["level"]) for f in found]
    assert levels == [
        ("good", "ok"),
        ("good", "ok"),
        ("bad", "problem"),
        ("bad", "problem"),
        ("off is switched off", "ok"),
        ("gone", "problem"),
    ]
    assert all(f["remedy"] for f in found if f["level"] == "problem")


class Answer(BaseHTTPRequestHandler):
    """A Prometheus whose clock is `offset_s` from this one, or something else altogether."""

    offset_s = 0.0
    body: str | None = None

    def do_GET(self) -> None:
        """Answer the query `time()`."""
        value = {"status": "success", "data": {"resultType": "scalar", "result": [0, str(time.time() + self.offset_s)]}}
        content = (self.body or json.dumps(value)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def server() -> Iterator[str]:
    """Its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("offset_s", "body", "level", "words"),
    [
        (0.0, None, "ok", "answers"),
        (-300.0, None, "warn", "clock is -300 s"),
        (0.0, '{"hello": 1}', "problem", "not as Prometheus does"),
        (0.0, "<html>", "problem", "JSON"),
    ],
)
def test_a_server_is_asked_and_its_clock_compared(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch, offset_s: float, body: str | None, level: str, words: str
) -> None:
    from lakebed.cli.doctor_inputs import sources

    monkeypatch.setattr(Answer, "offset_s", offset_s)
    monkeypatch.setattr(Answer, "body", body)
    settings = parse({"sources": {"p": {"kind": "prometheus", "url": server}}}, tmp_path / "lakebed.toml")
    (finding,) = sources(settings)
    assert finding.level == level
    assert words in finding.message


def test_folders_that_cannot_be_written_or_hold_each_other(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = parse({"archive": {"path": "lake/archive"}, "publish": {"path": "file/warehouse.duckdb"}}, tmp_path / "lakebed.toml")
    problems = [f.message for f in doctor.folders(settings) if f.level == "problem"]
    assert any("lie within each other" in p for p in problems)
    assert any(p.startswith("publish.path") for p in problems)


def test_an_archive_in_an_unknown_store_is_a_problem_before_retention_meets_it(tmp_path: Path) -> None:
    settings = parse({"archive": {"path": "gs://bucket/archive"}}, tmp_path / "lakebed.toml")
    (problem,) = [f for f in doctor.folders(settings) if f.level == "problem"]
    assert problem.message == "archive.path: gs://bucket/archive/ is neither a folder nor s3://"
    assert problem.remedy == "give archive.path one of them"


def test_little_room_little_memory_and_a_clock_gone_back(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(project / "lakebed.toml")
    usage = type("Usage", (), {"free": 5 * 2**20})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    assert [f.level for f in doctor.space(settings)] == ["problem"]
    huge = parse({"lake": {"memory_limit": "900000GiB"}}, project / "lakebed.toml")
    assert [f.level for f in doctor.memory(huge)] == ["warn"]
    with open_lake(project) as lake:
        lake.connection.execute("UPDATE store.meta_ingest_log SET committed_at = TIMESTAMP '2199-01-01'")
    assert [f.level for f in doctor.clock(settings)] == ["problem"]


def test_a_catalog_that_is_none_is_a_finding(tmp_path: Path) -> None:
    settings: Settings = parse({}, tmp_path / "lakebed.toml")
    (tmp_path / "lake").mkdir()
    assert [f.level for f in doctor.catalog(settings)] == ["ok"]
    (tmp_path / "lake/catalog.sqlite").write_text("this is not a database, not even nearly, but it is long enough" * 20)
    assert [f.level for f in doctor.diagnose(settings) if f.check == "catalog"] == ["problem"]


def test_repair_removes_what_dead_processes_left(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(project / "lakebed.toml")
    dead, alive = project / ".warehouse.duckdb.building.999999999", project / f".warehouse.duckdb.building.{os.getpid()}"
    orphan = project / "lake/store/raw_metric_points/day=2026-03-01/orphan.parquet"
    recent = orphan.with_name("recent.parquet")
    for file in (dead, alive, orphan, recent):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"PAR1")
    os.utime(orphan, (time.time() - 3 * 86400, time.time() - 3 * 86400))
    assert doctor.stale_buildings(settings) == [dead]
    assert findings(run)["leftovers"][0]["level"] == "warn"
    done = json.loads(run("doctor", "--repair", "--json").stdout)
    assert any(str(dead) in step for step in done["repaired"])
    assert [f.exists() for f in (dead, alive, orphan, recent)] == [False, True, False, True]
    with open_lake(project) as lake:
        lake.land(points_unit("b2", [(7, at("2026-03-03 01:00"), 1.0)]))
    orphan.write_bytes(b"PAR1")
    os.utime(orphan, (time.time() - 3 * 86400, time.time() - 3 * 86400))
    monkeypatch.setitem(tidy.__kwdefaults__, "patience_s", 0.0)
    with Catalog.of(settings).present():
        assert "1 orphan file(s) left: writers are at work" in run("doctor", "--repair").output
    assert orphan.exists()
