"""Which process a run belongs to does not depend on the clock."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from orchestration.runs import is_alive, process_mark


def test_a_clock_that_is_set_leaves_a_process_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    mark, created = process_mark(), psutil.Process().create_time()
    monkeypatch.setattr(psutil.Process, "create_time", lambda _self: created - 7200)
    assert is_alive(mark)
    pid, _, started = mark.partition(":")
    assert not is_alive(f"{pid}:{started}1")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as younger:
        assert not is_alive(f"{younger.pid}:{started}")
        younger.communicate(b"\n")
