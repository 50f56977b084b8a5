"""`python -m benchmarks.truth [SEED ...] [--scale X]`: what `lakebed demo` finds in several companies, beside what was hidden there."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.processes import measure

SEEDS = (0, 1, 2, 3)


def demo(seed: int, scale: float, *, end: str | None = None) -> dict[str, Any]:
    """What the demo of one seed prints with --json, from a folder that is gone afterwards. end: last day of the history, YYYY-MM-DD.

    Raises RuntimeError when the demo fails."""
    command = [sys.executable, "-c", "from lakebed.cli import main; main()", "demo"]
    with tempfile.TemporaryDirectory(prefix="lakebed-truth-") as folder:
        options = [str(Path(folder) / "company"), "--seed", str(seed), "--scale", str(scale), "--json"]
        output = measure([*command, *options, *(["--end", end] if end else [])]).output
    found: dict[str, Any] = json.loads(output)
    return found


def show(seed: int, found: dict[str, Any]) -> None:
    """Print the findings of one seed."""
    print(f"\nseed {seed}, {found['seconds']:.0f} s, {len(found['blocked'])} day(s) blocked")
    for finding in found["findings"]:
        print(f"  {'yes' if finding['good'] else 'NO ':4}{finding['question']:42}{finding['found']:64}truth {finding['truth']}", flush=True)


def missed(found: dict[str, Any]) -> list[str]:
    """The questions whose finding is not near enough to the truth."""
    return [finding["question"] for finding in found["findings"] if not finding["good"]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the seeds one after the other and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="*", type=int, default=SEEDS)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args(arguments)
    last: dict[str, Any] = {}
    for seed in options.seeds:
        found = demo(seed, options.scale)
        show(seed, found)
        last[str(seed)] = {"findings": len(found["findings"]), "missed": missed(found), "seconds": found["seconds"]}
    print(json.dumps({"scale": options.scale, "seeds": last}))


if __name__ == "__main__":
    main()
