"""`archive.<table>`: archived rows where they are, as views over the files of the bundles that count. Tables of `raw` under their own name,
others as `archive.<schema>_<table>`.

Files are named one by one (not by a pattern): superseded bundles must not count, and no object store is listed. `day` comes from the path,
so that a condition on it leaves all other files unopened."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import groupby

from warehouse.archive.records import Bundle, active_bundles, read_manifest, recorded_bundles
from warehouse.archive.sealing import ROWS_FILE
from warehouse.archive.storage import Storage, storage_of
from warehouse.contracts import CONTRACTS, Contract
from warehouse.lake.connection import identifier, literal
from warehouse.lake.lake import Lake
from warehouse.lake.parquet_keys import key_for
from warehouse.lake.transaction import transaction

DEFINITION = "definition "


def refresh_views(lake: Lake, *, without: Sequence[str] = ()) -> list[str]:
    """Bring the views of `archive` to the bundles that count, less those of the ids `without`; returns the names of what changed.

    To be called whenever bundles were added or superseded. Raises ArchiveError when the key of encrypted bundles is missing."""
    storage = storage_of(lake)
    bundles = [b for b in active_bundles(recorded_bundles(lake)) if b.bundle_id not in without]
    wanted: dict[str, tuple[str, str]] = {}
    for definition in CONTRACTS.values():
        chosen = [b for b in bundles if b.table == definition.full_name]
        if chosen:
            query = view_query(storage, definition, chosen)
            digest = hashlib.sha256(query.encode()).hexdigest()[:16]
            wanted[view_name(definition)] = query, f"Archived rows of {definition.full_name}: {len(chosen)} bundle(s); {DEFINITION}{digest}"
    present = dict(
        lake.connection.execute(
            "SELECT 'archive.' || view_name, comment FROM duckdb_views() WHERE database_name = 'lake' AND schema_name = 'archive'"
        ).fetchall()
    )
    statements = {name: [f"DROP VIEW {name}"] for name in present if name not in wanted}
    for name, (query, comment) in wanted.items():
        if present.get(name) != comment:
            statements[name] = [f"CREATE OR REPLACE VIEW {name} AS {query}", f"COMMENT ON VIEW {name} IS {literal(comment)}"]
    if statements:
        _execute(lake, [s for group in statements.values() for s in group])
    return sorted(statements)


def view_name(definition: Contract) -> str:
    """Name of a table's view."""
    return f"archive.{definition.name if definition.schema == 'raw' else f'{definition.schema}_{definition.name}'}"


def view_query(storage: Storage, definition: Contract, bundles: Sequence[Bundle]) -> str:
    """The SELECT of a table's archived rows. Of rows with one key in several bundles of a day the one of the last counts.

    bundles: as `active_bundles` orders them."""
    days = {day: list(group) for day, group in groupby(sorted(bundles, key=lambda b: b.day), key=lambda b: b.day)}
    alone = [group[0] for group in days.values() if len(group) == 1]
    together = [b for group in days.values() if len(group) > 1 for b in group]
    columns = ", ".join(identifier(n) for n in definition.column_names)
    parts = [_select(storage, definition, group, []) for group in _alike(storage, alone)]
    if together:
        inner = " UNION ALL ".join(_select(storage, definition, group, together) for group in _alike(storage, together))
        keys = ", ".join(dict.fromkeys(["day", *(identifier(n) for n in definition.grain)]))
        parts.append(
            f"SELECT {columns} FROM ({inner}) QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY sealing DESC) = 1",
        )
    return " UNION ALL ".join(f"({p})" for p in parts) if len(parts) > 1 else parts[0]


def _alike(storage: Storage, bundles: Sequence[Bundle]) -> list[list[Bundle]]:
    """Bundles whose files have the same columns and key, so that one of them tells the layout of all."""

    def layout(bundle: Bundle) -> tuple[tuple[str, ...], str]:
        columns = bundle.columns or tuple(str(c["name"]) for c in read_manifest(storage, bundle).columns)
        return columns, bundle.encryption or ""

    layouts = {b.bundle_id: layout(b) for b in bundles}
    ordered = sorted(bundles, key=lambda b: layouts[b.bundle_id])
    return [list(group) for _key, group in groupby(ordered, key=lambda b: layouts[b.bundle_id])]


def _select(storage: Storage, definition: Contract, bundles: Sequence[Bundle], order: Sequence[Bundle]) -> str:
    """Rows of bundles of one layout; with an order, also the place in it of each row's bundle, as `sealing`."""
    first = bundles[0]
    there = first.columns or tuple(str(c["name"]) for c in read_manifest(storage, first).columns)
    columns = ", ".join(
        f"CAST({identifier(c.name) if c.name in there else 'NULL'} AS {c.type}) AS {identifier(c.name)}" for c in definition.columns
    )
    files = _files(storage, bundles)
    options = ["hive_partitioning = true", "hive_types = {'day': DATE}"]
    key = key_for(first.encryption, f"{first.table} {first.day}")
    if key is not None:
        options.append(f"encryption_config = {{footer_key: {literal(key.name)}}}")
    if order:
        options.append("filename = 'sealed_in'")
        columns += f", list_position([{_files(storage, order)}], sealed_in) AS sealing"
    return f"SELECT {columns} FROM read_parquet([{files}], {', '.join(options)})"


def _files(storage: Storage, bundles: Sequence[Bundle]) -> str:
    return ", ".join(literal(storage.url(f"{b.path}/{ROWS_FILE}")) for b in bundles)


def _execute(lake: Lake, statements: Sequence[str]) -> None:
    connection = lake.connection
    with lake.catalog.lock(("catalog",)) as held, transaction(lake, [], held, "views of the archive"):
        for statement in statements:
            connection.execute(statement)
