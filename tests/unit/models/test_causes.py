"""Which change lies next to a change point: of the service itself, of what it calls, of what that calls; nearest first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.trend import nearest_changes

NOON = datetime(2026, 3, 1, 12)
EDGES = [("web", "checkout"), ("checkout", "payment"), ("payment", "bank"), ("bank", "vault"), ("vault", "web"), ("other", "checkout")]


def change(name: str, service: str | None, hours: float, kind: str = "deploy") -> dict[str, Any]:
    return {"change_id": name, "kind": kind, "service": service, "time": NOON + timedelta(hours=hours), "title": f"title of {name}"}


def link(service: str, *changes: dict[str, Any], edges: list[tuple[str, str]] = EDGES) -> dict[str, Any]:
    points = pl.DataFrame({"series_id": ["a"], "service": [service], "time": [NOON], "before": [1.0]})
    known = pl.DataFrame(changes or [change("", None, 0)])
    (row,) = nearest_changes(points, known, pl.DataFrame(edges, schema=["parent_service", "child_service"], orient="row")).rows(named=True)
    return row


def test_the_nearest_change_of_the_service_with_its_distance() -> None:
    row = link("checkout", change("far", "checkout", -9), change("near", "checkout", -1.5), change("foreign", "search", 0))
    assert (row["change_id"], row["change_kind"], row["change_title"], row["change_service"]) == (
        "near",
        "deploy",
        "title of near",
        "checkout",
    )
    assert (row["change_distance_h"], row["before"]) == (1.5, 1.0)
    assert link("checkout", change("later", "checkout", 2))["change_distance_h"] == -2


@pytest.mark.parametrize(("changed", "found"), [("checkout", True), ("payment", True), ("bank", True), ("vault", False), ("other", False)])
def test_changes_of_what_it_depends_on_count_over_three_calls_and_never_those_of_callers(changed: str, found: bool) -> None:
    assert (link("web", change("c", changed, -1))["change_id"] == "c") is found


def test_a_call_in_between_counts_as_hours() -> None:
    own, called = change("own", "web", -5), change("called", "checkout", -0.5)
    assert link("web", own, called)["change_id"] == "own"
    assert link("web", change("own", "web", -7), called)["change_id"] == "called"
    assert link("web", change("two", "payment", -1), change("one", "checkout", -2))["change_id"] == "one"


def test_no_change_no_service_no_graph() -> None:
    nothing = dict.fromkeys(("change_id", "change_kind", "change_title", "change_service", "change_distance_h"))
    for row in (
        link("web"),
        link("web", change("old", "web", -24.1)),
        link("web", change("c", "checkout", 0), edges=[]),
        link("web", change("c", "web", 0, "commit")),
    ):
        assert {name: row[name] for name in nothing} == nothing
    assert link("web", change("edge", "web", -24))["change_id"] == "edge"


def test_points_keep_their_order_and_circles_end() -> None:
    rng = np.random.default_rng(0)
    times = [NOON + timedelta(hours=float(h)) for h in rng.uniform(-100, 100, 50)]
    points = pl.DataFrame({"series_id": range(50), "service": [["web", "bank", None][k % 3] for k in range(50)], "time": times})
    edges = pl.DataFrame([("web", "bank"), ("bank", "web")], schema=["parent_service", "child_service"], orient="row")
    found = nearest_changes(points, pl.DataFrame([change("c", "bank", 0), change("d", "web", 30)]), edges)
    assert found.select(points.columns).equals(points)
    for row in found.iter_rows(named=True):
        reach = {"web": {"d": (30, 0), "c": (0, 6)}, "bank": {"c": (0, 0), "d": (30, 6)}, None: {}}[row["service"]]
        ways = {k: abs((row["time"] - NOON).total_seconds() / 3600 - at) for k, (at, _) in reach.items()}
        near = {k: d + reach[k][1] for k, d in ways.items() if d <= 24}
        assert row["change_id"] == (min(near, key=near.__getitem__) if near else None)


def test_an_empty_table_of_points_stays_empty() -> None:
    points = pl.DataFrame(schema={"series_id": pl.String, "service": pl.String, "time": pl.Datetime("us")})
    edges = pl.DataFrame(EDGES, schema=["parent_service", "child_service"], orient="row")
    assert nearest_changes(points, pl.DataFrame([change("c", "web", 0)]), edges).shape == (0, 8)


def test_a_change_that_came_later_counts_for_less_time() -> None:
    point = pl.DataFrame({"series_id": ["a"], "service": ["web"], "time": [NOON]})
    edges = pl.DataFrame(EDGES, schema=["parent_service", "child_service"], orient="row")
    known = pl.DataFrame([change("later", "web", 4), change("earlier", "web", -20)])
    found = [nearest_changes(point, known, edges, late=timedelta(hours=hours))["change_id"].item() for hours in (4, 3)]
    assert found == ["later", "earlier"]
