"""What commands print about themselves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lakebed.cli.console import program


@pytest.mark.parametrize(
    ("called", "shown"),
    [
        ("home/.venv/bin/lakebed", "home/.venv/bin/lakebed"),
        ("{here}/home/.venv/bin/lakebed", "home/.venv/bin/lakebed"),
        ("{here}/a b/lakebed", "'a b/lakebed'"),
        ("{here}/lakebed", "./lakebed"),
        ("/opt/lakebed", "/opt/lakebed"),
        ("lakebed", "lakebed"),
        ("-c", "lakebed"),
        ("{here}/pytest/__main__.py", "lakebed"),
        ("{here}/on path/lakebed", "lakebed"),
    ],
)
def test_the_program_is_named_as_it_can_be_run(called: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "on path" / "lakebed"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [called.format(here=tmp_path)])
    assert program() == shown
