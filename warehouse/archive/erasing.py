"""Erasing a subject from every place that holds its rows: the lake, quarantine, the query log, check results, `warehouse.duckdb`, bundles.

First everything is found and counted, then legal holds are asked, and only then is anything changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from warehouse.archive.backup import backup_catalog, list_backups, occurrences, opened, remove_backup
from warehouse.archive.file_hashes import refuse_damaged
from warehouse.archive.published import erase_published
from warehouse.archive.records import finish_interrupted
from warehouse.archive.resealing import Family, bury, families, finish_erasures, reseal
from warehouse.archive.storage import Storage, storage_of
from warehouse.archive.subjects import Match, column_match, value_matches
from warehouse.archive.views import refresh_views
from warehouse.contracts.ddl import quarantine_name
from warehouse.errors import RetentionError
from warehouse.lake.lake import Lake
from warehouse.lake.maintenance import GRACE
from warehouse.lake.query_log import load_spool
from warehouse.lake.removal import erase, erase_containing
from warehouse.lake.state import NO_DAY, utc_now
from warehouse.retention.holds import placed_holds

LOGS = {"store.meta_query_log": "query", "store.meta_check_results": "details"}
NIGHTLY = time(2, 30)
NOT_SEARCHED = "not searched: Dagster's own run history, files that sources deliver, and copies that people made (restored files, backups)"
WHOLE_VALUES = "texts count that are the value, not those that contain it: for log bodies, erase by --table raw.logs and a column"


@dataclass(frozen=True, slots=True)
class Place:
    """A place that held rows of the subject."""

    name: str
    rows: int


@dataclass(slots=True)
class Erased:
    """Every place with the subject's rows, and what the caller must know besides."""

    places: list[Place] = field(default_factory=list)
    notes: tuple[str, ...] = ()


def erase_subject(
    lake: Lake,
    table: str,
    column: str,
    value: str,
    *,
    reason: str,
    do: bool = True,
    run_id: str | None = None,
    progress: Callable[[str], None] = lambda _message: None,
) -> Erased:
    """Erase the rows of `table` whose `column` (or key of a map column, `labels.user`) is exactly `value`; with do=False only count them.

    Interrupted erasures are completed by running them again.
    Raises RetentionError when a legal hold covers any of the rows (before anything is done), ArchiveError for a damaged bundle, a file of
    the lake that is not what was written (the rows that stay are not written anew from it), or a column that the table does not have."""
    match = column_match(table, column, value)
    return _erase(lake, [match], value, {}, reason=reason, do=do, run_id=run_id, progress=progress)


def erase_everywhere(
    lake: Lake,
    value: str,
    *,
    reason: str,
    do: bool = True,
    run_id: str | None = None,
    progress: Callable[[str], None] = lambda _message: None,
) -> Erased:
    """Erase every row of every table in which `value` stands as a text or as a value of a map, the rows of series that have it as a label,
    and records of the platform that quote it. Otherwise as `erase_subject`."""
    found = _erase(lake, value_matches(lake, value), value, LOGS, reason=reason, do=do, run_id=run_id, progress=progress)
    found.notes = (*found.notes, WHOLE_VALUES)
    return found


def _erase(
    lake: Lake,
    matches: Sequence[Match],
    value: str,
    logs: Mapping[str, str],
    *,
    reason: str,
    do: bool,
    run_id: str | None,
    progress: Callable[[str], None],
) -> Erased:
    storage, result = storage_of(lake), Erased()
    finish_interrupted(lake, storage)
    finish_erasures(lake, storage)
    load_spool(lake)
    days = {match.definition.full_name: _count_lake(lake, match) for match in matches}
    sealed = [family for match in matches for family in families(lake, storage, match)]
    _refuse_legal_holds(lake, days, sealed)
    if do:
        for table, counts in days.items():
            for day in counts:
                refuse_damaged(lake, table, day)
    result.notes = (*_remains(utc_now(lake.connection)), NOT_SEARCHED)
    result.places += erase_published(lake.settings, matches, Place, do=do)
    _erase_bundles(lake, storage, sealed, result, reason, do, run_id, progress)
    for match in matches:
        table = match.definition.full_name
        for day, count in sorted(days[table].items()):
            progress(f"lake {table} {day}")
            result.places.append(Place(f"lake {table}" + (f" {day}" if day != NO_DAY else ""), count))
            if do:
                erase(lake, table, day, match.condition, match.values, reason="erasure", run_id=run_id)
    _erase_backups(lake, storage, value, result, do)
    _erase_records(lake, {quarantine_name(m.definition): "record" for m in matches} | dict(logs), value, result, do)
    return result


