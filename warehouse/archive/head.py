"""The end of the chain, beside the archive: head.json says which bundle is the last and how many there are, signed when there is a key.

A hash chain proves what is in it, not that nothing is missing at its end. The lake's records say how long it is; the head says it again
where whoever rolls the lake's records back has no hand in it, and the key keeps a shorter one from being written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from warehouse.archive.keys import SIGNING, Proof, proof, signed, signing_key
from warehouse.archive.records import Bundle
from warehouse.archive.storage import HEAD, Storage
from warehouse.errors import ArchiveError

KIND = "lakebed-archive-head-1"


@dataclass(frozen=True, slots=True)
class Head:
    """What head.json says, and what its HMAC proves under the key at hand."""

    bundle_id: str
    manifest_sha256: str
    count: int
    key: str | None
    proof: Proof

    def is_behind(self, chain: Sequence[Bundle]) -> bool:
        """Whether it is the head of an earlier time of this chain: a seal died after it was recorded."""
        return 0 < self.count < len(chain) and chain[self.count - 1].manifest_sha256 == self.manifest_sha256

    def is_end_of(self, chain: Sequence[Bundle]) -> bool:
        """Whether it names the end of this chain."""
        return bool(chain) and self.count == len(chain) and chain[-1].manifest_sha256 == self.manifest_sha256


def read_head(storage: Storage) -> Head | None:
    """The head; None when there is none. Raises ArchiveError when head.json is no head."""
    content = storage.find(HEAD)
    if content is None:
        return None
    try:
        document = json.loads(content)
        if document["format"] != KIND:
            raise ArchiveError(f"{HEAD} has another format than {KIND}")
        named = str(document["bundle_id"]), str(document["manifest_sha256"]), int(document["count"])
        return Head(*named, document.get("key"), proof("head", content, signing_key()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArchiveError(f"{HEAD} is not the head of an archive: {error}") from None


def refuse_without_key(storage: Storage) -> None:
    """Raises ArchiveError when the head is signed and there is no key, or another one, to sign the next with; nothing is changed then."""
    head = read_head(storage)
    if head is None or head.key is None:
        return
    if head.proof == "no key":
        raise ArchiveError(f"the archive is signed; set {SIGNING} to add to it")
    if head.proof == "wrong key":
        raise ArchiveError(f"{SIGNING} is not the key that the archive is signed with ({head.key}); nothing was added")


def write_head(storage: Storage, chain: Sequence[Bundle]) -> None:
    """Say that the chain ends where it does. Called under the archive's lock."""
    if chain:
        last = chain[-1]
        document = {"format": KIND, "bundle_id": last.bundle_id, "manifest_sha256": last.manifest_sha256, "count": len(chain)}
        storage.write(HEAD, signed("head", document, signing_key()))
