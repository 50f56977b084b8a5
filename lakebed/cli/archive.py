"""`lakebed archive list|verify|scrub|backup|sign|restore|erase|drill`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakebed.cli.console import DEFAULT_CONFIG, ConfigOption, JsonOption, errors, out, print_json, progress, table
from lakebed.cli.retention import day_of, readable_bytes
from warehouse.errors import ArchiveError, ConfigError
from warehouse.settings import load

if TYPE_CHECKING:
    from warehouse.archive.restoring import Restored

archive = typer.Typer(help="Sealed bundles: full-resolution days, provable and readable without Lakebed.", no_args_is_help=True)

TableOption = Annotated[str | None, typer.Option("--table", help="Only this table.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(archive, name="archive")


@archive.command("list")
def list_command(config: ConfigOption = DEFAULT_CONFIG, table_name: TableOption = None, as_json: JsonOption = False) -> None:
    """Bundles, in the order in which they were sealed."""
    from warehouse.archive.records import active_bundles, recorded_bundles
    from warehouse.lake.lake import Lake

    with Lake.open(load(config), read_only=True) as lake:
        bundles = recorded_bundles(lake)
    active = {b.bundle_id for b in active_bundles(bundles)}
    chosen = [b for b in bundles if table_name in (None, b.table)]
    if as_json:
        print_json([{**asdict(b), "active": b.bundle_id in active} for b in chosen])
        return
    rows = [
        (
            b.table,
            b.day,
            b.row_count,
            readable_bytes(b.bytes),
            f"{b.sealed_at:%Y-%m-%d %H:%M}",
            "" if b.bundle_id in active else "superseded",
        )
        for b in chosen
    ]
    table("bundles", ("table", "day", "rows", "bytes", "sealed", "note"), rows)
    held = [b for b in chosen if b.bundle_id in active]
    out.print(
        f"{len(held):,} bundle(s), {sum(b.row_count for b in held):,} rows, {readable_bytes(sum(b.bytes for b in held))}", highlight=False
    )


@archive.command("verify")
def verify_command(config: ConfigOption = DEFAULT_CONFIG, table_name: TableOption = None, as_json: JsonOption = False) -> None:
    """Check every file, manifest and link of the chain; exit code 1 when anything is not as it was sealed."""
    from warehouse.archive.verifying import verify
    from warehouse.archive.views import refresh_views
    from warehouse.lake.lake import Lake

    with Lake.open(load(config)) as lake, progress("verify") as report:
        result = verify(lake, table=table_name, progress=report)
        if not result.problems:
            refresh_views(lake)
    if as_json:
        print_json(asdict(result))
    else:
        out.print(
            f"{result.bundles:,} bundle(s), {result.files:,} file(s), {result.rows:,} rows, {readable_bytes(result.bytes)} as sealed; "
            f"{result.seconds:.1f} s",
            highlight=False,
        )
        if result.problems:
            rows = [(p.kind, p.table, p.day, p.rows, p.path, p.detail) for p in result.problems]
            table("problems", ("what", "table", "day", "rows in doubt", "where", "detail"), rows)
        for note in result.unproved:
            out.print(f"not proved: {note}", highlight=False, markup=False)
        if result.abandoned_left:
            out.print(f"{result.abandoned_left} abandoned bundle(s) left: writers are at work; the next verification tries again")
    if result.problems:
        raise ArchiveError(f"{len(result.problems)} problem(s), {sum(p.rows for p in result.problems):,} rows in doubt")


@archive.command("backup")
def backup_command(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Seal a copy of the lake's catalog beside the bundles (every night by itself)."""
    from warehouse.archive.backup import backup_catalog
    from warehouse.lake.lake import Lake

    with Lake.open(load(config)) as lake, progress("backup"):
        backup = backup_catalog(lake)
    if as_json:
        print_json(asdict(backup))
        return
    out.print(f"snapshot {backup.snapshot:,}, {readable_bytes(backup.bytes)} in {backup.path}", highlight=False)


