"""Reports over the lake as it is: the same for the schedule and for the command line. Knows nothing of Dagster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warehouse.settings import Settings


def write_reports(
    settings: Settings, names: Sequence[str] = (), formats: Sequence[str] = (), folder: Path | None = None
) -> dict[str, list[Path]]:
    """Render reports over one read-only connection into a folder; the files written, by report.

    What is not given is as `[report]` of the configuration says, where nothing is said everything, into `reports` beside the
    configuration. Raises ReportError for a report or format that there is not, LakeError when the lake cannot be read."""
    from reports import FORMATS, REPORTS, render
    from transforms.model import macros
    from warehouse.lake.query import open_read_only

    wanted = settings.report
    into = folder or Path(settings.root) / wanted.path
    connection = open_read_only(settings, macros())
    try:
        return {
            name: render(name, connection, into, formats or wanted.formats or FORMATS)
            for name in dict.fromkeys(names or wanted.names or REPORTS)
        }
    finally:
        connection.close()
