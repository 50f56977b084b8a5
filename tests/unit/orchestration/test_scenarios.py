"""What `--scenario` understands, and what it does to which resource."""

from __future__ import annotations

import math
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.scenarios import Scenario, changes_of, parse_scenario, refuse_unknown_services
from warehouse.errors import ConfigError
from warehouse.settings import Settings, parse

EVENTS = {
    "migration": {"resources": "^db-", "factor": 1.4},
    "sale": {"service": "shop", "kind": "cpu", "factor": 2.0, "add": 3.0},
}
RESOURCES = pl.DataFrame(
    {
        "resource_id": ["db-1/disk", "web/cpu", "web/memory"],
        "service": ["db", "shop", "shop"],
        "resource_kind": ["disk", "cpu", "memory"],
        "elasticity": [0.1, 0.5, None],
        "first": [50.0, 50.0, None],
    },
    schema_overrides={"elasticity": pl.Float64},
)


def settings(**sections: Any) -> Settings:
    return parse({"scenarios": EVENTS, **sections}, Path("lakebed.toml"))


def test_one_scenario_of_several_pairs() -> None:
    found = parse_scenario(["growth=+30%, migration=2026-03-01", "engineers=12", "growth:shop=-5.5%"], settings())
    assert found == Scenario({None: 30.0, "shop": -5.5}, {"migration": date(2026, 3, 1)}, {"engineers": 12.0})
    assert found.text == "growth=+30%, growth:shop=-5.5%, migration=2026-03-01"
    assert parse_scenario([], settings()) == Scenario()
    assert Scenario().text == ""
    assert parse_scenario(["engineers=12"], settings()).text == ""


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("growht=+30%", r"no 'growht'; did you mean growth\?.*migration=YYYY-MM-DD.*engineers"),
        ("migartion=2026-03-01", r"did you mean migration\?"),
        ("engineer=3", r"did you mean engineers\?"),
        ("zzzz=3", r"no 'zzzz'\. Possible are"),
        ("growth", "write NAME=VALUE"),
        ("=3", "write NAME=VALUE"),
        ("growth=30", "a percentage"),
        ("growth=-100%", "above -100%"),
        ("growth=-99.9999999%", "above -100%"),
        ("growth=+100001%", "up to 100000%"),
        ("growth=+0%", "not 0"),
        ("growth=+0.0000001%", "6 decimals"),
        ("growth:a,b=+5%", "no name can have one"),
        ("growth:=3%", "no 'growth:'"),
        ("migration=soon", "YYYY-MM-DD"),
        ("migration=2026-02-30", "YYYY-MM-DD"),
        ("engineers=nan", "NAME=NUMBER"),
        ("growth=1%,growth=2%", "twice"),
        ("", "write NAME=VALUE"),
    ],
)
def test_what_cannot_be_read_says_what_can(pair: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_scenario([pair], settings())


def test_an_event_named_like_an_input_of_the_roi_is_refused() -> None:
    with pytest.raises(ConfigError, match="another name"):
        parse_scenario(["engineers=3"], settings(scenarios={"engineers": {"service": "a", "factor": 2.0}}))


@given(
    growth=st.dictionaries(
        st.none() | st.from_regex(r"[a-z]([a-z0-9 ._/:-]{0,20}[a-z0-9])?", fullmatch=True),
        st.decimals(min_value="-99.999999", max_value="100000", places=6).map(float).filter(bool),
    ),
    events=st.dictionaries(st.sampled_from(sorted(EVENTS)), st.dates()),
    shuffled=st.randoms(),
)
def test_the_text_of_a_scenario_says_the_scenario(growth: dict[str | None, float], events: dict[str, date], shuffled: Any) -> None:
    scenario = Scenario(growth, events)
    parts = [part for part in scenario.text.split(", ") if part]
    shuffled.shuffle(parts)
    assert parse_scenario(parts, settings()) == scenario
    assert parse_scenario(parts, settings()).text == scenario.text


def test_growth_follows_the_elasticity_and_events_their_resources() -> None:
    found = parse_scenario(["growth=+44%,growth:db=+10%,sale=2026-04-01,migration=2026-03-01"], settings())
    assert changes_of(found, RESOURCES, settings()).rows() == [
        ("db-1/disk", None, 1.1, -5.0),
        ("db-1/disk", datetime(2026, 3, 1), 1.4, 0.0),
        ("web/cpu", None, 1.2, 0.0),
        ("web/cpu", datetime(2026, 4, 1), 2.0, 3.0),
        ("web/memory", None, 1.44, 0.0),
    ]
    assert changes_of(parse_scenario(["growth:db=+10%"], settings()), RESOURCES, settings())["resource_id"].to_list() == ["db-1/disk"]


def test_growth_of_the_greatest_elasticity_is_a_number() -> None:
    wild = RESOURCES.with_columns(pl.lit(1e6).alias("elasticity"))
    factors = changes_of(parse_scenario(["growth=+100000%"], settings()), wild, settings())["factor"]
    assert factors.is_finite().all()
    assert factors[1] > 1e6


def test_growth_of_a_service_that_nobody_has() -> None:
    scenario = parse_scenario(["growth:shpo=+1%"], settings())
    with pytest.raises(ConfigError, match=r"did you mean shop\? There are: db, shop"):
        refuse_unknown_services(scenario, ["shop", "db", "db"])
    refuse_unknown_services(scenario, [])


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"scenarios": {"growth": {"service": "a", "factor": 2.0}}}, "scenario name 'growth'"),
        ({"scenarios": {"a b": {"service": "a", "factor": 2.0}}}, "scenario name 'a b'"),
        ({"scenarios": {"a": {"factor": 2.0}}}, "what it touches"),
        ({"scenarios": {"a": {"service": "a"}}}, "factor or add"),
        ({"scenarios": {"a": {"resources": "(", "factor": 2.0}}}, "no regular expression"),
        ({"scenarios": {"a": {"service": "a", "facter": 2.0}}}, r"did you mean factor\?"),
        ({"price": [{"kind": "disk", "unit_price": 1.0, "pattern": "("}]}, r"price\.0\.pattern.*'\(' is no regular expression"),
        ({"price": [{"kind": "disk", "unit_price": 1.0, "pattern": "(?=db)"}]}, "RE2"),
        ({"service_map": [{"pattern": "(?<!a)b"}]}, "RE2"),
        ({"price": [{"kind": "disk", "unit_price": math.inf}]}, "unit_price.*finite"),
        ({"capacity": [{"kind": "a", "usage_metric": "a", "limit_value": math.nan}]}, "limit_value.*finite"),
        ({"capacity": [{"kind": "a", "usage_metric": "a", "limit_value": 1.0, "lead_time_days": math.inf}]}, "lead_time_days"),
        ({"capacity": [{"kind": "a", "usage_metric": "a", "limit_value": 1.0, "lead_time_days": 731}]}, "lead_time_days.*730"),
        ({"models": {"risk": 0.6}}, r"risk.*0\.5"),
        ({"models": {"holidays": "us"}}, r"no holidays are known of 'us'.*did you mean US\?"),
        ({"models": {"holidays": "XX"}}, "ISO 3166"),
        ({"models": {"holidays": "DE-BX"}}, r"did you mean DE-[A-Z]{2}\?"),
        ({"models": {"holidays": "DE-"}}, "ISO 3166"),
        ({"service_map": [{"pattern": "a", "holidays": "Germany"}]}, "ISO 3166"),
    ],
)
def test_configuration_that_cannot_be_meant(sections: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse(sections, Path("lakebed.toml"))
