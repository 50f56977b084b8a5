"""The inbox folder of a source: which files are ready, and where they go afterwards (done/ or rejected/)."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from warehouse.errors import SourceError
from warehouse.lake.unit import Unit

DONE = "done"
REJECTED = "rejected"
UNFINISHED = (".part", ".partial", ".filepart", ".tmp", ".crdownload", "~")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file in an inbox that is ready. refused: why it must not be read (a symbolic link, a device), else None."""

    path: Path
    size: int
    mtime_ns: int
    refused: str | None = None


def is_growing(mtime_ns: int, settle_seconds: float) -> bool:
    """Whether a file was written to within the last `settle_seconds`. A time further in the future says nothing."""
    return abs(time.time() - mtime_ns / 1e9) < settle_seconds


def deliveries(folder: Path, settle_seconds: float) -> Iterator[Delivery]:
    """Files of an inbox in the order of their names.

    Left alone: hidden files, unfinished ones by their suffix (.part, .tmp, ...), files that changed within
    `settle_seconds`, and folders. Raises SourceError when the inbox does not exist."""
    if not folder.is_dir():
        raise SourceError(f"the inbox {folder.name} does not exist: create the folder, or correct `inbox` in the configuration")
    for entry in sorted(os.scandir(folder), key=lambda e: e.name):
        if entry.name.startswith(".") or entry.name.endswith(UNFINISHED):
            continue
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        path = Path(entry.path)
        if stat.S_ISLNK(found.st_mode):
            yield Delivery(path, 0, found.st_mtime_ns, "is a symbolic link; an inbox takes only files")
        elif stat.S_ISDIR(found.st_mode):
            continue
        elif not stat.S_ISREG(found.st_mode):
            yield Delivery(path, 0, found.st_mtime_ns, "is not a regular file")
        elif not is_growing(found.st_mtime_ns, settle_seconds):
            yield Delivery(path, found.st_size, found.st_mtime_ns)


def accept(unit: Unit) -> Path | None:
    """Move the file of a committed unit to done/; the new place, or None for a unit that did not come from an inbox."""
    return _move(unit.inbox_file, DONE) if unit.inbox_file else None


def reject(path: Path, reason: str) -> Path:
    """Move a file that cannot be read to rejected/ and write the reason beside it (NAME.reason.txt); the new place."""
    moved = _move(path, REJECTED)
    moved.with_name(f"{moved.name}.reason.txt").write_text(reason.rstrip() + "\n", encoding="utf-8", errors="replace")
    return moved


def _move(path: Path, folder: str) -> Path:
    """Rename into a folder beside the file, under a free name (NAME, NAME.2, ...). A symbolic link moves itself."""
    target = path.parent / folder
    target.mkdir(exist_ok=True)
    free, n = target / path.name, 1
    while os.path.lexists(free):
        n += 1
        free = target / f"{path.name}.{n}"
    path.rename(free)
    return free
