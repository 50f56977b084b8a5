"""Attaching the DuckLake catalog and bringing its tables to what the contracts say."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse.contracts import CONTRACTS, Column, Contract
from warehouse.contracts.ddl import QUARANTINE_COLUMNS, create_table, create_view, quarantine_name
from warehouse.errors import LakeError
from warehouse.lake.connection import identifier, literal, load_extension, scratch, use_s3
from warehouse.lake.lock import (
    LOCK_TIMEOUT_S,
    Held,
    advisory_absence,
    advisory_locks,
    advisory_presence,
    file_absence,
    file_lock,
    file_presence,
)
from warehouse.lake.parquet_keys import lend_keys
from warehouse.settings import Settings

SCHEMAS = ("store", "raw", "core", "mart", "meta", "quarantine", "archive")
MAINTENANCE, STAGING = "maintenance", "staging"
PATIENCE_S, PAUSE_S = 60.0, 0.25
"""How long the clean-up looks for a moment without writers, and how long it leaves them alone between two looks."""
OPTIONS = {
    "parquet_compression": "zstd",
    "parquet_row_group_size": "524288",
    "data_inlining_row_limit": "0",
    "auto_compact": "false",
}
STATISTICS_INDEX = "CREATE INDEX IF NOT EXISTS lakebed_file_column_stats ON ducklake_file_column_stats (table_id, column_id)"
"""What DuckLake asks PostgreSQL for when it plans a query; without it, each plan reads the statistics of all files."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """Where the catalog is: a SQLite file on a local disk, or PostgreSQL."""

    kind: str
    address: str
    data_path: str

    @classmethod
    def of(cls, settings: Settings) -> Catalog:
        """Read `[lake]`: `sqlite:FILE` or `postgres:DSN`."""
        kind, _, address = settings.lake.catalog.get_secret_value().partition(":")
        data = settings.resolve(settings.lake.path).rstrip("/") + "/"
        if kind == "sqlite":
            return cls(kind, settings.resolve(address), data)
        if kind in ("postgres", "postgresql"):
            return cls("postgres", address if not address.startswith("//") else f"{kind}:{address}", data)
        raise LakeError("lake.catalog must be sqlite:FILE or postgres:DSN")

    @property
    def recovering(self) -> Path | None:
        """The marker that stays beside a SQLite catalog while it is brought back from a backup; None for PostgreSQL. Until it is gone, the
        catalog does not know all that is the lake's."""
        return Path(f"{self.address}.recovering") if self.kind == "sqlite" else None

    def has_files(self) -> bool:
        """Whether data files lie in the folder of a lake, by which a catalog that is gone can be told from one that is not there yet."""
        store = Path(self.data_path, "store")
        return "://" not in self.data_path and store.is_dir() and next(store.glob("*/**/*.parquet"), None) is not None

    def lock(self, names: tuple[str, ...], *, timeout: float = LOCK_TIMEOUT_S) -> AbstractContextManager[Held]:
        """The lock that a commit touching these tables holds from before BEGIN until after COMMIT. Whoever commits is `present`, too; only
        the lock of maintenance, which keeps the clean-up away itself, is not."""
        if self.kind == "sqlite":
            return file_lock(Path(self.address), timeout=timeout)
        present = () if MAINTENANCE in names else (self._name(STAGING),)
        return advisory_locks(self.address, [self._name(n) for n in names], shared=present, timeout=timeout)

    def present(self) -> AbstractContextManager[None]:
        """Held by a writer from before its first file is written until the file is committed or discarded."""
        return file_presence(Path(self.address)) if self.kind == "sqlite" else advisory_presence(self.address, self._name(STAGING))

    @contextmanager
    def nobody_present(self, patience_s: float = 0.0) -> Iterator[bool]:
        """Whether no writer has files that no snapshot knows yet, asked for up to so many seconds until it is so; none begins to write then
        before the block ends. Under the lock of maintenance, which is free between two looks: whoever is present needs it to be done."""
        until = time.monotonic() + patience_s
        while True:
            with self.lock((MAINTENANCE,)), self._absence() as nobody:
                if nobody or time.monotonic() >= until:
                    yield nobody
                    return
            time.sleep(PAUSE_S)

    def _absence(self) -> AbstractContextManager[bool]:
        return file_absence(Path(self.address)) if self.kind == "sqlite" else advisory_absence(self.address, self._name(STAGING))

    def _name(self, name: str) -> str:
        return f"lakebed:{self.data_path}:{name}"