def _erase_bundles(
    lake: Lake,
    storage: Storage,
    sealed: Sequence[Family],
    result: Erased,
    reason: str,
    do: bool,
    run_id: str | None,
    progress: Callable[[str], None],
) -> None:
    """All heirs first, then the views, then the old files go: no view ever names a file that is not there."""
    heirs = []
    for family in sealed:
        active = family.bundles[0]
        progress(f"archive {active.table} {active.day}")
        result.places.append(Place(f"archive {active.path}", family.rows))
        if do:
            heirs.append(reseal(lake, storage, family, run_id))
    if heirs:
        refresh_views(lake)
    for family, heir in zip(sealed, heirs, strict=False):
        bury(lake, storage, family.bundles, heir, reason)


def _erase_records(lake: Lake, quoted: Mapping[str, str], value: str, result: Erased, do: bool) -> None:
    """Records of quarantine and of the platform's logs that quote the value. quoted: table -> column."""
    for name, column in quoted.items():
        row = lake.connection.execute(f"SELECT count(*) FROM {name} WHERE contains({column}, ?)", [value]).fetchone()
        if row and row[0]:
            result.places.append(Place(name.replace("store.meta_", "meta."), int(row[0])))
            if do:
                erase_containing(lake, name, column, value)


def _erase_backups(lake: Lake, storage: Storage, value: str, result: Erased, do: bool) -> None:
    """Backups of the catalog in which the value stands (as least or greatest value of a file's column). One of now takes their place."""
    holding = []
    for backup in list_backups(storage):
        with opened(storage, backup) as copy:
            count = occurrences(copy, value.encode())
        if count:
            holding.append(backup)
            result.places.append(Place(f"archive {backup.path}", count))
    if holding and do:
        backup_catalog(lake)
        for backup in holding:
            remove_backup(storage, backup)


def _count_lake(lake: Lake, match: Match) -> dict[date, int]:
    definition = match.definition
    day = "day" if definition.has_day else f"DATE '{NO_DAY}'"
    rows = lake.connection.execute(
        f"SELECT {day}, count(*) FROM {definition.full_name} WHERE {match.condition} GROUP BY ALL", match.values
    ).fetchall()
    return {r[0]: int(r[1]) for r in rows if r[1]}


def _refuse_legal_holds(lake: Lake, days: dict[str, dict[date, int]], sealed: Sequence[Family]) -> None:
    today = utc_now(lake.connection).date()
    touched = {(table, day) for table, counts in days.items() for day in counts}
    touched |= {(f.bundles[0].table, f.bundles[0].day) for f in sealed}
    for held in placed_holds(lake):
        covered = [t for t in sorted(touched) if held.kind == "legal" and held.covers(*t, today)]
        if covered:
            table, day = covered[0]
            raise RetentionError(f"{table} {day} is under {held.label}; nothing was erased. Lift it with `lakebed hold remove`")


def _remains(now: datetime) -> tuple[str, ...]:
    """Until when what was replaced can still be read, if the nightly clean-up (`tidy`) runs: snapshots stay a day, their files until the
    second midnight after they expired."""
    expiry = _next_night(now + GRACE)
    removal = datetime.combine(expiry.date() + timedelta(days=2), NIGHTLY)
    return (
        f"older snapshots of the lake show the rows until the clean-up of {expiry:%Y-%m-%d %H:%M} UTC, because nothing younger than a day "
        "may expire. Their files, and the least and greatest values that the catalog keeps of them, go with that of "
        f"{removal:%Y-%m-%d %H:%M} UTC",
        f"backups of the catalog that are made before {removal:%Y-%m-%d %H:%M} UTC hold such values too; erase again then to have them go",
        "derived days are built again from the rows that are left by the next `lakebed run`",
    )


def _next_night(moment: datetime) -> datetime:
    tonight = datetime.combine(moment.date(), NIGHTLY)
    return tonight if tonight >= moment else tonight + timedelta(days=1)
