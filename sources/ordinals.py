"""Ids of records that have none of their own: what they came in, and their number in it."""

from __future__ import annotations

import hashlib

from warehouse.lake.connection import literal


def ordinal_uuid(content: str, ordinal: str) -> str:
    """SQL for the UUID (as text) of record number `ordinal` (an SQL expression) in a file or batch that `content` identifies.

    The first 64 bits are a hash of the content, the others the number: equal records stay apart, and a column of such ids compresses to
    next to nothing, where hashed ones take 16 bytes a row."""
    prefix = hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()[:16]
    return f"{literal(prefix)} || lpad(to_hex({ordinal}), 16, '0')"
