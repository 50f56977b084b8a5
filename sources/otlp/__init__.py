"""Files of the OpenTelemetry Collector's file exporter: metrics, spans and logs as JSON or protobuf, plain or compressed."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from sources.files import file_units, is_line_file
from sources.input_file import InputFile
from sources.otlp.reading import parts
from warehouse.lake.unit import Known, Part, Slice, Unit
from warehouse.settings import Settings
from warehouse.settings.sources import OtlpSettings


def units(name: str, settings: OtlpSettings, *, config: Settings, known: Known, window: Slice) -> Iterator[Unit]:
    """The files of an OTLP source that hold something new, each as a unit.

    window: not asked for; a file says itself which days it holds. Files of JSON lines may grow, and be rotated; others are taken whole."""

    def opened(file: InputFile, connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        return parts(file, connection, source=name, max_line_bytes=settings.max_line_bytes)

    return file_units(
        name,
        settings,
        config=config,
        known=known,
        opener=opened,
        growing=is_line_file,
        rotates=True,
    )
