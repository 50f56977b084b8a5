"""`python -m benchmarks.kill [KILLS]`: the fault tests of `tests/faults` at length: 1,000 kills per catalog on days of over 100 MB.

Half of the kills are at named steps, half at random times, while days are landed, settled, rolled up, published, archived, dropped and
restored. Afterwards the whole lake, the archive and the published file are compared with the rows that must be there; any difference
fails. SQLite and, where it is installed, PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

KILLS, ROWS = 1_000, 2_800_000
CATALOGS = 2


def measure(kills: int = KILLS) -> dict[str, int | None]:
    """Kills done, and rows or files that were lost, doubled or left over: 0, or null when the comparison failed (the log says how)."""
    environment = {**os.environ, "LAKEBED_TIER_KILLS": str(kills), "LAKEBED_TIER_ROWS": str(ROWS)}
    test = Path(__file__).resolve().parents[1] / "tests" / "faults" / "test_tier_kills.py"
    command = [sys.executable, "-m", "pytest", str(test), "-m", "faults", "--timeout", str(120 * kills), "-q"]
    done = subprocess.run(command, env=environment, check=False)
    wrong = 0 if done.returncode == 0 else None
    return {"kills": CATALOGS * kills, "lost": wrong, "doubled": wrong, "orphans": wrong}


if __name__ == "__main__":
    found = measure(*(int(a) for a in sys.argv[1:]))
    print(json.dumps(found))
    sys.exit(0 if found["lost"] == 0 else 1)