def attach(settings: Settings, *, read_only: bool = False) -> tuple[duckdb.DuckDBPyConnection, Catalog]:
    """A connection with the lake attached as `lake` and in use. Creates the catalog when it is not there (not when read-only).

    Files are found relative to the configured data path, so a lake can be moved as a whole.
    Raises LakeError, without the DSN in its text, when the catalog cannot be reached."""
    catalog = Catalog.of(settings)
    _prepare(catalog, read_only=read_only)
    connection = scratch(settings.lake)
    if settings.archive.path.startswith("s3://"):
        use_s3(connection, settings.lake)
    lend_keys(connection)
    load_extension(connection, "ducklake")
    load_extension(connection, "sqlite_scanner" if catalog.kind == "sqlite" else "postgres_scanner")
    options = [f"DATA_PATH {literal(catalog.data_path)}", "OVERRIDE_DATA_PATH true", "DATA_INLINING_ROW_LIMIT 0"]
    if catalog.kind == "sqlite":
        options += ["META_JOURNAL_MODE 'WAL'", "META_BUSY_TIMEOUT 60000"]
    if read_only:
        options.append("READ_ONLY")
    statement = f"ATTACH {literal(f'ducklake:{catalog.kind}:{catalog.address}')} AS lake ({', '.join(options)})"
    creating = not read_only and (catalog.kind != "sqlite" or not Path(catalog.address).exists())
    try:
        with catalog.lock(("catalog",)) if creating else nullcontext():
            connection.execute(statement)
    except duckdb.Error as error:
        text = str(error).replace(catalog.address, "<catalog>") if catalog.kind == "postgres" else str(error)
        raise LakeError(f"the {catalog.kind} catalog cannot be attached: {_without_secrets(text)}") from None
    connection.execute("USE lake")
    return connection, catalog


def _without_secrets(text: str) -> str:
    """Errors of libpq repeat the connection string: keep the first line and no key=value of a password."""
    import re

    line = re.sub(r"(?i)(password\s*=\s*)('[^']*'|\S+)", r"\1***", text.splitlines()[0])
    return re.sub(r"://[^@/\s]*@", "://***@", line)


