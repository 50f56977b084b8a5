"""What the lake knows of the archive: the chain of recorded bundles, and which of them count today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from warehouse.archive.manifest import Manifest, sha256_of
from warehouse.archive.storage import GRACE_S, MANIFEST, PENDING, Storage, bundle_folders
from warehouse.errors import ArchiveError
from warehouse.lake.digest import Digest
from warehouse.lake.lake import Lake


@dataclass(frozen=True, slots=True)
class Bundle:
    """One row of meta.archive_bundles. rows_erased is None unless the bundle replaces others whose rows a subject's erasure took.

    columns: of its files, in their order (none: the record is older than that). encryption: fingerprint of the key of its files."""

    bundle_id: str
    table: str
    day: date
    path: str
    manifest_sha256: str
    previous_sha256: str | None
    row_count: int
    bytes: int
    rows_digest: str
    sealed_at: datetime
    supersedes: tuple[str, ...] = ()
    rows_erased: int | None = None
    columns: tuple[str, ...] = ()
    encryption: str | None = None

    @property
    def digest(self) -> Digest:
        """Digest of its rows."""
        return Digest.of(self.row_count, self.rows_digest)

    def record(self) -> tuple[object, ...]:
        """As a row of meta.archive_bundles."""
        return (
            self.bundle_id,
            self.table,
            self.day,
            self.path,
            self.manifest_sha256,
            self.previous_sha256,
            self.row_count,
            self.bytes,
            self.rows_digest,
            self.sealed_at,
            " ".join(self.supersedes) or None,
            self.rows_erased,
            " ".join(self.columns) or None,
            self.encryption,
        )


def recorded_bundles(lake: Lake) -> list[Bundle]:
    """Every bundle that was ever sealed, in the order of the chain. Raises ArchiveError when the records are no chain."""
    rows = lake.connection.execute(
        """SELECT bundle_id, table_name, day, path, manifest_sha256, previous_sha256, row_count, bytes, rows_digest, sealed_at,
                  supersedes, rows_erased, column_names, encryption_key FROM meta.archive_bundles"""
    ).fetchall()
    bundles = [Bundle(*(*r[:10], tuple((r[10] or "").split()), r[11], tuple((r[12] or "").split()), r[13])) for r in rows]
    following = {b.previous_sha256: b for b in bundles}
    if len(following) < len(bundles):
        raise ArchiveError("meta.archive_bundles is no chain: two bundles follow the same one")
    chain: list[Bundle] = []
    current = following.get(None)
    while current is not None and len(chain) < len(bundles):
        chain.append(current)
        current = following.get(current.manifest_sha256)
    if len(chain) < len(bundles):
        raise ArchiveError(f"meta.archive_bundles is no chain: {len(bundles) - len(chain)} bundle(s) do not follow any other")
    return chain


def active_bundles(bundles: Sequence[Bundle], *, table: str | None = None, days: tuple[date, date] | None = None) -> list[Bundle]:
    """Bundles of the chain that no other one supersedes, of a table and of days (both ends included), when given.

    Each has the place of the oldest bundle that it stands for: what an erasure seals again is no newer than what was sealed in between."""
    places: dict[str, int] = {}
    for place, bundle in enumerate(bundles):
        places[bundle.bundle_id] = min((places[old] for old in bundle.supersedes if old in places), default=place)
    gone = {old for b in bundles for old in b.supersedes}
    found = [
        b
        for b in bundles
        if b.bundle_id not in gone and (table is None or b.table == table) and (days is None or days[0] <= b.day <= days[1])
    ]
    return sorted(found, key=lambda b: places[b.bundle_id])


def read_manifest(storage: Storage, bundle: Bundle) -> Manifest:
    """A bundle's manifest, proved to be the recorded one. Raises ArchiveError that says what is lost."""
    where = f"{bundle.path}/{MANIFEST}"
    content = storage.find(where)
    if content is None:
        raise ArchiveError(f"{where} is missing: {bundle.row_count} rows of {bundle.table} {bundle.day} cannot be proved")
    if sha256_of(content) != bundle.manifest_sha256:
        raise ArchiveError(f"{where} was edited: {bundle.row_count} rows of {bundle.table} {bundle.day} cannot be proved")
    return Manifest.decode(content, where)


def finish_interrupted(lake: Lake, storage: Storage, under: str = "", *, patience_s: float = 0.0) -> int:
    """Complete seals (below a folder) that died after they were recorded, and clear those that died before, once they are a day old, in a
    moment without writers, which is waited for so many seconds. Returns how many were left, because there was none."""
    unfinished = {folder: names for folder, names in bundle_folders(storage.listing(under)).items() if MANIFEST not in names}
    if not unfinished:
        return 0
    recorded = {b.path: b for b in recorded_bundles(lake)}
    abandoned = []
    for folder, names in unfinished.items():
        if folder in recorded:
            if PENDING in names and sha256_of(storage.read(f"{folder}/{PENDING}")) == recorded[folder].manifest_sha256:
                storage.finish(folder)
        elif storage.age_seconds(folder) > GRACE_S:
            abandoned.append(folder)
    if not abandoned:
        return 0
    with lake.catalog.nobody_present(patience_s) as nobody:  # by a clock that was set on, a seal that is under way is old
        if not nobody:
            return len(abandoned)
        for folder in set(abandoned) - {b.path for b in recorded_bundles(lake)}:
            storage.remove_folder(folder)
    return 0
