"""Input files as units of work: which files a source has, which of their bytes are new, and how a reader gets at them.

Every reader of files goes through `file_units`; formats belong to the readers."""

from __future__ import annotations

import glob
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import duckdb

from sources import objects
from sources.inbox import deliveries, is_growing
from sources.input_file import InputFile
from sources.streams import Mark, compression_of, end_of_lines, marks
from warehouse.errors import SourceError
from warehouse.lake.identity import batch_id
from warehouse.lake.unit import Former, Known, Part, Unit
from warehouse.settings import Settings

__all__ = ["FileInputs", "InputFile", "Opener", "file_units", "identified", "is_line_file", "listed", "refused"]

LARGE = 8 << 20
HASHING = threading.Lock()  # one file at a time
LINE_SUFFIXES = (".jsonl", ".ndjson", ".log", ".txt", ".csv", ".tsv")


class FileInputs(Protocol):
    """Settings of a source that reads files."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Patterns of files that are read in place."""
        ...

    @property
    def inbox(self) -> str | None:
        """Folder whose files are taken and moved."""
        ...

    @property
    def settle_seconds(self) -> float:
        """Age of the last write below which a file is still growing."""
        ...

    @property
    def max_expanded_bytes(self) -> int:
        """Bytes beyond which a compressed file may not expand."""
        ...


Opener = Callable[[InputFile, duckdb.DuckDBPyConnection], Iterator[Part]]


def is_line_file(name: str) -> bool:
    """Whether a file holds lines by its suffix, so that it may grow (`app.log.1` counts, compressed files do not)."""
    stem = name.lower().rstrip("0123456789-_").rstrip(".")
    return stem.endswith(LINE_SUFFIXES)


def file_units(
    name: str,
    settings: FileInputs,
    *,
    config: Settings,
    known: Known,
    opener: Opener,
    growing: Callable[[str], bool] = lambda _: False,
    rotates: bool = False,
) -> Iterator[Unit]:
    """The files of a source that hold something new, each as a unit; files in an inbox always, for the caller to move.

    growing: whether a file of that name is read on from where it was left when its former bytes are unchanged; any
    other changed file supersedes what it brought before. rotates: a growing file that begins anew is a new generation
    (a log) whose former rows stay, and one that begins with what another file of the source brought (it was renamed)
    is read on from there.
    Raises SourceError for a pattern or inbox that does not exist."""
    found = list(listed(settings, config))
    origins = {f.origin for f in found}.union(known.former_origins() if rotates else ())  # a log may be renamed before it begins anew
    formers = {origin: known.former(origin) for origin in origins}
    for file in found:
        yield from _unit(name, file, opener, known, formers, growing(file.name), rotates, settings.settle_seconds)
    yield from refused(name, settings, config)


def identified(file: InputFile) -> InputFile | None:
    """A listed file with its compression and the digest of all its bytes; None when it changed while it was hashed."""
    file = replace(file, compression=compression_of(file.location, _head(file)))
    found = _marks(file, [file.size]).get(file.size)
    if found is None or not (file.is_object or _settled(file)):
        return None
    return replace(file, content=found.digest)


def listed(settings: FileInputs, config: Settings) -> Iterator[InputFile]:
    """The files that a source has, nothing of them read: those of its paths, then those of its inbox.

    Raises SourceError for a pattern or inbox that does not exist."""
    seen: set[str] = set()
    for pattern in settings.paths:
        for file in _matching(config.resolve_input(pattern), config):
            if file.location not in seen:
                seen.add(file.location)
                yield replace(file, max_expanded_bytes=settings.max_expanded_bytes)
    if settings.inbox:
        for found in deliveries(Path(config.resolve_input(settings.inbox)), settings.settle_seconds):
            if found.refused is None:
                file = InputFile(str(found.path), f"inbox/{found.path.name}", config.lake, found.size, found.mtime_ns)
                yield replace(file, inbox_file=found.path, max_expanded_bytes=settings.max_expanded_bytes)


def _matching(pattern: str, config: Settings) -> Iterator[InputFile]:
    """Files of one pattern, by path; origins are relative to data_root or else to the configuration's folder."""
    if pattern.startswith(objects.SCHEME):
        for stored in objects.listing(pattern, config.lake):
            address = objects.SCHEME + stored.key
            yield InputFile(address, _relative(address, config), config.lake, stored.size, stored.mtime_ns)
        return
    wild = objects.GLOB.search(pattern)
    base = Path(pattern[: wild.start()]).parent if wild and not pattern[: wild.start()].endswith("/") else None
    base = base or Path(pattern[: wild.start()] if wild else pattern)
    if not base.exists():
        raise SourceError(f"{_relative(pattern, config)}: there is no {_relative(str(base), config)}; correct `path` or data_root")
    for path in sorted(glob.glob(pattern, recursive=True)) if wild else [pattern]:  # noqa: PTH207 - patterns may be absolute
        found = Path(path)
        if found.is_file():
            status = found.stat()
            yield InputFile(path, _relative(path, config), config.lake, status.st_size, status.st_mtime_ns)
        elif not wild:
            shown = _relative(path, config)
            raise SourceError(f"{shown}: is not a file; for all files of a folder write `{shown}/*`")


def _relative(location: str, config: Settings) -> str:
    root = config.resolve_input("").rstrip("/")
    if location.startswith(root + "/"):
        return location[len(root) + 1 :]
    return location if "://" in location else Path(os.path.relpath(location, config.root)).as_posix()


