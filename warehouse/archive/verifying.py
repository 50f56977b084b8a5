"""Verifying: every object of the archive against the manifests, the manifests against the lake's records, their end against the head.

Hashing takes nearly all the time and runs on a few threads (hashlib lets go of the interpreter). Nothing of the rows is decoded here."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date

from warehouse.archive.backup import backup_problems
from warehouse.archive.head import read_head, write_head
from warehouse.archive.keys import SIGNING, proof, signing_key
from warehouse.archive.manifest import BundleFile, Manifest
from warehouse.archive.records import Bundle, finish_interrupted, read_manifest, recorded_bundles
from warehouse.archive.storage import HEAD, MANIFEST, PENDING, THREADS, TOMBSTONE, Storage, bundle_folders, storage_of, stray_files
from warehouse.errors import ArchiveError
from warehouse.lake.catalog import PATIENCE_S
from warehouse.lake.lake import Lake

BAD_PROOFS = {
    "unsigned": f"it carries no HMAC, and {SIGNING} is set; when all else is as sealed, `lakebed archive sign` signs it",
    "wrong key": f"it is signed with another key than {SIGNING} holds",
    "forged": "it was changed since Lakebed wrote it, or written without the key",
}

Listing = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it was sealed. rows: of that table and day, which cannot be trusted until it is mended."""

    kind: str
    path: str
    detail: str
    table: str | None = None
    day: date | None = None
    rows: int = 0


@dataclass(slots=True)
class Verification:
    """What was looked at, and what is wrong. Sizes in bytes. unproved: what could not be judged, and what it would take.

    abandoned_left: folders of seals that died and were not cleared, because writers were at work all the time."""

    bundles: int = 0
    files: int = 0
    rows: int = 0
    bytes: int = 0
    erased: int = 0
    problems: list[Problem] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)
    abandoned_left: int = 0
    seconds: float = 0.0


def verify(lake: Lake, *, table: str | None = None, progress: Callable[[str], None] = lambda _message: None) -> Verification:
    """Check every bundle (of a table, when given), the chain and its head. Problems are in the result; raises nothing for damage."""
    started = time.monotonic()
    storage, result = storage_of(lake), Verification()
    chain = _chain(lake, storage, result)
    listing = storage.listing()
    folders = bundle_folders(listing)
    chosen = [b for b in chain if table is None or b.table == table]
    manifests = _manifests(storage, chain, {b.bundle_id for b in chosen}, result)
    _check_head(lake, storage, chain, result)
    _check_bundles(storage, chosen, chain, manifests, folders, result, progress)
    _check_strays(storage, chain, listing, folders, result, table)
    result.seconds = time.monotonic() - started
    return result


def _chain(lake: Lake, storage: Storage, result: Verification) -> list[Bundle]:
    try:
        result.abandoned_left = finish_interrupted(lake, storage, patience_s=PATIENCE_S)
        return recorded_bundles(lake)
    except ArchiveError as error:
        result.problems.append(Problem("broken chain", "meta.archive_bundles", str(error)))
        return []


def _manifests(storage: Storage, chain: Sequence[Bundle], chosen: set[str], result: Verification) -> dict[str, Manifest]:
    """The manifests that are as they were sealed; of the others, those of chosen bundles are problems."""

    def read(bundle: Bundle) -> Manifest | ArchiveError:
        try:
            return read_manifest(storage, bundle)
        except ArchiveError as error:
            return error

    found: dict[str, Manifest] = {}
    with ThreadPoolExecutor(THREADS) as threads:
        for bundle, manifest in zip(chain, threads.map(read, chain), strict=True):
            if isinstance(manifest, Manifest):
                found[bundle.bundle_id] = manifest
            elif bundle.bundle_id in chosen:
                kind = "missing manifest" if "missing" in str(manifest) else "edited manifest"
                _doubt(result, bundle, kind, MANIFEST, str(manifest))
    return found


