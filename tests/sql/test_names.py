"""Macros that say whose a row is: service, team, resource, labels, units."""

from __future__ import annotations

from typing import Any

import pytest

RULES = """[{'pattern': '^ts-', 'service': 'trainticket', 'team': 'rail'},
            {'pattern': '^api', 'service': NULL, 'team': 'platform'},
            {'pattern': 'i-0abc', 'service': 'batch', 'team': NULL},
            {'pattern': '^ts-order', 'service': 'orders', 'team': 'late'}]"""


def one(db: Any, expression: str, *values: Any) -> Any:
    return db.connection.execute(f"SELECT {expression}", list(values)).fetchone()[0]


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ({"service.name": "a", "service": "b", "app": "c", "job": "d"}, "a"),
        ({"resource.service.name": "a", "job": "d"}, "a"),
        ({"service_name": "a", "job": "d"}, "a"),
        ({"service.name": "", "app": "c", "job": "d"}, "c"),
        ({"job": "d"}, "d"),
        ({}, None),
    ],
)
def test_the_first_label_names_the_service(db: Any, labels: dict[str, str], service: str | None) -> None:
    assert one(db, "label_service(?::MAP(VARCHAR, VARCHAR))", labels) == service


@pytest.mark.parametrize(
    ("labels", "chosen", "resource"),
    [
        ({"cloud.resource_id": "arn", "host.id": "h", "instance": "i"}, None, "arn"),
        ({"k8s.pod.uid": "p", "host.id": "h"}, None, "p"),
        ({"resource.host.id": "h", "instance": "i"}, None, "h"),
        ({"instance": "i", "device": "sda"}, "device", "sda"),
        ({"instance": "i", "mountpoint": "/data"}, "instance, mountpoint", "i//data"),
        ({"instance": "i"}, "device", None),
        ({}, None, None),
    ],
)
def test_the_resource_of_labels(db: Any, labels: dict[str, str], chosen: str | None, resource: str | None) -> None:
    assert one(db, "label_resource(?::MAP(VARCHAR, VARCHAR), ?)", labels, chosen) == resource


@pytest.mark.parametrize(
    ("raw_name", "resource", "service"),
    [
        ("ts-order-service", None, "trainticket"),
        ("api-gateway", None, "api-gateway"),
        ("cron", "arn:i-0abc1", "batch"),
        (None, "arn:i-0abc1", "batch"),
        ("other", "r", "other"),
        ("", None, "unknown"),
        (None, None, "unknown"),
    ],
)
def test_the_first_rule_that_fits_decides(db: Any, raw_name: str | None, resource: str | None, service: str) -> None:
    assert one(db, f"service_of({RULES}, ?::VARCHAR, ?::VARCHAR)", raw_name, resource) == service


@pytest.mark.parametrize(
    ("service", "team"), [("trainticket", "rail"), ("api-gateway", "platform"), ("batch", None), ("orders", "late"), ("unknown", None)]
)
def test_a_team_is_that_of_the_service(db: Any, service: str, team: str | None) -> None:
    assert one(db, f"team_of({RULES}, ?)", service) == team


def test_rules_come_in_order_of_rank(db: Any) -> None:
    db.fill("meta.service_map", {"rank": 2, "pattern": "b"}, {"rank": 1, "pattern": "a"})
    rules = one(db, "rule_list(pattern, service, team, rank) FROM meta.service_map")
    assert [rule["pattern"] for rule in rules] == ["a", "b"]


@pytest.mark.parametrize(("kind", "part"), [("disk", "r/disk"), ("pool", "r/pool"), ("quota", "r/quota")])
def test_a_part_and_its_whole(db: Any, kind: str, part: str) -> None:
    assert one(db, "resource_part('r', ?)", kind) == part
    assert one(db, "resource_whole(?, ?)", part, kind) == "r"


@pytest.mark.parametrize(
    ("labels", "wanted", "match", "agree"),
    [
        ({"a": "1", "b": "2"}, {"a": "1"}, True, True),
        ({"a": "1"}, {"a": "2"}, False, False),
        ({"b": "2"}, {"a": "1"}, False, True),
        ({"b": "2"}, {}, True, True),
    ],
)
def test_labels_match_or_at_least_agree(db: Any, labels: dict[str, str], wanted: dict[str, str], match: bool, agree: bool) -> None:
    both = "?::MAP(VARCHAR, VARCHAR), ?::MAP(VARCHAR, VARCHAR)"
    assert one(db, f"labels_match({both})", labels, wanted) is match
    assert one(db, f"labels_agree({both})", labels, wanted) is agree


def test_hostile_names_are_data(db: Any) -> None:
    name = "'; DROP TABLE meta.service_map; --"
    db.fill("meta.service_map", {"rank": 1, "pattern": "DROP", "service": "<script>"})
    assert (
        one(db, "service_of((SELECT rule_list(pattern, service, team, rank) FROM meta.service_map), ?::VARCHAR, NULL)", name) == "<script>"
    )
