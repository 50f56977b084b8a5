"""The scrub: every file of the lake and of the archive read again and compared with what it was when it was written.

What is damaged in the lake is put back from a bundle that holds the same rows; where there is none, its day is blocked, so that nothing
is archived, rolled up or published from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import date

from warehouse.archive.file_hashes import Damage, LakeFile, damages, fresh_damages, lake_storage, live_files, record_new
from warehouse.archive.parquet import open_rows
from warehouse.archive.records import active_bundles, read_manifest, recorded_bundles
from warehouse.archive.restoring import RESTORED, load_day
from warehouse.archive.storage import storage_of
from warehouse.archive.verifying import Verification, verify
from warehouse.contracts import CONTRACTS, Contract
from warehouse.errors import ArchiveError, LakeError
from warehouse.lake.connection import scratch
from warehouse.lake.lake import Lake
from warehouse.lake.rewriting import put_day

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
    result = Scrubbed(len(files), findings=_set_aside(lake, damages(lake, files), run_id))
    files = live_files(lake)
    unreadable = _unreadable(lake, files, result)
    result.findings += _set_aside(lake, unreadable, run_id)
    broken = {d.file.path for d in unreadable} | {f.path for f in result.findings}
    result.recorded = record_new(lake, [f for f in live_files(lake) if f.path not in broken])
    result.archive = verify(lake, progress=progress)
    result.seconds = time.monotonic() - started
    return result


def set_aside_damaged(lake: Lake, tables: Collection[str], days: Collection[date], run_id: str | None = None) -> list[Finding]:
    """Check the files of days of tables before something is made of them; damaged days are healed or blocked. Reads each at most hourly."""
    return _set_aside(lake, fresh_damages(lake, tables, days), run_id)


def _unreadable(lake: Lake, files: Sequence[LakeFile], result: Scrubbed) -> list[Damage]:
    """Files without a hash are decoded once, with the checksums of their pages where they have them."""
    known = {r[0] for r in lake.connection.execute("SELECT path FROM meta.file_hashes").fetchall()}
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


def _set_aside(lake: Lake, found: Sequence[Damage], run_id: str | None) -> list[Finding]:
    by_storage = {c.storage_name: c for c in CONTRACTS.values()}
    outcomes: dict[tuple[str, date], tuple[bool, str]] = {}
    findings = []
    for damage in found:
        definition, day = by_storage[damage.file.storage_name], damage.file.day
        key = definition.full_name, day
        if key not in outcomes:
            outcomes[key] = _mend(lake, definition, day, run_id)
        findings.append(Finding(damage.kind, *key, damage.file.path, damage.file.rows, *outcomes[key]))
    return findings


def _mend(lake: Lake, definition: Contract, day: date, run_id: str | None) -> tuple[bool, str]:
    """Put a day back from the archive when a bundle holds what the lake should, else block it: whether it is healed, and how or why not."""
    try:
        healed = _restore(lake, definition, day, run_id)
    except (ArchiveError, LakeError) as error:
        healed = f"the bundle is no help: {error}", False
    if healed[1]:
        return True, healed[0]
    state = lake.states(definition.full_name, [day]).get(day)
    if state is not None and state.state not in ("blocked", "dropped"):
        lake.set_states(definition.full_name, {day: ("blocked", "damaged: a file is not what was written; see `lakebed archive scrub`")})
    return False, f"{healed[0]}; the day is blocked: mend the disk, then land or derive it again"


def _restore(lake: Lake, definition: Contract, day: date, run_id: str | None) -> tuple[str, bool]:
    bundles = active_bundles(recorded_bundles(lake), table=definition.full_name, days=(day, day))
    if not bundles or not definition.has_day:
        return "no bundle holds it", False
    state, storage = lake.states(definition.full_name, [day]).get(day), storage_of(lake)
    sealed = read_manifest(storage, bundles[-1])
    same = state is not None and (state.version == sealed.day_version or _came_from_the_archive(lake, definition, day, state.version))
    if state is None or not same or state.row_count != sum(b.row_count for b in bundles):
        return "the bundle was sealed before the day was written last", False
    with scratch(lake.settings.lake) as connection:
        load_day(connection, storage, definition, bundles)
        rows = put_day(lake, definition, day, connection, "restored", reason=HEALED, run_id=run_id)
    return f"{rows} rows put back from bundle {bundles[-1].bundle_id}; the day is checked again by the next run", True


def _came_from_the_archive(lake: Lake, definition: Contract, day: date, version: int) -> bool:
    """Whether this version of a day was written by a restore (and by nothing since, or it would be another version)."""
    row = lake.connection.execute(
        """SELECT 1 FROM store.meta_day_state
           WHERE table_name = ? AND day = ? AND version = ? AND list_contains(?::VARCHAR[], reason) LIMIT 1""",
        [definition.full_name, day, version, [HEALED, RESTORED]],
    ).fetchone()
    return row is not None
