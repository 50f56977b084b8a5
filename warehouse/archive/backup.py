"""Backups of the lake's catalog, sealed beside the bundles: ARCHIVE/catalog/<backup>/catalog.parquet, manifest.json.

The copy stands in a Parquet file (a column of pieces), because that gives it page checksums, compression and, with `archive.encrypt`, the
encryption that bundles have: a catalog holds least and greatest values of every column."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.parquet.encryption import create_encryption_properties

from warehouse.archive.head import refuse_without_key
from warehouse.archive.keys import proof, signed, signing_key
from warehouse.archive.manifest import lakebed_version
from warehouse.archive.parquet import open_rows
from warehouse.archive.sealing import wanted_key
from warehouse.archive.storage import CATALOG, GRACE_S, MANIFEST, Storage, storage_of
from warehouse.errors import ArchiveError
from warehouse.lake.identity import CHUNK, file_digest
from warehouse.lake.lake import Lake
from warehouse.lake.parquet_keys import key_for
from warehouse.lake.state import utc_now

FORMAT = "lakebed-catalog-backup-1"
FILE = "catalog.parquet"
PIECES = pa.schema([("piece", pa.int64()), ("content", pa.binary())])
DUMP_TIMEOUT_S = 3600
HOW_TO_READ = (
    "The values of `content`, in the order of `piece`, are the bytes of a file with sha256 `content_sha256`: for kind sqlite the DuckLake "
    "catalog itself, for kind postgres the output of pg_dump --format=custom, which pg_restore reads."
)


@dataclass(frozen=True, slots=True)
class Backup:
    """A sealed copy of the catalog, as its manifest tells. bytes: of the stored file; content_bytes: of the copy in it."""

    backup_id: str
    kind: str
    taken_at: str
    snapshot: int
    data_files: int
    content_bytes: int
    content_sha256: str
    bytes: int
    sha256: str
    encryption: str | None
    lakebed_version: str
    format: str = FORMAT
    how_to_read: str = HOW_TO_READ

    @property
    def path(self) -> str:
        """Its folder in the archive."""
        return f"{CATALOG}/{self.backup_id}"


def backup_catalog(lake: Lake) -> Backup:
    """Copy the catalog as of one moment, seal the copy, read it back, and remove the oldest beyond `archive.keep_backups`.

    Raises ArchiveError when the copy cannot be made or does not read back equal; older backups are then all left."""
    storage, key = storage_of(lake), wanted_key(lake)
    refuse_without_key(storage)
    now = utc_now(lake.connection)
    backup_id = f"{now:%Y%m%dT%H%M%S%f}"
    with tempfile.TemporaryDirectory(prefix="lakebed-backup-", dir=lake.settings.lake.temp_directory) as folder:
        copy = Path(folder) / "copy"
        with _copying(lake, copy):
            snapshot, files = lake.snapshot(), _data_files(lake)
        where = f"{CATALOG}/{backup_id}/{FILE}"
        with storage.writing(where) as local:
            _pack(copy, local, {"encryption_properties": create_encryption_properties(footer_key=key.secret)} if key else {})
            size, digest = local.stat().st_size, file_digest(local)
        fingerprint = key.fingerprint if key else None
        said = (snapshot, files, copy.stat().st_size, file_digest(copy), size, digest, fingerprint, lakebed_version())
        backup = Backup(backup_id, lake.catalog.kind, now.isoformat(), *said)
        with opened(storage, backup):
            pass
    storage.create(f"{backup.path}/{MANIFEST}", signed("backup", asdict(backup), signing_key()))
    for old in list_backups(storage)[: -lake.settings.archive.keep_backups]:
        remove_backup(storage, old)
    _sweep(storage)
    return backup


def remove_backup(storage: Storage, backup: Backup) -> None:
    """Delete a backup, its manifest first: without it, it is none."""
    storage.remove([f"{backup.path}/{MANIFEST}", f"{backup.path}/{FILE}"])


def _sweep(storage: Storage) -> None:
    """Delete what backups that died have left, once it is a day old."""
    folders = {path.rpartition("/")[0] for path in storage.listing(CATALOG)}
    for folder in folders - {b.path for b in list_backups(storage)}:
        if storage.age_seconds(folder) > GRACE_S:
            storage.remove_folder(folder)


def list_backups(storage: Storage) -> list[Backup]:
    """The backups that have a manifest, oldest first. Raises ArchiveError for a manifest that is none."""
    backups, unreadable = readable_backups(storage)
    if unreadable:
        raise unreadable[0]
    return backups


def readable_backups(storage: Storage) -> tuple[list[Backup], list[ArchiveError]]:
    """The backups whose manifests can be read, oldest first, and what is wrong with the other manifests."""
    backups, unreadable = [], []
    for path in sorted(p for p in storage.listing(CATALOG) if p.endswith(f"/{MANIFEST}")):
        try:
            backups.append(_decoded(storage.read(path), path))
        except ArchiveError as error:
            unreadable.append(error)
    return backups, unreadable


@contextmanager
def opened(storage: Storage, backup: Backup) -> Iterator[Path]:
    """The copy of the catalog as a temporary file, proved. Raises ArchiveError when a byte of it differs from what was sealed."""
    key = key_for(backup.encryption, backup.path)
    with storage.reading(f"{backup.path}/{FILE}") as local, tempfile.TemporaryDirectory(prefix="lakebed-backup-") as folder:
        if file_digest(local) != backup.sha256:
            raise ArchiveError(f"{backup.path}/{FILE} is not what was sealed; use another backup")
        target = Path(folder) / "catalog"
        digest = hashlib.sha256()
        with target.open("wb") as stream:
            for batch in open_rows(local, key):
                for piece in batch.column("content"):
                    digest.update(piece.as_py())
                    stream.write(piece.as_py())
        if digest.hexdigest() != backup.content_sha256:
            raise ArchiveError(f"{backup.path}/{FILE} does not hold the catalog that was copied; use another backup")
        yield target


def backup_problems(storage: Storage, listing: dict[str, int]) -> list[tuple[str, str, str]]:
    """What is wrong with the backups: kind, path, detail. What has no manifest is of a backup that died."""
    problems = []
    mine = {path for path in listing if path.startswith(f"{CATALOG}/")}
    for path in sorted(p for p in mine if p.endswith(f"/{MANIFEST}")):
        content = storage.read(path)
        try:
            backup = _decoded(content, path)
            file = f"{path.removesuffix(MANIFEST)}{FILE}"
            if storage.digest(file) != backup.sha256:
                problems.append(("changed backup", file, f"sealed with {backup.bytes} bytes, sha256 {backup.sha256}"))
        except ArchiveError as error:
            problems.append(("damaged backup", path, str(error)))
            continue
        proved = proof("backup", content, signing_key())
        if proved in ("forged", "wrong key"):
            problems.append((f"{proved} backup", path, "its HMAC does not fit: changed, or signed with another key"))
    expected = {f"{p.removesuffix(MANIFEST)}{name}" for p in mine if p.endswith(f"/{MANIFEST}") for name in (MANIFEST, FILE)}
    complete = {p.rpartition("/")[0] for p in expected}
    problems += [("added file", p, "no backup names it") for p in sorted(mine - expected) if p.rpartition("/")[0] in complete]
    return problems


def check_copy(kind: str, copy: Path) -> int:
    """Prove that a copy is a catalog that can be used; returns its newest snapshot (0: only a server could tell). Raises ArchiveError."""
    if kind == "postgres":
        if "ducklake_snapshot" not in _run("pg_restore", "--list", str(copy)):
            raise ArchiveError("the copy holds no DuckLake catalog")
        return 0
    try:
        with closing(sqlite3.connect(f"file:{copy}?mode=ro", uri=True)) as connection:
            (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
            (snapshot,) = connection.execute("SELECT max(snapshot_id) FROM ducklake_snapshot").fetchone()
    except sqlite3.Error as error:
        raise ArchiveError(f"the copy is no catalog: {error}") from None
    if sound != "ok":
        raise ArchiveError(f"the copy of the catalog is damaged: {sound}")
    return int(snapshot)


def occurrences(copy: Path, value: bytes) -> int:
    """How often a value stands in a copy of a catalog."""
    found, carried = 0, b""
    with copy.open("rb") as stream:
        while piece := stream.read(CHUNK):
            text = carried + piece
            found += text.count(value)
            carried = text[len(text) - len(value) + 1 :] if len(value) > 1 else b""
    return found


def _decoded(content: bytes, where: str) -> Backup:
    try:
        document = json.loads(content)
        if document.get("format") != FORMAT:
            raise ArchiveError(f"{where} has format {document.get('format')!r}; this Lakebed reads {FORMAT}")
        return Backup(**{k: v for k, v in document.items() if k not in ("key", "hmac")})
    except (ValueError, TypeError, AttributeError) as error:
        raise ArchiveError(f"{where} is not the manifest of a backup: {error}") from None


@contextmanager
def _copying(lake: Lake, copy: Path) -> Iterator[None]:
    """Copy the catalog; SQLite under the lake's lock, in the block too, so that what is asked there is of the same moment."""
    catalog = lake.catalog
    if catalog.kind == "sqlite":
        with catalog.lock(("catalog",)):
            with closing(sqlite3.connect(f"file:{catalog.address}?mode=ro", uri=True)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
                target.execute("PRAGMA journal_mode = DELETE")
            check_copy("sqlite", copy)
            yield
        return
    _dump(catalog.address, copy)
    check_copy("postgres", copy)
    yield


def _dump(dsn: str, copy: Path) -> None:
    """pg_dump, which reads one snapshot. What connects stands in its environment: arguments of processes can be seen by others."""
    from psycopg.conninfo import conninfo_to_dict

    names = {
        "host": "PGHOST",
        "hostaddr": "PGHOSTADDR",
        "port": "PGPORT",
        "dbname": "PGDATABASE",
        "user": "PGUSER",
        "password": "PGPASSWORD",
    }
    names |= {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY"}
    given = {names[k]: str(v) for k, v in conninfo_to_dict(dsn).items() if k in names}
    # not compressed, because Parquet does that, and so that an erasure can look for a value in it
    _run("pg_dump", "--format=custom", "--compress=0", "--no-password", f"--file={copy}", environment=given)


def _run(program: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What a program of PostgreSQL prints. Raises ArchiveError when it is not there or fails."""
    path = shutil.which(program)
    if path is None:
        raise ArchiveError(f"{program} is not installed; it is part of PostgreSQL's client package")
    environ = {**os.environ, **(environment or {})}
    ran = subprocess.run([path, *arguments], env=environ, capture_output=True, text=True, timeout=DUMP_TIMEOUT_S, check=False)  # noqa: S603 - arguments are ours
    if ran.returncode:
        raise ArchiveError(f"{program} failed: {ran.stderr.strip()[:300]}")
    return ran.stdout


def _data_files(lake: Lake) -> int:
    row = lake.connection.execute("SELECT count(*) FROM __ducklake_metadata_lake.ducklake_data_file WHERE end_snapshot IS NULL").fetchone()
    return int(row[0]) if row else 0


def _pack(copy: Path, target: Path, options: dict[str, object]) -> None:
    with (
        copy.open("rb") as stream,
        pq.ParquetWriter(target, PIECES, compression="zstd", write_page_checksum=True, use_dictionary=False, **options) as writer,
    ):
        number = 0
        while piece := stream.read(CHUNK):
            writer.write_batch(pa.record_batch([[number], [piece]], schema=PIECES))
            number += 1
