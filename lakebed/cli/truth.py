"""Sets what the demo found beside what was hidden. Findings come through the same door as `lakebed sql`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

Ask = Callable[[str], "pa.Table"]

CAPACITY = """SELECT resource_id, exhaustion_p10, exhaustion_p50, exhaustion_p90 FROM mart.capacity_plan
              WHERE day = (SELECT max(day) FROM mart.capacity_plan)"""
SHIFTS = """SELECT service, measure, time, relative_change, change_id FROM mart.change_points
            WHERE day = (SELECT max(day) FROM mart.change_points) AND measure LIKE 'latency%' AND status = 'ok'"""
LINKED = """SELECT change_id FROM mart.change_points WHERE day = (SELECT max(day) FROM mart.change_points)
            AND measure LIKE '%latency%' AND status = 'ok' AND change_kind = 'deploy'"""
EPISODES = """SELECT episode_id, service, rank, start_time, end_time FROM mart.anomaly_episodes
              WHERE day = (SELECT max(day) FROM mart.anomaly_episodes)"""
INCIDENTS = "SELECT incident_id, detect_s, acknowledge_s, resolve_s FROM core.incidents"
SAVINGS = """SELECT kind, resource_id, saving_per_month FROM mart.cost_opportunities
             WHERE day = (SELECT max(day) FROM mart.cost_opportunities) AND status = 'ok'"""
BAR = 0.75
"""Precision and recall of growth, of shifts laid to deploys, and of episodes that will do: of eight incidents two may be missed."""
COSTS = "SELECT sum(billed_cost) AS billed, sum(effective_cost) AS effective FROM core.costs_daily"


@dataclass(frozen=True, slots=True)
class Finding:
    """One comparison: what was asked, what was found, what is true, and whether it is near enough."""

    question: str
    found: str
    truth: str
    good: bool


def compare(ask: Ask, truth: Mapping[str, Any]) -> list[Finding]:
    """Every comparison that the truth allows."""
    parts = (_saturations, _growth, _deploys, _linked, _incidents, _episodes, _waste, _costs)
    return [finding for part in parts for finding in part(ask, truth)]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)


def _saturations(ask: Ask, truth: Mapping[str, Any]) -> list[Finding]:
    plans = {row["resource_id"]: row for row in ask(CAPACITY).to_pylist()}
    found = []
    for saturation in truth["saturations"]:
        name = f"{saturation['resource_id']}/{saturation['kind']}"
        plan = plans.get(name)
        when = plan["exhaustion_p50"] if plan else None
        true = _time(saturation["crosses"])
        days = abs((when - true).total_seconds()) / 86_400 if when else None
        text = (
            f"{when:%Y-%m-%d} (p10 {_day(plan['exhaustion_p10'])}, p90 {_day(plan['exhaustion_p90'])})"
            if when and plan
            else "not within the horizon"
        )
        found.append(
            Finding(
                f"{saturation['kind']} full: {short(saturation['resource_id'])}", text, f"{true:%Y-%m-%d}", days is not None and days <= 10
            )
        )
    return found


def _growth(ask: Ask, truth: Mapping[str, Any]) -> list[Finding]:
    """Of the resources said to run out, how many do; of those injected, how many are dated to within ten days."""
    named = {row["resource_id"]: row["exhaustion_p50"] for row in ask(CAPACITY).to_pylist() if row["exhaustion_p50"] is not None}
    wanted = {f"{s['resource_id']}/{s['kind']}": _time(s["crosses"]) for s in truth["saturations"]}
    right = set(named) & set(truth["running_out"])
    dated = sum(name in named and abs((named[name] - true).total_seconds()) <= 10 * 86_400 for name, true in wanted.items())
    return [_judged("resources that run out", "named", len(named), len(right), dated, len(wanted))]


def _judged(question: str, verb: str, found: int, right: int, hidden_found: int, hidden: int) -> Finding:
    """Precision (right of what was found; 100% where nothing was) and recall (found of what was hidden)."""
    precision, recall = right / found if found else 1.0, hidden_found / max(hidden, 1)
    text = f"{found} {verb}, {right} right (precision {precision:.0%}, recall {recall:.0%})"
    return Finding(question, text, str(hidden), precision >= BAR and recall >= BAR)


def _day(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d}" if when else "later"


def _deploys(ask: Ask, truth: Mapping[str, Any]) -> list[Finding]:
    shifts = ask(SHIFTS).to_pylist()
    found = []
    for deploy in truth["deploys"]:
        true = _time(deploy["time"])
        near = sorted((s for s in shifts if s["service"] == deploy["service"]), key=lambda s: abs((s["time"] - true).total_seconds()))
        best = near[0] if near else None
        good = best is not None and abs((best["time"] - true).total_seconds()) <= 86_400
        text = (
            f"{best['time']:%Y-%m-%d %H:%M}, latency {best['relative_change']:+.0%}, {best['change_id'] or 'no change near'}"
            if best
            else "nothing"
        )
        found.append(
            Finding(
                f"deploy of {deploy['service']}", text, f"{true:%Y-%m-%d %H:%M}, latency {deploy['relative_latency_change']:+.0%}", good
            )
        )
    return found


def _linked(ask: Ask, truth: Mapping[str, Any]) -> list[Finding]:
    """Of the shifts of latency that are laid to a deploy, how many are laid to one that changed it; how many of these are named."""
    linked = [row["change_id"] for row in ask(LINKED).to_pylist()]
    true = {deploy["change_id"] for deploy in truth["deploys"]}
    right = [change for change in linked if change in true]
    return [_judged("deploys behind shifts of latency", "shifts linked", len(linked), len(right), len(set(right)), len(true))]


def _episodes(ask: Ask, truth: Mapping[str, Any]) -> list[Finding]:
    """Of the episodes, how many overlap an incident; of the incidents, how many an episode of their service overlaps, and begins in it."""
    services: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(ask(EPISODES).to_pylist(), key=lambda row: row["rank"]):
        services.setdefault(row["episode_id"], []).append(row)
    over: set[str] = set()
    met: set[str] = set()
    first: set[str] = set()
    for incident in truth["incidents"]:
        start, end = _time(incident["started"]), _time(incident["resolved"])
        for name, rows in services.items():
            if rows[0]["start_time"] < end and rows[0]["end_time"] > start:
                over.add(name)
                met |= {incident["incident_id"]} if any(row["service"] == incident["service"] for row in rows) else set()
                first |= {incident["incident_id"]} if rows[0]["service"] == incident["service"] else set()
    judged = _judged("incidents seen as episodes", "episodes", len(services), len(over), len(met), len(truth["incidents"]))
    return [replace(judged, found=f"{judged.found}, {len(first)} with the true service first")]


def _incidents(ask: Ask, truth: Mapping[str, Any]) -> list[Finding]:
    rows = ask(INCIDENTS).to_pylist()
    ids = {i["incident_id"] for i in truth["incidents"]}
    resolved = [r["resolve_s"] for r in rows if r["resolve_s"] is not None]
    mean = sum(resolved) / len(resolved) if resolved else 0.0
    means = truth["incident_means"]
    same = {r["incident_id"] for r in rows} == ids
    return [
        Finding("incidents", str(len(rows)), str(means["count"]), same),
        Finding("MTTR", f"{mean / 60:.1f} min", f"{means['mttr_s'] / 60:.1f} min", abs(mean - means["mttr_s"]) < 0.5),
    ]


def _waste(ask: Ask, truth: Mapping[str, Any]) -> list[Finding]:
    rows = ask(SAVINGS).to_pylist()
    found = []
    for kind in ("idle", "oversized"):
        wanted = {r["resource_id"] for r in truth[kind]}
        named = {r["resource_id"].rsplit("/", 1)[0] for r in rows if r["kind"] == kind}
        hits = len(wanted & named)
        recall, precision = hits / max(len(wanted), 1), hits / max(len(named), 1)
        text = f"{len(named)} named, {hits} right (precision {precision:.0%}, recall {recall:.0%})"
        found.append(Finding(f"{kind} resources", text, str(len(wanted)), recall >= 0.8 and precision >= 0.8))
    waste = sum(r["saving_per_month"] or 0.0 for r in rows if r["kind"] == "unused_commitment")
    true = float(truth["commitment"]["unused_per_month"])
    found.append(Finding("unused commitment per 30 days", f"{waste:,.2f}", f"{true:,.2f}", abs(waste - true) <= 0.05 * true))
    return found


def _costs(ask: Ask, truth: Mapping[str, Any]) -> list[Finding]:
    row = ask(COSTS).to_pylist()[0]
    cent = Decimal("0.01")
    found = []
    for kind in ("billed", "effective"):
        true = Decimal(truth["costs"][kind])
        sum_ = row[kind] if row[kind] is not None else Decimal(0)
        found.append(Finding(f"{kind} cost", f"{sum_.quantize(cent):,}", f"{true.quantize(cent):,}", abs(sum_ - true) < cent))
    return found


def short(resource: str) -> str:
    """The last part of a resource's id."""
    return resource.rsplit("/", 1)[-1].rsplit(":", 1)[-1]
