"""Sealing: the rows of a (table, day) as a bundle that counts only once it was read back equal and recorded in the lake.

Files first, manifest last. The chain: every manifest carries the sha256 of the manifest sealed before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import reduce
from operator import add
from uuid import uuid4

import pyarrow as pa

from warehouse.archive.file_hashes import refuse_damaged
from warehouse.archive.head import refuse_without_key, write_head
from warehouse.archive.manifest import ENCRYPTED, BundleFile, Manifest, columns_of, iso, lakebed_version, sha256_of
from warehouse.archive.parquet import Bound, bounds, read_back, write_rows
from warehouse.archive.records import Bundle, active_bundles, finish_interrupted, recorded_bundles
from warehouse.archive.storage import PENDING, Storage, bundle_path, storage_of
from warehouse.contracts import Contract, contract
from warehouse.errors import ArchiveError
from warehouse.lake.connection import identifier
from warehouse.lake.digest import BATCH_ROWS, Digest, rows_digest
from warehouse.lake.lake import Lake
from warehouse.lake.maintenance import refuse_shared_folder
from warehouse.lake.parquet_keys import ENCRYPTION, Key, encryption_keys
from warehouse.lake.partitions import Partition, SomeRows, partition
from warehouse.lake.state import insert, utc_now
from warehouse.lake.transaction import transaction

ROWS_FILE = "rows-00000.parquet"

Rows = Callable[[], pa.RecordBatchReader]
"""Opens the stream of rows at the last moment: another statement on the connection that feeds it would end it without an error."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed day. present: the files of the lake whose rows are in the bundles; already: they were before."""

    bundles: tuple[Bundle, ...]
    present: Partition
    already: bool


def seal(lake: Lake, table: str, day: date, *, some: SomeRows | None = None, run_id: str | None = None) -> Sealed:
    """Bring all rows of a day that the lake holds into the archive, or some of them, before they alone are dropped.

    Nothing is written when the day's bundles hold exactly these rows. A day that was dropped gets a supplementary bundle for what arrived
    since; a day that changed since it was sealed gets a bundle that supersedes the former ones.
    Raises ArchiveError when there is nothing to seal, a file of the lake is not what was written, or the bundle reads back otherwise."""
    refuse_shared_folder(lake)
    definition, storage = contract(table), storage_of(lake)
    finish_interrupted(lake, storage, f"{table}/day={day}")
    present = partition(lake.connection, definition.storage_name, day)
    if not present.row_count or not definition.has_day:
        raise ArchiveError(f"{table} has no rows on {day} to seal")
    refuse_damaged(lake, table, day)
    former = active_bundles(recorded_bundles(lake), table=table, days=(day, day))
    if former and reduce(add, (b.digest for b in former)) == _lake_digest(lake, definition, day, some):
        return Sealed(tuple(former), present, already=True)
    state = lake.states(table, [day]).get(day)
    supersedes = () if state is not None and state.state == "dropped" else tuple(b.bundle_id for b in former)
    version = state.version if state else 0
    bundle = write_bundle(
        lake,
        storage,
        definition,
        day,
        lambda: _day_reader(lake, definition, day, some),
        version=version,
        supersedes=supersedes,
        run_id=run_id,
    )
    expected = present.row_count if some is None else some.row_count
    if bundle.row_count != expected:
        raise ArchiveError(f"{table} {day}: {bundle.row_count} rows were sealed where {expected} were expected; seal it again")
    kept = () if supersedes else tuple(former)
    return Sealed((*kept, bundle), present, already=False)


def day_query(definition: Contract, condition: str = "TRUE") -> str:
    """The SELECT of a day's rows for which a condition is TRUE, sorted; the day is bound, then the condition's values."""
    columns = ", ".join(identifier(n) for n in definition.column_names)
    return f"SELECT {columns} FROM {definition.full_name} WHERE day = ? AND ({condition}) {day_order(definition)}"


def day_order(definition: Contract) -> str:
    """ORDER BY the contract's sort key."""
    return f"ORDER BY {', '.join(identifier(n) for n in definition.sort_key)}" if definition.sort_key else ""


