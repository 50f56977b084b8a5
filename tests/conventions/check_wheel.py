"""Builds the wheel, looks at what is in it, installs it into a fresh environment, and runs the demo there from another folder.

Run by `make wheel`; not collected by pytest, because it takes minutes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("sources", "warehouse", "transforms", "models", "reports", "orchestration", "lakebed")
SCALE = "0.05"


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command without the checkout on the path; its output, or an error with what it printed."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "LAKEBED_CONFIG", "DAGSTER_HOME", "VIRTUAL_ENV")}
    done = subprocess.run([str(c) for c in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def build(folder: Path) -> Path:
    """The wheel."""
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, cwd=ROOT)
    return next(folder.glob("*.whl"))


def look(wheel: Path) -> None:
    """Every room with its SQL and templates, the examples, and neither tests nor benchmarks."""
    names = zipfile.ZipFile(wheel).namelist()
    missing = [room for room in ROOMS if f"{room}/__init__.py" not in names]
    data = [str(f.relative_to(ROOT)) for room in ROOMS for f in (ROOT / room).rglob("*") if f.suffix in (".sql", ".j2", ".css", ".html")]
    missing += [name for name in data if name not in names]
    extra = [name for name in names if name.startswith(("tests/", "benchmarks/"))]
    examples = [name for name in names if name.startswith("lakebed/examples/") and name.endswith(".toml")]
    if missing or extra or not examples or "lakebed/lakebed.example.toml" not in names:
        raise SystemExit(f"wheel: missing {missing}, should not be there {extra}, examples {examples}")
    print(f"wheel: {len(names)} files, {len(data)} of them SQL and templates")


def main() -> None:
    """Build, look, install, run."""
    with tempfile.TemporaryDirectory(prefix="lakebed-wheel-") as name:
        folder = Path(name)
        wheel = build(folder)
        look(wheel)
        venv.create(folder / "env", with_pip=True)
        python = folder / "env" / "bin" / "python"
        pip = (python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-deps")
        run(*pip, "--require-hashes", "-r", ROOT / "requirements.lock", cwd=folder)
        run(*pip, wheel, cwd=folder)
        output = run(folder / "env" / "bin" / "lakebed", "demo", "company", "--scale", SCALE, "--json", cwd=folder)
        found = json.loads(output)
        wrong = [f["question"] for f in found["findings"] if not f["good"]]
        print(f"demo from the wheel: {found['seconds']} s, {len(found['findings'])} findings, not near the truth: {wrong or 'none'}")
        if not Path(folder / found["warehouse"]).is_file() or sum(found["loaded"].values()) == 0:
            raise SystemExit("the demo from the wheel published nothing")


if __name__ == "__main__":
    main()
