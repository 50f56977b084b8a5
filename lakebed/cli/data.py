"""`lakebed tables`, `lakebed status` and `lakebed day`: what is in the lake, how it is, and days that a person decides about."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakebed.cli.console import DEFAULT_CONFIG, ConfigOption, JsonOption, out, print_json, table
from warehouse.errors import ConfigError
from warehouse.settings import load

if TYPE_CHECKING:
    from warehouse.lake.lake import Lake

SHOWN = 20


class State(StrEnum):
    """States of a day that can be asked for."""

    unchecked = "unchecked"
    passed = "passed"
    blocked = "blocked"
    waved = "waved"
    dropped = "dropped"


ATTENTION = (State.blocked, State.unchecked, State.waved)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("tables")(tables_command)
    app.command("status")(status_command)
    day = typer.Typer(help="Days that are blocked, and what to do about them.", no_args_is_help=True, rich_markup_mode="rich")
    day.command("list")(day_list_command)
    day.command("allow")(day_allow_command)
    app.add_typer(day, name="day")


def tables_command(
    config: ConfigOption = DEFAULT_CONFIG,
    schema: Annotated[str | None, typer.Option(help="Only this schema: raw, core, mart or meta.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List every table: rows, bytes, days, and the newest day. Reads the catalog only, never the data."""
    from lakebed.cli import status
    from lakebed.cli.sizes import size
    from warehouse.contracts import CONTRACTS
    from warehouse.lake.lake import Lake

    schemas = list(dict.fromkeys(c.schema for c in CONTRACTS.values()))
    if schema is not None and schema not in schemas:
        raise ConfigError(f"there is no schema {schema!r}; there are {', '.join(schemas)}")
    with Lake.open(load(config), read_only=True) as lake:
        rows = [row for row in status.tables(lake) if schema in (None, row["table"].partition(".")[0])]
    if as_json:
        print_json([{**row, "description": CONTRACTS[row["table"]].description} for row in rows])
        return
    shown = [(r["table"], r["rows"], size(r["bytes"]), r["days"], r["newest"], CONTRACTS[r["table"]].description) for r in rows]
    table("", ("table", "rows", "size", "days", "newest", "what it holds"), shown)


