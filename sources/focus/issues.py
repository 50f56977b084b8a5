"""Which files are one issue of a bill, and in which order issues were made. Knows names and times of files, not their contents."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from sources.input_file import InputFile

UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
PART = re.compile(r"(?:^|(?<=[-_. ]))part[-_. ]?\d+(?:[-_]\d+)*(?![0-9a-z])|(?<=[-_])0\d{4}$", re.IGNORECASE)
SUFFIX = re.compile(r"(?:\.(?:csv|tsv|txt|parquet|snappy|gz|gzip|zst|zstd))+$", re.IGNORECASE)
PERIOD_FOLDER = re.compile(r"\d{8}-\d{8}")
UUID_MASK = re.compile(r"\?")
DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Issue:
    """Files that were issued together and replace what was issued before as one. origin: their common name, `*` where they differ.
    in_parts: whether more files of it may come."""

    origin: str
    files: tuple[InputFile, ...]
    in_parts: bool
    from_inbox: bool


def issues(files: Iterable[InputFile]) -> list[Issue]:
    """Files grouped into issues, oldest first.

    One issue are: the files of one execution of an AWS or Azure export, `20261001-20261101/<uuid>/...`; and files of one folder whose names
    are equal but for a part number: `part-0001`, `part_0_0001`, Spark's `part-00000-<uuid>-c000` of one uuid, and a final number of five
    digits that begins with 0, as AWS writes it (`costs-00001.csv.gz`). Any other file is an issue of its own.
    Order: by path, numbers in it compared as numbers (v2 before v10) and UUIDs left out, then by the time of the last write."""
    groups: dict[tuple[bool, str], list[InputFile]] = {}
    for file in files:
        groups.setdefault((file.inbox_file is not None, stem(file.origin)), []).append(file)
    found = [
        Issue(origin, tuple(sorted(group, key=lambda f: f.origin)), "*" in origin, from_inbox)
        for (from_inbox, origin), group in groups.items()
    ]
    return sorted(found, key=_order)


def stem(origin: str) -> str:
    """The common name of the issue that a file belongs to: with `*` for the number of a part, or the file's own."""
    path = PurePosixPath(origin)
    if UUID.search(path.parent.name) and PERIOD_FOLDER.fullmatch(path.parent.parent.name):
        return f"{path.parent}/*"
    suffix = SUFFIX.search(path.name)
    bare = path.name[: suffix.start()] if suffix else path.name
    masked = UUID.sub("?", bare)
    marked = PART.sub("*", masked)
    if marked == masked:
        return origin
    runs = iter(UUID.findall(bare))
    named = UUID_MASK.sub(lambda _: next(runs, "?"), marked)
    return str(path.with_name(named + (suffix.group() if suffix else "")))


def _order(issue: Issue) -> tuple[bool, list[tuple[int, int, str]], int, str]:
    """From an inbox last: what is delivered is newer than what lies there."""
    text = SUFFIX.sub("", UUID.sub("", issue.origin))
    natural = [(0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in DIGITS.split(text) if piece]
    return issue.from_inbox, natural, max(f.mtime_ns for f in issue.files), issue.origin
