"""Bringing back a lake whose SQLite catalog is lost or damaged: from the newest sound backup, the archive's own manifests, and what the
files of the ingest log tell of the time since. What cannot be proved is said, and nothing is deleted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from warehouse.archive.backup import Backup, check_copy, opened, readable_backups
from warehouse.archive.file_hashes import Damage, lake_storage, live_files
from warehouse.archive.head import write_head
from warehouse.archive.manifest import Manifest, sha256_of
from warehouse.archive.records import Bundle, recorded_bundles
from warehouse.archive.scrubbing import set_aside
from warehouse.archive.storage import MANIFEST, TOMBSTONE, Storage, bundle_folders, open_storage
from warehouse.errors import ArchiveError
from warehouse.lake.catalog import Catalog
from warehouse.lake.lake import Lake
from warehouse.lake.state import insert
from warehouse.settings import Settings


def catalog_problem(settings: Settings) -> str | None:
    """Why the SQLite catalog cannot be used although the lake has files, or that bringing it back was not finished; None when it can, or
    there is nothing to bring back."""
    catalog = Catalog.of(settings)
    problem = _damage(catalog)
    if problem is None and catalog.recovering is not None and catalog.recovering.exists():
        return f"bringing back the catalog {catalog.address} was not finished"
    return problem


def _damage(catalog: Catalog) -> str | None:
    if catalog.kind != "sqlite" or not catalog.has_files():
        return None
    file = Path(catalog.address)
    if not file.exists() or not file.stat().st_size:
        return f"the catalog {file} is {'missing' if not file.exists() else 'empty'}, and {catalog.data_path} holds files"
    try:
        check_copy("sqlite", file)
    except ArchiveError as error:
        return f"{file}: {error}"
    return None


def recover_catalog(settings: Settings) -> Iterator[str]:
    """Put the newest sound backup in the place of a catalog that is lost or damaged; says each thing that was done or is not proved.

    A recovery that died is gone on with: its marker, which holds its time, stays until the last step is done.
    Does nothing when the catalog is sound. Raises ArchiveError when no backup is; the damaged catalog then stays as it is."""
    catalog, problem = Catalog.of(settings), catalog_problem(settings)
    marker = catalog.recovering
    if problem is None or marker is None:
        return
    yield problem
    storage = open_storage(settings)
    stamp = (marker.read_text() if marker.exists() else "") or f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    with catalog.lock(("catalog",)):
        if _damage(catalog) is not None:
            backup = yield from _put_back(storage, Path(catalog.address), marker, stamp)
            yield f"the catalog is that of {backup.taken_at} UTC, snapshot {backup.snapshot}, from {backup.path}"
    with Lake.open(settings) as lake:
        yield from _set_orphans_aside(lake, stamp)
        yield from _adopt_bundles(lake, storage)
        yield from _missing_files(lake)
    marker.unlink()
    yield "contents of the files were not compared: `lakebed archive scrub` does it; then `lakebed run` reads what the sources still have"


def _put_back(storage: Storage, catalog: Path, marker: Path, stamp: str) -> Generator[str, None, Backup]:
    backups, unreadable = readable_backups(storage)
    for error in unreadable:
        yield f"not proved: a backup is of no use: {error}"
    for backup in reversed(backups):
        try:
            with opened(storage, backup) as copy:
                check_copy("sqlite", copy)
                catalog.parent.mkdir(parents=True, exist_ok=True)
                fresh = catalog.with_name(f"{catalog.name}.fresh")
                shutil.copyfile(copy, fresh)
        except ArchiveError as error:
            yield f"backup {backup.backup_id} is of no use: {error}"
            continue
        marker.write_text(stamp)
        for file in (catalog, *(catalog.with_name(f"{catalog.name}{end}") for end in ("-wal", "-shm"))):
            if file.exists():
                file.rename(file.with_name(f"{file.name}.damaged-{stamp}"))
                yield f"kept {file.name} as {file.name}.damaged-{stamp}"
        fresh.replace(catalog)
        return backup
    raise ArchiveError("the archive has no sound backup of the catalog; nothing was changed")


def _set_orphans_aside(lake: Lake, stamp: str) -> Iterator[str]:
    """Files that the old catalog does not know were written after the backup: clean-up would delete them. The files of the ingest log
    among them tell which batches they are of."""
    orphans = _orphans(lake)
    target = lake.data_folder.with_name(f"{lake.data_folder.name}.set-aside-{stamp}") if lake.data_folder is not None else None
    before = sorted(target.rglob("*.parquet")) if target is not None else []  # by a recovery that died, which may not have said so
    files = [str(p) for p in before] + [lake.catalog.data_path + p for p in orphans]
    batches = _batches_of(lake, [p for p in files if "/meta_ingest_log/" in p])
    for source, origin, table, rows, committed in batches:
        when = f"committed {committed:%Y-%m-%d %H:%M:%S}"
        yield f"not proved: {rows} rows of {table} from {source} ({origin}), {when}; deliver or read it again"
    if not files:
        yield "no file was written since the backup"
        return
    if lake.data_folder is None or target is None:
        yield f"{len(orphans)} file(s) written since lie under {lake.catalog.data_path}; copy them before the clean-up removes them in 24 h"
        return
    for path in orphans:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (lake.data_folder / path).rename(target / path)
    yield f"moved {len(files)} file(s) that were written since the backup to {target}; remove them once their rows are in the lake again"


def _orphans(lake: Lake) -> list[str]:
    """Parquet files under the data path that no snapshot of the catalog names and that are not waiting to be deleted."""
    rows = lake.connection.execute(
        """SELECT path FROM __ducklake_metadata_lake.ducklake_data_file
           UNION SELECT path FROM __ducklake_metadata_lake.ducklake_delete_file
           UNION SELECT path FROM __ducklake_metadata_lake.ducklake_files_scheduled_for_deletion"""
    ).fetchall()
    known = {str(path).rpartition("/")[2] for (path,) in rows}  # names hold a UUID: no two files share one
    return [p for p in lake_storage(lake).listing() if p.endswith(".parquet") and p.rpartition("/")[2] not in known]


def _batches_of(lake: Lake, files: list[str]) -> list[tuple[str, str, str, int, datetime]]:
    if not files:
        return []
    return lake.connection.execute(
        """SELECT DISTINCT source, origin, table_name, rows_landed, committed_at FROM read_parquet(?, union_by_name = true)
           WHERE rows_landed > 0 AND batch_id NOT IN (SELECT batch_id FROM meta.ingest_log) ORDER BY committed_at, table_name""",
        [files],
    ).fetchall()


def _adopt_bundles(lake: Lake, storage: Storage) -> Iterator[str]:
    """Record again the bundles that were sealed after the backup: each manifest must name the one before it by its hash."""
    folders = bundle_folders(storage.listing())
    with lake.catalog.lock(("archive", "meta.archive_bundles")):
        chain = recorded_bundles(lake)
        known = {b.path for b in chain}
        found: dict[str | None, Bundle] = {}
        for folder, names in folders.items():
            if MANIFEST in names and folder not in known:
                try:
                    bundle = _bundle(storage, folder)
                except (ArchiveError, ValueError, KeyError, TypeError) as error:
                    yield f"not proved: the bundle {folder} is not recorded, because its manifest cannot be read: {error}"
                    continue
                found[bundle.previous_sha256] = bundle
        added: list[Bundle] = []
        while (end := (added or chain)[-1].manifest_sha256 if added or chain else None) in found:
            bundle = found.pop(end)
            heir = any(TOMBSTONE in folders.get(b.path, {}) and _superseded_by(storage, b) == bundle.bundle_id for b in [*chain, *added])
            added.append(bundle if not heir else _as_heir(bundle))
        if added:
            insert(lake.connection, "store.meta_archive_bundles", [b.record() for b in added])
            write_head(storage, [*chain, *added])
    yield f"{len(added)} bundle(s) that were sealed since are recorded again, by their chain"
    for bundle in found.values():
        yield f"not proved: {bundle.path} ({bundle.row_count} rows of {bundle.table} {bundle.day}) follows no recorded bundle"


def _bundle(storage: Storage, folder: str) -> Bundle:
    content = storage.read(f"{folder}/{MANIFEST}")
    manifest = Manifest.decode(content, folder)
    return Bundle(
        manifest.bundle_id,
        manifest.table,
        date.fromisoformat(manifest.day),
        folder,
        sha256_of(content),
        manifest.previous["manifest_sha256"] if manifest.previous else None,
        manifest.row_count,
        manifest.size_bytes,
        manifest.rows_digest,
        datetime.fromisoformat(manifest.sealed_at),
        tuple(manifest.supersedes),
        None,
        tuple(str(c["name"]) for c in manifest.columns),
        manifest.encryption["key"] if manifest.encryption else None,
    )


def _superseded_by(storage: Storage, bundle: Bundle) -> str | None:
    named = json.loads(storage.read(f"{bundle.path}/{TOMBSTONE}")).get("superseded_by")
    return str(named) if named is not None else None


def _as_heir(bundle: Bundle) -> Bundle:
    """How many rows were erased is in no manifest: 0 stands for an unknown number."""
    return replace(bundle, rows_erased=0)


def _missing_files(lake: Lake) -> Iterator[str]:
    """Files of the backup's time that are gone (settled or dropped since, and cleaned up)."""
    there = lake_storage(lake).listing()
    missing = [Damage("missing file", f, "it went after the backup") for f in live_files(lake) if f.path not in there]
    for finding in set_aside(lake, missing, None):
        yield f"{'healed' if finding.healed else 'not proved'}: {finding.rows} rows of {finding.table} {finding.day}: {finding.outcome}"
