"""What the lake's own files were when they were written: their sha256 in meta.file_hashes, and which of them are something else now.

Parquet files that DuckDB writes carry no page checksums, and a flipped bit in one mostly comes through as a wrong value without an error.
A file is never changed once it is part of the lake, so one hash of it proves every later reading."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from weakref import WeakKeyDictionary

from warehouse.archive.storage import THREADS, Storage, storage_at
from warehouse.contracts import CONTRACTS
from warehouse.errors import ArchiveError
from warehouse.lake.lake import Lake
from warehouse.lake.logs import without
from warehouse.lake.state import NO_DAY, utc_now

TRUSTED_S = 3600.0
LOST = "0" * 64
"""The hash recorded of a file that was damaged before it had one: no content has it, so nothing in its place is ever taken for sound."""
TABLES = tuple(c.storage_name for c in CONTRACTS.values() if c.schema != "meta")
_FILES = """
WITH parts AS (
    SELECT f.data_file_id, s.schema_name || '.' || t.table_name AS storage_name, f.path, f.path_is_relative, f.record_count,
           coalesce(CAST(v.partition_value AS DATE), $no_day::DATE) AS day
    FROM __ducklake_metadata_lake.ducklake_data_file AS f
    JOIN __ducklake_metadata_lake.ducklake_table AS t ON t.table_id = f.table_id AND t.end_snapshot IS NULL
    JOIN __ducklake_metadata_lake.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
    LEFT JOIN __ducklake_metadata_lake.ducklake_file_partition_value AS v ON v.data_file_id = f.data_file_id
    WHERE f.end_snapshot IS NULL AND list_contains($names, s.schema_name || '.' || t.table_name)
), wanted AS (FROM parts WHERE $days IS NULL OR list_contains($days, day))
SELECT storage_name, day, path, path_is_relative, record_count FROM wanted
UNION ALL
SELECT p.storage_name, p.day, d.path, d.path_is_relative, p.record_count
FROM __ducklake_metadata_lake.ducklake_delete_file AS d JOIN wanted AS p USING (data_file_id) WHERE d.end_snapshot IS NULL
ORDER BY ALL"""
_ON_DISK = """
WITH files AS (
    SELECT table_id, path, path_is_relative FROM __ducklake_metadata_lake.ducklake_data_file
    UNION ALL SELECT table_id, path, path_is_relative FROM __ducklake_metadata_lake.ducklake_delete_file
)
SELECT s.schema_name || '.' || t.table_name, f.path, f.path_is_relative
FROM files AS f
JOIN __ducklake_metadata_lake.ducklake_table AS t ON t.table_id = f.table_id AND t.end_snapshot IS NULL
JOIN __ducklake_metadata_lake.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
UNION ALL
SELECT NULL, path, path_is_relative FROM __ducklake_metadata_lake.ducklake_files_scheduled_for_deletion"""

_trusted: WeakKeyDictionary[Lake, dict[str, float]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class LakeFile:
    """A file of the lake (of rows, or of deletions). path: relative to the data path. rows: that it holds or touches."""

    storage_name: str
    day: date
    path: str
    rows: int


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that is not what it was. day: NO_DAY for tables without days."""

    kind: Literal["changed file", "missing file", "unreadable file"]
    file: LakeFile
    detail: str


def live_files(lake: Lake, tables: Collection[str] | None = None, days: Collection[date] | None = None) -> list[LakeFile]:
    """The files of the lake's data tables, or of the tables and days named (by contract name)."""
    names = [CONTRACTS[t].storage_name for t in tables] if tables is not None else list(TABLES)
    wanted = list(days) if days is not None else None
    rows = lake.connection.execute(_FILES, {"names": names, "days": wanted, "no_day": NO_DAY}).fetchall()
    return [LakeFile(name, day, _relative(lake, name, path, relative), int(count)) for name, day, path, relative, count in rows]


def _relative(lake: Lake, storage_name: str | None, path: str, is_relative: bool) -> str:
    """A path of the catalog as one relative to the data path."""
    root = lake.catalog.data_path
    if storage_name is None and is_relative:
        return path
    return (f"{lake.folder(storage_name)}/{path}" if storage_name and is_relative else path).removeprefix(root)


def lake_storage(lake: Lake) -> Storage:
    """The lake's data path as a storage."""
    return storage_at(lake.catalog.data_path.rstrip("/"), lake.settings.lake)


