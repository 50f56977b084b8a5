"""Room on the disk: writing stops while there is some left, because on a full disk nothing works any more, making room included."""

from __future__ import annotations

import shutil
from pathlib import Path

from warehouse.errors import DiskFullError
from warehouse.settings import LakeSettings
from warehouse.sizes import bytes_of


def refuse_full(settings: LakeSettings, folder: Path | str, *, needed: int = 0) -> None:
    """Raise DiskFullError when writing `needed` bytes would leave less than `lake.min_free` on the disk of a folder (s3:// has no end)."""
    if "://" in str(folder):
        return
    place = Path(folder)
    while not place.exists():
        place = place.parent
    free, reserve = shutil.disk_usage(place).free, bytes_of(settings.min_free)
    if free - needed < reserve:
        raise DiskFullError(
            f"{folder}: {free / 2**20:,.0f} MiB are free, {needed / 2**20:,.0f} MiB are needed and {settings.min_free} must stay "
            "(lake.min_free); nothing was changed. Make room: `lakebed retention plan` says what may leave, or give the lake another disk"
        )