@archive.command("scrub")
def scrub_command(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Read every file of lake and archive, compare with what was written, heal from bundles; exit code 1 when damage is left."""
    from warehouse.archive.scrubbing import scrub
    from warehouse.lake.lake import Lake

    with Lake.open(load(config)) as lake, progress("scrub") as report:
        result = scrub(lake, progress=report)
    if as_json:
        print_json(asdict(result))
    else:
        checked = (
            f"{result.files:,} file(s) of the lake ({result.recorded:,} seen for the first time), {result.archive.files:,} of the archive"
        )
        out.print(f"{checked}; {result.seconds:.1f} s", highlight=False)
        rows: list[tuple[object, ...]] = [(f.kind, f.table, f.day, f.rows, f.path, f.outcome) for f in result.findings]
        rows += [(p.kind, p.table, p.day, p.rows, p.path, p.detail) for p in result.archive.problems]
        if rows:
            table("damage", ("what", "table", "day", "rows in doubt", "where", "what became of it"), rows)
    if result.unhealed:
        raise ArchiveError(f"{result.unhealed} damage(s) could not be healed")


@archive.command("sign")
def sign_command(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Sign the head and the tombstones of an archive that was begun without LAKEBED_ARCHIVE_KEY; refused when anything is not as sealed."""
    from warehouse.archive.signing import sign, told
    from warehouse.lake.lake import Lake

    with Lake.open(load(config)) as lake:
        out.print(told(sign(lake)), highlight=False)


@archive.command("restore")
def restore_command(
    table_name: Annotated[str, typer.Option("--table", help="Table to restore.")],
    first: Annotated[str, typer.Option("--from", help="First day (YYYY-MM-DD).")],
    last: Annotated[str, typer.Option("--to", help="Last day, inclusive.")],
    output: Annotated[Path, typer.Option("--output", help="Folder for Parquet files, or a file that ends in .duckdb.")] = Path("restored"),
    service: Annotated[str | None, typer.Option("--service", help="Only this service's rows.")] = None,
    into_lake: Annotated[bool, typer.Option("--into-lake", help="Put days that retention dropped back into the lake.")] = False,
    hold_days: Annotated[int, typer.Option(min=0, help="With --into-lake: days that retention leaves them there.")] = 7,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Bring back exactly the rows that were sealed, beside the lake or into it."""
    from warehouse.archive.restoring import restore, restore_into_lake
    from warehouse.lake.lake import Lake
    from warehouse.retention.holds import add_hold

    days = day_of(first, "--from"), day_of(last, "--to")
    if into_lake and service is not None:
        raise ConfigError("--into-lake restores whole days; leave out --service")
    with Lake.open(load(config)) as lake, progress("restore") as report:
        if into_lake:
            result = restore_into_lake(lake, table_name, *days, progress=report)
            if hold_days:
                until = datetime.now(UTC).date() + timedelta(days=hold_days)
                add_hold(lake, reason="restored", tables=[table_name], from_day=days[0], to_day=days[1], expires=until)
        else:
            result = restore(lake, table_name, *days, output, service=service, progress=report)
    _tell_restored(result, as_json, into_lake)


def _tell_restored(result: Restored, as_json: bool, into_lake: bool) -> None:
    if as_json:
        print_json(asdict(result))
        return
    out.print(
        f"restored {result.rows:,} rows of {result.table}, {len(result.days):,} day(s), from {result.bundles:,} bundle(s) "
        f"({readable_bytes(result.bytes)}) in {result.seconds:.1f} s",
        highlight=False,
    )
    for path in result.paths[:10]:
        out.print(f"  {path}", highlight=False, markup=False)
    if into_lake:
        out.print("the days are unchecked: `lakebed run` checks them", highlight=False)


@archive.command("erase")
def erase_command(
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the tombstones.")],
    subject: Annotated[str | None, typer.Option("--subject", help="Every row of every table with this value, as text or in a map.")] = None,
    table_name: Annotated[str | None, typer.Option("--table", help="Instead of --subject: the table to erase from.")] = None,
    column: Annotated[str | None, typer.Option("--where-column", help="Its column, or KEY of a map column as COLUMN.KEY.")] = None,
    value: Annotated[str | None, typer.Option("--value", help="Rows with exactly this value go.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it only counts.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Erase a subject from the lake, quarantine, logs, warehouse.duckdb and bundles. Cannot be undone; a legal hold refuses it."""
    from warehouse.archive.erasing import erase_everywhere, erase_subject
    from warehouse.lake.lake import Lake

    with Lake.open(load(config)) as lake, progress("erase") as report:
        if subject and not (table_name or column or value):
            result = erase_everywhere(lake, subject, reason=reason, do=yes, progress=report)
        elif table_name and column and value and not subject:
            result = erase_subject(lake, table_name, column, value, reason=reason, do=yes, progress=report)
        else:
            raise ConfigError("give --subject VALUE, or --table, --where-column and --value")
    if as_json:
        print_json(asdict(result))
        return
    table("erased" if yes else "would be erased", ("place", "rows"), [(p.name, p.rows) for p in result.places])
    for note in result.notes:
        out.print(note, highlight=False, markup=False)
    if not yes:
        errors.print("nothing was changed; add --yes to erase")


@archive.command("drill")
def drill_command(
    config: ConfigOption = DEFAULT_CONFIG,
    sample: Annotated[int, typer.Option("--sample", min=1, help="Bundles to restore, chosen at random.")] = 3,
    as_json: JsonOption = False,
) -> None:
    """Restore random bundles, compare every row, and record how long it took."""
    from warehouse.archive.drilling import drill
    from warehouse.lake.lake import Lake

    with Lake.open(load(config)) as lake, progress("drill") as report:
        drills = drill(lake, sample=sample, progress=report)
    if as_json:
        print_json([asdict(d) for d in drills])
    elif not drills:
        out.print("there is no bundle to restore yet")
    else:
        rows = [
            (d.table, d.day, d.row_count, readable_bytes(d.bytes), d.duration_s, f"{d.cost:.4f} {d.currency}", d.details or "equal")
            for d in drills
        ]
        table("restore drill", ("table", "day", "rows", "bytes", "seconds", "cost", "result"), rows)
    if any(not d.equal for d in drills):
        raise ArchiveError("a restored bundle differs from what was sealed; `lakebed archive verify` says where")