def _unit(
    name: str,
    file: InputFile,
    opener: Opener,
    known: Known,
    formers: dict[str, Former | None],
    grows: bool,
    rotates: bool,
    settle_seconds: float,
) -> Iterator[Unit]:
    """The unit of one file, or none when everything in it is in the lake or it is still being written."""
    former = formers[file.origin]
    state = objects.Stored(file.location, file.size, file.mtime_ns).state if file.is_object else None
    if former and state and former.digest == state:
        return
    head = _head(file)
    file = replace(file, compression=compression_of(file.location, head))
    grows = grows and file.compression == "none" and not file.is_object
    end = file.size
    if grows and is_growing(file.mtime_ns, settle_seconds):
        end = end_of_lines(Path(file.location), file.size)
    candidates = [f for f in (formers.values() if rotates else [former]) if f and f.offset and f.offset <= end] if grows else []
    local = not file.is_object and file.inbox_file is None
    if local and end >= LARGE and former is None and not candidates and not known.has_size(end):
        yield _new_unit(name, replace(file, grows=grows, size=end), opener, offset=end if grows else file.size)
        return
    found = _marks(file, [end, *(f.offset for f in candidates if f.offset is not None)])
    if end not in found:
        return
    begin = _continued(candidates, found, end)
    file = replace(file, grows=grows, size=end, content=found[end].digest, start=begin.offset, first_line=begin.lines + 1)
    batch = batch_id("file", name, file.digest)
    if known.has(batch) and file.inbox_file is None:
        return
    supersedes: tuple[str, ...] = ()
    if former and not (grows and rotates):
        if begin.offset and not _ends_line(file, begin.offset):
            file = replace(file, start=0, first_line=1)
        supersedes = former.batch_ids if file.start == 0 else ()
    if not (grows or file.is_object or _settled(file)):
        return
    yield Unit(
        source=name,
        batch_id=batch,
        origin=file.origin,
        open=lambda connection: opener(file, connection),
        supersedes=tuple(b for b in supersedes if b != batch),
        bytes_read=end - file.start,
        offset=end if grows else file.size,
        digest=state or file.digest,
        inbox_file=file.inbox_file,
    )


def _new_unit(name: str, file: InputFile, opener: Opener, *, offset: int) -> Unit:
    """The unit of a file whose content is new for sure, so that it is hashed while it is read: on two cores that hides most of the time."""
    file = replace(file, content=_being_hashed(file))
    return Unit(
        source=name,
        batch_id="",
        origin=file.origin,
        open=lambda connection: opener(file, connection),
        bytes_read=file.size,
        offset=offset,
        identify=lambda: (batch_id("file", name, file.digest), file.digest),
    )


def _being_hashed(file: InputFile) -> Future[str]:
    """The digest of a file, at work in a thread that nobody waits for at exit: a pool is joined, so that Ctrl+C would hash to the end."""
    found = Future[str]()

    def hashed() -> None:
        try:
            with HASHING:
                found.set_result(_digest(file))
        except BaseException as error:  # noqa: BLE001 - it belongs to who asks for the digest
            found.set_exception(error)

    threading.Thread(target=hashed, name="hashing", daemon=True).start()
    return found


def _digest(file: InputFile) -> str:
    found = _marks(file, [file.size]).get(file.size)
    if found is None:
        raise SourceError(f"{file.origin}: changed while it was read; nothing of it was taken, run again")
    return found.digest


def _head(file: InputFile) -> bytes:
    if file.is_object:
        return objects.open_object(file.location.removeprefix(objects.SCHEME), file.lake).read(4)
    with Path(file.location).open("rb") as stream:
        return stream.read(4)


def _marks(file: InputFile, offsets: list[int]) -> dict[int, Mark]:
    if file.is_object:
        return marks(objects.open_object(file.location.removeprefix(objects.SCHEME), file.lake), offsets)
    with Path(file.location).open("rb", buffering=0) as stream:
        return marks(stream, [o for o in offsets if o <= file.size])


def _continued(candidates: list[Former], found: dict[int, Mark], end: int) -> Mark:
    """The longest prefix that the lake has, or the beginning of the file."""
    fits = [
        found[f.offset]
        for f in candidates
        if f.offset is not None and f.offset <= end and f.offset in found and found[f.offset].digest == f.digest
    ]
    return max(fits, key=lambda m: m.offset, default=Mark(0, "", 0))


def _ends_line(file: InputFile, offset: int) -> bool:
    with Path(file.location).open("rb") as stream:
        stream.seek(offset - 1)
        return stream.read(1) == b"\n"


def _settled(file: InputFile) -> bool:
    """Whether the file is as it was listed: one that grew while it was hashed is left for the next time."""
    found = Path(file.location).stat()
    return (found.st_size, found.st_mtime_ns) == (file.size, file.mtime_ns)


def refused(name: str, settings: FileInputs, config: Settings) -> Iterator[Unit]:
    """Deliveries that must not be read, as units that fail when opened: rejected like any bad file."""
    if not settings.inbox:
        return
    for found in deliveries(Path(config.resolve_input(settings.inbox)), settings.settle_seconds):
        if found.refused:
            origin = f"inbox/{found.path.name}"
            yield Unit(
                name,
                batch_id("refused", name, origin, str(found.mtime_ns)),
                origin,
                _failing(f"{origin}: {found.refused}"),
                inbox_file=found.path,
            )


def _failing(reason: str) -> Callable[[duckdb.DuckDBPyConnection], Iterator[Part]]:
    def opened(_: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        raise SourceError(reason)

    return opened
