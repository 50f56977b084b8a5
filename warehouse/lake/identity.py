"""Identity of content: what makes a batch the same batch wherever and however often it is sent."""

from __future__ import annotations

import hashlib
from pathlib import Path

CHUNK = 1 << 20


def batch_id(kind: str, source: str, *content: str) -> str:
    """sha256 over kind (table or `file`, `push`, `window`), source and content digests, as hex. Parts are length-prefixed."""
    digest = hashlib.sha256()
    for part in (kind, source, *content):
        raw = part.encode()
        digest.update(b"%d:" % len(raw))
        digest.update(raw)
    return digest.hexdigest()


def file_digest(path: Path, *, start: int = 0, end: int | None = None) -> str:
    """sha256 of the bytes [start, end) of a file as hex, read in chunks."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        stream.seek(start)
        left = (end - start) if end is not None else None
        while left is None or left > 0:
            chunk = stream.read(CHUNK if left is None else min(CHUNK, left))
            if not chunk:
                break
            digest.update(chunk)
            if left is not None:
                left -= len(chunk)
    return digest.hexdigest()
