"""`lakebed run` takes the steps that have work and no others, however the days lie, and stops when it is told to."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from orchestration import execute
from orchestration.execute import Outcome, Request, run
from orchestration.instance import open_instance
from orchestration.resources import close_lakes
from tests.contract_rows import write
from tests.lakes import open_lake
from warehouse.contracts import CONTRACTS
from warehouse.errors import ConfigError
from warehouse.lake import Slice
from warehouse.lake.logs import MERGE_FROM_FILES, log_tables
from warehouse.lake.partitions import partitions
from warehouse.settings import load
from warehouse.tiers.publish import publish

pytestmark = [
    pytest.mark.filterwarnings("ignore:module 'sre_(constants|parse)' is deprecated:DeprecationWarning"),  # great_expectations' import
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
]

FIRST = date(2024, 1, 1)
SPARSE = [FIRST + timedelta(days=50 * i) for i in range(9)]
CONFIG = """
[lake]
memory_limit = "1GiB"
[sources.deliveries]
kind = "table"
table = "raw.changes"
path = "changes/*.csv"
columns = { change_id = "id", kind = "'deploy'", service = "svc", time = "at" }
[sources.app]
kind = "table"
table = "raw.logs"
path = "logs/*.csv"
columns = { time = "at", body = "id", service = "svc" }
"""

SPANS = """
[sources.traces]
kind = "table"
table = "raw.spans"
path = "spans/*.csv"
columns = { trace_id = "trace", span_id = "span", service = "svc", time = "at", end_time = "until", name = "'call'" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A configuration with changes and logs."""
    (tmp_path / "lakebed.toml").write_text(CONFIG)
    for source in ("changes", "logs"):
        (tmp_path / source).mkdir()
        put(tmp_path / source / "none.csv", [])
    yield tmp_path
    close_lakes()


def put(file: Path, days: list[date]) -> None:
    """One record per day at noon."""
    file.write_text("id,svc,at\n" + "".join(f"{day:%j%Y},shop,{day} 12:00:00\n" for day in days))
    os.utime(file, (file.stat().st_mtime - 3600,) * 2)


def another_run(folder: Path) -> tuple[Outcome, list[str]]:
    """A run with nothing left over from the one before, and what it said that it works on after reading the sources."""
    close_lakes()
    said: list[str] = []
    outcome = run(folder / "lakebed.toml", Request(), progress=said.append)
    assert (outcome.errors, outcome.unreadable, outcome.blocked) == ([], {}, [])
    return outcome, said[said.index("check raw.spans") + 1 :]


def states(folder: Path, table: str) -> dict[date, str]:
    close_lakes()
    with open_lake(folder) as lake:
        return {day: state.state for day, state in lake.states(table).items()}


def test_sparse_days_that_no_model_reads_are_one_run_that_touches_no_model(folder: Path) -> None:
    put(folder / "changes" / "a.csv", SPARSE)
    outcome, said = another_run(folder)
    assert said[:4] == ["check raw.changes (1 of 1)", "derive", "check raw.changes", "analyse"]
    assert (outcome.days, outcome.ranges, len(outcome.runs)) == (len(SPARSE), [], 4)
    assert states(folder, "raw.changes") == dict.fromkeys(SPARSE, "passed")
    with open_instance(load(folder / "lakebed.toml")) as instance:
        assert {event.step_key for event in instance.all_logs(outcome.runs[1]) if event.step_key} == {"check__raw__changes"}

    outcome, said = another_run(folder)
    assert (outcome.days, said) == (0, [])


def test_a_day_of_logs_runs_its_models_beside_sparse_changes(folder: Path) -> None:
    put(folder / "changes" / "a.csv", SPARSE)
    put(folder / "logs" / "a.csv", SPARSE[:1])
    _, said = another_run(folder)
    assert said[: said.index("analyse")] == [
        *("check raw.changes (1 of 2)", "derive", "check raw.changes"),
        *(f"days {FIRST} to {FIRST} (2 of 2)", "derive", "check raw.logs"),
        *(step for table in ("core.log_rollup_1h", "mart.service_health_daily") for step in (table, f"check {table}")),
    ]
    assert states(folder, "mart.service_health_daily") == {FIRST: "passed"}
    assert another_run(folder)[1] == []


def test_an_interrupt_stops_the_run_and_the_next_one_goes_on(folder: Path) -> None:
    """In a check, then in a step that would be retried."""
    put(folder / "logs" / "a.csv", SPARSE[:2])
    for step in ("check raw.logs", "core.log_rollup_1h"):
        assert not any("(2 of 2)" in message or message == "analyse" for message in interrupted(folder, step))
    another_run(folder)
    assert states(folder, "mart.service_health_daily") == dict.fromkeys(SPARSE[:2], "passed")


def interrupted(folder: Path, step: str) -> list[str]:
    """What a run said that was sent SIGINT when it came to a step of the first day."""
    close_lakes()
    said: list[str] = []

    def interrupt(message: str) -> None:
        said.append(message)
        if message == step and f"days {FIRST} to {FIRST} (1 of 2)" in said:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(folder / "lakebed.toml", Request(), progress=interrupt)
    finally:
        signal.signal(signal.SIGINT, handler)
    return said


def test_what_waited_for_a_day_that_is_blocked_now_is_built_without_it_in_the_same_run(folder: Path) -> None:
    """A damaged file blocks the only day of spans: health of that day comes from logs alone, and the next run finds nothing to do."""
    config = folder / "lakebed.toml"
    config.write_text(CONFIG + SPANS)
    put(folder / "logs" / "a.csv", [FIRST])
    (folder / "spans").mkdir()
    spans = folder / "spans" / "a.csv"
    spans.write_text(
        "trace,span,svc,at,until\n" + f"t,s,shop,{FIRST} 12:00:00,{FIRST} 12:00:01\n" + f"t,u,shop,{FIRST} 12:00:00,2000-01-01\n"
    )
    os.utime(spans, (spans.stat().st_mtime - 3600,) * 2)
    close_lakes()
    outcome = run(config, Request())
    assert (outcome.errors, outcome.blocked) == ([], [("raw.spans", FIRST)])
    assert states(folder, "mart.service_health_daily") == {FIRST: "passed"}
    assert another_run(folder)[1] == []


def test_changes_make_no_stretch_of_data_to_look_back_from(folder: Path) -> None:
    """A repository with commits every few weeks for a year does not hide the end of the data, nor is it one itself."""
    put(folder / "changes" / "a.csv", [FIRST + timedelta(days=20 * i) for i in range(18)])
    put(folder / "logs" / "a.csv", [FIRST, FIRST + timedelta(days=1)])
    another_run(folder)
    close_lakes()
    with open_lake(folder) as lake:
        assert set(lake.states("mart.anomalies")) == {FIRST + timedelta(days=1)}


def test_what_was_derived_and_no_more_is_made_good_by_runs_that_derive_nothing(folder: Path) -> None:
    """Each run dies one step later than the one before, and begins with what that one did not do."""
    put(folder / "logs" / "a.csv", SPARSE[:1])
    with open_lake(folder) as lake:
        publish(lake)
    assert "derive" in died(folder, "analyse")
    assert {"analyse", "analyse anomalies", "check mart.anomalies"} <= set(died(folder, "check mart.anomalies"))
    said = died(folder, "publish")
    assert {"analyse", "check mart.anomalies", "publish"} <= set(said)
    assert "derive" not in said
    outcome, said = another_run(folder)
    assert outcome.days == 0
    assert "publish" in said
    assert "analyse" not in said
    assert states(folder, "mart.anomalies") == {FIRST: "passed"}
    assert another_run(folder)[1] == []


def died(folder: Path, step: str) -> list[str]:
    """What a run said that died when it came to a step."""
    close_lakes()
    said: list[str] = []

    def die(message: str) -> None:
        said.append(message)
        if message == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(folder / "lakebed.toml", Request(), progress=die)
    return said


def test_an_analysed_day_that_is_waved_through_is_published(folder: Path) -> None:
    put(folder / "logs" / "a.csv", SPARSE[:1])
    another_run(folder)
    close_lakes()
    with open_lake(folder) as lake:
        write(lake, CONTRACTS["mart.anomalies"], [], days={FIRST: lake.states("mart.anomalies")[FIRST].inputs or ""})
        lake.set_states("mart.anomalies", {FIRST: ("waved", "looked at")})
    assert [message for message in another_run(folder)[1] if not message.startswith("publish ")] == ["publish"]
    assert another_run(folder)[1] == []


def test_days_before_any_partition_are_read_when_they_are_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Partitions of a lake that holds nothing yet begin 90 days ago; a run that asks for earlier days has them begin there."""
    monkeypatch.setattr(execute, "SCATTERED_FILES", MERGE_FROM_FILES)
    put(folder / "changes" / "a.csv", [FIRST])
    outcome = run(folder / "lakebed.toml", Request(window=Slice(FIRST, FIRST + timedelta(days=2))))
    assert (outcome.errors, outcome.unreadable, outcome.rows["raw.changes"]) == ([], {}, 1)
    close_lakes()
    with open_lake(folder) as lake:
        assert all(len(part.files) < MERGE_FROM_FILES for part in partitions(lake.connection, log_tables()))
    (folder / "lakebed.toml").write_text("start_day = 2024-02-01\n" + CONFIG)
    with pytest.raises(ConfigError, match="--from 2024-01-01 is before start_day 2024-02-01"):
        run(folder / "lakebed.toml", Request(window=Slice(FIRST, FIRST + timedelta(days=2))))
