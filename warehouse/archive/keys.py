"""Keys of the archive. They come from the environment only, are named by a fingerprint, and never appear in a message or a file.

LAKEBED_ARCHIVE_KEY signs (HMAC-SHA256, RFC 2104) what no hash chain can protect: the chain's end and the tombstones.
LAKEBED_ARCHIVE_ENCRYPTION_KEY encrypts the Parquet files (AES-GCM, Parquet modular encryption)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from warehouse.errors import ArchiveError

SIGNING, ENCRYPTION = "LAKEBED_ARCHIVE_KEY", "LAKEBED_ARCHIVE_ENCRYPTION_KEY"
KEY_BYTES = (16, 24, 32)

Proof = Literal["proved", "no key", "unsigned", "wrong key", "forged"]


@dataclass(frozen=True, slots=True)
class Key:
    """Secret bytes and the fingerprint by which files name them."""

    secret: bytes
    fingerprint: str

    def __repr__(self) -> str:
        return f"Key({self.fingerprint})"


def signing_key() -> Key | None:
    """The key of LAKEBED_ARCHIVE_KEY (any text), if it is set."""
    text = os.environ.get(SIGNING, "")
    return Key(text.encode(), _fingerprint(text.encode())) if text else None


def encryption_key() -> Key | None:
    """The key of LAKEBED_ARCHIVE_ENCRYPTION_KEY, if it is set. Raises ArchiveError when it is not 16, 24 or 32 bytes as hex or base64."""
    text = os.environ.get(ENCRYPTION, "").strip()
    if not text:
        return None
    for decode in (binascii.unhexlify, lambda t: base64.b64decode(t, validate=True)):
        try:
            secret = decode(text)
        except (binascii.Error, ValueError):
            continue
        if len(secret) in KEY_BYTES:
            return Key(secret, _fingerprint(secret))
    raise ArchiveError(f"{ENCRYPTION} must be 16, 24 or 32 bytes written as hex or base64; `openssl rand -hex 32` makes one")


def key_for(fingerprint: str | None, what: str) -> Key | None:
    """The encryption key that something was sealed with (None: with none). Raises ArchiveError when it is missing or another one."""
    if fingerprint is None:
        return None
    key = encryption_key()
    if key is None:
        raise ArchiveError(f"{what} is encrypted with key {fingerprint}; set {ENCRYPTION}")
    if key.fingerprint != fingerprint:
        raise ArchiveError(f"{what} is encrypted with key {fingerprint}, and {ENCRYPTION} holds another one ({key.fingerprint})")
    return key


def signed(kind: str, document: Mapping[str, Any], key: Key | None) -> bytes:
    """A JSON document with the HMAC of its kind and content; without a key, with neither."""
    complete = dict(document)
    if key is not None:
        complete |= {"key": key.fingerprint, "hmac": _mac(kind, document, key)}
    return (json.dumps(complete, indent=1, ensure_ascii=False) + "\n").encode()


def proof(kind: str, content: bytes, key: Key | None) -> Proof:
    """What the bytes of a signed document prove under a key. Every byte counts, those that JSON does not care for too."""
    try:
        document = json.loads(content)
        plain = {k: v for k, v in document.items() if k not in ("key", "hmac")}
        written = signed(kind, document, None)
    except (ValueError, AttributeError):
        return "forged"
    if written != content:
        return "forged"
    if key is None:
        return "no key"
    if "hmac" not in document:
        return "unsigned"
    if document.get("key") != key.fingerprint:
        return "wrong key"
    return "proved" if hmac.compare_digest(content, signed(kind, plain, key)) else "forged"


def _mac(kind: str, document: Mapping[str, Any], key: Key) -> str:
    text = json.dumps({"kind": kind, "document": dict(document)}, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hmac.new(key.secret, text.encode(), hashlib.sha256).hexdigest()


def _fingerprint(secret: bytes) -> str:
    """Of a random key it tells nothing; a short signing key could be guessed from it as well as from any HMAC."""
    return hashlib.sha256(b"lakebed key fingerprint:" + secret).hexdigest()[:16]
