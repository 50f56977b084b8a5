"""`lakebed demo` refuses before it writes. That it finds what is hidden: tests/integration/test_truth.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from typer.testing import Result

from warehouse.errors import ConfigError


def test_a_history_that_is_not_over_is_refused_and_nothing_is_written(tmp_path: Path, run: Callable[..., Result]) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    error = run("demo", str(tmp_path / "demo"), "--end", today).exception
    assert isinstance(error, ConfigError)
    assert str(error) == f"--end {today} is not over yet (UTC); name a day before today"
    assert not (tmp_path / "demo").exists()
