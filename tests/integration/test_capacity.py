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

[[capacity]]
kind = "disk"
usage_metric = "disk.used"
limit_value = 410
unit = "GBy"

[[capacity]]
kind = "worker"
usage_metric = "worker.busy"
limit_value = 3000
unit = "{worker}"

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
SHOP = ("pool", "quota", "disk", "worker")
NOISE = "((hour * 7919 % 101) / 101.0 - 0.5)"
QUOTA = "30 + ascii(md5(hour::VARCHAR)) % 7 + 20 * (last_day(time) = time::DATE)::INT"
SERIES = (
    (1, "db.connections", [("pool", "orders"), ("service.name", "shop")], "(if(hour < 24 * 50, 0.9, 1.8)) * sqrt({requests})"),
    (2, "db.connections.max", [("pool", "orders")], "if(hour < 24 * 50, 36, 100)"),
    (
        3,
        "cloud.addresses",
        [("service.name", "shop"), ("limit", "64")],
        QUOTA,
    ),
    (4, "crm.seats", [("service.name", "crm-web")], f"150 + hour * 0.19 + 8 * {NOISE}"),
    (5, "disk.used", [("service.name", "shop")], f"200 + hour * 0.1 + {NOISE}"),
    (6, "worker.busy", [("service.name", "shop")], "{earlier}"),
)
REQUESTS = f"(1000 + 500 * (hour % 24 BETWEEN 9 AND 17)::INT + 400 * {NOISE})"
EARLIER = REQUESTS.replace("hour", "(hour - 3)")
HOURS = f"SELECT i::INT AS hour, TIMESTAMP '{FIRST}' + to_hours(i) AS time FROM range({DAYS} * 24) AS hours (i)"
SPANS = (
    "core.span_rollup_5m",
    f"""SELECT 's' AS source, 'shop' AS service, 'GET' AS operation, 'SERVER' AS kind, TRUE AS is_entry, time, time::DATE AS day,
        {REQUESTS}::BIGINT AS span_count, 0::BIGINT AS error_count,
        9::BIGINT AS duration_sum_ns, 1::BIGINT AS duration_min_ns, 1::BIGINT AS duration_max_ns,
        MAP {{1::INTEGER: [1::BIGINT]}} AS duration_sketch FROM ({HOURS})""",
)


def rollup(series_id: int, value: str) -> str:
    """Hourly samples of a series."""
    return f"""SELECT 's' AS source, {series_id}::UBIGINT AS series_id, time, time::DATE AS day, 4::BIGINT AS count,
        0::BIGINT AS nonfinite_count, v * 4 AS sum, v AS min, v AS max, v AS first, v AS last, 0.0::DOUBLE AS increase
        FROM (SELECT time, ({value.format(requests=REQUESTS, earlier=EARLIER)})::DOUBLE AS v FROM ({HOURS}))"""


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
    done = analyse(lake, known, BY_NAME[name], today=TODAY, scenario=parse_scenario(pairs, known) if pairs else Scenario())
    for table in done.rows:
        lake.set_states(table, dict.fromkeys(done.days, ("passed", None)))
    return done


