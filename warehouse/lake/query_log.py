"""Who asked what: queries are appended to a local spool by readers, who never write to the lake, and loaded by the next run."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from warehouse.errors import LakeError
from warehouse.lake.lake import Lake
from warehouse.settings import Settings

SPOOL = Path(".lakebed", "queries")
CHUNK_LINES = 5_000
QUERY_CHARACTERS = 100_000
LOCK_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class QueryRecord:
    """One query as it stands in meta.query_log. started_at: naive UTC as ISO text; tables: separated by blanks."""

    query_id: str
    started_at: str
    duration_s: float
    user_name: str
    query: str
    tables: str
    rows_returned: int | None
    error: str | None


def spool_folder(settings: Settings) -> Path:
    """Where the queries of a configuration wait to be loaded."""
    return settings.root / SPOOL


def record(settings: Settings, entry: QueryRecord) -> None:
    """Append a query to the spool; safe beside other readers and beside `load_spool`. Raises OSError when it cannot be written."""
    folder = spool_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    line = json.dumps({**asdict(entry), "query": entry.query[:QUERY_CHARACTERS]}).encode() + b"\n"
    with _locked(folder / f"{os.getuid()}.jsonl") as stream:
        if stream.tell() and stream.seek(-1, os.SEEK_END) and stream.read(1) != b"\n":
            line = b"\n" + line
        stream.write(line)


def load_spool(lake: Lake) -> int:
    """Move the spool into meta.query_log and return how many queries that were; killed anywhere, none is lost or doubled.

    A line that is no record (a torn write) goes to `damaged.txt` beside the spool. Raises LakeError when another process has been
    loading for a minute."""
    folder = spool_folder(lake.settings)
    if not folder.is_dir():
        return 0
    try:
        with FileLock(str(folder / ".lock"), timeout=LOCK_TIMEOUT_S):
            for file in sorted(folder.glob("*.jsonl")):
                with _locked(file):
                    file.rename(file.with_suffix(f".{os.getpid()}-{file.stat().st_ino}.loading"))
            return sum(_load(lake, file) for file in sorted(folder.glob("*.loading")))
    except Timeout:
        raise LakeError(f"another process has been loading {folder} for {LOCK_TIMEOUT_S:.0f} s; is it stuck?") from None


@contextmanager
def _locked(file: Path) -> Iterator[BinaryIO]:
    """A file open for appending and locked; opened again when the loader took it away in between."""
    while True:
        with file.open("a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            try:
                same = file.stat().st_ino == os.fstat(stream.fileno()).st_ino
            except FileNotFoundError:
                same = False
            if same:
                stream.seek(0, os.SEEK_END)
                yield stream
                return


def _load(lake: Lake, file: Path) -> int:
    """Load a file that nobody appends to any more, then remove it; records that are in the lake already are left out."""
    loaded = 0
    with file.open("rb") as stream:
        while lines := stream.readlines(CHUNK_LINES * 200):
            loaded += _append(lake, [r for line in lines if (r := _parsed(line, file.parent)) is not None])
    file.unlink()
    return loaded


def _append(lake: Lake, records: Sequence[QueryRecord]) -> int:
    unique = {r.query_id: r for r in records}
    there = lake.connection.execute(
        "SELECT query_id FROM meta.query_log WHERE list_contains(?::VARCHAR[], query_id)", [list(unique)]
    ).fetchall()
    for (known,) in there:
        del unique[known]
    rows = [
        (r.query_id, datetime.fromisoformat(r.started_at), r.duration_s, r.user_name, r.query, r.tables, r.rows_returned, r.error)
        for r in unique.values()
    ]
    lake.append_log("meta.query_log", rows)
    return len(rows)


def _parsed(line: bytes, folder: Path) -> QueryRecord | None:
    try:
        entry = QueryRecord(**json.loads(line))
        datetime.fromisoformat(entry.started_at)
    except (ValueError, TypeError):
        with (folder / "damaged.txt").open("ab") as damaged:
            damaged.write(line.rstrip(b"\n") + b"\n")
        return None
    return entry
