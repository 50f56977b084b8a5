"""`python -m benchmarks.demo`: time and memory of `lakebed demo`, and time of a run that finds nothing new."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from benchmarks.processes import measure


def main() -> None:
    """Measure and print."""
    lakebed = str(Path(sys.executable).with_name("lakebed"))
    with tempfile.TemporaryDirectory(prefix="lakebed-bench-") as folder:
        target = Path(folder) / "demo"
        demo = measure([lakebed, "demo", str(target)])
        rerun = measure([lakebed, "run", "--config", str(target / "lakebed.toml")])
    print(demo.output)
    print(f"{'what':32}{'value':>12}  bar")
    print(f"{'lakebed demo, s':32}{demo.seconds:12.1f}  240")
    print(f"{'lakebed demo, peak MiB':32}{demo.peak_mib:12.0f}  3072")
    print(f"{'lakebed run, nothing new, s':32}{rerun.seconds:12.1f}  15")
    print(json.dumps({"demo_s": round(demo.seconds, 1), "demo_peak_mib": round(demo.peak_mib), "rerun_s": round(rerun.seconds, 1)}))


if __name__ == "__main__":
    main()
