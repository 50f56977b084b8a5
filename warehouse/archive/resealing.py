"""Taking rows out of bundles: what is left is sealed again as a bundle that supersedes, then the old files go and a tombstone says so.

A bundle is never changed in place. Its manifest stays, because the chain runs through it; it holds counts and hashes, no rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from warehouse.archive.keys import signed, signing_key
from warehouse.archive.records import Bundle, active_bundles, read_manifest, recorded_bundles
from warehouse.archive.restoring import load_day
from warehouse.archive.sealing import ROWS_FILE, day_order, write_bundle
from warehouse.archive.storage import TOMBSTONE, Storage
from warehouse.archive.subjects import Match
from warehouse.archive.views import refresh_views
from warehouse.contracts import Contract
from warehouse.lake.connection import scratch
from warehouse.lake.digest import BATCH_ROWS
from warehouse.lake.lake import Lake
from warehouse.lake.state import utc_now


@dataclass(frozen=True, slots=True)
class Family:
    """An active bundle, first, with those that it stands for and whose files may still be there. rows: of a subject in all of them."""

    bundles: tuple[Bundle, ...]
    match: Match
    rows: int


def families(lake: Lake, storage: Storage, match: Match) -> list[Family]:
    """The families of a table that hold rows of a match."""
    chain = recorded_bundles(lake)
    by_id = {b.bundle_id: b for b in chain}
    found = []
    for active in active_bundles(chain, table=match.definition.full_name):
        family, outstanding = [active], list(active.supersedes)
        while outstanding:
            old = by_id[outstanding.pop()]
            if old not in family:
                family.append(old)
                outstanding += old.supersedes
        rows = sum(_count(lake, storage, match, bundle) for bundle in family)
        if rows:
            found.append(Family(tuple(family), match, rows))
    return found


def _count(lake: Lake, storage: Storage, match: Match, bundle: Bundle) -> int:
    if TOMBSTONE in storage.files(bundle.path):
        return 0
    with scratch(lake.settings.lake) as connection:
        load_day(connection, storage, match.definition, [bundle])
        row = connection.execute(f"SELECT count(*) FROM restored WHERE {match.condition}", match.values).fetchone()
        return int(row[0]) if row else 0


def reseal(lake: Lake, storage: Storage, family: Family, run_id: str | None) -> Bundle:
    """Seal the other rows of a family's active bundle as the heir of all of it. The old files are still there: `bury` them."""
    active, definition = family.bundles[0], family.match.definition
    version = read_manifest(storage, active).day_version
    with scratch(lake.settings.lake) as connection:
        load_day(connection, storage, definition, [active])
        connection.execute(f"DELETE FROM restored WHERE {family.match.condition}", family.match.values)
        return write_bundle(
            lake,
            storage,
            definition,
            active.day,
            lambda: _reader(connection, definition),
            version=version,
            supersedes=[b.bundle_id for b in family.bundles],
            rows_erased=family.rows,
            run_id=run_id,
        )


def _reader(connection: duckdb.DuckDBPyConnection, definition: Contract) -> pa.RecordBatchReader:
    return connection.execute(f"FROM restored {day_order(definition)}").to_arrow_reader(BATCH_ROWS)


def bury(lake: Lake, storage: Storage, bundles: Sequence[Bundle], heir: Bundle, reason: str) -> None:
    """The tombstone first: files that are gone without one are a loss, with one an erasure."""
    for old in bundles:
        lake.step("erasing")
        document = {
            "bundle_id": old.bundle_id,
            "superseded_by": heir.bundle_id,
            "reason": reason,
            "erased_at": utc_now(lake.connection).isoformat(),
        }
        storage.write(f"{old.path}/{TOMBSTONE}", signed("tombstone", document, signing_key()))
        storage.remove([f"{old.path}/{f.name}" for f in read_manifest(storage, old).files])


def finish_erasures(lake: Lake, storage: Storage) -> None:
    """Remove the files of bundles whose rows were sealed again for an erasure that died before it removed them; the views first, so that
    none names a file that is not there."""
    chain = recorded_bundles(lake)
    by_id = {b.bundle_id: b for b in chain}
    heirs = [b for b in chain if b.rows_erased is not None]
    outstanding = [(h, [by_id[o] for o in h.supersedes if _is_there(storage, by_id[o])]) for h in heirs]
    if any(old for _, old in outstanding):
        refresh_views(lake)
    for heir, old in outstanding:
        bury(lake, storage, old, heir, "erasure")


def _is_there(storage: Storage, bundle: Bundle) -> bool:
    """Whether a bundle is not buried, or what died between its tombstone and its files left some of them."""
    names = storage.files(bundle.path)
    return TOMBSTONE not in names or ROWS_FILE in names
