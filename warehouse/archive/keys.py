"""Signatures of the archive. LAKEBED_ARCHIVE_KEY, from the environment only, signs (HMAC-SHA256, RFC 2104) what no hash chain can protect:
the chain's end and the tombstones. Keys that encrypt files are in `warehouse.lake.parquet_keys`."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from typing import Any, Literal

from warehouse.lake.parquet_keys import Key, fingerprint

SIGNING = "LAKEBED_ARCHIVE_KEY"

Proof = Literal["proved", "no key", "unsigned", "wrong key", "forged"]


def signing_key() -> Key | None:
    """The key of LAKEBED_ARCHIVE_KEY (any text), if it is set."""
    secret = os.environ.get(SIGNING, "").encode()
    return Key(secret, fingerprint(secret)) if secret else None


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
