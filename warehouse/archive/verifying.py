"""Verification: every recorded bundle against what is on the disk, and what is on the disk against the records.

Found are a changed, truncated, missing, swapped or added file, an edited or missing manifest, a broken chain, a bundle that nobody
recorded; each with the rows it puts in doubt."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from warehouse.archive.folder import MANIFEST, PENDING, TOMBSTONE, ArchiveFolder
from warehouse.archive.manifest import Manifest
from warehouse.archive.records import Bundle, finish_interrupted, read_manifest, recorded_bundles
from warehouse.errors import ArchiveError
from warehouse.lake.identity import file_digest
from warehouse.lake.lake import Lake


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
    """What was looked at, and what is wrong. Sizes in bytes."""

    bundles: int = 0
    files: int = 0
    rows: int = 0
    bytes: int = 0
    erased: int = 0
    problems: list[Problem] = field(default_factory=list)
    seconds: float = 0.0


def verify(lake: Lake, *, table: str | None = None, progress: Callable[[str], None] = lambda _message: None) -> Verification:
    """Check every bundle (of a table, when given) and the chain. Problems are in the result; raises nothing for damage."""
    started = time.monotonic()
    archive, result = ArchiveFolder.of(lake), Verification()
    chain = _chain(lake, archive, result)
    chosen = [b for b in chain if table is None or b.table == table]
    manifests = {b.bundle_id: m for b in chain if (m := _manifest(archive, b, result if b in chosen else Verification())) is not None}
    owners = {f.sha256: f"{b.path}/{f.name}" for b in chain if b.bundle_id in manifests for f in manifests[b.bundle_id].files}
    for number, bundle in enumerate(chosen, 1):
        progress(f"{bundle.path} ({number} of {len(chosen)})")
        result.bundles += 1
        manifest = manifests.get(bundle.bundle_id)
        if manifest is not None:
            _check_previous(bundle, manifest, result)
            _check_files(archive, bundle, manifest, chain, owners, result)
    _check_strays(archive, chain, result, table)
    result.seconds = time.monotonic() - started
    return result


def _chain(lake: Lake, archive: ArchiveFolder, result: Verification) -> list[Bundle]:
    try:
        finish_interrupted(lake, archive)
        return recorded_bundles(lake)
    except ArchiveError as error:
        result.problems.append(Problem("broken chain", "meta.archive_bundles", str(error)))
        return []


def _manifest(archive: ArchiveFolder, bundle: Bundle, result: Verification) -> Manifest | None:
    try:
        return read_manifest(archive, bundle)
    except ArchiveError as error:
        kind = "edited manifest" if "edited" in str(error) else "missing manifest"
        result.problems.append(Problem(kind, f"{bundle.path}/{MANIFEST}", str(error), bundle.table, bundle.day, bundle.row_count))
        return None


def _check_previous(bundle: Bundle, manifest: Manifest, result: Verification) -> None:
    before = manifest.previous["manifest_sha256"] if manifest.previous else None
    if before != bundle.previous_sha256:
        detail = "the manifest names another predecessor than the record"
        result.problems.append(Problem("broken chain", f"{bundle.path}/{MANIFEST}", detail, bundle.table, bundle.day, bundle.row_count))


def _check_files(
    archive: ArchiveFolder, bundle: Bundle, manifest: Manifest, chain: Sequence[Bundle], owners: dict[str, str], result: Verification
) -> None:
    files = archive.files(bundle.path)
    erased = _erased(files, bundle, chain, result)
    names = {f.name for f in manifest.files}
    for name in files:
        if name not in {*names, MANIFEST, PENDING, TOMBSTONE} or (erased and name in names):
            detail = "an erased file is there again" if name in names else "the manifest does not name it"
            result.problems.append(Problem("added file", f"{bundle.path}/{name}", detail, bundle.table, bundle.day))
    if erased:
        result.erased += 1
        return
    for file in manifest.files:
        result.files += 1
        where, path = f"{bundle.path}/{file.name}", files.get(file.name)
        problem = "missing file" if path is None or not path.is_file() else _damage(path, file.bytes, file.sha256, owners, where)
        if problem is not None:
            detail = owners.get(problem.partition(": ")[2], "")
            kind = problem.partition(": ")[0]
            text = f"holds what belongs to {detail}" if kind == "swapped file" else f"sealed with {file.bytes} bytes, sha256 {file.sha256}"
            result.problems.append(Problem(kind, where, text, bundle.table, bundle.day, file.rows))
        else:
            result.rows, result.bytes = result.rows + file.rows, result.bytes + file.bytes


def _damage(path: Path, size: int, sha256: str, owners: dict[str, str], where: str) -> str | None:
    """Name of what is wrong with a file, with the digest that it has when that is another file's."""
    actual = path.stat().st_size
    found = file_digest(path)
    if found == sha256:
        return None
    if found in owners and owners[found] != where:
        return f"swapped file: {found}"
    return "truncated file" if actual < size else "changed file"


def _erased(files: dict[str, Path], bundle: Bundle, chain: Sequence[Bundle], result: Verification) -> bool:
    """Whether the bundle's rows moved to another one because a subject was erased: the record and the tombstone must both say so."""
    heirs = [b for b in chain if bundle.bundle_id in b.supersedes and b.rows_erased is not None]
    if TOMBSTONE not in files:
        return False
    try:
        named = json.loads(files[TOMBSTONE].read_bytes()).get("superseded_by")
    except (ValueError, AttributeError):
        named = None
    if [h.bundle_id for h in heirs] == [named]:
        return True
    detail = "no erasure is recorded for this bundle" if not heirs else f"it does not name {heirs[0].bundle_id}, which took its rows"
    result.problems.append(Problem("false tombstone", f"{bundle.path}/{TOMBSTONE}", detail, bundle.table, bundle.day, bundle.row_count))
    return False


def _check_strays(archive: ArchiveFolder, chain: Sequence[Bundle], result: Verification, table: str | None) -> None:
    known = {b.path for b in chain}
    for folder in archive.bundle_folders():
        if folder not in known and MANIFEST in archive.files(folder) and (table is None or folder.startswith(f"{table}/")):
            result.problems.append(Problem("added bundle", folder, "the lake has no record of it"))
    if table is None:
        result.problems += [Problem("added file", name, "it belongs to no bundle") for name in archive.stray_files()]
