"""Bills as files, landed in small lakes: what a test says is what stands in the file."""

from __future__ import annotations

import csv
import gzip
import io
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

import sources
from sources import inbox
from warehouse.errors import LakebedError, SourceError
from warehouse.lake import Former, Known, Part, Slice, Unit, scratch
from warehouse.lake.lake import Lake
from warehouse.settings import parse

EVER = Slice(date(2020, 1, 1), date(2030, 1, 1))
ROW = {
    "BilledCost": "1.50",
    "BillingAccountId": "acct-1",
    "BillingCurrency": "USD",
    "BillingPeriodStart": "2026-10-01T00:00:00Z",
    "BillingPeriodEnd": "2026-11-01T00:00:00Z",
    "ChargeCategory": "Usage",
    "ChargePeriodStart": "2026-10-05T00:00:00Z",
    "ChargePeriodEnd": "2026-10-06T00:00:00Z",
    "EffectiveCost": "1.25",
    "ProviderName": "AWS",
    "PublisherName": "AWS",
    "ResourceId": "vm-1",
    "Tags": '{"service": "checkout"}',
}


@dataclass
class Folder:
    """A folder with bills, and what became of them in the last pass."""

    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    landed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    age: float = 3600.0

    def write(self, name: str, rows: list[dict[str, str]] | bytes, *, columns: list[str] | None = None) -> Path:
        """A file of whole rows, or of the given bytes; later files have later times, all of them over an hour ago."""
        path = self.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = rows if isinstance(rows, bytes) else table(rows, columns)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") and not isinstance(rows, bytes) else content)
        self.age -= 1.0
        os.utime(path, (time.time() - 3600 - self.age,) * 2)
        return path

    def units(self, known: Known) -> Iterator[Unit]:
        """What the source gives to a lake that knows `known`."""
        settings = parse(
            {"data_root": "in", "sources": {"bills": {"kind": "focus", "path": "**", **self.options}}}, self.folder / "lakebed.toml"
        )
        return sources.units("bills", settings.sources["bills"], config=settings, known=known, window=EVER)


class Nothing:
    """A lake that knows nothing."""

    def has(self, batch_id: str) -> bool:
        return False

    def has_size(self, size: int) -> bool:
        return False

    def former_origins(self) -> tuple[str, ...]:
        return ()

    def former(self, origin: str) -> Former | None:
        return None

    def watermark(self, table: str) -> datetime | None:
        return None


@dataclass
class Reading(Folder):
    """Bills as parts, without a lake: table `costs` and `refused` records."""

    connection: duckdb.DuckDBPyConnection = field(default_factory=scratch)

    def run(self) -> None:
        """Read every unit."""
        self.connection.execute("CREATE OR REPLACE TABLE quarantined (reason VARCHAR, file VARCHAR, line BIGINT, record VARCHAR)")
        for unit in self.units(Nothing()):
            try:
                for part in unit.open(self.connection):
                    self._keep(part)
            except SourceError as error:
                self.refused.append(str(error))

    def _keep(self, part: Part) -> None:
        if part.rejects:
            self.connection.register("arriving", part.rows)
            self.connection.execute("INSERT INTO quarantined FROM arriving")
        elif isinstance(part.rows, duckdb.DuckDBPyRelation):
            self.connection.execute("DROP TABLE IF EXISTS costs")
            part.rows.create("costs")

    def one(self, columns: str) -> Any:
        """Columns of the only row."""
        [row] = self.connection.execute(f"SELECT {columns} FROM costs").fetchall()
        return row[0] if len(row) == 1 else row

    def rows(self, columns: str) -> list[Any]:
        """Columns of every row."""
        return self.connection.execute(f"SELECT {columns} FROM costs").fetchall()

    def column(self, name: str) -> list[Any]:
        """A column's values, sorted."""
        return [value for (value,) in self.connection.execute(f"SELECT {name} FROM costs ORDER BY 1").fetchall()]

    def rejects(self) -> list[tuple[str, int | None]]:
        """(reason, line) of what is no charge."""
        return self.connection.execute("SELECT reason, line FROM quarantined ORDER BY line").fetchall()


@dataclass
class Bills(Folder):
    """Bills in a lake, as source `bills`."""

    lake: Lake = field(kw_only=True)

    def run(self, *, allow_shrink: bool = False, stop_after: int | None = None) -> list[str]:
        """One pass; the origins that landed. What failed is in `refused`."""
        self.landed, self.refused = [], []
        for unit in self.units(self.lake.known("bills")):
            if len(self.landed) == stop_after:
                break
            try:
                result = self.lake.land(unit, allow_shrink=allow_shrink)
            except LakebedError as error:
                self.refused.append(str(error))
                if unit.inbox_file:
                    inbox.reject(unit.inbox_file, str(error))
                continue
            inbox.accept(unit)
            self.landed += [unit.origin] if not result.already else []
        return self.landed

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query on the lake."""
        return self.lake.connection.execute(sql).fetchall()

    def rejects(self) -> list[tuple[str, int | None]]:
        """(reason, line) of what is in quarantine."""
        return self.query("SELECT reason, line FROM quarantine.costs ORDER BY line, reason")

    def resources(self) -> list[str]:
        """ResourceIds in raw.costs, sorted."""
        return [r for (r,) in self.query("SELECT ResourceId FROM raw.costs ORDER BY ResourceId")]


def table(rows: list[dict[str, str]], columns: list[str] | None = None) -> bytes:
    """Rows as CSV with a header."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns or list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


@pytest.fixture
def bills(tmp_path: Path) -> Iterator[Bills]:
    """An empty folder and an empty lake."""
    (tmp_path / "in").mkdir()
    with Lake.open(parse({"lake": {"memory_limit": "1GiB", "threads": 2}}, tmp_path / "lakebed.toml")) as lake:
        yield Bills(tmp_path, lake=lake)


@pytest.fixture
def reading(tmp_path: Path) -> Iterator[Reading]:
    """An empty folder, read without a lake."""
    (tmp_path / "in").mkdir()
    found = Reading(tmp_path)
    yield found
    found.connection.close()


@pytest.fixture
def row() -> dict[str, str]:
    """A usual charge."""
    return dict(ROW)
