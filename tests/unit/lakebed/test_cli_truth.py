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
    "deploys": [{"service": "cart", "time": "2026-10-01T09:00:00+00:00", "relative_latency_change": 0.3}],
    "incidents": [{"incident_id": "A"}, {"incident_id": "B"}],
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
        truth.INCIDENTS: [
            {"incident_id": i, "detect_s": 1.0, "acknowledge_s": 1.0, "resolve_s": s} for i, s in (("A", 500.0), ("B", 700.0))
        ],
        truth.SAVINGS: [*waste, {"kind": "unused_commitment", "resource_id": "c/1", "saving_per_month": 100.0}],
        truth.COSTS: [{"billed": Decimal("1000.005"), "effective": Decimal("900.00")}],
    }


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
            "disk full: vol-1",
        ),
        (truth.CAPACITY, 0, {}, {"exhaustion_p50": None}, "disk full: vol-1"),
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
    for change, expected in ((near, []), (far, [question])):
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
