"""`lakebed demo` refuses before it writes. That it finds what is hidden: tests/integration/test_truth.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import Result

from lakebed.cli.demo import prepare
from warehouse.errors import ConfigError


def test_a_history_that_is_not_over_is_refused_and_nothing_is_written(tmp_path: Path, run: Callable[..., Result]) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    error = run("demo", str(tmp_path / "demo"), "--end", today).exception
    assert isinstance(error, ConfigError)
    assert str(error) == f"--end {today} is not over yet (UTC); name a day before today"
    assert not (tmp_path / "demo").exists()


def test_a_project_that_only_looks_like_a_demo_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "inputs").mkdir()
    (tmp_path / "lakebed.toml").write_text("[lake]\n")
    with pytest.raises(ConfigError, match=r"holds something that is not a demo \(it has no \.lakebed-demo\)"):
        prepare(tmp_path)
    assert (tmp_path / "lakebed.toml").read_text() == "[lake]\n"


def test_a_former_demo_is_replaced_also_one_that_died_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    outside = tmp_path / "kept.txt"
    outside.write_text("mine")
    for _ in range(2):
        prepare(folder)
        assert [path.name for path in folder.iterdir()] == [".lakebed-demo"]
        (folder / "lake").mkdir()
        (folder / "lake" / "rows").write_text("1")
        (folder / "link").symlink_to(outside)
    assert outside.read_text() == "mine"
