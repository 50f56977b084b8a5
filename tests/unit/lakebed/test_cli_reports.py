"""`lakebed report`: what there is, which files it writes, and what the schedule writes."""

from __future__ import annotations

import json
from pathlib import Path

from orchestration.reporting import write_reports
from reports import FORMATS, REPORTS
from tests.unit.lakebed.conftest import CONFIG, Run
from warehouse.settings import load


def test_without_a_name_it_lists_reports_and_what_each_answers(project: Path, run: Run) -> None:
    said = run("report").stdout
    for name, kind in REPORTS.items():
        assert name in said
        assert kind.answers.split(",")[0] in said
    assert list(json.loads(run("report", "--json").stdout)) == list(REPORTS)
    assert not (project / "reports").exists()


def test_it_writes_the_formats_into_the_folder(project: Path, run: Run) -> None:
    result = run("report", "capacity", "--format", "md, pdf,xlsx", "-o", "out", "--json")
    assert [Path(path).name for path in json.loads(result.stdout)] == ["capacity.md", "capacity.pdf", "capacity.xlsx"]
    assert (project / "out" / "capacity.pdf").read_bytes().startswith(b"%PDF")
    assert "docx" in str(run("report", "capacity", "--format", "docx").exception)


def test_the_help_names_every_format(run: Run) -> None:
    said = " ".join(run("report", "--help").stdout.replace("│", " ").split())
    assert all(form in said for form in FORMATS)


def test_the_schedule_writes_what_is_configured_and_all_where_nothing_is(project: Path) -> None:
    config = project / "lakebed.toml"
    config.write_text(CONFIG + '[report]\nnames = ["trends"]\nformats = ["md"]\npath = "monthly"\n')
    written = write_reports(load(config))
    assert written == {"trends": [project / "monthly" / "trends.md"]}
    config.write_text(CONFIG)
    written = write_reports(load(config), formats=["md"])
    assert [path.name for files in written.values() for path in files] == [f"{name}.md" for name in REPORTS]
