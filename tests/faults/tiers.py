"""Killing while days go through every tier, and counting what that did: used by the fault test and, at length, by `benchmarks.kill`."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb

from tests.faults.tier_worker import PLACES, ROLLED, SUBJECT, TABLE
from tests.faults.victim import DAYS, Victim, orphans
from warehouse.archive.verifying import verify
from warehouse.lake.lake import Lake
from warehouse.tiers.publish import publish

COMMIT = ("staged", "locked", "deleted", "registered", "logged", "committed")
SWAP = ("settling", "settled", "replacing", "replaced")
SEAL = ("sealing", "pending", "recorded", "sealed")
CYCLE = {
    "land": COMMIT,
    "roll up": COMMIT,
    "settle": SWAP,
    "publish": ("publishing", "published"),
    "retain": (*SEAL, "replacing", "replaced"),
    "restore": SWAP,
    "erase": (*SEAL, "erasing", *SWAP),
}
RETENTION = """[retention]
hold_incidents = false
[[retention.rules]]
tables = "raw.metric_points"
keep_days = 30
[[retention.rules]]
tables = "*"
"""
COLUMNS = "columns = {'series_id': 'UBIGINT', 'time': 'TIMESTAMP', 'value': 'DOUBLE'}"
Days = Mapping[tuple[date, int], Path]


@dataclass(slots=True)
class Toll:
    """What kills did. kills: (operation, step) -> how many; lost and doubled count rows, torn what stood half done, orphans files."""

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    lost: int = 0
    torn: int = 0
    doubled: int = 0
    orphans: int = 0
    said: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        """All that must be 0."""
        return self.lost + self.torn + self.doubled + self.orphans

    def add(self, other: Toll) -> None:
        """Count what happened on another catalog, too."""
        self.kills += other.kills
        self.lost, self.torn = self.lost + other.lost, self.torn + other.torn
        self.doubled, self.orphans = self.doubled + other.doubled, self.orphans + other.orphans
        self.said += other.said


def make_days(folder: Path, rows: int) -> dict[tuple[date, int], Path]:
    """For each day two contents as CSV, half of the series incompressible."""
    files = {}
    with duckdb.connect() as connection:
        for day in DAYS:
            for content in (0, 1):
                files[day, content] = folder / f"{day}.{content}.csv"
                connection.execute(
                    f"""COPY (SELECT i % 300 AS series_id, TIMESTAMP '{day}' + to_microseconds((i // 300) * 8000000) AS time,
                              CASE WHEN i % 2 = 0 THEN hash(i * 7 + {content}) / 1.8446744073709552e19
                                   ELSE (i // 300) * 0.25 + {content} END AS value
                              FROM range({rows}) AS t(i)) TO '{files[day, content]}' (HEADER)"""
                )
    return files


def operations(files: Days, cycles: int) -> list[tuple[str, str, str]]:
    """Cycle after cycle over the days, with the two contents in turn."""
    turns = [(DAYS[i % len(DAYS)], i // len(DAYS) % 2) for i in range(cycles)]
    return [(what, str(day), str(files[day, content])) for day, content in turns for what in CYCLE]


def kill_in_tiers(
    folder: Path, catalog: str, files: Days, kills: int, *, progress: Callable[[Toll], None] = lambda _toll: None, seed: int = 20261123
) -> Toll:
    """Kill so many times, half at named steps and half at any moment, let the work be finished, and compare with what must be there.

    After every death, too, each day must stand whole: as the acknowledged operations left it, or as the interrupted one was to."""
    victim = Victim(folder, catalog)
    victim.worker = Path(__file__).with_name("tier_worker.py")
    victim.config.write_text(victim.config.read_text() + RETENTION)
    victim.operations = operations(files, 2 * (kills + len(DAYS)))
    whole, dice, toll = _Whole(files), random.Random(seed), Toll()
    for kill in range(kills):
        step = _choose(victim, dice) if kill % 2 == 0 else {}
        process = victim.start(len(victim.operations), **step)
        _look(victim, whole, toll)
        if not step:
            time.sleep(dice.uniform(0.0, 2.0))
            process.kill()
        process.wait(timeout=600)
        assert process.returncode == -9, victim.errors()
        toll.kills[_where(folder)] += 1
        progress(toll)
    cycles = -(-victim.acknowledged() // len(CYCLE)) + len(DAYS)
    victim.finish(cycles * len(CYCLE))
    with victim.lake() as lake:
        _compare(lake, files, cycles, toll)
    return toll


def _choose(victim: Victim, dice: random.Random) -> dict[str, object]:
    """A step of the operation that is next, or of one soon after, so that the work goes on between kills."""
    number = victim.acknowledged() + dice.choice((0, 1, 1, 2))
    return {"die_in": number, "die_at": dice.choice(CYCLE[victim.operations[number][0]])}


def _where(folder: Path) -> tuple[str, str]:
    file = folder / "where"
    text = file.read_text() if file.exists() else ""
    file.unlink(missing_ok=True)
    return tuple(json.loads(text)) if text else ("start", "at any moment")


class _Whole:
    """Which states of a day are whole: each content, with the subject's rows or without."""

    def __init__(self, files: Days) -> None:
        self._states: dict[tuple[str, int], set[tuple[object, ...]]] = {}
        with duckdb.connect() as connection:
            for (day, content), path in files.items():
                query = f"SELECT count(*), sum(hash(series_id, time, value)::HUGEINT)::VARCHAR FROM read_csv('{path}', {COLUMNS})"
                found = [connection.execute(query + where).fetchone() for where in ("", f" WHERE series_id <> {SUBJECT}")]
                self._states[str(day), content] = {row for row in found if row is not None}

    def of(self, day: str, contents: set[int]) -> set[tuple[object, ...]]:
        """Of any of some contents of a day."""
        return {state for content in contents for state in self._states[day, content]}


def _look(victim: Victim, whole: _Whole, toll: Toll) -> None:
    """What the worker found when it began again: every landed day is whole, in the lake or else in the archive."""
    done = victim.acknowledged()
    landed = [i for i, (what, *_) in enumerate(victim.operations) if what == "land" and i < done]
    begun = done if victim.operations[done][0] == "land" else None
    standing = json.loads((victim.folder / "standing").read_text())
    for day in map(str, DAYS):
        now = [i for i in landed if victim.operations[i][1] == day][-1:]
        may = {_content(i) for i in now} | ({_content(begun)} if begun is not None and victim.operations[begun][1] == day else set())
        found = {place: tuple(states[day]) for place, states in standing.items() if day in states}
        if "lake" in found and found["lake"] not in whole.of(day, may):
            toll.torn += 1
        if "archive" in found and found["archive"] not in whole.of(day, {0, 1}):
            toll.torn += 1
        if now and "lake" not in found and found.get("archive") not in whole.of(day, may):
            toll.lost += 1
        if toll.wrong and len(toll.said) < 20:
            toll.said.append(f"after operation {done} {victim.operations[done]}: {day} is {found}")


def _content(number: int) -> int:
    return number // len(CYCLE) // len(DAYS) % 2


def _compare(lake: Lake, files: Days, cycles: int, toll: Toll) -> None:
    """The lake, the archive and the published file hold the last contents without the subject, and nothing lies about."""
    contents = {DAYS[i % len(DAYS)]: i // len(DAYS) % 2 for i in range(cycles)}
    sources = ", ".join(f"'{files[day, content]}'" for day, content in contents.items())
    lake.connection.execute(f"CREATE TEMP TABLE must AS SELECT * FROM read_csv([{sources}], {COLUMNS})")
    _count(
        lake, "must", "(SELECT series_id, date_trunc('hour', time) AS time, sum(count) AS n FROM core.metric_rollup_1h GROUP BY ALL)", toll
    )
    lake.connection.execute(f"DELETE FROM must WHERE series_id = {SUBJECT}")
    path = publish(lake).path
    lake.connection.execute(f"ATTACH '{path}' AS hot (READ_ONLY)")
    for place in (*PLACES.values(), f"hot.{TABLE}"):
        _count(lake, "must", place, toll)
    for table in (TABLE, ROLLED):
        counted = dict(lake.connection.execute(f"SELECT day, count(*) FROM {table} GROUP BY day").fetchall())
        toll.torn += {d: s.row_count for d, s in lake.states(table).items()} != counted
    problems = verify(lake).problems
    left = [*orphans(lake), *path.parent.glob(".*building*")]
    toll.torn, toll.orphans = toll.torn + len(problems), len(left)
    toll.said += [*map(str, problems), *map(str, left)]


def _count(lake: Lake, must: str, place: str, toll: Toll) -> None:
    """Count rows of `must` that a place lacks, and rows that it has too often or should not have."""
    wanted, found = f"(SELECT series_id, time, value FROM {must})", f"(SELECT series_id, time, value FROM {place})"
    if "rollup" in place:
        wanted, found = f"(SELECT series_id, date_trunc('hour', time), count(*) FROM {must} GROUP BY ALL)", place
    row = lake.connection.execute(
        f"""SELECT (SELECT count(*) FROM (FROM {wanted} EXCEPT ALL FROM {found})),
                   (SELECT count(*) FROM (FROM {found} EXCEPT ALL FROM {wanted})),
                   (SELECT count(*) FROM ((FROM {found} EXCEPT ALL FROM {wanted}) INTERSECT FROM {wanted}))"""
    ).fetchone()
    assert row is not None
    lost, extra, doubled = row
    toll.lost, toll.doubled, toll.torn = toll.lost + lost, toll.doubled + doubled, toll.torn + extra - doubled
    if lost or extra:
        toll.said.append(f"{place}: {lost} rows lost, {extra} too many, {doubled} of them doubled")
