"""Keys of encrypted Parquet files. They come from the environment only, are named by a fingerprint, and never appear in a message or file.

LAKEBED_ARCHIVE_ENCRYPTION_KEY holds one key or, after a change, several with commas between them: the first encrypts, all decrypt."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass

import duckdb

from warehouse.errors import ArchiveError

ENCRYPTION = "LAKEBED_ARCHIVE_ENCRYPTION_KEY"
KEY_BYTES = (16, 24, 32)


@dataclass(frozen=True, slots=True)
class Key:
    """Secret bytes and the fingerprint by which files name them."""

    secret: bytes
    fingerprint: str

    def __repr__(self) -> str:
        return f"Key({self.fingerprint})"

    @property
    def name(self) -> str:
        """What DuckDB calls it."""
        return f"lakebed_{self.fingerprint}"


def fingerprint(secret: bytes) -> str:
    """Of a random key it tells nothing; a short signing key could be guessed from it as well as from any HMAC."""
    return hashlib.sha256(b"lakebed key fingerprint:" + secret).hexdigest()[:16]


def encryption_keys() -> list[Key]:
    """The keys that are set. Raises ArchiveError when one is not 16, 24 or 32 bytes as hex or base64."""
    return [_decoded(text) for text in os.environ.get(ENCRYPTION, "").replace(" ", "").split(",") if text]


def key_for(wanted: str | None, what: str) -> Key | None:
    """The key of a fingerprint (None: of what is not encrypted). Raises ArchiveError when it is missing or another one is there."""
    if wanted is None:
        return None
    keys = encryption_keys()
    for key in keys:
        if key.fingerprint == wanted:
            return key
    if not keys:
        raise ArchiveError(f"{what} is encrypted with key {wanted}; set {ENCRYPTION}")
    raise ArchiveError(
        f"{what} is encrypted with key {wanted}, and {ENCRYPTION} holds another one ({', '.join(k.fingerprint for k in keys)})"
    )


def lend_keys(connection: duckdb.DuckDBPyConnection) -> None:
    """Let a connection read files that are encrypted with any of the keys that are set."""
    for key in encryption_keys():
        connection.execute(f"PRAGMA add_parquet_key('{key.name}', '{base64.b64encode(key.secret).decode()}')")


def _decoded(text: str) -> Key:
    for decode in (binascii.unhexlify, lambda t: base64.b64decode(t, validate=True)):
        try:
            secret = decode(text)
        except (binascii.Error, ValueError):
            continue
        if len(secret) in KEY_BYTES:
            return Key(secret, fingerprint(secret))
    raise ArchiveError(f"{ENCRYPTION} must be 16, 24 or 32 bytes written as hex or base64; `openssl rand -hex 32` makes one")
