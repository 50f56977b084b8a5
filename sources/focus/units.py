"""Issues of bills as units of work: a newer issue of a billing period replaces the older one as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb

from sources.files import identified, listed, refused
from sources.focus.issues import Issue, issues
from sources.focus.rows import Period, parts, periods
from sources.input_file import InputFile
from sources.objects import Stored
from warehouse.errors import SourceError
from warehouse.lake.connection import scratch
from warehouse.lake.identity import batch_id
from warehouse.lake.unit import Former, Known, Part, Slice, Unit
from warehouse.settings import Settings
from warehouse.settings.sources import FocusSettings

PERIOD = "(BillingAccountId = ? AND BillingPeriodStart = ?)"
Opener = Callable[[duckdb.DuckDBPyConnection], Iterator[Part]]


@dataclass(frozen=True, slots=True)
class State:
    """What the lake has of an issue, kept as the digest of its origin: file name to identity, periods, and its last batch."""

    files: dict[str, str]
    periods: frozenset[Period]
    batch: str

    @classmethod
    def of(cls, former: Former | None) -> State | None:
        """The state that a former unit recorded."""
        if former is None or not (former.digest or "").startswith("{"):
            return None
        known = json.loads(former.digest or "")
        return cls(known["files"], frozenset((a, datetime.fromisoformat(s)) for a, s in known["periods"]), known["batch"])

    def text(self) -> str:
        """The state as text."""
        found = sorted([account, start.isoformat()] for account, start in self.periods)
        return json.dumps({"files": self.files, "periods": found, "batch": self.batch}, separators=(",", ":"), sort_keys=True)


def units(name: str, settings: FocusSettings, *, config: Settings, known: Known, window: Slice) -> Iterator[Unit]:
    """Each issue of a bill that is new, oldest first, as a unit that replaces the billing periods and accounts that it holds.

    `issues.issues` says which files are one issue; all of its files that are there land in one transaction. An older issue that comes
    late is landed, and after it again the newer ones of its periods. A part that comes late to an inbox adds to its issue; a part that
    is delivered again with other content begins a new issue under the same names. `window` is ignored: a bill says itself what it holds.
    Raises SourceError for a path that does not exist; the units raise it for a file that is no bill."""
    found = issues(listed(settings, config))
    states = {i.origin: State.of(known.former(i.origin)) for i in found}
    arrived: set[Period] = set()
    for place, issue in enumerate(found):
        state, again = states[issue.origin], False
        if state is not None and not issue.from_inbox and _is_current(issue, state):
            newer = [s.periods for i in found[place + 1 :] if (s := states[i.origin]) is not None]
            lost = not known.has(state.batch) and not any(state.periods & other for other in newer)
            again = lost or bool(state.periods & arrived)
            if not again:
                continue
        for unit, held in _units(name, issue, state, settings, config, known, again):
            arrived |= held
            yield unit
    yield from refused(name, settings, config)


def _is_current(issue: Issue, state: State) -> bool:
    """Whether the lake has taken exactly these files. Objects are known by size and time, without reading them."""
    if {f.location.rpartition("/")[2] for f in issue.files} != set(state.files):
        return False
    return all(state.files[_name(f)] == _identity(f) for f in issue.files)


def _name(file: InputFile) -> str:
    return file.location.rpartition("/")[2]


def _identity(file: InputFile) -> str | None:
    if file.is_object:
        return Stored(file.location, file.size, file.mtime_ns).state
    whole = file if file.digest else identified(file)
    return whole.digest if whole else None


def _units(
    name: str, issue: Issue, state: State | None, settings: FocusSettings, config: Settings, known: Known, again: bool
) -> Iterator[tuple[Unit, frozenset[Period]]]:
    """The unit of an issue, with its periods. For an inbox one unit a file, all alike: after the first the others are known."""
    whole = [identified(f) for f in issue.files]
    files = tuple(f for f in whole if f is not None)
    if len(files) < len(whole):
        return
    if issue.from_inbox and state is not None:
        landed = tuple(f for f in files if state.files.get(_name(f)) == f.digest)
        files = tuple(f for f in files if f not in landed)
        if landed:
            yield from _alike(name, replace(issue, files=landed), None, state.batch, known, settings, config)
    batch = batch_id("file", name, *sorted(f.digest for f in files))
    if files and (issue.from_inbox or again or not known.has(batch)):
        yield from _alike(name, replace(issue, files=files), state, batch, known, settings, config)


def _alike(
    name: str, issue: Issue, state: State | None, batch: str, known: Known, settings: FocusSettings, config: Settings
) -> Iterator[tuple[Unit, frozenset[Period]]]:
    former = known.former(issue.origin)
    identities = {_name(f): _identity(f) or "" for f in issue.files}
    held, opener = _opened(name, issue, settings, config)
    now = State(identities, held, batch)
    adds = issue.from_inbox and issue.in_parts and state is not None and not set(identities) & set(state.files)
    if adds and state is not None:
        now = State({**state.files, **identities}, held | state.periods, batch)
    unit = Unit(
        source=name,
        batch_id=batch,
        origin=issue.origin,
        open=opener,
        scope=_scope(held, former, adds=adds),
        supersedes=() if adds or former is None else tuple(b for b in former.batch_ids if b != batch),
        bytes_read=sum(f.size for f in issue.files),
        offset=sum(f.size for f in issue.files),
        digest=now.text(),
    )
    for file in issue.files if issue.from_inbox else issue.files[:1]:
        yield replace(unit, inbox_file=file.inbox_file), held


def _scope(held: frozenset[Period], former: Former | None, *, adds: bool) -> tuple[str, tuple[object, ...]]:
    """What a unit replaces: its periods, and what its files brought before; a late part keeps what the other parts brought."""
    condition = " OR ".join([PERIOD] * len(held)) or "FALSE"
    bound: tuple[object, ...] = tuple(value for period in sorted(held) for value in period)
    if former is None:
        return condition, bound
    own = list(former.batch_ids)
    if adds:
        return f"({condition}) AND NOT list_contains(?, batch_id)", (*bound, own)
    return f"{condition} OR list_contains(?, batch_id)", (*bound, own)


def _opened(name: str, issue: Issue, settings: FocusSettings, config: Settings) -> tuple[frozenset[Period], Opener]:
    """The periods of an issue and how to open it. What is wrong with a file is said when the unit is opened, so that others can land."""

    def opener(connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        for file in issue.files:
            if not (file.is_object or Path(file.location).exists()):
                raise SourceError(
                    f"{file.origin}: was delivered with other parts of {issue.origin} that could not be taken; deliver all again"
                )
            with file.plain_path() as path:
                yield from parts(connection, name, file, path, settings)

    held: set[Period] = set()
    try:
        for file in issue.files:
            connection = scratch(config.lake)
            with file.plain_path() as path:
                held |= periods(connection, file, path, settings)
            connection.close()
    except SourceError as error:
        return frozenset(), _failing(str(error))
    return frozenset(held), opener


def _failing(reason: str) -> Opener:
    def opened(_: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        raise SourceError(reason)

    return opened
