"""What Dagster is given: quick to import, without warnings of our own making, and named as the tables are."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("great_expectations", "prophet", "statsforecast", "sklearn", "altair")
IMPORT = """
import json, resource, sys, time
before, start = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
import orchestration.definitions
wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps({"seconds": min(cpu, wall), "heavy": [m for m in %r if m in sys.modules]}))
"""
NAMES = """
import json, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from orchestration.definitions import build_defs
    defs = build_defs()
    defs.get_repository_def()
    keys = [key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()]
    jobs = {job.name: [node.name for node in defs.resolve_job_def(job.name).nodes] for job in defs.jobs}
    checks = [key.to_user_string() for key in defs.resolve_asset_graph().asset_check_keys]
idle = [job for job, steps in jobs.items() if not steps]
said = [f"{w.category.__name__}: {w.message}" for w in caught]
print(json.dumps({"keys": keys, "checks": checks, "idle": idle, "warnings": said}))
"""


def python(code: str, folder: Path) -> dict[str, list[str]]:
    """What a fresh interpreter prints, without a configuration."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEBED_", "DAGSTER_", "PYTHONWARNINGS"))}
    result = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found: dict[str, list[str]] = json.loads(result.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Asset keys, check keys and warnings of the definitions."""
    return python(NAMES, tmp_path_factory.mktemp("definitions"))


def test_importing_the_definitions_is_quick_and_leaves_heavy_libraries_alone(tmp_path: Path) -> None:
    """Processor time, since wall time says more of the machine's other work; median of three after one that warms the caches."""
    python(IMPORT % (HEAVY,), tmp_path)
    runs = [python(IMPORT % (HEAVY,), tmp_path) for _ in range(3)]
    assert {tuple(r["heavy"]) for r in runs} == {()}
    assert statistics.median(float(r["seconds"]) for r in runs) < 2.0  # type: ignore[arg-type]


def test_an_asset_is_called_as_its_table(definitions: dict[str, list[str]]) -> None:
    from warehouse.contracts import CONTRACTS

    tables = {name.replace(".", "/") for name, c in CONTRACTS.items() if c.schema != "meta"}
    assets = {key for key in definitions["keys"] if key.partition("/")[0] in ("raw", "core", "mart")}
    assert assets == tables


def test_every_table_has_a_check_that_blocks_and_one_that_warns(definitions: dict[str, list[str]]) -> None:
    from warehouse.contracts import CONTRACTS

    wanted = {
        f"{name.replace('.', '/')}:{check}" for name, c in CONTRACTS.items() if c.schema != "meta" for check in ("errors", "warnings")
    }
    assert wanted <= set(definitions["checks"])


def test_the_only_warning_is_dagsters_own_preview_notice(definitions: dict[str, list[str]]) -> None:
    assert [w for w in definitions["warnings"] if not w.startswith("PreviewWarning")] == []


def test_every_job_has_something_to_do(definitions: dict[str, list[str]]) -> None:
    assert definitions["idle"] == []