def rows(lake: Lake, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lake.query(sql).to_pylist()
    return found


def test_every_kind_of_limit_is_planned_with_its_price(lake: Lake) -> None:
    assert look(lake, "capacity").days == [DAY]
    plans = {one["resource_id"]: one for one in rows(lake, "FROM mart.capacity_plan")}
    facts = ("service", "team", "resource_kind", "unit", "limit", "lead_time_days", "unit_price", "billing_currency", "status")
    assert {name: tuple(one[fact] for fact in facts) for name, one in plans.items()} == {
        "orders/pool": ("shop", None, "pool", "{connection}", 100, 14, None, None, "ok"),
        "shop/quota": ("shop", None, "quota", "{address}", 64, 5, None, None, "ok"),
        "crm-web/licence": ("crm", "sales", "licence", "{seat}", 500, 10, 40, "EUR", "ok"),
        "shop/disk": ("shop", None, "disk", "GBy", 410, 14, None, None, "ok"),
        "shop/worker": ("shop", None, "worker", "{worker}", 3000, 14, None, None, "ok"),
    }
    licences = plans["crm-web/licence"]
    assert DAY < licences["exhaustion_p50"].date() < DAY + timedelta(days=25)
    assert licences["order_by"].date() < licences["exhaustion_p50"].date() - timedelta(days=5)
    assert licences["headroom_at_lead_time"] < licences["headroom_now"]
    assert licences["add_cost_per_month"] == pytest.approx(40 * licences["add_capacity"])
    assert plans["orders/pool"]["exhaustion_p50"] is None


def test_chances_rise_along_the_forecast_and_end_at_the_plan(lake: Lake) -> None:
    ahead = rows(lake, "FROM mart.capacity_forecasts WHERE resource_id = 'crm-web/licence' ORDER BY time")
    by = [one["p_exceeded_by"] for one in ahead]
    assert len(by) == 30
    assert by == sorted(by)
    assert by[0] < 0.5 < by[-1]
    (plan,) = rows(lake, "FROM mart.capacity_plan WHERE resource_id = 'crm-web/licence'")
    assert by[9] == pytest.approx(plan["p_exceed_by_lead_time"])


def test_past_plans_are_judged_by_the_limit_of_their_day(lake: Lake) -> None:
    """The pool was raised from 45 to 100 after use had reached 45: what was reached then is no longer reached today."""
    found = rows(lake, "FROM mart.capacity_decisions ORDER BY resource_id, cutoff")
    assert len(found) == 4 * len(SERIES[1:])
    assert {one["lead_time_days"] for one in found if one["resource_id"] == "shop/quota"} == {5.0}
    full = {one["resource_id"] for one in found if one["reached"] or one["over_already"]}
    assert full == {"orders/pool"}
    decisions = {one["resource_id"]: one["decisions"] for one in rows(lake, "FROM mart.capacity_plan")}
    assert decisions["shop/quota"] == 4
    assert decisions["orders/pool"] < 4


def test_totals_are_the_sums_of_their_parts(lake: Lake) -> None:
    assert look(lake, "capacity_totals").days == [DAY]
    found = rows(lake, "FROM mart.capacity_totals")
    assert {(one["level"], one["name"], one["resource_kind"]) for one in found} == {
        *(("service", "shop", kind) for kind in SHOP),
        *(("team", "unknown", kind) for kind in SHOP),
        *((level, name, "licence") for level, name in (("service", "crm"), ("team", "sales"))),
        *(("all", "all", kind) for kind in (*SHOP, "licence")),
    }
    at = {(one["level"], one["resource_kind"], one["time"]): one["mean"] for one in found}
    assert len(found) == 15 * 30
    assert all(at["service", kind, when] == pytest.approx(mean) for (level, kind, when), mean in at.items() if level != "service")
    assert {one["limit"] for one in found} == {100.0, 64.0, 500.0, 410.0, 3000.0}


def test_drivers_and_peaks_are_found(lake: Lake) -> None:
    assert look(lake, "demand_drivers").days == [DAY]
    found = {one["resource_id"]: one for one in rows(lake, "FROM mart.demand_drivers")}
    pool = found["orders/pool"]
    assert (pool["driver"], pool["service"], pool["status"]) == ("requests", "shop", "ok")
    assert pool["elasticity_lo"] > 0.4
    assert pool["elasticity_hi"] < 0.6
    assert found["shop/quota"]["elasticity_lo"] < 0 < found["shop/quota"]["elasticity_hi"]
    assert look(lake, "seasonal_peaks").days == [DAY]
    (peak,) = rows(lake, "FROM mart.seasonal_peaks")
    facts = ("resource_id", "service", "resource_kind", "unit", "occasion", "last_time", "next_time", "status")
    days = (datetime(2026, 2, 28), datetime(2026, 3, 31))
    assert tuple(peak[fact] for fact in facts) == ("shop/quota", "shop", "quota", "{address}", "Month end", *days, "ok")
    assert peak["lift"] == pytest.approx(1.6, abs=0.1)


def test_scenarios_stand_side_by_side_and_leave_the_plan_alone(lake: Lake) -> None:
    before = rows(lake, "FROM mart.capacity_plan ORDER BY ALL")
    assert look(lake, "capacity_scenarios", "growth=+30%").days == [DAY]
    growth = rows(lake, "FROM mart.capacity_scenarios ORDER BY ALL")
    assert look(lake, "capacity_scenarios", "growth=+30%").days == []
    assert look(lake, "capacity_scenarios").days == []
    assert look(lake, "capacity_scenarios", "merger=2026-03-05").days == [DAY]
    both = rows(lake, "FROM mart.capacity_scenarios ORDER BY ALL")
    assert [one for one in both if one["scenario"] == "growth=+30%"] == growth
    assert {one["scenario"] for one in both} == {"growth=+30%", "merger=2026-03-05"}
    assert len(both) == 2 * len(before)
    assert look(lake, "capacity_scenarios", "growth=+30%").days == []
    assert look(lake, "capacity").days == []
    assert rows(lake, "FROM mart.capacity_plan ORDER BY ALL") == before
    (merger,) = side_by_side(lake, "merger=2026-03-05")
    assert merger["resource_id"] == "crm-web/licence"
    assert merger["after"].date() == datetime(2026, 3, 5).date()
    assert merger["before"] > merger["after"]
    assert merger["add_capacity"] > 250
    headroom = {(one["scenario"], one["resource_id"]): one["headroom_at_lead_time"] for one in both}
    (pool,) = (one for one in before if one["resource_id"] == "orders/pool")
    used, grown = (100 - value for value in (pool["headroom_at_lead_time"], headroom["growth=+30%", "orders/pool"]))
    assert 1.3**0.4 < grown / used < 1.3**0.6
    assert services_with_limits(lake) in (["shop", "crm"], ["crm", "shop"])


def test_growth_reaches_what_fills_up_and_what_follows_later(lake: Lake) -> None:
    """A disk does not hold more because there is more demand, but fills faster; workers that follow requests hours later follow them."""
    look(lake, "capacity_scenarios", "growth=+30%")
    plain = {one["resource_id"]: one for one in rows(lake, "FROM mart.capacity_plan")}
    grown = {one["resource_id"]: one for one in rows(lake, "FROM mart.capacity_scenarios WHERE scenario = 'growth=+30%'")}
    before, after = plain["shop/disk"], grown["shop/disk"]
    filled, faster = (before["headroom_now"] - one["headroom_at_lead_time"] for one in (before, after))
    assert filled == pytest.approx(13 * 2.4, rel=0.1)
    assert faster == pytest.approx(1.3 * filled, rel=0.02)
    days = [(one["exhaustion_p50"] - datetime.combine(TODAY, time())) / timedelta(days=1) for one in (before, after)]
    assert days[0] == pytest.approx(42 / 2.4, abs=2)
    assert days[1] == pytest.approx(42 / 2.4 / 1.3, abs=2)
    busy, busier = (3000 - one["shop/worker"]["headroom_at_lead_time"] for one in (plain, grown))
    assert busier == pytest.approx(1.3 * busy, rel=0.05)


def test_scenarios_wait_while_the_plan_is_blocked(lake: Lake) -> None:
    look(lake, "capacity_scenarios", "growth=+30%")
    held = rows(lake, "FROM mart.capacity_scenarios ORDER BY ALL")
    lake.set_states("mart.capacity_plan", {DAY: ("blocked", None)})
    try:
        waits = look(lake, "capacity_scenarios", "growth=+40%")
        assert waits.days == []
        assert "mart.capacity_plan" in waits.waiting[DAY]
        assert rows(lake, "FROM mart.capacity_scenarios ORDER BY ALL") == held
    finally:
        lake.set_states("mart.capacity_plan", {DAY: ("passed", None)})
    assert look(lake, "capacity_scenarios").days == []


def test_a_scenario_that_the_configuration_has_lost_goes_with_the_next_look(lake: Lake) -> None:
    look(lake, "capacity_scenarios", "growth=+30%")
    look(lake, "capacity_scenarios", "merger=2026-03-05")
    without = configured(CONFIG[: CONFIG.index("[scenarios.merger]")])
    assert look(lake, "capacity_scenarios", settings=without).days == [DAY]
    assert {one["scenario"] for one in rows(lake, "FROM mart.capacity_scenarios")} == {"growth=+30%"}
