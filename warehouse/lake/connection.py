"""The only place that opens DuckDB: extensions from their wheels, scratch connections, and attaching the lake."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import duckdb
import psutil

from warehouse.contracts.series import SERIES_ID_MACRO
from warehouse.errors import LakeError
from warehouse.settings import LakeSettings

SPILL = "lakebed-spill-"


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
    A process works with two connections at a time, the lake's and one to parse with: each may use half of the memory limit.
    file: a database file instead of memory."""
    settings = settings or LakeSettings()
    config: dict[str, str | int] = {
        "memory_limit": _half(settings.memory_limit),
        "temp_directory": spill_folder(settings),
        "preserve_insertion_order": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "threads": settings.threads or os.cpu_count() or 1,
    }
    connection = duckdb.connect(str(file) if file else ":memory:", config=config)  # type: ignore[arg-type]
    connection.execute("SET TimeZone = 'UTC'")
    # where DuckDB takes Python for interactive (`python -c`) it would draw one on stdout, into the output of --json
    connection.execute("SET enable_progress_bar = false")
    connection.execute(SERIES_ID_MACRO)
    if settings.path.startswith("s3://") or settings.s3_endpoint:
        use_s3(connection, settings)
    return connection


def another(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A second connection to the database of a lake's, for another thread, with what a session keeps for itself: its home, and UTC."""
    cursor = connection.cursor()
    cursor.execute("USE lake")
    cursor.execute("SET TimeZone = 'UTC'")
    return cursor


def sweep_spills(settings: LakeSettings, *, older_than_s: float) -> int:
    """Remove what processes that died have spilled; returns how many folders went."""
    swept = 0
    for folder in _temp_base(settings).glob(f"{SPILL}*"):
        pid = folder.name.removeprefix(SPILL).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)) and time.time() - folder.stat().st_mtime > older_than_s:
            shutil.rmtree(folder, ignore_errors=True)
            swept += 1
    return swept


def spill_folder(settings: LakeSettings) -> str:
    """A path for a folder of one connection's (or one writer's) alone, which is made when it is needed and swept when its process died.

    DuckDB instances that share one overwrite each other's pages, and then count rows that are not theirs."""
    return str(_temp_base(settings) / f"{SPILL}{os.getpid()}-{uuid4().hex}")


def _temp_base(settings: LakeSettings) -> Path:
    return Path(settings.temp_directory or tempfile.gettempdir())


def _half(memory_limit: str) -> str:
    unit = memory_limit.lstrip("0123456789.")
    return f"{float(memory_limit.removesuffix(unit)) / 2}{unit}"


def use_s3(connection: duckdb.DuckDBPyConnection, settings: LakeSettings) -> None:
    """Let a connection read `s3://`. Credentials come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN."""
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
