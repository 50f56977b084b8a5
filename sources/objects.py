"""Objects of an S3-compatible store: listing by pattern, streaming. Credentials come from AWS_* in the environment."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from warehouse.errors import SourceError
from warehouse.settings import LakeSettings

if TYPE_CHECKING:
    from sources.streams import Readable

SCHEME = "s3://"
GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Stored:
    """One object: `key` is bucket/path without the scheme."""

    key: str
    size: int
    mtime_ns: int

    @property
    def state(self) -> str:
        """A text that changes when the object is written again, without reading it."""
        return f"s3:{self.size}:{self.mtime_ns}"


def store(settings: LakeSettings) -> Any:
    """The file system of the store that `[lake]` describes (s3_endpoint, s3_region, s3_use_ssl)."""
    from pyarrow import fs

    options: dict[str, Any] = {"region": settings.s3_region, "connect_timeout": 10, "request_timeout": 60}
    if settings.s3_endpoint:
        options |= {"endpoint_override": settings.s3_endpoint, "scheme": "https" if settings.s3_use_ssl else "http"}
    return fs.S3FileSystem(**options)


def listing(pattern: str, settings: LakeSettings) -> Iterator[Stored]:
    """Objects that fit `s3://bucket/path`, with `*`, `?`, `[...]` within a name and `**` across folders, by key.

    Raises SourceError when the store cannot be listed, or a pattern without wildcards names nothing."""
    from pyarrow import fs

    key = pattern.removeprefix(SCHEME)
    wild = GLOB.search(key)
    base = key[: wild.start()].rpartition("/")[0] if wild else key
    try:
        if not wild:
            infos = [store(settings).get_file_info(key)]
        else:
            infos = store(settings).get_file_info(fs.FileSelector(base, recursive=True, allow_not_found=True))
    except OSError as error:
        raise SourceError(f"{pattern}: the store cannot be listed: {error}") from None
    if not wild and infos[0].type != fs.FileType.File:
        raise SourceError(f"{pattern}: there is no such object")
    for info in sorted(infos, key=lambda i: str(i.path)):
        if info.type == fs.FileType.File and (not wild or fits(info.path.split("/"), key.split("/"))):
            yield Stored(info.path, info.size, info.mtime_ns)


def fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path fit the parts of a glob; `**` spans any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return fits(parts, pattern[1:]) or (bool(parts) and fits(parts[1:], pattern))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and fits(parts[1:], pattern[1:])


def open_object(key: str, settings: LakeSettings) -> Readable:
    """A stream of an object's bytes. Raises SourceError when it cannot be opened."""
    try:
        return cast("Readable", store(settings).open_input_stream(key, compression=None))
    except OSError as error:
        raise SourceError(f"{SCHEME}{key}: cannot be read: {error}") from None
