"""Where bundles are, and the names there. `storage_of` gives the storage of a lake's archive; a folder here, an object store in `bucket`.

    ARCHIVE/head.json
    ARCHIVE/<table>/day=<day>/<bundle>/rows-00000.parquet ... manifest.json   [tombstone.json]
    ARCHIVE/catalog/<backup>/...

A manifest is written as `manifest.json.pending` first and becomes manifest.json once the lake has recorded it: what has none is no
bundle."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from pathlib import Path

from warehouse.errors import ArchiveError
from warehouse.lake.identity import file_digest
from warehouse.lake.lake import Lake
from warehouse.settings import LakeSettings, Settings

MANIFEST, PENDING, TOMBSTONE, HEAD = "manifest.json", "manifest.json.pending", "tombstone.json", "head.json"
CATALOG = "catalog"
GRACE_S = 24 * 3600.0
THREADS = max(2, min(8, os.cpu_count() or 2))
BUNDLE_DEPTH = 3


def storage_of(lake: Lake) -> Storage:
    """The configured archive of a lake. Raises ArchiveError for an address that is neither a folder nor s3://."""
    return open_storage(lake.settings)


def open_storage(settings: Settings) -> Storage:
    """The configured archive. Raises ArchiveError for an address that is neither a folder nor s3://."""
    path = settings.resolve(settings.archive.path)
    if "://" in path and not path.startswith("s3://"):
        raise ArchiveError(f"archive.path {path}: give a folder or s3://bucket/prefix")
    return storage_at(path, settings.lake)


def storage_at(address: str, settings: LakeSettings) -> Storage:
    """The storage at a folder or an s3:// address."""
    if address.startswith("s3://"):
        from warehouse.archive.bucket import Bucket

        return Bucket(address, settings)
    return Folder(Path(address))


class Storage(ABC):
    """Objects under one root. Paths are relative to it, with `/`; their parts are ours, never text from data."""

    root: str

    @abstractmethod
    def listing(self, under: str = "") -> dict[str, int]:
        """Path -> size in bytes of every object whose path begins with the folder `under`."""

    @abstractmethod
    def find(self, path: str) -> bytes | None:
        """A small object; None when there is none."""

    def read(self, path: str) -> bytes:
        """A small object. Raises ArchiveError when there is none."""
        content = self.find(path)
        if content is None:
            raise ArchiveError(f"{self.url(path)} is missing")
        return content

    @abstractmethod
    def write(self, path: str, content: bytes) -> None:
        """Write a small object so that it is there whole, or as it was before, whatever dies when."""

    @abstractmethod
    def create(self, path: str, content: bytes) -> None:
        """Write a small object that must not be there. Raises ArchiveError when one of other content is."""

    @abstractmethod
    def writing(self, path: str) -> AbstractContextManager[Path]:
        """A local file to fill, which is the object (on the disk, not only in memory) when the block ends without an error."""

    @abstractmethod
    def reading(self, path: str) -> AbstractContextManager[Path]:
        """A local file with the object's bytes, for the block. Raises ArchiveError when there is none."""

    @abstractmethod
    def digest(self, path: str) -> str:
        """sha256 of an object as it is stored, as hex. Raises ArchiveError when it is not there or cannot be read."""

    @abstractmethod
    def remove(self, paths: Collection[str]) -> None:
        """Delete objects; those that are not there are no error."""

    @abstractmethod
    def age_seconds(self, under: str) -> float:
        """Seconds since anything in a folder was written; infinite when it is empty."""

    def url(self, path: str) -> str:
        """An object's address for any reader."""
        return f"{self.root}/{path}"

    def files(self, folder: str) -> dict[str, int]:
        """Name -> size of what lies in a bundle's folder (deeper objects by their path within it)."""
        return {path.removeprefix(f"{folder}/"): size for path, size in self.listing(folder).items()}

    def finish(self, folder: str) -> None:
        """Make a recorded bundle's pending manifest its manifest; nothing else may have become it."""
        self.create(f"{folder}/{MANIFEST}", self.read(f"{folder}/{PENDING}"))
        self.remove([f"{folder}/{PENDING}"])

    def remove_folder(self, folder: str) -> None:
        """Delete what a seal left that was never recorded."""
        self.remove(list(self.listing(folder)))


