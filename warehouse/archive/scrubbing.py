"""The scrub: every file of the lake and of the archive read again and compared with what it was when it was written.

What is damaged in the lake is put back from a bundle that holds the same rows; where there is none, its day is blocked, so that nothing
is archived, rolled up or published from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import date

import duckdb

from warehouse.archive.file_hashes import Damage, LakeFile, damages, fresh_damages, lake_storage, live_files, record_new, recorded
from warehouse.archive.parquet import open_rows
from warehouse.archive.records import Bundle, active_bundles, read_manifest, recorded_bundles
from warehouse.archive.restoring import RESTORED, load_day
from warehouse.archive.stand_ins import stand_in
from warehouse.archive.storage import storage_of
from warehouse.archive.verifying import Verification, verify
from warehouse.contracts import CONTRACTS, Contract
from warehouse.errors import ArchiveError, LakeError
from warehouse.lake.connection import scratch
from warehouse.lake.lake import Lake
from warehouse.lake.rewriting import put_day
from warehouse.lake.state import DayState

HEALED = "healed from the archive"


@dataclass(frozen=True, slots=True)
class Finding:
    """Damage to the lake and what became of it. rows: of the file; outcome: how it was healed, or why not."""

    kind: str
    table: str
    day: date
    path: str
    rows: int
    healed: bool
    outcome: str


@dataclass(slots=True)
class Scrubbed:
    """What a scrub read. recorded: files seen for the first time, which were decoded and whose hash stands now."""

    files: int = 0
    recorded: int = 0
    findings: list[Finding] = field(default_factory=list)
    archive: Verification = field(default_factory=Verification)
    seconds: float = 0.0

    @property
    def unhealed(self) -> int:
        """Damages that need a person, in lake and archive."""
        return sum(not f.healed for f in self.findings) + len(self.archive.problems)


def scrub(lake: Lake, *, run_id: str | None = None, progress: Callable[[str], None] = lambda _message: None) -> Scrubbed:
    """Read everything, heal what can be healed. Damage is in the result; raises nothing for it."""
    started = time.monotonic()
    progress("files of the lake")
    files = live_files(lake)
    result = Scrubbed(len(files), findings=set_aside(lake, damages(lake, files), run_id))
    files = live_files(lake)
    unreadable = _unreadable(lake, files, result)
    result.findings += set_aside(lake, unreadable, run_id)
    broken = {d.file.path for d in unreadable} | {f.path for f in result.findings}
    result.recorded = record_new(lake, [f for f in live_files(lake) if f.path not in broken])
    result.archive = verify(lake, progress=progress)
    result.seconds = time.monotonic() - started
    return result


def set_aside_damaged(lake: Lake, tables: Collection[str], days: Collection[date], run_id: str | None = None) -> list[Finding]:
    """Check the files of days of tables before something is made of them; damaged days are healed or blocked. Reads each at most hourly."""
    return set_aside(lake, fresh_damages(lake, tables, days), run_id)


def _unreadable(lake: Lake, files: Sequence[LakeFile], result: Scrubbed) -> list[Damage]:
    """Files without a hash are decoded once, with the checksums of their pages where they have them."""
    known = recorded(lake, files)
    storage = lake_storage(lake)
    found = []
    for file in files:
        if file.path in known:
            continue
        try:
            with storage.reading(file.path) as path:
                for _batch in open_rows(path):
                    pass
        except ArchiveError as error:
            found.append(Damage("unreadable file", file, str(error)))
    return found


def set_aside(lake: Lake, found: Sequence[Damage], run_id: str | None) -> list[Finding]:
    """Heal the days of damaged files from the archive, or block them; what became of each file."""
    by_storage = {c.storage_name: c for c in CONTRACTS.values()}
    days: dict[tuple[str, date], list[Damage]] = {}
    for damage in found:
        days.setdefault((damage.file.storage_name, damage.file.day), []).append(damage)
    findings = []
    for (storage_name, day), group in days.items():
        definition = by_storage[storage_name]
        outcome = _mend(lake, definition, day, [d.file for d in group], run_id)
        findings += [Finding(d.kind, definition.full_name, day, d.file.path, d.file.rows, *outcome) for d in group]
    return findings


def _mend(lake: Lake, definition: Contract, day: date, files: Sequence[LakeFile], run_id: str | None) -> tuple[bool, str]:
    """Put a day back from the archive when a bundle holds what the lake should, else block it: whether it is healed, and how or why not."""
    state = lake.states(definition.full_name, [day]).get(day)
    dropped = state is not None and state.state == "dropped"
    if state is not None and state.state not in ("blocked", "dropped"):
        lake.set_states(definition.full_name, {day: ("blocked", "damaged: a file is not what was written; see `lakebed archive scrub`")})
    try:
        bundles, problem = _sound_bundles(lake, definition, day, state)
        if problem is None:
            return True, _put_back(lake, definition, day, bundles, files, run_id)
    except (ArchiveError, LakeError, duckdb.Error) as error:
        problem = f"it could not be put back from its bundle: {str(error).splitlines()[0]}"
    if dropped:
        return False, f"{problem}; the day stays dropped and is left alone: mend the disk, then put the file back from a copy"
    return False, f"{problem}; the day is blocked: mend the disk, then land or derive it again"


def _sound_bundles(lake: Lake, definition: Contract, day: date, state: DayState | None) -> tuple[list[Bundle], str | None]:
    """The bundles that hold a day as the lake should, or why there are none."""
    bundles = active_bundles(recorded_bundles(lake), table=definition.full_name, days=(day, day))
    if not bundles or not definition.has_day:
        return [], "no bundle holds it"
    if state is not None and state.state == "dropped":  # under the version that was sealed, of what may be as many rows, but others
        return [], "retention took rows of the day, and its bundles hold those and not the ones that stayed"
    sealed = read_manifest(storage_of(lake), bundles[-1])
    same = state is not None and (state.version == sealed.day_version or _came_from_the_archive(lake, definition, day, state.version))
    if state is None or not same or state.row_count != sum(b.row_count for b in bundles):
        return [], "the bundle was sealed before the day was written last"
    return bundles, None


def _put_back(lake: Lake, definition: Contract, day: date, bundles: Sequence[Bundle], files: Sequence[LakeFile], run_id: str | None) -> str:
    with scratch(lake.settings.lake) as connection:
        load_day(connection, storage_of(lake), definition, bundles)
        for file in files:
            stand_in(lake, definition, file)
        rows = put_day(lake, definition, day, connection, "restored", reason=HEALED, run_id=run_id)
    return f"{rows} rows put back from bundle {bundles[-1].bundle_id}; the day is checked again by the next run"


def _came_from_the_archive(lake: Lake, definition: Contract, day: date, version: int) -> bool:
    """Whether this version of a day was written by a restore (and by nothing since, or it would be another version)."""
    row = lake.connection.execute(
        """SELECT 1 FROM store.meta_day_state
           WHERE table_name = ? AND day = ? AND version = ? AND list_contains(?::VARCHAR[], reason) LIMIT 1""",
        [definition.full_name, day, version, [HEALED, RESTORED]],
    ).fetchone()
    return row is not None
