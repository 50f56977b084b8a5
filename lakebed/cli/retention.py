"""`lakebed retention plan|apply` and `lakebed hold add|list|remove`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakebed.cli.console import DEFAULT_CONFIG, ConfigOption, JsonOption, errors, out, print_json, progress, table
from warehouse.errors import ConfigError
from warehouse.settings import load

if TYPE_CHECKING:
    from warehouse.retention.holding import Holding
    from warehouse.retention.planning import Outlook
    from warehouse.retention.policy import Decision, Plan

retention = typer.Typer(help="What to keep, archive or drop, and which rule says so.", no_args_is_help=True)
hold = typer.Typer(help="Holds on days: nothing may remove what is held.", no_args_is_help=True)
ACTIONS = ("keep", "archive", "drop")
QUERIES_SHOWN = 10
QUERY_CHARACTERS = 100


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(retention, name="retention")
    app.add_typer(hold, name="hold")


@retention.command("plan")
def plan_command(
    config: ConfigOption = DEFAULT_CONFIG,
    every: Annotated[bool, typer.Option("--all", help="List every partition, not the rules with their days.")] = False,
    budget: Annotated[
        float | None, typer.Option("--budget", min=0, help="Most that storage may cost a month: keep what is worth most within it.")
    ] = None,
    currency: Annotated[str | None, typer.Option("--currency", help="Of --budget; it must be that of [storage_price].")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say for every partition what would happen to it, which rule or hold says so, what it costs a month, and which past queries would
    have been hurt. Changes nothing but the list of plans."""
    from warehouse.lake.lake import Lake
    from warehouse.lake.query_log import load_spool
    from warehouse.retention.planning import outlook

    settings = load(config)
    priced_in = settings.storage_price.currency
    if currency is not None and currency.upper() != priced_in:
        raise ConfigError(
            f"storage is priced in {priced_in}, not {currency}; "
            f"give currency, hot, warm, cold and archive in {currency} under [storage_price]"
        )
    with Lake.open(settings) as lake:
        load_spool(lake)
        found = outlook(lake, budget=budget)
    if as_json:
        print_json(_document(found))
    else:
        _tell(found, every=every)


def _document(found: Outlook) -> dict[str, object]:
    from dataclasses import asdict

    plan = found.plan
    return {
        "plan_id": plan.plan_id,
        "uncovered": list(plan.uncovered),
        "currency": plan.currency,
        "cost_before": found.cost_before,
        "cost_after": found.cost_after,
        "archive_cost": found.archive_cost,
        "totals": totals(plan),
        "budget": {**asdict(found.budget), "met": found.budget.met, "fixed": dict(found.budget.fixed)} if found.budget else None,
        "queries": [asdict(i) for i in found.impacts],
        "queries_skipped": found.queries_skipped,
        "decisions": [_fields(d) for d in plan.decisions],
    }


def _tell(found: Outlook, *, every: bool) -> None:
    from warehouse.retention.telling import summary

    plan = found.plan
    costs = f"{plan.currency} now", "after"
    out.print(f"plan {plan.plan_id}", highlight=False)
    if every:
        lines = [(d.table, d.day, d.action, d.rule, *_figures([d])) for d in plan.decisions]
        table("", ("table", "day", "action", "rule", "rows", "bytes", *costs), lines)
    else:
        for title, tables in by_reason(plan.decisions).items():
            lines = [(name, ds[0].day, ds[-1].day, len(ds), *_figures(ds)) for name, ds in tables.items()]
            table(title, ("table", "from", "to", "days", "rows", "bytes", *costs), lines)
    if any(d.rows is not None for d in plan.decisions):
        out.print("where rules divide a day, its bytes and price are shared out by rows", highlight=False)
    shown = found.impacts if every else found.impacts[:QUERIES_SHOWN]
    if shown:
        title = f"past queries that would have been hurt: {len(found.impacts):,}"
        hurt = [(i.verdict, i.times, i.last_ran, " ".join(i.tables), i.first, i.last, shortened(i.query)) for i in shown]
        table(title, ("verdict", "runs", "last", "tables", "from", "to", "query"), hurt)
    for line in summary(found):
        out.print(line, highlight=False, markup=False)
    if plan.uncovered:
        errors.print(f"no rule covers {', '.join(plan.uncovered)}: the plan cannot be applied until one does", style="yellow")
    elif plan.of("archive") or plan.of("drop"):
        out.print(f"apply it with: lakebed retention apply {plan.plan_id}", highlight=False)