class Folder(Storage):
    """A folder of a file system."""

    def __init__(self, root: Path) -> None:
        self.folder = root
        self.root = str(root)

    def listing(self, under: str = "") -> dict[str, int]:
        """Path -> size in bytes of every file in a folder."""
        top = self.folder / under
        found: dict[str, int] = {}
        for parent, _folders, names in os.walk(top):
            base = Path(parent).relative_to(self.folder).as_posix()
            prefix = "" if base == "." else f"{base}/"
            for name in sorted(names):
                found[prefix + name] = os.lstat(f"{parent}/{name}").st_size
        return dict(sorted(found.items()))

    def find(self, path: str) -> bytes | None:
        """The bytes of a file."""
        try:
            return (self.folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ArchiveError(f"{path} cannot be read: {error.strerror}") from None

    def write(self, path: str, content: bytes) -> None:
        """Write beside and rename."""
        target = self.folder / path
        with self._partial(target) as partial:
            partial.write_bytes(content)

    def create(self, path: str, content: bytes) -> None:
        """Write beside and rename; the folder of a bundle has one writer."""
        if (self.folder / path).exists():
            if self.read(path) != content:
                raise ArchiveError(f"{path} is there already with other content; nothing was written over it")
            return
        self.write(path, content)

    @contextmanager
    def writing(self, path: str) -> Iterator[Path]:
        """The file itself, under a temporary name until it is whole."""
        with self._partial(self.folder / path) as partial:
            yield partial

    @contextmanager
    def _partial(self, target: Path) -> Iterator[Path]:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        try:
            yield partial
            sync(partial)
            partial.replace(target)
        except BaseException:
            partial.unlink(missing_ok=True)
            self._prune(target)
            raise
        sync(target.parent)

    def _prune(self, target: Path) -> None:
        """Remove the folders above a file that is gone, up to the first that holds something."""
        for parent in target.parents:
            if parent == self.folder or not parent.is_dir() or any(parent.iterdir()):
                return
            parent.rmdir()

    @contextmanager
    def reading(self, path: str) -> Iterator[Path]:
        """The file itself."""
        if not (self.folder / path).is_file():
            raise ArchiveError(f"{path} is missing")
        yield self.folder / path

    def digest(self, path: str) -> str:
        """sha256 of a file."""
        try:
            return file_digest(self.folder / path)
        except FileNotFoundError:
            raise ArchiveError(f"{path} is missing") from None
        except OSError as error:
            raise ArchiveError(f"{path} cannot be read: {error.strerror}") from None

    def remove(self, paths: Collection[str]) -> None:
        """Delete files, and folders that are empty then."""
        for path in paths:
            target = self.folder / path
            target.unlink(missing_ok=True)
            self._prune(target)
        for parent in {(self.folder / path).parent for path in paths}:
            if parent.is_dir():
                sync(parent)

    def finish(self, folder: str) -> None:
        """One rename."""
        target = self.folder / folder
        (target / PENDING).replace(target / MANIFEST)
        sync(target)

    def age_seconds(self, under: str) -> float:
        """By the file system's times."""
        times = [(self.folder / path).stat().st_mtime for path in self.listing(under)]
        return time.time() - max(times) if times else float("inf")


def bundle_path(table: str, day: date, bundle_id: str) -> str:
    """Folder of a bundle."""
    return f"{table}/day={day}/{bundle_id}"


def bundle_folders(listing: dict[str, int]) -> dict[str, dict[str, int]]:
    """Folder -> name -> size of all that lies at the place of a bundle."""
    found: dict[str, dict[str, int]] = {}
    for path, size in listing.items():
        parts = path.split("/")
        if len(parts) > BUNDLE_DEPTH and parts[1].startswith("day=") and parts[0] != CATALOG:
            folder = "/".join(parts[:BUNDLE_DEPTH])
            found.setdefault(folder, {})["/".join(parts[BUNDLE_DEPTH:])] = size
    return found


def stray_files(listing: dict[str, int]) -> list[str]:
    """Objects that lie where no bundle, backup or head keeps one."""
    kept = {f"{folder}/{name}" for folder, names in bundle_folders(listing).items() for name in names}
    return [path for path in listing if path not in kept and path != HEAD and not path.startswith(f"{CATALOG}/")]


def sync(path: Path) -> None:
    """Have a file or folder on the disk, not only in memory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
