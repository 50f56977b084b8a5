"""What `lakebed doctor` looks at in the lake and on this machine: each check says what it found and what to do. Inputs: `doctor_inputs`."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from lakebed.cli.sizes import size
from warehouse.errors import LakebedError
from warehouse.settings import SECRET, Settings
from warehouse.sizes import bytes_of

MIN_FREE_BYTES = 2**30
COMFORTABLE_FREE_BYTES = 10 * 2**30
BUILDING = re.compile(r"^\.(?P<name>.+)\.building\.(?P<pid>\d+)(\.wal)?$")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. remedy: what to do, empty when it is ok."""

    check: str
    level: Literal["ok", "warn", "problem"]
    message: str
    remedy: str = ""


Check = Callable[[Settings], Iterator[Finding]]


def secrets(config: Path) -> Iterator[Finding]:
    """Every `${NAME}` in the file, before anything needs its value."""
    try:
        text = config.read_text(encoding="utf-8")
        names = sorted(set(SECRET.findall(str(tomllib.loads(text)))))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return
    for name in names:
        if name in os.environ:
            yield Finding("secrets", "ok", f"{name} is set")
        else:
            yield Finding("secrets", "problem", f"the environment variable {name} is not set", f"export {name}=... before starting Lakebed")


def diagnose(settings: Settings) -> Iterator[Finding]:
    """Every check in turn. A check that fails itself is a finding, too."""
    from lakebed.cli.doctor_inputs import sources

    checks: tuple[Check, ...] = (extensions, memory, folders, space, catalog, leftovers, clock, sources)
    for check in checks:
        try:
            yield from check(settings)
        except LakebedError as error:
            yield Finding(check.__name__, "problem", str(error), "mend what the message names")


def extensions(settings: Settings) -> Iterator[Finding]:
    """DuckDB's extensions load from their wheels, signature checked."""
    import duckdb

    from warehouse.lake.catalog import Catalog
    from warehouse.lake.connection import load_extension, scratch

    names = ["ducklake", "sqlite_scanner" if Catalog.of(settings).kind == "sqlite" else "postgres_scanner"]
    with scratch(settings.lake) as connection:
        for name in names:
            try:
                load_extension(connection, name)
            except duckdb.Error as error:
                yield Finding(
                    "extensions", "problem", f"{name} does not load: {error}", f"reinstall duckdb-extension-{name.replace('_', '-')}"
                )
                continue
            yield Finding("extensions", "ok", f"{name} loads (DuckDB {duckdb.__version__})")


def memory(settings: Settings) -> Iterator[Finding]:
    """`lake.memory_limit` and 1 GiB beside it fit into this machine."""
    import psutil

    total, wanted = psutil.virtual_memory().total, bytes_of(settings.lake.memory_limit) + 2**30
    if wanted > total:
        message = f"lake.memory_limit {settings.lake.memory_limit} and 1 GiB beside it are more than this machine has ({size(total)})"
        yield Finding("memory", "warn", message, "lower lake.memory_limit; DuckDB spills to disk beyond it")
    else:
        yield Finding("memory", "ok", f"{settings.lake.memory_limit} of {size(total)}")


def folders(settings: Settings) -> Iterator[Finding]:
    """Everything that Lakebed writes to can be written, and the archive and the lake do not lie within each other."""
    lake, archive = settings.resolve(settings.lake.path).rstrip("/") + "/", settings.resolve(settings.archive.path).rstrip("/") + "/"
    if archive.startswith(lake) or lake.startswith(archive):
        yield Finding(
            "folders", "problem", f"archive {archive} and lake {lake} lie within each other", "give archive.path a folder of its own"
        )
    published = str(Path(settings.resolve(settings.publish.path)).parent)
    for key, place in {"lake.path": lake, "archive.path": archive, "publish.path": published}.items():
        if key == "archive.path" and "://" in place and not place.startswith("s3://"):
            yield Finding("folders", "problem", f"{key}: {place} is neither a folder nor s3://", "give archive.path one of them")
            continue
        problem = _written_to_store(place, settings) if place.startswith("s3://") else _written_to(Path(place))
        if problem:
            yield Finding("folders", "problem", f"{key}: {place} cannot be written: {problem}", "create it, or give this user the right to")
        else:
            yield Finding("folders", "ok", f"{key}: {place} can be written")