def record_new(lake: Lake, files: Sequence[LakeFile] | None = None) -> int:
    """Hash every live file (or those given) that has no hash yet, and record it in meta.file_hashes; returns how many.

    To be called soon after files were written: what is damaged before that is taken for what it should be."""
    found = files if files is not None else live_files(lake)
    known = recorded(lake, found)
    new = [f for f in found if f.path not in known]
    storage, now = lake_storage(lake), utc_now(lake.connection)
    hashed = [(file, digest) for file, digest in zip(new, _digests(storage, new), strict=True) if isinstance(digest, str)]
    lake.append_log("meta.file_hashes", [(f.path, f.storage_name, f.day, digest, now) for f, digest in hashed])
    return len(hashed)


def forget_removed(lake: Lake) -> int:
    """Leave out of meta.file_hashes the files that no snapshot of the lake needs and that do not wait for their deletion; returns how many.

    Nothing reads them again, and no file gets the name of another: left in, they would grow with every file that was ever replaced."""
    known = lake.connection.execute("SELECT DISTINCT path FROM meta.file_hashes").fetchall()
    rows = lake.connection.execute(_ON_DISK).fetchall()  # asked last: whatever is hashed in between is not among the known
    there = {_relative(lake, *row) for row in rows}
    gone = [path for (path,) in known if path not in there]
    return without(lake, CONTRACTS["meta.file_hashes"].storage_name, "list_contains($gone, path)", {"gone": gone}) if gone else 0


def record_lost(lake: Lake, file: LakeFile) -> None:
    """Record that whatever is in the place of a file is not what it was. To be called before anything is put there."""
    if not recorded(lake, [file]):
        lake.append_log("meta.file_hashes", [(file.path, file.storage_name, file.day, LOST, utc_now(lake.connection))])


def recorded(lake: Lake, files: Sequence[LakeFile]) -> dict[str, str]:
    """Path -> the hash recorded first (should two processes have done it), of those of the files that have one."""
    rows: list[tuple[str, str, datetime]] = lake.connection.execute(
        "SELECT path, sha256, recorded_at FROM meta.file_hashes WHERE path IN (SELECT unnest(?::VARCHAR[])) ORDER BY recorded_at DESC",
        [[f.path for f in files]],
    ).fetchall()
    return {path: sha256 for path, sha256, _at in rows}


def damages(lake: Lake, files: Sequence[LakeFile]) -> list[Damage]:
    """Those of the files that have a hash and are not what it says. Files without one are not judged."""
    known = recorded(lake, files)
    judged = [f for f in files if f.path in known]
    storage = lake_storage(lake)
    found = []
    for file, digest in zip(judged, _digests(storage, judged), strict=True):
        if isinstance(digest, ArchiveError):
            kind: Literal["missing file", "unreadable file"] = "missing file" if "missing" in str(digest) else "unreadable file"
            found.append(Damage(kind, file, str(digest)))
        elif digest != known[file.path]:
            found.append(Damage("changed file", file, f"sha256 {digest}, recorded {known[file.path]}"))
    return found


def fresh_damages(lake: Lake, tables: Collection[str], days: Collection[date]) -> list[Damage]:
    """`damages` of days of tables, without reading again what was found sound within the hour."""
    trusted = _trusted.setdefault(lake, {})
    now = time.monotonic()
    files = [f for f in live_files(lake, tables, days) if now - trusted.get(f.path, -TRUSTED_S) >= TRUSTED_S]
    found = damages(lake, files)
    broken = {d.file.path for d in found}
    trusted.update({f.path: now for f in files if f.path not in broken})
    for path in [p for p, at in trusted.items() if now - at >= TRUSTED_S]:
        del trusted[path]
    return found


def refuse_damaged(lake: Lake, table: str, day: date) -> None:
    """Raises ArchiveError when a file of a day is not what it was: what is read from it must not go any further."""
    found = damages(lake, live_files(lake, [table], [day]))
    if found:
        first = found[0]
        raise ArchiveError(
            f"{table} {day}: {first.kind} {first.file.path} ({first.file.rows} rows): {first.detail}; nothing was made of it. "
            "`lakebed archive scrub` mends it from the archive where it can"
        )


def _digests(storage: Storage, files: Sequence[LakeFile]) -> list[str | ArchiveError]:
    def digest(file: LakeFile) -> str | ArchiveError:
        try:
            return storage.digest(file.path)
        except ArchiveError as error:
            return error

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(digest, files))
