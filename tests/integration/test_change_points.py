"""Change points through the lake: from hourly counts and the service graph to the mart, with the deploy of what a service calls."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from orchestration.analyses import find_change_points
from orchestration.history import History
from tests.contract_rows import Row, row, write
from tests.lakes import DAY, at, open_lake
from transforms.model import macros
from warehouse.contracts import CONTRACTS
from warehouse.lake import Slice
from warehouse.settings import parse

FIRST = DAY - timedelta(days=13)
SHIFT = at("2026-02-23 05:00")
LOGS = """INSERT INTO core.log_rollup_1h BY NAME
    SELECT 's' AS source, service, 'ERROR' AS severity, 't' AS template, ?::TIMESTAMP + to_hours(i) AS time, time::DATE AS day,
    100 + ascii(md5(service || i)) % 41 + if(service = 'web' AND time >= ?, 60, 0) AS log_count
    FROM range(14 * 24) AS hours (i), unnest(['web', 'ldap', 'cart']) AS services (service)"""
DEPLOYS = (("own", "web", 20), ("below", "ldap", 3), ("beside", "cart", 0))
"""Each with its service and how many hours before the shift."""
CALLS = """INSERT INTO core.service_dependencies_1d BY NAME
    SELECT 's' AS source, parent_service, child_service, 9 AS call_count, 0 AS error_count, 9 AS duration_sum_ns, 1 AS duration_max_ns,
    ?::DATE AS day FROM (VALUES ('web', 'auth'), ('auth', 'ldap'), ('cart', 'web')) AS e (parent_service, child_service)"""


def deploy(name: str, service: str, hours: int) -> Row:
    when = SHIFT - timedelta(hours=hours)
    fields = {"change_id": name, "kind": "deploy", "service": service, "title": name, "time": when}
    return row(CONTRACTS["raw.changes"], 1, when.date()) | fields


def test_a_shift_is_told_with_its_interval_and_the_deploy_of_what_the_service_calls(tmp_path: Path) -> None:
    with open_lake(tmp_path) as lake:
        lake.connection.execute(macros())
        lake.connection.execute(LOGS, [FIRST, SHIFT])
        write(lake, CONTRACTS["raw.changes"], [deploy(*fields) for fields in DEPLOYS])
        lake.set_states("raw.changes", dict.fromkeys(lake.states("raw.changes"), ("passed", None)))
        history = History(lake, parse({}, tmp_path / "lakebed.toml"), DAY)
        alone = find_change_points(history)["mart.change_points"]
        lake.connection.execute(CALLS, [FIRST])
        found = find_change_points(history)["mart.change_points"]
        lake.replace_slice("mart.change_points", Slice(DAY, DAY + timedelta(days=1)), found.to_arrow().to_reader())
        (point,) = lake.query("SELECT * FROM mart.change_points").to_pylist()
    assert (point["service"], point["measure"], point["time"]) == ("web", "log_error_count", SHIFT)
    assert point["relative_change"] == pytest.approx(0.5, abs=0.05)
    assert 0.4 < point["relative_change_lo"] < point["relative_change"] < point["relative_change_hi"] < 0.6
    link = [point[name] for name in ("change_id", "change_kind", "change_title", "change_service", "change_distance_h")]
    assert link == ["below", "deploy", "below", "ldap", 3.0]
    assert alone["change_id"].to_list() == ["own"]
