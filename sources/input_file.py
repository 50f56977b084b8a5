"""One input file as it is to be read: where it is, which of its bytes, and how a reader gets at them plain."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from sources import objects
from sources.inbox import is_growing
from sources.streams import Compression, Readable, Span, expanded, spool
from warehouse.errors import SourceError
from warehouse.lake.identity import file_digest
from warehouse.settings import LakeSettings

RECENT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file as it is to be read: the bytes [start, size) of `location` (compressed files: all of them).

    location: a local path or an s3:// address. origin: its stable name, for messages and rejects. lake: where the
    temporary folder and the object store are. first_line: number of the line that begins at `start`, from 1.
    content: sha256 of the bytes [0, size), or what will be. grows: whether bytes may be added after `size` while it is read."""

    location: str
    origin: str
    lake: LakeSettings
    size: int
    mtime_ns: int
    compression: Compression = "none"
    start: int = 0
    first_line: int = 1
    content: str | Future[str] = ""
    grows: bool = False
    max_expanded_bytes: int = 64 * 2**30
    inbox_file: Path | None = None

    @property
    def digest(self) -> str:
        """sha256 of the bytes [0, size); waits for it where they are still being hashed."""
        return self.content if isinstance(self.content, str) else self.content.result()

    @property
    def is_object(self) -> bool:
        """Whether the file is in an object store."""
        return self.location.startswith(objects.SCHEME)

    @property
    def name(self) -> str:
        """The file's name without folders and without the suffix of its compression."""
        last = self.location.rpartition("/")[2]
        return last.rpartition(".")[0] if self.compression != "none" and "." in last else last

    @contextlib.contextmanager
    def stream(self) -> Iterator[Readable]:
        """The plain bytes from `start`; `read(n)` gives at most n. Raises SourceError as `streams.expanded` does."""
        if self.is_object:
            with spool(objects.open_object(self.location.removeprefix(objects.SCHEME), self.lake), folder=self._folder) as copy:
                if file_digest(copy) != self.digest:
                    raise SourceError(f"{self.origin}: changed while it was read; run again")
                with self._plain(copy) as plain:
                    yield plain
            return
        with self._plain(Path(self.location)) as plain:
            yield plain
        self.verify()

    @contextlib.contextmanager
    def _plain(self, path: Path) -> Iterator[Readable]:
        with path.open("rb") as raw:
            if self.compression == "none":
                yield Span(raw, self.start, self.size)
                return
            with expanded(raw, self.compression, name=self.origin, limit=self.max_expanded_bytes) as plain:
                yield plain

    @contextlib.contextmanager
    def plain_path(self) -> Iterator[Path]:
        """A local, plain file of exactly the bytes from `start`: the file itself if possible, else a copy.

        Raises SourceError when the file changed under the reader, and as `streams.expanded` and `streams.spool` do."""
        in_place = not self.is_object and self.compression == "none" and self.start == 0
        if in_place and not is_growing(self.mtime_ns, RECENT_SECONDS) and Path(self.location).stat().st_size == self.size:
            yield Path(self.location)
            self.verify()
            return
        with self.stream() as plain, spool(plain, folder=self._folder, suffix=Path(self.name).suffix) as copy:
            yield copy

    def verify(self) -> None:
        """Raise SourceError when the file shrank or was written again, so that the bytes read are not the digest's."""
        found = Path(self.location).stat()
        grown = self.grows and found.st_size > self.size
        if (found.st_size, found.st_mtime_ns) != (self.size, self.mtime_ns) and not grown:
            raise SourceError(f"{self.origin}: changed while it was read; nothing of it was taken, run again")

    @property
    def _folder(self) -> str | None:
        return self.lake.temp_directory