@retention.command("apply")
def apply_command(
    plan_id: Annotated[str, typer.Argument(metavar="PLAN_ID", help="As `lakebed retention plan` gives it.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Do exactly this plan: archive, read back, then drop; stops at the first doubt and goes on when it is run again."""
    from dataclasses import asdict

    from warehouse.lake.lake import Lake
    from warehouse.retention.applying import apply_plan

    with Lake.open(load(config)) as lake, progress("retention") as report:
        result = apply_plan(lake, plan_id, progress=report)
    if as_json:
        print_json(asdict(result))
        return
    out.print(
        f"archived {result.archived:,} and dropped {result.dropped:,} partition(s), {result.rows:,} rows, {readable_bytes(result.bytes)}; "
        f"{result.seconds:.1f} s",
        highlight=False,
    )
    if result.done_before:
        out.print(f"{result.done_before:,} partition(s) were done before", highlight=False)


@hold.command("add")
def add_command(
    reason: Annotated[str, typer.Option("--reason", help="Why; it is shown wherever the hold decides.")],
    first: Annotated[str, typer.Option("--from", help="First day held (YYYY-MM-DD).")],
    last: Annotated[str, typer.Option("--to", help="Last day held, inclusive.")],
    tables: Annotated[list[str] | None, typer.Option("--table", help="Table or pattern such as raw.*; repeatable. Default: all.")] = None,
    expires: Annotated[str | None, typer.Option("--expires", help="Day on which the hold ends by itself.")] = None,
    services: Annotated[
        list[str] | None,
        typer.Option("--service", help="Only rows of this service, where they can be told apart; repeatable. Default: all."),
    ] = None,
    legal: Annotated[bool, typer.Option("--legal", help="A legal hold: it refuses erasure, too.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Place a hold on days of tables."""
    from warehouse.lake.lake import Lake
    from warehouse.retention.holds import add_hold

    with Lake.open(load(config)) as lake:
        placed = add_hold(
            lake,
            reason=reason,
            tables=tables or ["*"],
            from_day=day_of(first, "--from"),
            to_day=day_of(last, "--to"),
            legal=legal,
            expires=day_of(expires, "--expires") if expires else None,
            services=services or (),
        )
    out.print(f"placed {placed.label}", highlight=False, markup=False)


@hold.command("list")
def list_command(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Holds that people placed, also expired ones, and those that incidents place by themselves, with what they hold now."""
    from warehouse.lake.lake import Lake
    from warehouse.retention.holding import holdings

    today = datetime.now(UTC).date()
    with Lake.open(load(config), read_only=True) as lake:
        fields = [_hold_fields(h, today) for h in holdings(lake, today)]
    if as_json:
        print_json(fields)
    elif fields:
        shown = [{**f, "held": readable_bytes(f["bytes"])} for f in fields]
        columns = tuple(c for c in shown[0] if c not in ("expired", "bytes"))
        table("holds", columns, [tuple(f[c] for c in columns) for f in shown])
    else:
        out.print("no holds")


@hold.command("remove")
def remove_command(
    hold_id: Annotated[str, typer.Argument(metavar="HOLD_ID", help="As `lakebed hold list` shows it.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Lift a hold that a person placed."""
    from warehouse.lake.lake import Lake
    from warehouse.retention.holds import remove_hold

    with Lake.open(load(config)) as lake:
        removed = remove_hold(lake, hold_id)
    out.print(f"lifted {removed.label}", highlight=False, markup=False)


def totals(plan: Plan) -> dict[str, dict[str, float]]:
    """Partitions or classes of their rows, rows, bytes and monthly costs per action."""
    found = {action: plan.of(action) for action in ACTIONS}  # type: ignore[arg-type]
    return {
        action: {
            "partitions": len(decisions),
            "rows": sum(d.row_count for d in decisions),
            "bytes": sum(d.bytes for d in decisions),
            "cost_before": sum(d.cost_before for d in decisions),
            "cost_after": sum(d.cost_after for d in decisions),
        }
        for action, decisions in found.items()
    }


def by_reason(decisions: Sequence[Decision]) -> dict[str, dict[str, list[Decision]]]:
    """Action and deciding rule -> table -> decisions; holds of one kind are one reason. What leaves comes first."""
    groups: dict[str, dict[str, list[Decision]]] = {}
    for decision in sorted(decisions, key=lambda d: (-ACTIONS.index(d.action), d.rule)):
        reason = f"{decision.rule.partition(' ')[0]} holds" if decision.cause == "holds" else decision.rule
        groups.setdefault(f"{decision.action} - {reason}", {}).setdefault(decision.table, []).append(decision)
    return {t: {name: sorted(ds, key=lambda d: d.day) for name, ds in sorted(tables.items())} for t, tables in groups.items()}


def shortened(query: str) -> str:
    """A query on one line, cut where it is long."""
    text = " ".join(query.split())
    return text if len(text) <= QUERY_CHARACTERS else f"{text[: QUERY_CHARACTERS - 1]}…"


def readable_bytes(size: int) -> str:
    """A size as people read it, in binary units."""
    number = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:,.0f} {unit}" if unit == "B" else f"{number:,.1f} {unit}"
        number /= 1024
    return f"{number:,.1f} TiB"


def day_of(text: str, option: str) -> date:
    """A day as YYYY-MM-DD. Raises ConfigError for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option} {text!r} is not a day; write YYYY-MM-DD") from None


def _figures(group: Sequence[Decision]) -> tuple[object, ...]:
    row_count, size = sum(d.row_count for d in group), sum(d.bytes for d in group)
    return row_count, readable_bytes(size), sum(d.cost_before for d in group), sum(d.cost_after for d in group)


def _fields(decision: Decision) -> dict[str, object]:
    from dataclasses import asdict

    return {name: value for name, value in asdict(decision).items() if name not in ("negotiable", "cause")}


def _hold_fields(holding: Holding, today: date) -> dict[str, Any]:
    held = holding.hold
    return {
        "id": held.hold_id,
        "kind": held.kind,
        "reason": held.reason,
        "tables": " ".join(held.tables),
        "services": ", ".join(held.services) or "all",
        "from": held.from_day,
        "to": held.to_day,
        "expires": held.expires,
        "expired": held.expired(today),
        "state": "expired" if held.expired(today) else "active",
        "partitions": holding.partitions,
        "rows": holding.row_count,
        "bytes": holding.bytes,
    }
