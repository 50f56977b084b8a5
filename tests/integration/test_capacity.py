"""Capacity from the configuration to the plan: pools, quotas and licences by name, their price, what past plans were worth, and what if."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestration.analyses import ANALYSES
from orchestration.analysing import Analysed, analyse
from orchestration.configuration import seed
from orchestration.deriving import derive
from orchestration.scenarios import Scenario, parse_scenario
from orchestration.what_if import services_with_limits, side_by_side
from tests.contract_rows import row, write
from tests.lakes import DAY, open_lake
from transforms.model import load_models, macros
from warehouse.contracts import CONTRACTS
from warehouse.lake import Slice
from warehouse.lake.lake import Lake
from warehouse.settings import Settings, parse

DAYS = 70
FIRST = DAY - timedelta(days=DAYS - 1)
TODAY = DAY + timedelta(days=1)
BY_NAME = {analysis.name: analysis for analysis in ANALYSES}
CONFIG = """
[models]
horizon_days = 30
holidays = "US"

[[capacity]]
kind = "pool"
usage_metric = "db.connections"
limit_metric = "db.connections.max"
unit = "{connection}"
resource_label = "pool"

[[capacity]]
kind = "quota"
usage_metric = "cloud.addresses"
limit_label = "limit"
unit = "{address}"
lead_time_days = 5

[[capacity]]
kind = "licence"
usage_metric = "crm.seats"
limit_value = 500
unit = "{seat}"
lead_time_days = 10

[[price]]
kind = "licence"
unit_price = 40.0
unit = "{seat}"
currency = "EUR"

[[service_map]]
pattern = "crm"
service = "crm"
team = "sales"

[scenarios.merger]
resources = "licence"
add = 300.0
"""
SERIES = (
    (1, "db.connections", [("pool", "orders"), ("service.name", "shop")], "20 + 10 * (hour % 24 BETWEEN 9 AND 17)::INT + hour % 3"),
    (2, "db.connections.max", [("pool", "orders")], "if(hour < 480, 50, 100)"),
    (3, "cloud.addresses", [("service.name", "shop"), ("limit", "64")], "30 + hour % 2"),
    (4, "crm.seats", [("service.name", "crm-web")], "150 + hour * 0.2"),
)
HOURS = f"SELECT i::INT AS hour, TIMESTAMP '{FIRST}' + to_hours(i) AS time FROM range({DAYS} * 24) AS hours (i)"
SPANS = (
    "core.span_rollup_5m",
    f"""SELECT 's' AS source, 'shop' AS service, 'GET' AS operation, 'SERVER' AS kind, TRUE AS is_entry, time, time::DATE AS day,
        (1000 + 500 * (hour % 24 BETWEEN 9 AND 17)::INT + hour * 7919 % 50)::BIGINT AS span_count, 0::BIGINT AS error_count,
        9::BIGINT AS duration_sum_ns, 1::BIGINT AS duration_min_ns, 1::BIGINT AS duration_max_ns,
        MAP {{1::INTEGER: [1::BIGINT]}} AS duration_sketch FROM ({HOURS})""",
)


def rollup(series_id: int, value: str) -> str:
    """Hourly samples of a series."""
    return f"""SELECT 's' AS source, {series_id}::UBIGINT AS series_id, time, time::DATE AS day, 4::BIGINT AS count,
        0::BIGINT AS nonfinite_count, v * 4 AS sum, v AS min, v AS max, v AS first, v AS last, 0.0::DOUBLE AS increase
        FROM (SELECT time, ({value})::DOUBLE AS v FROM ({HOURS}))"""


def configured(text: str = CONFIG) -> Settings:
    return parse(tomllib.loads(text), Path("lakebed.toml"))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """Ten weeks of hourly metrics, derived as a run derives them, and requests on the shop that follow its connections."""
    with open_lake(tmp_path_factory.mktemp("capacity")) as opened:
        opened.connection.execute(macros())
        seed(opened, configured())
        days = [FIRST + timedelta(days=i) for i in range(DAYS)]
        table = CONTRACTS["raw.metric_series"]
        seen = {"first_seen": datetime.combine(FIRST, time()), "last_seen": datetime.combine(TODAY, time())}
        series = [row(table, i) | {"series_id": i, "metric_name": name, "labels": labels, **seen} for i, name, labels, _ in SERIES]
        write(opened, table, series)
        for name, sql in (("core.metric_rollup_1h", " UNION ALL ".join(rollup(i, value) for i, *_, value in SERIES)), (SPANS[0], SPANS[1])):
            opened.replace_slice(name, Slice(FIRST, TODAY), sql, inputs=dict.fromkeys(days, "given"))
            opened.set_states(name, dict.fromkeys(days, ("passed", None)))
        opened.set_states(table.full_name, dict.fromkeys(opened.states(table.full_name), ("passed", None)))
        for model in ("core.resource_usage_1h", "core.resources"):
            assert derive(opened, load_models()[model], days).built == days
            opened.set_states(model, dict.fromkeys(days, ("passed", None)))
        yield opened


def look(lake: Lake, name: str, *pairs: str, settings: Settings | None = None) -> Analysed:
    known = settings or configured()
    return analyse(lake, known, BY_NAME[name], today=TODAY, scenario=parse_scenario(pairs, known) if pairs else Scenario())


def rows(lake: Lake, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lake.query(sql).to_pylist()
    return found


def test_it(lake):
    look(lake, "capacity")
    for t in ("capacity_plan","capacity_decisions"):
        for r in rows(lake, f"FROM mart.{t}"): print(r)
    print(look(lake, "capacity_scenarios", "growth=+30%"))
    for r in rows(lake, "FROM mart.capacity_scenarios"): print(r)
    assert 0
