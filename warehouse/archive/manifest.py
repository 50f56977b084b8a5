"""What a bundle says of itself: manifest.json. Data only; writing and checking it happen elsewhere."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from warehouse.contracts import Contract
from warehouse.errors import ArchiveError
from warehouse.lake.digest import DEFINITION

FORMAT = "lakebed-bundle-1"
HOW_TO_READ = (
    "The .parquet files hold all rows of one UTC day of one table, decoded; any Parquet reader opens them, for example "
    "duckdb -c \"SELECT * FROM 'rows-*.parquet'\" or pandas.read_parquet('rows-00000.parquet'). UUID and JSON columns are text. "
    "`files` gives the sha256 of every file; sha256sum of this manifest is `previous.manifest_sha256` of the next bundle. When a day has "
    "several bundles that no other one supersedes, their rows belong together; of rows with one key (`grain`) the one sealed last counts."
)


@dataclass(frozen=True, slots=True)
class BundleFile:
    """One Parquet file of a bundle. Size in bytes."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Contents of manifest.json; times are UTC, ISO 8601."""

    bundle_id: str
    table: str
    day: str
    row_count: int
    size_bytes: int
    rows_digest: str
    time_column: str | None
    time_min: str | None
    time_max: str | None
    grain: list[str]
    columns: list[dict[str, str | None]]
    files: list[BundleFile]
    day_version: int
    supersedes: list[str]
    previous: dict[str, str] | None
    sealed_at: str
    lakebed_version: str
    encryption: dict[str, str] | None = None
    format: str = FORMAT
    rows_digest_definition: str = DEFINITION
    how_to_read: str = HOW_TO_READ
    notes: list[str] = field(default_factory=list)

    def encode(self) -> bytes:
        """The bytes of manifest.json."""
        return (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode()

    @classmethod
    def decode(cls, content: bytes, where: str) -> Manifest:
        """From the bytes of manifest.json. Raises ArchiveError when they are not one of this format."""
        try:
            document: dict[str, Any] = json.loads(content)
            if document.get("format") != FORMAT:
                raise ArchiveError(f"{where} has format {document.get('format')!r}; this Lakebed reads {FORMAT}")
            document["files"] = [BundleFile(**f) for f in document["files"]]
            return cls(**document)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ArchiveError(f"{where} is not a manifest: {error}") from None


ENCRYPTED = (
    "Parquet modular encryption, AES-GCM, one key for footer and columns, from the environment variable that `key_from` names; `key` is "
    "the beginning of sha256 of 'lakebed key fingerprint:' and the key. DuckDB: PRAGMA add_parquet_key('k', '<key as base64>'); SELECT * "
    "FROM read_parquet('rows-*.parquet', encryption_config = {footer_key: 'k'})"
)


def columns_of(contract: Contract) -> list[dict[str, str | None]]:
    """Names, types, units and meanings of a table's columns."""
    return [{"name": c.name, "type": c.type, "unit": c.unit, "description": c.description} for c in contract.columns]


def sha256_of(content: bytes) -> str:
    """sha256 as hex."""
    return hashlib.sha256(content).hexdigest()


def iso(value: datetime | date | None) -> str | None:
    """A time or day as text."""
    return value.isoformat() if value is not None else None


def lakebed_version() -> str:
    """The version of Lakebed that runs."""
    try:
        return version("lakebed")
    except PackageNotFoundError:
        return "unknown"