def _written_to(folder: Path) -> str | None:
    """Why a folder cannot be written to, tried with a file; one that is not there yet is judged by the nearest that is."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".lakebed-doctor-"):
            return None
    except OSError as error:
        return str(error.strerror or error)


def _written_to_store(place: str, settings: Settings) -> str | None:
    from sources.objects import SCHEME, store

    key = f"{place.removeprefix(SCHEME).rstrip('/')}/.lakebed-doctor-{os.getpid()}"
    try:
        files = store(settings.lake)
        with files.open_output_stream(key) as stream:
            stream.write(b"lakebed doctor was here")
        files.delete_file(key)
    except OSError as error:
        return str(error)
    return None


def space(settings: Settings) -> Iterator[Finding]:
    """Room on the disks of the lake, the archive, the published file and temporary files."""
    places = (settings.lake.path, settings.archive.path, settings.publish.path, settings.lake.temp_directory or tempfile.gettempdir())
    seen: set[int] = set()
    for place in (settings.resolve(p) for p in places if "://" not in p):
        folder = next(p for p in (Path(place), *Path(place).parents) if p.is_dir())
        if folder.stat().st_dev in seen:
            continue
        seen.add(folder.stat().st_dev)
        free = shutil.disk_usage(folder).free
        level: Literal["ok", "warn", "problem"] = "ok" if free > COMFORTABLE_FREE_BYTES else "warn" if free > MIN_FREE_BYTES else "problem"
        remedy = "" if level == "ok" else "make room, move lake.path, or let `lakebed retention plan` find what can go"
        yield Finding("space", level, f"{size(free)} free at {folder}", remedy)


def catalog(settings: Settings) -> Iterator[Finding]:
    """The catalog can be opened, and its tables are those of this version."""
    from warehouse.archive.recovery import catalog_problem
    from warehouse.contracts import CONTRACTS
    from warehouse.lake.catalog import Catalog
    from warehouse.lake.lake import Lake

    place, lost = Catalog.of(settings), catalog_problem(settings)
    if lost is not None:
        yield Finding("catalog", "problem", lost, "`lakebed doctor --repair` brings it back from the newest backup")
        return
    if place.kind == "sqlite" and not Path(place.address).exists():
        yield Finding("catalog", "ok", f"there is no lake yet; the first run creates {place.address}")
        return
    with Lake.open(settings, read_only=True) as lake:
        query = "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = 'lake'"
        present = {row[0] for row in lake.connection.execute(query).fetchall()}
    missing = [c.full_name for c in CONTRACTS.values() if c.storage_name not in present]
    if missing:
        yield Finding("catalog", "warn", f"the lake lacks {len(missing)} table(s), {missing[0]} first", "`lakebed run` creates them")
    else:
        yield Finding("catalog", "ok", f"the {place.kind} catalog opens, {len(CONTRACTS)} tables")


def leftovers(settings: Settings) -> Iterator[Finding]:
    """Half-built hot tiers of processes that are gone."""
    stale = stale_buildings(settings)
    if stale:
        yield Finding(
            "leftovers", "warn", f"{len(stale)} half-built file(s) of dead processes, {stale[0]} first", "lakebed doctor --repair"
        )
    else:
        yield Finding("leftovers", "ok", "no half-built files")


def stale_buildings(settings: Settings) -> list[Path]:
    """Files beside `warehouse.duckdb` whose process was building it and is gone."""
    import psutil

    target = Path(settings.resolve(settings.publish.path))
    found = []
    for file in target.parent.glob(f".{target.name}.building.*"):
        match = BUILDING.match(file.name)
        if match and not psutil.pid_exists(int(match["pid"])):
            found.append(file)
    return sorted(found)


def clock(settings: Settings) -> Iterator[Finding]:
    """This machine's clock is not before the newest commit of the lake."""
    from warehouse.lake.catalog import Catalog
    from warehouse.lake.lake import Lake

    place, now = Catalog.of(settings), datetime.now(UTC).replace(tzinfo=None)
    if place.kind == "sqlite" and not Path(place.address).exists():
        return
    with Lake.open(settings, read_only=True) as lake:
        row = lake.connection.execute("SELECT max(committed_at) FROM meta.ingest_log").fetchone()
    newest = row[0] if row else None
    if newest is not None and newest > now:
        message = f"the newest commit is of {newest:%Y-%m-%d %H:%M:%S} UTC, and this clock says {now:%Y-%m-%d %H:%M:%S}"
        yield Finding("clock", "problem", message, "set this machine's clock (NTP): days are cut and retention is reckoned by it")
    else:
        yield Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M:%S} UTC, not before the newest commit")


def repair(settings: Settings) -> Iterator[str]:
    """Mend what can be mended without asking, and say each thing that was done. Raises LakebedError."""
    from orchestration.instance import open_instance
    from orchestration.pruning import prune
    from orchestration.runs import bury_dead_runs
    from warehouse.archive.recovery import recover_catalog
    from warehouse.lake.lake import Lake
    from warehouse.lake.maintenance import tidy
    from warehouse.lake.query_log import load_spool

    for file in stale_buildings(settings):
        file.unlink(missing_ok=True)
        yield f"removed {file}"
    yield from recover_catalog(settings)
    with Lake.open(settings) as lake, open_instance(settings) as instance:
        yield f"marked {len(bury_dead_runs(instance, lake))} run(s) of dead processes as failed"
        yield f"loaded {load_spool(lake)} noted queries into meta.query_log"
        done = tidy(lake)
        yield f"removed {done.removed_orphans} orphan file(s) and {done.removed_files} no longer needed, all over 24 h old"
        if done.orphans_left:
            yield f"{done.orphans_left} orphan file(s) left: writers are at work; the nightly job tries again"
        yield f"expired {done.expired_snapshots} snapshot(s) over 24 h old, merged {done.merged_logs} log table(s)"
        days = settings.upkeep.run_days
        gone = prune(instance, timedelta(days=days))
        yield f"removed {done.pruned_records} old record(s) of the lake's logs, and {gone.logs} log(s) of Dagster runs over {days} days old"
