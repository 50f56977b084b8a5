"""A clock that is set back, and right again: nothing younger than a day goes, nothing changes its order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import unavailable
from tests.faults.clock_scenarios import SCENARIOS

pytestmark = [pytest.mark.faults]


@pytest.fixture(scope="session")
def faketime() -> Path:
    """The library that gives a process a clock of its own."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        unavailable("libfaketime is not installed (Debian package libfaketime)")
    return found[0]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_clock_that_is_set_back(scenario: str, faketime: Path, tmp_path: Path) -> None:
    offset = tmp_path / "offset"
    offset.write_text("+0s")
    clock = {"LD_PRELOAD": str(faketime), "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1", "NO_FAKE_STAT": "1"}
    clock["DONT_FAKE_MONOTONIC"] = "1"
    command = [sys.executable, "-m", "tests.faults.clock_scenarios", scenario, str(tmp_path)]
    done = subprocess.run(command, env={**os.environ, **clock}, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
