"""Apache Otava (PyPI `apache-otava`), in an environment of its own because of the numpy that it pins."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

LOCK = Path(__file__).with_suffix(".lock")
PROGRAM = """
import json, sys
from importlib.metadata import version
from otava.analysis import compute_change_points
found = [[int(c.index) for c in compute_change_points(values)[0]] for values in json.load(sys.stdin)]
print(json.dumps({"version": version("apache-otava"), "places": found}))
"""

Find = Callable[[Sequence[npt.NDArray[np.float64]]], list[list[int]]]


@contextmanager
def otava() -> Iterator[tuple[str, Find]]:
    """Name with version, and a function from series to places of changes with the program's defaults.

    Raises subprocess.CalledProcessError when the locked packages cannot be installed."""
    with tempfile.TemporaryDirectory(prefix="lakebed-otava-") as folder:
        venv.create(folder, with_pip=True)
        python = f"{folder}/bin/python"
        quiet = ("--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps")
        subprocess.run([python, "-m", "pip", "install", *quiet, "-r", str(LOCK)], check=True, stdout=sys.stderr)

        def ask(series: Sequence[npt.NDArray[np.float64]]) -> dict[str, object]:
            sent = json.dumps([values.tolist() for values in series])
            answer: dict[str, object] = json.loads(
                subprocess.run([python, "-c", PROGRAM], input=sent, text=True, check=True, stdout=subprocess.PIPE).stdout
            )
            return answer

        def find(series: Sequence[npt.NDArray[np.float64]]) -> list[list[int]]:
            places = ask(series)["places"]
            assert isinstance(places, list)
            return places

        yield f"apache-otava {ask([])['version']}", find