def _refuse_malformed(dsn: str) -> None:
    """What libpq says of a DSN that it cannot read quotes words of it, which may be of the password: say it without."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        conninfo_to_dict(dsn)
    except ProgrammingError:
        raise LakeError(
            "lake.catalog holds no DSN that PostgreSQL can read; write postgres:host=... dbname=... user=... password='...' "
            "(quote values with blanks), or postgresql://user:password@host/database"
        ) from None


def _prepare(catalog: Catalog, *, read_only: bool) -> None:
    if catalog.kind == "postgres":
        _refuse_malformed(catalog.address)
    if catalog.kind == "sqlite":
        file = Path(catalog.address)
        if read_only and not file.is_file():
            raise LakeError(f"there is no lake yet (no catalog at {file}); `lakebed run` or `lakebed demo` makes one")
        if not (file.is_file() and file.stat().st_size) and catalog.has_files():
            # an empty catalog in its place would make orphans of all files, and the clean-up would delete them
            raise LakeError(f"the catalog {file} is lost, and {catalog.data_path} holds files; `lakebed doctor --repair` brings it back")
        file.parent.mkdir(parents=True, exist_ok=True)
    if "://" not in catalog.data_path and not read_only:
        Path(catalog.data_path).mkdir(parents=True, exist_ok=True)


def migrate(connection: duckdb.DuckDBPyConnection, catalog: Catalog) -> None:
    """Create what the contracts name and the lake lacks: schemas, tables, columns, views, options. Safe to run at every start.

    Raises LakeError when a column is there with another type (that needs a rewrite, which is never done silently)."""
    if not _missing(connection):
        return
    with catalog.lock(("catalog",)):
        missing = _missing(connection)
        if not missing:
            return
        connection.execute("BEGIN")
        try:
            for statement in missing:
                connection.execute(statement)
            connection.execute("COMMIT")
        except duckdb.Error:
            connection.execute("ROLLBACK")
            raise
        for option, value in OPTIONS.items():
            connection.execute(f"CALL lake.set_option({literal(option)}, {literal(value)})")
        if catalog.kind == "postgres":
            connection.execute(f"CALL postgres_execute('__ducklake_metadata_lake', {literal(STATISTICS_INDEX)})")


def _missing(connection: duckdb.DuckDBPyConnection) -> list[str]:
    present: dict[str, dict[str, str]] = {}
    required: set[tuple[str, str]] = set()
    rows = connection.execute(
        "SELECT schema_name || '.' || table_name, column_name, data_type, is_nullable FROM duckdb_columns() WHERE database_name = 'lake'"
    ).fetchall()
    for table, column, kind, nullable in rows:
        present.setdefault(table, {})[column] = kind
        if not nullable:
            required.add((table, column))
    notes: dict[str, str] = dict(
        connection.execute("SELECT schema_name || '.' || view_name, comment FROM duckdb_views() WHERE database_name = 'lake'").fetchall()
    )
    schemas = {r[0] for r in connection.execute("SELECT schema_name FROM duckdb_schemas() WHERE database_name = 'lake'").fetchall()}
    statements = [f"CREATE SCHEMA {s}" for s in SCHEMAS if s not in schemas]
    for contract in CONTRACTS.values():
        changes = _table_changes(contract.storage_name, contract.stored_columns, present, contract.has_day and contract.shape != "log")
        _refuse_other_form(contract, present)
        changes += [f"ALTER TABLE {contract.storage_name} ALTER COLUMN {n} DROP NOT NULL" for n in _now_optional(contract, required)]
        statements += changes
        if contract.storage_name != contract.full_name:
            view, note = create_view(contract), _note(contract)
            if changes or notes.get(contract.full_name) != note:
                statements += [view, f"COMMENT ON VIEW {contract.full_name} IS {literal(note)}"]
        if contract.schema != "meta":
            statements += _table_changes(quarantine_name(contract), QUARANTINE_COLUMNS, present, False)
    return statements


def _note(contract: Contract) -> str:
    """What people read of a view, and by which it is seen that its definition is not this version's."""
    return f"{contract.description}; definition {hashlib.sha256(create_view(contract).encode()).hexdigest()[:16]}"


def _refuse_other_form(contract: Contract, present: Mapping[str, Mapping[str, str]]) -> None:
    """Raise LakeError when settled files may hold rows in columns that the view does not decode."""
    unknown = set(present.get(contract.storage_name, {})) - {c.name for c in contract.stored_columns}
    if contract.encoding and unknown:
        raise LakeError(
            f"{contract.storage_name} has columns of another version of Lakebed ({', '.join(sorted(unknown))}), in which settled rows lie "
            "that this one would not read; use that version, or load the lake anew"
        )


def _now_optional(contract: Contract, required: set[tuple[str, str]]) -> list[str]:
    """Columns that the lake's table requires and the contract's encoding leaves out of settled files."""
    return [c.name for c in contract.stored_columns if not c.required and (contract.storage_name, c.name) in required]


def _table_changes(name: str, columns: tuple[Column, ...], present: dict[str, dict[str, str]], by_day: bool) -> list[str]:
    if name not in present:
        return [create_table(name, columns), *([f"ALTER TABLE {name} SET PARTITIONED BY (day)"] if by_day else [])]
    changes = []
    for column in columns:
        there = present[name].get(column.name)
        if there is None:
            changes.append(f"ALTER TABLE {name} ADD COLUMN {identifier(column.name)} {column.type}")
        elif there.replace('"', "").upper() != column.type.replace('"', "").upper():
            raise LakeError(f"{name}.{column.name} is {there} in the lake and {column.type} in its contract; rewrite the table first")
    return changes