def write_bundle(
    lake: Lake,
    storage: Storage,
    definition: Contract,
    day: date,
    rows: Rows,
    *,
    version: int,
    supersedes: Sequence[str] = (),
    rows_erased: int | None = None,
    run_id: str | None = None,
) -> Bundle:
    """Write rows as a bundle, read it back, and record it as the next of the chain.

    Raises ArchiveError when it reads back otherwise, or a key is missing; nothing is sealed then."""
    key = wanted_key(lake)
    refuse_without_key(storage)
    bundle_id = f"{utc_now(lake.connection):%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"
    relative = bundle_path(definition.full_name, day, bundle_id)
    with lake.catalog.present():
        try:
            digest, file, times = _write_and_read_back(lake, storage, definition, relative, rows, key)
        except BaseException:
            storage.remove_folder(relative)
            raise
        manifest = Manifest(
            bundle_id=bundle_id,
            table=definition.full_name,
            day=day.isoformat(),
            row_count=digest.rows,
            size_bytes=file.bytes,
            rows_digest=digest.hex,
            time_column=definition.time_column,
            time_min=iso(times[0]),
            time_max=iso(times[1]),
            grain=list(definition.grain),
            columns=columns_of(definition),
            files=[file],
            day_version=version,
            supersedes=list(supersedes),
            previous=None,
            sealed_at="",
            lakebed_version=lakebed_version(),
            encryption={"key": key.fingerprint, "key_from": ENCRYPTION, "how": ENCRYPTED} if key else None,
        )
        bundle = _record(lake, storage, relative, manifest, rows_erased, run_id)
        storage.finish(relative)
        lake.step("sealed")
        return bundle


def wanted_key(lake: Lake) -> Key | None:
    """The key to encrypt with, when `[archive] encrypt` says so. Raises ArchiveError when there is none."""
    if not lake.settings.archive.encrypt:
        return None
    keys = encryption_keys()
    if not keys:
        raise ArchiveError(f"archive.encrypt is true and {ENCRYPTION} is not set; nothing was sealed. `openssl rand -hex 32` makes a key")
    return keys[0]


def _write_and_read_back(
    lake: Lake, storage: Storage, definition: Contract, relative: str, rows: Rows, key: Key | None
) -> tuple[Digest, BundleFile, tuple[Bound, Bound]]:
    path = f"{relative}/{ROWS_FILE}"
    with lake.connection.cursor() as cursor:
        with storage.writing(path) as local:
            written = write_rows(local, rows(), cursor, key)
        lake.step("sealing")
        with storage.reading(path) as local:
            digest, file = read_back(local, cursor, key)
            if digest != written:
                raise ArchiveError(f"{storage.url(path)} does not read back as the {written.rows} rows written; nothing was sealed")
            return digest, file, bounds(local, definition.time_column, key)


def _record(lake: Lake, storage: Storage, relative: str, manifest: Manifest, rows_erased: int | None, run_id: str | None) -> Bundle:
    """Under the archive's lock: chain the manifest to the newest bundle, put it beside the files as pending, commit its record.

    What dies before the commit leaves no bundle; what dies after it is finished by the next seal or verification."""
    connection = lake.connection
    with lake.catalog.lock(("archive", "meta.archive_bundles")) as held:
        chain = recorded_bundles(lake)
        newest = chain[-1] if chain else None
        now = utc_now(connection)
        previous = {"bundle_id": newest.bundle_id, "manifest_sha256": newest.manifest_sha256} if newest else None
        content = replace(manifest, previous=previous, sealed_at=now.isoformat()).encode()
        bundle = Bundle(
            manifest.bundle_id,
            manifest.table,
            date.fromisoformat(manifest.day),
            relative,
            sha256_of(content),
            newest.manifest_sha256 if newest else None,
            manifest.row_count,
            manifest.size_bytes,
            manifest.rows_digest,
            now,
            tuple(manifest.supersedes),
            rows_erased,
            tuple(str(c["name"]) for c in manifest.columns),
            manifest.encryption["key"] if manifest.encryption else None,
        )
        storage.write(f"{relative}/{PENDING}", content)
        lake.step("pending")
        with transaction(lake, ["store.meta_archive_bundles"], held, f"seal {relative}", author=run_id or "lakebed"):
            insert(connection, "store.meta_archive_bundles", [bundle.record()])
        lake.step("recorded")
        write_head(storage, [*chain, bundle])
    return bundle


def _lake_digest(lake: Lake, definition: Contract, day: date, some: SomeRows | None) -> Digest:
    with lake.connection.cursor() as cursor:
        return rows_digest(cursor, _day_reader(lake, definition, day, some))


def _day_reader(lake: Lake, definition: Contract, day: date, some: SomeRows | None) -> pa.RecordBatchReader:
    condition, values = (some.condition, some.values) if some else ("TRUE", ())
    return lake.connection.execute(day_query(definition, condition), [day, *values]).to_arrow_reader(BATCH_ROWS)
