"""The end of the chain, beside the archive: head.json says which bundle is the last and how many there are, signed when there is a key.

A hash chain proves what is in it, not that nothing is missing at its end. The lake's records say how long it is; the head says it again
where whoever rolls the lake's records back has no hand in it, and the key keeps a shorter one from being written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from warehouse.archive.keys import SIGNING, Proof, proof, signed, signing_key
from warehouse.archive.records import Bundle
from warehouse.archive.storage import HEAD, Storage
from warehouse.errors import ArchiveError

KIND = "lakebed-archive-head-1"


def read_head(storage: Storage) -> dict[str, Any] | None:
    """The document of head.json; None when there is none. Raises ArchiveError when it is no such document."""
    content = storage.find(HEAD)
    if content is None:
        return None
    try:
        document = json.loads(content)
        if document["format"] != KIND or not isinstance(document["count"], int):
            raise ArchiveError(f"{HEAD} has another format than {KIND}")
        found: dict[str, Any] = dict(document)
        return found
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{HEAD} is not the head of an archive: {error}") from None


def refuse_without_key(storage: Storage) -> None:
    """Raises ArchiveError when the head is signed and there is no key, or another one, to sign the next with; nothing is changed then."""
    document = read_head(storage)
    if document is None or "hmac" not in document:
        return
    found = head_proof(document)
    if found == "no key":
        raise ArchiveError(f"the archive is signed; set {SIGNING} to add to it")
    if found == "wrong key":
        raise ArchiveError(f"{SIGNING} is not the key that the archive is signed with ({document.get('key')}); nothing was added")


def write_head(storage: Storage, chain: Sequence[Bundle]) -> None:
    """Say that the chain ends where it does. Called under the archive's lock."""
    if chain:
        last = chain[-1]
        document = {"format": KIND, "bundle_id": last.bundle_id, "manifest_sha256": last.manifest_sha256, "count": len(chain)}
        storage.write(HEAD, signed("head", document, signing_key()))


def head_proof(document: dict[str, Any]) -> Proof:
    """What the head's HMAC proves."""
    return proof("head", document, signing_key())


def is_behind(document: dict[str, Any], chain: Sequence[Bundle]) -> bool:
    """Whether the head is that of an earlier time of this chain: a seal died after it was recorded."""
    count = int(document["count"])
    return 0 < count < len(chain) and chain[count - 1].manifest_sha256 == str(document["manifest_sha256"])


def is_end_of(document: dict[str, Any], chain: Sequence[Bundle]) -> bool:
    """Whether the head names the end of this chain."""
    return bool(chain) and int(document["count"]) == len(chain) and chain[-1].manifest_sha256 == str(document["manifest_sha256"])
