"""Where bundles are: a folder, and the names in it. The only module of the archive that touches paths.

    ARCHIVE/<table>/day=<day>/<bundle>/rows-00000.parquet ... manifest.json   [tombstone.json]

A manifest is written as `manifest.json.pending` first and renamed once the lake has recorded it: what has no manifest.json is no bundle."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from warehouse.errors import ArchiveError
from warehouse.lake.lake import Lake

MANIFEST, PENDING, TOMBSTONE = "manifest.json", "manifest.json.pending", "tombstone.json"
GRACE_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class ArchiveFolder:
    """The root of an archive."""

    root: Path

    @classmethod
    def of(cls, lake: Lake) -> ArchiveFolder:
        """The configured archive. Raises ArchiveError for anything but a folder."""
        path = lake.settings.resolve(lake.settings.archive.path)
        if "://" in path:
            raise ArchiveError(f"archive.path {path}: give a folder; object stores are not supported")
        return cls(Path(path))

    def bundle_path(self, table: str, day: date, bundle_id: str) -> str:
        """Folder of a bundle relative to the root; its parts are ours, never text from data."""
        return f"{table}/day={day}/{bundle_id}"

    def create(self, relative: str) -> Path:
        """The new folder of a bundle."""
        folder = self.root / relative
        folder.mkdir(parents=True)
        return folder

    def bundle_folders(self) -> list[str]:
        """Every folder at the place of a bundle, relative to the root."""
        return sorted(str(p.relative_to(self.root)) for p in self.root.glob("*/day=*/*") if p.is_dir())

    def stray_files(self) -> list[str]:
        """Files that lie where no bundle keeps one, relative to the root."""
        places = [p for pattern in ("*", "*/*", "*/*/*") for p in self.root.glob(pattern)]
        return sorted(str(p.relative_to(self.root)) for p in places if not p.is_dir())

    def files(self, relative: str) -> dict[str, Path]:
        """The files of a bundle by name (a folder in it counts as a file, which no manifest names)."""
        folder = self.root / relative
        return {p.name: p for p in sorted(folder.iterdir())} if folder.is_dir() else {}

    def write(self, relative: str, name: str, content: bytes) -> None:
        """Write a small file so that it is there whole, or not at all, whatever dies when."""
        folder = self.root / relative
        partial = folder / f".{name}.partial"
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(folder / name)
        sync(folder)

    def finish(self, relative: str) -> None:
        """Make a recorded bundle's pending manifest its manifest."""
        folder = self.root / relative
        (folder / PENDING).replace(folder / MANIFEST)
        sync(folder)

    def remove_files(self, relative: str, names: list[str]) -> None:
        """Delete files of a bundle (erasure)."""
        for name in names:
            (self.root / relative / name).unlink(missing_ok=True)
        sync(self.root / relative)

    def remove(self, relative: str) -> None:
        """Delete the folder of a seal that was never recorded, and the folders that were made for it."""
        folder = self.root / relative
        shutil.rmtree(folder, ignore_errors=True)
        for parent in (folder.parent, folder.parent.parent):
            if parent != self.root and parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()

    def age_seconds(self, relative: str) -> float:
        """Seconds since anything in a folder was written."""
        folder = self.root / relative
        return time.time() - max(p.stat().st_mtime for p in (folder, *folder.iterdir()))


def sync(path: Path) -> None:
    """Have a file or folder on the disk, not only in memory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
