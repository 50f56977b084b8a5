"""The only place that opens DuckDB: extensions from their wheels, scratch connections, and attaching the lake."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import duckdb

from warehouse.contracts.series import SERIES_ID_MACRO
from warehouse.errors import LakeError
from warehouse.settings import LakeSettings


def extension_file(name: str) -> Path:
    """The file of a DuckDB extension, from the wheel `duckdb-extension-<name>` of the same version as duckdb."""
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    if spec is None or spec.origin is None:
        raise LakeError(f"DuckDB extension {name} is missing: install duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}")
    found = Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    if not found.is_file():
        raise LakeError(f"DuckDB extension {name} is not for duckdb {duckdb.__version__}: install the wheel of that version")
    return found


def load_extension(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """LOAD an extension from its wheel; DuckDB checks its signature."""
    connection.execute(f"LOAD '{str(extension_file(name)).replace(chr(39), chr(39) * 2)}'")


def scratch(settings: LakeSettings | None = None, *, file: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection that has nothing attached: for parsing, staging and tests. UTC, bounded memory, macro `series_id`.

    settings: memory limit, threads and S3 access; httpfs is loaded only for an `s3://` lake or when the settings name an endpoint.
    file: a database file instead of memory."""
    settings = settings or LakeSettings()
    config: dict[str, str | int] = {
        "memory_limit": settings.memory_limit,
        "preserve_insertion_order": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "threads": settings.threads or os.cpu_count() or 1,
    }
    if settings.temp_directory:
        config["temp_directory"] = settings.temp_directory
    connection = duckdb.connect(str(file) if file else ":memory:", config=config)  # type: ignore[arg-type]
    connection.execute("SET TimeZone = 'UTC'")
    # where DuckDB takes Python for interactive (`python -c`) it would draw one on stdout, into the output of --json
    connection.execute("SET enable_progress_bar = false")
    connection.execute(SERIES_ID_MACRO)
    if settings.path.startswith("s3://") or settings.s3_endpoint:
        _use_s3(connection, settings)
    return connection


def _use_s3(connection: duckdb.DuckDBPyConnection, settings: LakeSettings) -> None:
    """S3 credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN)."""
    load_extension(connection, "httpfs")
    options = {
        "KEY_ID": os.environ.get("AWS_ACCESS_KEY_ID"),
        "SECRET": os.environ.get("AWS_SECRET_ACCESS_KEY"),
        "SESSION_TOKEN": os.environ.get("AWS_SESSION_TOKEN"),
        "REGION": settings.s3_region,
        "ENDPOINT": settings.s3_endpoint,
        "URL_STYLE": "path" if settings.s3_endpoint else None,
    }
    parts = [f"{key} {literal(value)}" for key, value in options.items() if value]
    parts.append(f"USE_SSL {str(settings.s3_use_ssl).lower()}")
    connection.execute(f"CREATE OR REPLACE SECRET lakebed_s3 (TYPE s3, {', '.join(parts)})")


def literal(text: str) -> str:
    """A text as an SQL literal, for statements that take no bound parameters."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