def _doubt(result: Verification, bundle: Bundle, kind: str, name: str, detail: str, rows: int | None = None) -> None:
    counted = bundle.row_count if rows is None else rows
    result.problems.append(Problem(kind, f"{bundle.path}/{name}", detail, bundle.table, bundle.day, counted))


def _check_head(lake: Lake, storage: Storage, chain: Sequence[Bundle], result: Verification) -> None:
    """A head that a dying seal left behind (the first one: none) is brought up to date; one that names what the lake does not know is a
    problem."""
    try:
        head = read_head(storage)
    except ArchiveError as error:
        result.problems.append(Problem("edited head", HEAD, str(error)))
        return
    if head is None:
        if len(chain) == 1:
            _renew_head(lake, storage)
        elif chain:
            detail = f"{len(chain)} bundle(s) are recorded; when all else is as sealed, `lakebed archive sign` writes it"
            result.problems.append(Problem("missing head", HEAD, detail))
        return
    if head.proof == "no key":
        result.unproved.append(f"that no bundle is missing at the end, and that tombstones are ours: set {SIGNING} to prove it")
    elif head.proof != "proved":
        kind = "wrong key" if head.proof == "wrong key" else f"{head.proof} head"
        result.problems.append(Problem(kind, HEAD, BAD_PROOFS[head.proof]))
        return
    if head.is_behind(chain):
        if signing_key() is not None or head.key is None:
            _renew_head(lake, storage)
    elif not head.is_end_of(chain):
        detail = f"it names {head.bundle_id} as number {head.count}; the lake records {len(chain)} bundle(s)"
        result.problems.append(Problem("lost bundles", HEAD, f"{detail}: its records were rolled back, or belong to another archive"))


def _renew_head(lake: Lake, storage: Storage) -> None:
    with lake.catalog.lock(("archive", "meta.archive_bundles")):
        write_head(storage, recorded_bundles(lake))


def _check_bundles(
    storage: Storage,
    chosen: Sequence[Bundle],
    chain: Sequence[Bundle],
    manifests: dict[str, Manifest],
    folders: Listing,
    result: Verification,
    progress: Callable[[str], None],
) -> None:
    outstanding: list[tuple[Bundle, BundleFile, int]] = []
    for bundle in chosen:
        result.bundles += 1
        manifest, there = manifests.get(bundle.bundle_id), folders.get(bundle.path, {})
        if manifest is None:
            continue
        if (manifest.previous["manifest_sha256"] if manifest.previous else None) != bundle.previous_sha256:
            _doubt(result, bundle, "broken chain", MANIFEST, "the manifest names another predecessor than the record")
        if not _is_of(manifest, bundle):
            _doubt(result, bundle, "altered record", MANIFEST, "meta.archive_bundles says something else of it than the manifest")
        erased = TOMBSTONE in there and _erased(storage, bundle, chain, result)
        _check_names(bundle, manifest, there, erased, result)
        if erased:
            result.erased += 1
            continue
        for file in manifest.files:
            result.files += 1
            if file.name in there:
                outstanding.append((bundle, file, there[file.name]))
            else:
                _doubt(result, bundle, "missing file", file.name, _as_sealed(file), file.rows)
    owners = {f.sha256: f"{b.path}/{f.name}" for b in chain if b.bundle_id in manifests for f in manifests[b.bundle_id].files}
    _check_contents(storage, outstanding, owners, result, progress)


def _is_of(manifest: Manifest, bundle: Bundle) -> bool:
    """Whether record and manifest agree on what the bundle is."""
    said = (manifest.bundle_id, manifest.table, manifest.day, manifest.row_count, manifest.size_bytes, manifest.rows_digest)
    recorded = (bundle.bundle_id, bundle.table, str(bundle.day), bundle.row_count, bundle.bytes, bundle.rows_digest)
    return said == recorded and tuple(manifest.supersedes) == bundle.supersedes


