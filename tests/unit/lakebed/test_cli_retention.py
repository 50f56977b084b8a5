"""`lakebed retention`, `hold` and `archive` as people and scripts use them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lakebed.cli import archive, retention
from tests.lakes import at, points_unit
from warehouse.errors import ArchiveError, ConfigError
from warehouse.lake.lake import Lake
from warehouse.lake.query_log import QueryRecord, record
from warehouse.settings import load

TABLE = "raw.metric_points"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with two old days."""
    file = tmp_path_factory.mktemp("cli") / "lakebed.toml"
    file.write_text('[lake]\nmemory_limit = "1GiB"\nthreads = 2\n')
    with Lake.open(load(file)) as lake:
        lake.land(points_unit("b1", [(n, at(f"2026-03-0{d} 10:00"), 1.0) for d in (1, 2) for n in range(3)]))
        for table in (TABLE, "raw.metric_series"):
            lake.set_states(table, dict.fromkeys(lake.states(table), ("passed", None)))
    return file


def run(config: Path, *arguments: str) -> Any:
    """Run a command; its output, parsed when --json was asked for."""
    app = typer.Typer()
    retention.register(app)
    archive.register(app)
    result = CliRunner().invoke(app, [*arguments, "--config", str(config)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout) if "--json" in arguments else result.stdout


def test_a_plan_says_money_queries_and_budget(config: Path) -> None:
    query = "SELECT count(*) FROM raw.metric_points"
    record(load(config), QueryRecord("q1", datetime.now(UTC).replace(tzinfo=None).isoformat(), 0.1, "me", query, TABLE, 1, None))
    plan = run(config, "retention", "plan", "--json")
    assert [(q["query"], q["verdict"]) for q in plan["queries"]] == [(query, "fails")]
    assert plan["currency"] == "USD"
    archive = plan["totals"]["archive"]
    assert archive["cost_before"] > archive["cost_after"] > 0
    assert plan["cost_before"] - plan["cost_after"] == pytest.approx(archive["cost_before"] - archive["cost_after"])
    rich = run(config, "retention", "plan", "--budget", "50", "--currency", "usd", "--json")
    assert (rich["budget"]["met"], rich["budget"]["archived"]) == (True, 0)
    assert {d["action"] for d in rich["decisions"]} == {"keep"}
    assert any("budget of 50 USD: kept (queried" in d["rule"] for d in rich["decisions"])
    poor = run(config, "retention", "plan", "--budget", "0")
    assert "budget of 0.00 USD cannot be met: the least is" in " ".join(poor.split())
    assert "1 would have failed" in poor
    with pytest.raises(ConfigError, match=r"priced in USD, not EUR; give currency, hot.*\[storage_price\]"):
        run(config, "retention", "plan", "--budget", "50", "--currency", "EUR")


def test_holds_say_what_they_hold(config: Path) -> None:
    days = ("--from", "2026-03-01", "--to", "2026-03-01", "--table", TABLE)
    run(config, "hold", "add", "--reason", "held", *days, "--service", "shop", "--service", "cart")
    run(config, "hold", "add", "--reason", "over", *days, "--expires", "2026-03-05")
    holds = {h["reason"]: h for h in run(config, "hold", "list", "--json")}
    assert [(holds["held"][k]) for k in ("services", "state", "partitions", "rows")] == ["shop, cart", "active", 1, 3]
    assert holds["held"]["bytes"] > 0
    assert [(holds["over"][k]) for k in ("services", "state", "rows")] == ["all", "expired", 0]
    for held in holds.values():
        run(config, "hold", "remove", held["id"])


def test_from_plan_to_restored_rows(config: Path, tmp_path: Path) -> None:
    plan = run(config, "retention", "plan", "--json")
    assert {d["action"] for d in plan["decisions"] if d["table"] == TABLE} == {"archive"}
    assert all(d["rule"] for d in plan["decisions"])
    assert plan["plan_id"] in run(config, "retention", "plan")
    applied = run(config, "retention", "apply", plan["plan_id"], "--json")
    assert (applied["archived"], applied["rows"]) == (2, 6)
    assert [b["row_count"] for b in run(config, "archive", "list", "--json")] == [3, 3]
    assert run(config, "archive", "verify", "--json")["problems"] == []
    days = ("--table", TABLE, "--from", "2026-03-01", "--to", "2026-03-02")
    assert run(config, "archive", "restore", *days, "--output", str(tmp_path / "out"), "--json")["rows"] == 6
    assert all(d["equal"] for d in run(config, "archive", "drill", "--json"))
    subject = ("--table", TABLE, "--where-column", "series_id", "--value", "1", "--reason", "request")
    assert sum(p["rows"] for p in run(config, "archive", "erase", *subject, "--json")["places"]) == 2
    assert run(config, "archive", "restore", *days, "--into-lake", "--json")["rows"] == 6
    assert [h["reason"] for h in run(config, "hold", "list", "--json")] == ["restored"]
    bundle = next(Path(config.parent, "archive").glob("*/*/*/*.parquet"))
    bundle.write_bytes(bundle.read_bytes()[:-4])
    with pytest.raises(ArchiveError, match="1 problem"):
        run(config, "archive", "verify")


def test_holds_are_placed_listed_and_lifted(config: Path) -> None:
    run(config, "hold", "add", "--reason", "case [7]", "--from", "2026-03-01", "--to", "2026-03-02", "--table", "raw.*", "--legal")
    placed = [h for h in run(config, "hold", "list", "--json") if h["kind"] == "legal"]
    assert [(h["reason"], h["tables"], h["from"]) for h in placed] == [("case [7]", "raw.*", "2026-03-01")]
    assert "lifted" in run(config, "hold", "remove", placed[0]["id"])
    assert [h for h in run(config, "hold", "list", "--json") if h["kind"] == "legal"] == []


def test_a_day_that_is_none_and_a_service_into_the_lake_are_bad_usage(config: Path) -> None:
    with pytest.raises(ConfigError, match="YYYY-MM-DD"):
        run(config, "hold", "add", "--reason", "x", "--from", "March", "--to", "2026-03-02")
    with pytest.raises(ConfigError, match="whole days"):
        run(config, "archive", "restore", "--table", TABLE, "--from", "2026-03-01", "--to", "2026-03-02", "--into-lake", "--service", "a")
