"""Reports over the lake as it is: the same for the schedule and for the command line. Knows nothing of Dagster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warehouse.settings import Settings


def write_report(settings: Settings, name: str, formats: Sequence[str], folder: Path | None = None) -> list[Path]:
    """Render a report over a read-only connection into a folder (default: `reports` beside the configuration); the files written.

    Raises ReportError for a report or format that there is not, LakeError when the lake cannot be read."""
    from reports import render
    from transforms.model import macros
    from warehouse.lake.query import open_read_only

    connection = open_read_only(settings, macros())
    try:
        return render(name, connection, folder or Path(settings.root) / "reports", formats)
    finally:
        connection.close()