def status_command(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Show how the lake is: fresh sources, blocked days, failed checks, days without rows and why, last runs, last publication.

    Always exits with 0 when the lake can be read; a script looks at `blocked` and `failed_checks` in the JSON."""
    from warehouse.lake.lake import Lake

    with Lake.open(load(config), read_only=True) as lake:
        facts = collect(lake, datetime.now(UTC).replace(tzinfo=None))
    if as_json:
        print_json(facts)
    else:
        _tell(facts)


def collect(lake: Lake, now: datetime) -> dict[str, Any]:
    """Everything that `status --json` prints. Times are naive UTC."""
    from lakebed.cli import status
    from lakebed.cli.emptiness import empty_days
    from warehouse.tiers.sizes import tier_sizes

    first = status.first_day(lake)
    return {
        "now": now,
        "first_day": first,
        "sources": status.sources(lake, now),
        "days": status.day_counts(lake),
        "blocked": status.days(lake, ("blocked",)),
        "failed_checks": status.failed_checks(lake),
        "empty_days": [{**asdict(e), "days": e.days} for e in empty_days(lake, first, now.date())],
        "runs": status.runs(lake),
        "published": status.published(lake),
        "tiers": [asdict(t) for t in tier_sizes(lake)],
        "lock": status.write_lock(lake),
        "disk": status.disk(lake),
    }


def tell_tiers(tiers: list[dict[str, Any]]) -> None:
    """The tiers as a table. tiers: as in `status --json`."""
    from lakebed.cli.sizes import size

    rows = [(t["tier"], t["holds"], t["days"] or "", "" if t["rows"] is None else t["rows"], size(t["bytes"])) for t in tiers]
    table("Tiers", ("tier", "holds", "days of tables", "rows", "size"), rows)


def _tell(facts: dict[str, Any]) -> None:
    from lakebed.cli.sizes import size

    columns = ("source", "kind", "rows_landed", "rows_quarantined", "last_commit", "age_hours", "problem")
    table("Sources", ("source", "kind", "rows", "quarantined", "last commit", "hours ago", "problem"), _cells(facts["sources"], columns))
    totals: dict[str, int] = {}
    for states in facts["days"].values():
        for state, count in states.items():
            totals[state] = totals.get(state, 0) + count
    out.print("Days of tables: " + (", ".join(f"{n:,} {s}" for s, n in sorted(totals.items())) or "none yet"), highlight=False)
    tell_tiers(facts["tiers"])
    _section("Blocked days (`lakebed day allow` waves one through)", facts["blocked"], ("table", "day", "rows", "reason"))
    _section("Failed checks", facts["failed_checks"], ("table", "day", "check", "severity", "unexpected"))
    odd = [e for e in facts["empty_days"] if not e["expected"]]
    _section("Days without rows that need a look", odd, ("table", "first", "last", "days", "reason"))
    quiet = sum(e["days"] for e in facts["empty_days"] if e["expected"])
    if quiet:
        out.print(f"{quiet:,} more partitions have no rows, for good reasons (--json tells them)", style="dim", highlight=False)
    _section("Last runs", facts["runs"], ("recorded_at", "job", "status", "partitions", "duration_s", "error"))
    hot = facts["published"]
    when = f"{hot['published_at']:%Y-%m-%d %H:%M} UTC, {size(hot['bytes'])}" if hot["published_at"] else "not yet"
    out.print(f"Published: {when} ({hot['path']})", highlight=False, soft_wrap=True)
    if facts["lock"]["held"]:
        out.print("A process is writing to the lake now.", highlight=False)


def _section(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    if not rows:
        return
    left = len(rows) - SHOWN
    heading = f"{title} ({left:,} more: --json)" if left > 0 else title
    table(heading, [c.replace("_", " ") for c in columns], _cells(rows[:SHOWN], columns))


def _cells(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return [tuple(f"{v:%Y-%m-%d %H:%M}" if isinstance(v := row.get(c), datetime) else v for c in columns) for row in rows]


def day_list_command(
    config: ConfigOption = DEFAULT_CONFIG,
    state: Annotated[list[State] | None, typer.Option(help="Days in this state; repeatable. Default: blocked, unchecked, waved.")] = None,
    only: Annotated[str | None, typer.Option("--table", help="Only this table, for example raw.logs.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List days by state, newest first. `blocked` and `unchecked` days stay out of everything downstream and of publishing."""
    from lakebed.cli import status
    from warehouse.contracts import contract
    from warehouse.lake.lake import Lake

    wanted = tuple(s.value for s in state or ATTENTION)
    if only is not None:
        contract(only)
    with Lake.open(load(config), read_only=True) as lake:
        rows = status.days(lake, wanted, only)
    if as_json:
        print_json(rows)
    elif rows:
        _section("Newest first", rows, ("table", "day", "state", "rows", "reason", "since"))
    else:
        out.print(f"no day is {' or '.join(wanted)}", highlight=False)


def day_allow_command(
    name: Annotated[str, typer.Argument(metavar="TABLE", help="Table, for example raw.costs.")],
    day: Annotated[str, typer.Argument(metavar="DAY", help="YYYY-MM-DD, or `all` for a table without days.")],
    reason: Annotated[str, typer.Option(help="Why its data may be used although a check failed; kept in meta.day_state.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Wave a blocked day through: what is downstream may read it from the next run on. Who and why is recorded.

    It holds for the data as it is: new data for the day is checked again."""
    import getpass

    from warehouse.contracts import contract
    from warehouse.lake.lake import Lake
    from warehouse.lake.state import NO_DAY

    full_name = contract(name).full_name
    chosen = NO_DAY if day == "all" else _day(day)
    if not reason.strip():
        raise ConfigError("--reason must say why")
    with Lake.open(load(config)) as lake:
        before = lake.states(full_name, [chosen]).get(chosen)
        if before is not None and before.state in ("passed", "dropped"):
            raise ConfigError(f"{full_name} {day} is {before.state}; only days that are blocked or unchecked can be waved through")
        lake.set_states(full_name, {chosen: ("waved", f"{reason.strip()} ({getpass.getuser()})")})
    out.print(f"{full_name} {day} is waved through; `lakebed run` builds what reads it", highlight=False)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is not a day; write YYYY-MM-DD") from None
