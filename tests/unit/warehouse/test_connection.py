"""Connections are bounded and silent however Python was started."""

from __future__ import annotations

import subprocess
import sys


def test_no_progress_bar_where_python_looks_interactive() -> None:
    asked = (
        "from warehouse.lake.connection import scratch; print(scratch().sql(\"SELECT current_setting('enable_progress_bar')\").fetchone())"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(False,)"
