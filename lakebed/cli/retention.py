"""`lakebed retention plan|apply` and `lakebed hold add|list|remove`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lakebed.cli.console import DEFAULT_CONFIG, ConfigOption, JsonOption, errors, out, print_json, progress, table
from warehouse.errors import ConfigError
from warehouse.settings import load

if TYPE_CHECKING:
    from warehouse.retention.policy import Decision, Hold, Plan

retention = typer.Typer(help="What to keep, archive or drop, and which rule says so.", no_args_is_help=True)
hold = typer.Typer(help="Holds on days: nothing may remove what is held.", no_args_is_help=True)
ACTIONS = ("keep", "archive", "drop")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(retention, name="retention")
    app.add_typer(hold, name="hold")


@retention.command("plan")
def plan_command(
    config: ConfigOption = DEFAULT_CONFIG,
    every: Annotated[bool, typer.Option("--all", help="List every partition, not runs of days with one rule.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say for every partition what would happen to it, and which rule or hold says so. Changes nothing but the list of plans."""
    from warehouse.lake.lake import Lake
    from warehouse.retention.planning import plan_retention

    with Lake.open(load(config)) as lake:
        plan = plan_retention(lake)
    if as_json:
        print_json(
            {
                "plan_id": plan.plan_id,
                "uncovered": list(plan.uncovered),
                "totals": totals(plan),
                "decisions": [_fields(d) for d in plan.decisions],
            }
        )
        return
    rows = [_line([d]) for d in plan.decisions] if every else [_line(group) for group in grouped(plan.decisions)]
    table(f"plan {plan.plan_id}", ("table", "from", "to", "days", "action", "rule", "rows", "bytes"), rows)
    for action, (days, row_count, size) in totals(plan).items():
        out.print(f"{action:>8}: {days:,} partition(s), {row_count:,} rows, {readable_bytes(size)}", highlight=False)
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
        )
    out.print(f"placed {placed.label}", highlight=False, markup=False)


@hold.command("list")
def list_command(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Holds that people placed, and those that incidents place by themselves."""
    from warehouse.lake.lake import Lake
    from warehouse.retention.holds import all_holds

    today = datetime.now(UTC).date()
    with Lake.open(load(config), read_only=True) as lake:
        holds = all_holds(lake, today)
    fields = [_hold_fields(h, today) for h in holds]
    if as_json:
        print_json(fields)
    elif fields:
        table("holds", tuple(fields[0]), [tuple(f.values()) for f in fields])
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


def totals(plan: Plan) -> dict[str, tuple[int, int, int]]:
    """Partitions, rows and bytes per action."""
    found = {action: plan.of(action) for action in ACTIONS}  # type: ignore[arg-type]
    return {a: (len(ds), sum(d.row_count for d in ds), sum(d.bytes for d in ds)) for a, ds in found.items()}


def grouped(decisions: Sequence[Decision]) -> list[list[Decision]]:
    """Decisions of one table that follow each other with one action and rule."""
    groups: list[list[Decision]] = []
    for decision in decisions:
        last = groups[-1][-1] if groups else None
        if last and (last.table, last.action, last.rule) == (decision.table, decision.action, decision.rule):
            groups[-1].append(decision)
        else:
            groups.append([decision])
    return groups


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


def _line(group: Sequence[Decision]) -> tuple[object, ...]:
    first, last = group[0], group[-1]
    row_count, size = sum(d.row_count for d in group), sum(d.bytes for d in group)
    return (first.table, first.day, last.day, len(group), first.action, first.rule, row_count, readable_bytes(size))


def _fields(decision: Decision) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(decision)


def _hold_fields(held: Hold, today: date) -> dict[str, object]:
    return {
        "id": held.hold_id,
        "kind": held.kind,
        "reason": held.reason,
        "tables": " ".join(held.tables),
        "from": held.from_day,
        "to": held.to_day,
        "expires": held.expires,
        "expired": held.expires is not None and held.expires <= today,
    }
