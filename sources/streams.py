"""Bytes of input files: decompression with a bound, digests of prefixes, temporary copies. Knows no format."""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, cast

import numpy as np

from warehouse.errors import SourceError

Compression = Literal["none", "gzip", "zstd"]
CHUNK = 1 << 20
HASHED_CHUNK = 1 << 16  # stays in the cache between the hash and the count of lines: a third of the time of 1 MiB
EXPANDED_CHUNK = 1 << 16
SUFFIXES: dict[str, Compression] = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}
MAGIC: tuple[tuple[bytes, Compression], ...] = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
FREE_SHARE = 0.9
LINE_END = ord("\n")


class Readable(Protocol):
    """What a stream of bytes must offer; `read(n)` returns at most n bytes, and none at the end."""

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Mark:
    """What is known of a prefix of a file: its end in bytes, sha256 and number of line ends."""

    offset: int
    digest: str
    lines: int


def compression_of(name: str, head: bytes) -> Compression:
    """How a file is compressed, by its suffix, else by its first bytes."""
    suffix = Path(name).suffix.lower()
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    for magic, kind in MAGIC:
        if head.startswith(magic):
            return kind
    return "none"


def marks(stream: Readable, offsets: Sequence[int]) -> dict[int, Mark]:
    """Marks at the given offsets (bytes) in one pass; offsets past the end of the stream have none."""
    digest, position, lines = hashlib.sha256(), 0, 0
    found: dict[int, Mark] = {}
    for offset in sorted(set(offsets)):
        while position < offset:
            chunk = stream.read(min(HASHED_CHUNK, offset - position))
            if not chunk:
                return found
            digest.update(chunk)
            position += len(chunk)
            lines += int(np.count_nonzero(np.frombuffer(chunk, np.uint8) == LINE_END))
        found[offset] = Mark(offset, digest.copy().hexdigest(), lines)
    return found


def is_utf8(path: Path) -> bool:
    """Whether a file is UTF-8 text. Plain ASCII, the usual case, is seen at the speed of memory."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as stream:
        while chunk := stream.read(HASHED_CHUNK):
            try:
                if not chunk.isascii() or decoder.getstate()[0]:
                    decoder.decode(chunk)
            except UnicodeDecodeError:
                return False
    return not decoder.getstate()[0]


def end_of_lines(path: Path, size: int) -> int:
    """Offset just after the last line end within the first `size` bytes; 0 when there is none."""
    with path.open("rb") as stream:
        position = size
        while position > 0:
            start = max(0, position - (1 << 16))
            stream.seek(start)
            found = stream.read(position - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            position = start
    return 0


class BoundedReader:
    """A stream that raises SourceError when more than `limit` bytes come out of it, or when decompression fails."""

    def __init__(self, stream: Readable, *, name: str, limit: int, chunk: int = EXPANDED_CHUNK) -> None:
        self._stream, self._name, self._limit, self._chunk = stream, name, limit, chunk
        self.position = 0
        self.lines = 0

    def read(self, size: int = CHUNK, /) -> bytes:
        """At most `size` bytes and one chunk; empty at the end."""
        try:
            chunk = self._stream.read(min(size, self._chunk) if size > 0 else self._chunk)
        except (OSError, EOFError) as error:
            raise SourceError(
                f"{self._name}: the compressed data is cut or damaged after at least {self.lines} whole lines "
                f"({self.position} bytes): {error}; nothing of the file was taken, deliver it again"
            ) from None
        self.position += len(chunk)
        self.lines += chunk.count(b"\n")
        if self.position > self._limit:
            raise SourceError(
                f"{self._name}: expands beyond {self._limit} bytes; nothing of the file was taken. "
                "Raise max_expanded_bytes if it is genuine"
            )
        return chunk


@contextlib.contextmanager
def expanded(raw: BinaryIO, compression: Literal["gzip", "zstd"], *, name: str, limit: int) -> Iterator[BoundedReader]:
    """A reader of the plain bytes behind `raw` (gzip with several members and zstd with several frames included).

    Raises SourceError, also from `read`, on compressed data that is cut, damaged, empty or larger than `limit`."""
    import pyarrow as pa

    if os.fstat(raw.fileno()).st_size == 0:
        raise SourceError(f"{name}: is empty, which is no {compression} data; deliver it again")
    with pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), compression) as stream:
        yield BoundedReader(cast("Readable", stream), name=name, limit=limit)


@contextlib.contextmanager
def spool(stream: Readable, *, folder: str | None, suffix: str = "") -> Iterator[Path]:
    """A temporary file with the stream's bytes, removed on exit. Raises SourceError when the disk has no room."""
    handle, name = tempfile.mkstemp(prefix="lakebed-spool-", suffix=suffix, dir=folder)
    try:
        room = int(shutil.disk_usage(Path(name).parent).free * FREE_SHARE)
        with os.fdopen(handle, "wb") as target:
            while chunk := stream.read(CHUNK):
                room -= len(chunk)
                if room < 0:
                    raise SourceError(f"no room left in {Path(name).parent} for a temporary plain copy; set lake.temp_directory")
                target.write(chunk)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


class Span:
    """A stream over the bytes [start, end) of an open file."""

    def __init__(self, stream: BinaryIO, start: int, end: int) -> None:
        stream.seek(start)
        self._stream, self._left = stream, end - start

    def read(self, size: int = CHUNK, /) -> bytes:
        """At most `size` bytes; empty at the end of the span."""
        chunk = self._stream.read(min(size if size > 0 else CHUNK, self._left))
        self._left -= len(chunk)
        return chunk
