"""`python -m benchmarks.kill [KILLS [ROWS]]`: kill -9 at length, 1,000 times by default, on days of over 100 MB.

Half of the kills are at named steps, half at any moment, while days are landed, rolled up, settled, published, archived and dropped,
restored, and a subject is erased from all of it: in turns of 50, two at a time, on SQLite catalogs and, where PostgreSQL is installed,
every other turn on one there. After each death every day must stand whole; at the end of each turn the lake, the archive and the
published file are compared row for row with what must be there."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import psycopg

from tests.faults.tiers import Days, Toll, kill_in_tiers, make_days
from tests.integration import servers

KILLS, ROWS = 1_000, 2_800_000
TURN, AT_ONCE = 50, 2


def measure(kills: int = KILLS, rows: int = ROWS) -> Toll:
    """Kill in turns on each catalog; says after each turn how far it is."""
    total = Toll()
    initdb, program = servers.find_program("initdb"), servers.find_program("postgres")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lakebed-kill-")))
        server = stack.enter_context(servers.postgres(initdb, program)) if initdb and program else None
        files = make_days(folder, rows)
        sizes = [path.stat().st_size for path in files.values()]
        print(f"{len(files)} files of {min(sizes) / 1e6:.0f} MB and more", flush=True)
        with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn")) as pool:
            turns = [
                pool.submit(_turn, folder, server, files, number, min(TURN, kills - first))
                for number, first in enumerate(range(0, kills, TURN))
            ]
            for done in as_completed(turns):
                total.add(done.result())
                counted = f"{total.lost} lost, {total.torn} torn, {total.doubled} doubled, {total.orphans} orphans"
                print(f"{total.kills.total()} kills: {counted}", flush=True)
    return total


def _turn(folder: Path, server: str | None, files: Days, number: int, kills: int) -> Toll:
    """One turn in a folder of its own, which it leaves empty."""
    place = folder / f"turn{number}"
    place.mkdir()
    on_sqlite = server is None or number % 2 == 0
    catalog = f"sqlite:{place}/lake/catalog.sqlite" if on_sqlite else _database(str(server), f"turn{number}")
    found = kill_in_tiers(place, catalog, files, kills, seed=number)
    shutil.rmtree(place)
    return found


def _database(server: str, name: str) -> str:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return "postgres:" + server.replace("dbname=postgres", f"dbname={name}")


def table(toll: Toll) -> str:
    """Kills per operation and step, as Markdown."""
    rows = [f"| {what} | {step} | {count} |" for (what, step), count in sorted(toll.kills.items())]
    return "\n".join(["| operation | step | kills |", "|---|---|---|", *rows])


if __name__ == "__main__":
    found = measure(*(int(a) for a in sys.argv[1:]))
    print(table(found), *found.said, sep="\n")
    print(
        json.dumps(
            {
                "kills": found.kills.total(),
                "lost": found.lost,
                "torn": found.torn,
                "doubled": found.doubled,
                "orphans": found.orphans,
            }
        )
    )
    sys.exit(0 if found.wrong == 0 else 1)
