"""A process that is killed, and what it leaves on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from tests.lakes import files_on_disk
from warehouse.lake.lake import Lake
from warehouse.lake.maintenance import tidy
from warehouse.settings import load

DAYS = tuple(date(2026, 3, 1) + timedelta(days=i) for i in range(2))
WORKER = Path(__file__).with_name("worker.py")


class Victim:
    """Runs the worker, kills it, and knows what it had acknowledged."""

    def __init__(self, folder: Path, catalog: str) -> None:
        self.folder, self.worker = folder, WORKER
        self.config = folder / "lakebed.toml"
        self.config.write_text(f'[lake]\ncatalog = "{catalog}"\nmemory_limit = "1GiB"\n')
        self.journal = folder / "journal"
        self.operations: Sequence[Sequence[str]] = []

    def start(self, operations: int, **spec: object) -> subprocess.Popen[bytes]:
        """Start the worker; it has begun to work when this returns."""
        ready, file = self.folder / "ready", self.folder / "spec.json"
        ready.unlink(missing_ok=True)
        file.write_text(
            json.dumps(
                {
                    "config": str(self.config),
                    "journal": str(self.journal),
                    "ready": str(ready),
                    "operations": self.operations[:operations],
                    **spec,
                }
            )
        )
        with (self.folder / "stderr").open("ab") as errors:
            process = subprocess.Popen([sys.executable, str(self.worker), str(file)], stderr=errors)
        while not ready.exists() and process.poll() is None:
            time.sleep(0.01)
        return process

    def acknowledged(self) -> int:
        """How many operations the journal holds."""
        return len(self.journal.read_text().split()) if self.journal.exists() else 0

    def finish(self, operations: int) -> None:
        """Let it do everything that is left, in peace."""
        process = self.start(operations)
        assert process.wait(timeout=1200) == 0, self.errors()

    def errors(self) -> str:
        """The end of what it said."""
        return (self.folder / "stderr").read_text()[-3000:]

    def lake(self) -> Lake:
        """The lake that it works on."""
        return Lake.open(load(self.config))


def orphans(lake: Lake) -> set[Path]:
    """Parquet files under the data path that no snapshot knows, after what is over a day old was cleaned up."""
    for file in files_on_disk(lake):
        os.utime(file, (time.time() - 90_000,) * 2)
    tidy(lake)
    registered = [
        f"""SELECT s.path || t.path || f.path FROM __ducklake_metadata_lake.{files} AS f
            JOIN __ducklake_metadata_lake.ducklake_table AS t USING (table_id)
            JOIN __ducklake_metadata_lake.ducklake_schema AS s USING (schema_id)"""
        for files in ("ducklake_data_file", "ducklake_delete_file")
    ]
    scheduled = "SELECT path FROM __ducklake_metadata_lake.ducklake_files_scheduled_for_deletion"
    known = lake.connection.execute(" UNION ".join([*registered, scheduled])).fetchall()
    assert lake.data_folder is not None
    names = {row[0] for row in known}
    return {f for f in files_on_disk(lake) if str(f.relative_to(lake.data_folder)) not in names}