def _check_names(bundle: Bundle, manifest: Manifest, there: dict[str, int], erased: bool, result: Verification) -> None:
    sealed = {f.name for f in manifest.files}
    for name in there:
        if name in sealed:
            if erased:
                _doubt(result, bundle, "added file", name, "an erased file is there again", 0)
        elif name not in (MANIFEST, PENDING, TOMBSTONE):
            _doubt(result, bundle, "added file", name, "the manifest does not name it", 0)


def _check_contents(
    storage: Storage,
    outstanding: Sequence[tuple[Bundle, BundleFile, int]],
    owners: dict[str, str],
    result: Verification,
    progress: Callable[[str], None],
) -> None:
    def digest(path: str) -> str | ArchiveError:
        try:
            return storage.digest(path)
        except ArchiveError as error:
            return error

    with ThreadPoolExecutor(THREADS) as threads:
        digests: Iterable[str | ArchiveError] = threads.map(digest, [f"{b.path}/{f.name}" for b, f, _size in outstanding])
        for number, ((bundle, file, size), found) in enumerate(zip(outstanding, digests, strict=True), 1):
            progress(f"{bundle.path} ({number} of {len(outstanding)})")
            if found == file.sha256:
                result.rows, result.bytes = result.rows + file.rows, result.bytes + file.bytes
            elif isinstance(found, ArchiveError):
                _doubt(result, bundle, "unreadable file", file.name, str(found), file.rows)
            elif owners.get(found, f"{bundle.path}/{file.name}") != f"{bundle.path}/{file.name}":
                _doubt(result, bundle, "swapped file", file.name, f"holds what belongs to {owners[found]}", file.rows)
            else:
                _doubt(result, bundle, "truncated file" if size < file.bytes else "changed file", file.name, _as_sealed(file), file.rows)


def _as_sealed(file: BundleFile) -> str:
    return f"sealed with {file.bytes} bytes, sha256 {file.sha256}"


def _erased(storage: Storage, bundle: Bundle, chain: Sequence[Bundle], result: Verification) -> bool:
    """Whether the bundle's rows moved to another one because a subject was erased: the record, the tombstone and, with a key, its HMAC
    must say so."""
    heirs = [b for b in chain if bundle.bundle_id in b.supersedes and b.rows_erased is not None]
    try:
        content = storage.read(f"{bundle.path}/{TOMBSTONE}")
        named, proved = json.loads(content).get("superseded_by"), proof("tombstone", content, signing_key())
    except (ValueError, AttributeError, ArchiveError):
        named, proved = None, "no key"
    if named not in [h.bundle_id for h in heirs]:  # several subjects: the tombstone names the heir of the last of them
        detail = "no erasure is recorded for this bundle" if not heirs else f"it does not name {heirs[0].bundle_id}, which took its rows"
        _doubt(result, bundle, "false tombstone", TOMBSTONE, detail)
        return False
    if proved in BAD_PROOFS:
        _doubt(result, bundle, "false tombstone" if proved == "forged" else f"{proved} tombstone", TOMBSTONE, BAD_PROOFS[proved])
    return proved != "forged"


def _check_strays(
    storage: Storage, chain: Sequence[Bundle], listing: dict[str, int], folders: Listing, result: Verification, table: str | None
) -> None:
    known = {b.path for b in chain}
    for folder, names in folders.items():
        if folder not in known and MANIFEST in names and (table is None or folder.startswith(f"{table}/")):
            result.problems.append(_unknown_bundle(storage, folder))
    if table is None:
        result.problems += [Problem("added file", name, "it belongs to no bundle") for name in stray_files(listing)]
        result.problems += [Problem(*found) for found in backup_problems(storage, listing)]


def _unknown_bundle(storage: Storage, folder: str) -> Problem:
    """A bundle that the lake has no record of, with what it says of itself."""
    detail = "the lake has no record of it"
    try:
        manifest = Manifest.decode(storage.read(f"{folder}/{MANIFEST}"), folder)
        return Problem("added bundle", folder, detail, manifest.table, date.fromisoformat(manifest.day), manifest.row_count)
    except (ArchiveError, ValueError):
        return Problem("added bundle", folder, detail)
