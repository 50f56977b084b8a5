"""The demo's comparison with the truth: what is near enough is good, and what is just beyond the bar is not."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from lakebed.cli import truth

FULL = datetime(2027, 1, 10)
DEPLOY = datetime(2026, 10, 1, 9)
TRUTH: dict[str, Any] = {
    "saturations": [{"resource_id": "vol-1", "kind": "disk", "crosses": "2027-01-10T00:00:00+00:00"}],
    "running_out": ["vol-1/disk", "vol-2/disk"],
    "deploys": [{"change_id": "D", "service": "cart", "time": "2026-10-01T09:00:00+00:00", "relative_latency_change": 0.3}],
    "incidents": [
        {"incident_id": name, "service": service, "started": f"2026-10-0{day}T09:30:00+00:00", "resolved": f"2026-10-0{day}T10:30:00+00:00"}
        for name, service, day in (("A", "cart", 2), ("B", "auth", 3))
    ],
    "incident_means": {"count": 2, "mttr_s": 600.0},
    "idle": [{"resource_id": f"i-{n}"} for n in range(5)],
    "oversized": [{"resource_id": f"o-{n}"} for n in range(5)],
    "commitment": {"unused_per_month": "100.00"},
    "costs": {"billed": "1000.005", "effective": "900.00"},
}


def answers() -> dict[str, list[dict[str, Any]]]:
    """What a perfect platform answers, by query."""
    waste = [
        {"kind": kind, "resource_id": f"{kind[0]}-{n}/cpu", "saving_per_month": 1.0} for kind in ("idle", "oversized") for n in range(5)
    ]
    return {
        truth.CAPACITY: [{"resource_id": "vol-1/disk", "exhaustion_p10": FULL, "exhaustion_p50": FULL, "exhaustion_p90": None}],
        truth.SHIFTS: [{"service": "cart", "measure": "latency_p95_ms", "time": DEPLOY, "relative_change": 0.3, "change_id": "D"}],
        truth.LINKED: [{"change_id": "D"} for _ in range(3)],
        truth.EPISODES: [
            {
                "episode_id": name,
                "service": service,
                "rank": 1,
                "start_time": datetime(2026, 10, day, 10),
                "end_time": datetime(2026, 10, day, 12),
            }
            for name, service, day in (("a", "cart", 2), ("b", "auth", 3))
        ],
        truth.INCIDENTS: [
            {"incident_id": i, "detect_s": 1.0, "acknowledge_s": 1.0, "resolve_s": s} for i, s in (("A", 500.0), ("B", 700.0))
        ],
        truth.SAVINGS: [*waste, {"kind": "unused_commitment", "resource_id": "c/1", "saving_per_month": 100.0}],
        truth.COSTS: [{"billed": Decimal("1000.005"), "effective": Decimal("900.00")}],
    }


def told(found: dict[str, list[dict[str, Any]]], question: str) -> str:
    """What is said of a question."""
    return next(f.found for f in truth.compare(lambda sql: pa.Table.from_pylist(found[sql]), TRUTH) if f.question == question)


def bad(found: dict[str, list[dict[str, Any]]]) -> list[str]:
    """The questions that are judged not good."""
    return [f.question for f in truth.compare(lambda sql: pa.Table.from_pylist(found[sql]), TRUTH) if not f.good]


def test_a_perfect_platform_is_right_in_everything() -> None:
    assert bad(answers()) == []


@pytest.mark.parametrize(
    ("query", "row", "near", "far", "question"),
    [
        (
            truth.CAPACITY,
            0,
            {"exhaustion_p50": FULL + timedelta(days=10)},
            {"exhaustion_p50": FULL - timedelta(days=10, hours=1)},
            "disk full: vol-1, resources that run out",
        ),
        (truth.CAPACITY, 0, {}, {"exhaustion_p50": None}, "disk full: vol-1, resources that run out"),
        (truth.SHIFTS, 0, {"time": DEPLOY + timedelta(days=1)}, {"time": DEPLOY - timedelta(days=1, seconds=1)}, "deploy of cart"),
        (truth.SHIFTS, 0, {}, {"service": "auth"}, "deploy of cart"),
        (truth.INCIDENTS, 0, {}, {"incident_id": "C"}, "incidents"),
        (truth.INCIDENTS, 0, {"resolve_s": 500.9}, {"resolve_s": 501.1}, "MTTR"),
        (truth.SAVINGS, 10, {"saving_per_month": 104.9}, {"saving_per_month": 94.9}, "unused commitment per 30 days"),
        (truth.COSTS, 0, {"billed": Decimal("1000.012")}, {"billed": Decimal("1000.015")}, "billed cost"),
        (truth.COSTS, 0, {}, {"effective": None}, "effective cost"),
    ],
)
def test_the_bar_of_each_question(query: str, row: int, near: dict[str, Any], far: dict[str, Any], question: str) -> None:
    for change, expected in ((near, []), (far, question.split(", "))):
        found = answers()
        found[query][row] |= change
        assert bad(found) == expected


@pytest.mark.parametrize("kind", ["idle", "oversized"])
def test_one_resource_in_five_may_be_missed_or_named_wrongly(kind: str) -> None:
    for missed, expected in ((1, []), (2, [f"{kind} resources"])):
        found = answers()
        mine = [row for row in found[truth.SAVINGS] if row["kind"] == kind]
        for row in mine[:missed]:
            found[truth.SAVINGS].remove(row)
        assert bad(found) == expected
    for wrong, expected in ((1, []), (2, [f"{kind} resources"])):
        found = answers()
        found[truth.SAVINGS] += [{"kind": kind, "resource_id": f"x-{n}/cpu", "saving_per_month": 1.0} for n in range(wrong)]
        assert bad(found) == expected


def test_a_resource_that_never_runs_out_counts_against_growth() -> None:
    found = answers()
    plan = found[truth.CAPACITY][0]
    found[truth.CAPACITY] += [plan | {"resource_id": "vol-2/disk"}, plan | {"resource_id": "i-1/cpu", "exhaustion_p50": None}]
    assert told(found, "resources that run out") == "2 named, 2 right (precision 100%, recall 100%)"
    found[truth.CAPACITY].append(plan | {"resource_id": "vol-3/disk"})
    assert told(found, "resources that run out") == "3 named, 2 right (precision 67%, recall 100%)"
    assert bad(found) == ["resources that run out"]


def test_a_shift_laid_to_a_deploy_that_changed_nothing_counts_against_it() -> None:
    found = answers()
    found[truth.LINKED].append({"change_id": "X"})
    assert told(found, "deploys behind shifts of latency") == "4 shifts linked, 3 right (precision 75%, recall 100%)"
    assert bad(found) == []
    found[truth.LINKED].append({"change_id": "Y"})
    assert bad(found) == ["deploys behind shifts of latency"]
    found[truth.LINKED].clear()
    assert told(found, "deploys behind shifts of latency") == "0 shifts linked, 0 right (precision 100%, recall 0%)"


def test_an_episode_is_right_over_an_incident_and_an_incident_found_in_its_service() -> None:
    question = "incidents seen as episodes"
    found = answers()
    assert told(found, question) == "2 episodes, 2 right (precision 100%, recall 100%), 2 with the true service first"
    found[truth.EPISODES][0] |= {"rank": 2}
    found[truth.EPISODES].append(found[truth.EPISODES][0] | {"rank": 1, "service": "web"})
    assert told(found, question).endswith("(precision 100%, recall 100%), 1 with the true service first")
    del found[truth.EPISODES][0]
    assert told(found, question).endswith("(precision 100%, recall 50%), 1 with the true service first")
    for beyond in (
        {"start_time": datetime(2026, 10, 3, 10, 30)},
        {"start_time": datetime(2026, 10, 3), "end_time": datetime(2026, 10, 3, 9, 30)},
    ):
        found = answers()
        found[truth.EPISODES][1] |= beyond
        assert told(found, question).startswith("2 episodes, 1 right (precision 50%, recall 50%)")
        assert bad(found) == [question]
