"""Signing what was written without a key: the head and the tombstones, once a person has seen that all else is as it was sealed."""

from __future__ import annotations

import json

from warehouse.archive.head import write_head
from warehouse.archive.keys import SIGNING, signed, signing_key
from warehouse.archive.records import recorded_bundles
from warehouse.archive.storage import TOMBSTONE, storage_of
from warehouse.archive.verifying import verify
from warehouse.errors import ArchiveError
from warehouse.lake.lake import Lake

SIGNABLE = ("missing head", "unsigned head", "unsigned tombstone")


def sign(lake: Lake) -> int:
    """Write the head, and sign it and every tombstone when LAKEBED_ARCHIVE_KEY is set; returns how many bundles the head counts.

    Raises ArchiveError when anything is not as it was sealed: a signature would cover the damage up."""
    storage, key = storage_of(lake), signing_key()
    worse = [p for p in verify(lake).problems if p.kind not in SIGNABLE]
    if worse:
        raise ArchiveError(
            f"nothing was signed: {len(worse)} problem(s), first {worse[0].kind} {worse[0].path}; see `lakebed archive verify`"
        )
    with lake.catalog.lock(("archive", "meta.archive_bundles")):
        chain = recorded_bundles(lake)
        write_head(storage, chain)
        for bundle in chain if key is not None else []:
            content = storage.find(f"{bundle.path}/{TOMBSTONE}")
            if content is not None and "hmac" not in json.loads(content):
                storage.write(f"{bundle.path}/{TOMBSTONE}", signed("tombstone", json.loads(content), key))
    return len(chain)


def told(count: int) -> str:
    """What was done, for people."""
    if signing_key() is None:
        return f"the head names the last of {count:,} bundle(s), unsigned: {SIGNING} is not set"
    return f"the head, which names the last of {count:,} bundle(s), and the tombstones are signed"
