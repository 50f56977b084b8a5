"""Writes the simulated company into a folder: inputs as real systems leave them, the configuration, and the truth."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from lakebed.demo.behaviour import Behaviour
from lakebed.demo.bills_focus import write_bills
from lakebed.demo.company import build_company
from lakebed.demo.company_config import config
from lakebed.demo.events import plan_events
from lakebed.demo.judged import derive_truth
from lakebed.demo.logs_files import write_access_log, write_log4j, write_otlp_logs
from lakebed.demo.metrics import write_metrics
from lakebed.demo.operations import write_changes, write_incidents
from lakebed.demo.otlp_metrics import write_counters, write_histograms
from lakebed.demo.timeline import Window, moment
from lakebed.demo.traces import sample_traces
from lakebed.demo.traces_otlp import write_traces
from lakebed.demo.truth import Truth

Progress = Callable[[str, float], None]
SHORTEST_DAYS = 14


def generate(
    folder: Path,
    *,
    seed: int = 0,
    end: date | None = None,
    days: int = 90,
    scale: float = 1.0,
    progress: Progress | None = None,
) -> Truth:
    """Write `inputs/`, `lakebed.toml` and `truth.json` into `folder`; the same arguments give the same bytes.

    `end` is the last whole day (default: yesterday, UTC), `days` how many there are. `scale` multiplies spans and log
    records and sets how often metrics are sampled: every 10 min at 1, at most hourly below; services, machines and
    events stay the same. `progress` is called with what is being written and the share that is done. Raises ValueError
    for a window under 14 days or a scale that is not positive, FileExistsError when `folder/inputs` holds something.
    """
    if days < SHORTEST_DAYS or scale <= 0:
        raise ValueError(f"days={days}, scale={scale}: at least {SHORTEST_DAYS} days and a positive scale are needed")
    inputs = folder / "inputs"
    if inputs.is_dir() and any(inputs.iterdir()):
        raise FileExistsError(f"{inputs} already holds files; name another folder or remove it, so that two companies do not mix")
    last = end or datetime.now(UTC).date() - timedelta(days=1)
    window = Window.ending(last, days)
    company = build_company(seed)
    world = Behaviour(company, plan_events(seed, window, company), window)
    truth = _write_inputs(world, inputs, seed, scale, progress or (lambda what, share: None))
    (folder / "lakebed.toml").write_text(config(), encoding="utf-8")
    truth.write(folder / "truth.json")
    return truth


def _write_inputs(world: Behaviour, inputs: Path, seed: int, scale: float, progress: Progress) -> Truth:
    """Write every input and count what was written."""
    counts: dict[str, int] = {}
    progress("metrics", 0.0)
    counts["samples_parquet"] = write_metrics(world, inputs / "metrics", seed, scale)
    progress("OpenTelemetry metrics", 0.3)
    counts["samples_otlp"] = write_counters(world, inputs / "otlp" / "metrics", seed, scale)
    counts["samples"] = counts["samples_parquet"] + counts["samples_otlp"]
    counts["histogram_points"] = write_histograms(world, inputs / "otlp" / "metrics", seed)
    progress("traces", 0.5)
    counts["spans"], failures = write_traces(world, sample_traces(world, seed, scale), inputs / "otlp" / "traces")
    progress("logs", 0.7)
    counts["log_records_otlp"] = write_otlp_logs(world, failures, inputs / "otlp" / "logs", seed, scale)
    counts["log_records_java"], counts["log_lines_java"] = write_log4j(world, inputs / "logs" / "java", seed, scale)
    counts["log_records_access"] = write_access_log(world, inputs / "logs" / "access", seed, scale)
    counts["log_records"] = counts["log_records_otlp"] + counts["log_records_java"] + counts["log_records_access"]
    progress("bills, incidents and deploys", 0.9)
    bills = write_bills(world, inputs / "bills", seed)
    counts["bill_rows"], counts["bill_rows_after_reissue"] = bills.rows_written, bills.rows_final
    counts["incidents"], counts["incident_records"] = write_incidents(world.events, inputs / "pagerduty", moment(world.window.end_s))
    counts["changes"] = write_changes(world.events.deploys, inputs / "changes")
    progress("done", 1.0)
    return derive_truth(world, bills, seed, scale, counts)
