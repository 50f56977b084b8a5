"""Byte counts as people write them."""

from __future__ import annotations

import re

UNITS = {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}


def bytes_of(text: str) -> int:
    """`4GiB` as bytes. Raises ValueError for anything but a number with MB, GB, MiB or GiB."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(\w+)", text)
    if match is None or match.group(2) not in UNITS:
        raise ValueError(f"{text!r} is no size; write 4GiB")
    return int(float(match.group(1)) * UNITS[match.group(2)])
