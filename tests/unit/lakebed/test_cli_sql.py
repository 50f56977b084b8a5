"""`lakebed sql`: what people see, what scripts read, and that the terminal, the spreadsheet and the process are safe from the data."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from lakebed.cli import console
from lakebed.cli.rows import neutral
from warehouse.errors import ConfigError, QueryError

Run = Callable[..., Result]
MAIN = "import sys; sys.argv[0] = 'lakebed'; from lakebed.cli import main; main()"


def noted(project: Path) -> list[dict[str, Any]]:
    """What waits to be loaded into meta.query_log."""
    return [json.loads(line) for file in (project / ".lakebed/queries").glob("*.jsonl") for line in file.read_text().splitlines()]


def test_a_table_is_readable_and_says_when_it_is_cut(project: Path, run: Run) -> None:
    whole = run("sql", "SELECT series_id, value FROM raw.metric_points ORDER BY series_id")
    assert "4.5" in whole.output
    assert "4 rows" in whole.output
    cut = run("sql", "--max-rows", "2", "SELECT series_id, value FROM raw.metric_points ORDER BY series_id")
    assert "the first 2 rows of more" in cut.output
    assert "4.5" not in cut.output
    exact = run("sql", "--max-rows", "4", "SELECT series_id, value FROM raw.metric_points")
    assert "4 rows" in exact.output
    assert "of more" not in exact.output


def test_a_narrow_terminal_gets_a_block_per_row(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out, "width", 40)
    result = run("sql", "SELECT * FROM raw.metric_points WHERE series_id = 3")
    assert "row 1\n" in result.output
    assert any(line.split() == ["value", "4.5"] for line in result.output.splitlines())


def test_json_holds_every_kind_of_value(project: Path, run: Run) -> None:
    query = """SELECT 1 AS a, 2 AS a, 12.30::DECIMAL(9, 2) AS money, 'nan'::DOUBLE AS nan, MAP {'k': [1]} AS m, DATE '2026-01-02' AS d,
               sum(9223372036854775807::HUGEINT) AS big, '\\x00ab'::BLOB AS b, NULL AS n, TRUE AS t, INTERVAL 90 SECOND AS i"""
    (row,) = json.loads(run("sql", "--json", query).stdout)
    assert row == {
        "a": 1,
        "a_1": 2,
        "money": 12.3,
        "nan": None,
        "m": {"k": [1]},
        "d": "2026-01-02",
        "big": 9223372036854775807,
        "b": "006162",
        "n": None,
        "t": True,
        "i": row["i"],
    }


def test_json_of_no_rows_and_of_many(project: Path, run: Run) -> None:
    assert json.loads(run("sql", "--json", "SELECT 1 AS a WHERE FALSE").stdout) == []
    rows = json.loads(run("sql", "--json", "SELECT range AS a FROM range(25000)").stdout)
    assert [r["a"] for r in rows] == list(range(25000))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+cmd", "'+1+cmd"),
        ("-2+3", "'-2+3"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("  =1", "'  =1"),
        ("＝1+1", "'＝1+1"),
        ("-5.5e3", "-5.5e3"),
        ("plain, text", "plain, text"),
        ("a=b", "a=b"),
        ('say "hi"', 'say "hi"'),
    ],
)
def test_text_that_a_spreadsheet_would_run_is_neutralised(value: str, shown: str) -> None:
    assert neutral(value) == shown


def test_csv_is_neutral_in_cells_and_headers(project: Path, run: Run) -> None:
    query = "SELECT '=1, \"2\"' AS \"=x\", -5 AS n, NULL AS nothing, ['=a'] AS l, TIMESTAMP '2026-01-02 03:04:05' AS t"
    rows = list(csv.reader(io.StringIO(run("sql", "--csv", query).stdout)))
    assert rows == [["'=x", "n", "nothing", "l", "t"], ['\'=1, "2"', "-5", "", '["=a"]', "2026-01-02T03:04:05"]]


def test_text_cannot_move_the_cursor_or_become_markup(project: Path, run: Run) -> None:
    output = run("sql", "SELECT e'\\x1b[2Jgone\\x07' AS a, '[bold red]x[/]' AS b, '\u202egnp.exe' AS c").output
    assert "\x1b" not in output
    assert "\x07" not in output
    assert "\u202e" not in output
    assert "[bold red]x[/]" in output


def test_explain_prints_the_plan_as_it_is(project: Path, run: Run) -> None:
    assert "PROJECTION" in run("sql", "EXPLAIN SELECT 1").output


def test_a_file_and_a_pipe_are_queries_too(project: Path, run: Run) -> None:
    Path("question.sql").write_text("-- why\nSELECT 41 + 1 AS answer;\n")
    assert json.loads(run("sql", "--json", "--file", "question.sql").stdout) == [{"answer": 42}]
    piped = run("sql", "--json", stdin="SELECT ';\n' AS a,\n  '--;' AS b\n;\n.schema raw.logs\n\nSELECT 2 AS c -- ;\n;\nSELECT 3 AS d")
    assert [json.loads(part) for part in piped.stdout.replace("]\n[", "]\f[").split("\f") if part.startswith('[\n {"d')] == [[{"d": 3}]]
    assert '"a": ";\\n", "b": "--;"' in piped.stdout
    assert "severity_number" in piped.stdout
    assert len(noted(project)) == 4


def test_an_empty_pipe_is_bad_usage(project: Path, run: Run) -> None:
    assert isinstance(run("sql", stdin=" \n;\n").exception, ConfigError)


@pytest.mark.parametrize("arguments", [("--json", "--csv", "SELECT 1"), ("SELECT 1", "--file", "lakebed.toml")])
def test_contradicting_options_are_bad_usage(project: Path, run: Run, arguments: tuple[str, ...]) -> None:
    assert isinstance(run("sql", *arguments).exception, ConfigError)


def test_queries_are_noted_with_their_fate(project: Path, run: Run) -> None:
    run("sql", "SELECT count(*) FROM raw.metric_points JOIN raw.metric_series USING (source, series_id)")
    assert isinstance(run("sql", "COPY raw.logs TO '/tmp/x'").exception, QueryError)
    good, bad = noted(project)
    assert (good["tables"], good["rows_returned"], good["error"]) == ("raw.metric_points raw.metric_series", 1, None)
    assert good["user_name"]
    assert bad["query"] == "COPY raw.logs TO '/tmp/x'"
    assert "COPY is not allowed" in bad["error"]


def test_a_spool_that_cannot_be_written_stops_nobody(project: Path, run: Run) -> None:
    (project / ".lakebed").write_text("in the way")
    result = run("sql", "--csv", "SELECT 7 AS a")
    assert result.stdout == "a\r\n7\r\n" or result.stdout == "a\n7\n"
    assert "could not be noted" in result.stderr


def test_the_prompt_answers_goes_on_after_errors_and_leaves(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lakebed.cli.prompt import converse
    from lakebed.cli.sql import open_session
    from warehouse.settings import load

    monkeypatch.setenv("XDG_STATE_HOME", str(project / "state"))
    typed = iter(
        [
            "SELECT 40",
            " + 2 AS answer;",
            "SELECT nothere;",
            "SELEC",
            KeyboardInterrupt(),
            ".tables",
            ".schema mart.trends",
            ".nope",
            ".quit",
        ]
    )
    prompts: list[str] = []

    def read(prompt: str) -> str:
        prompts.append(prompt)
        line = next(typed)
        if isinstance(line, BaseException):
            raise line
        return line

    with open_session(load(project / "lakebed.toml"), form="table", timeout_s=5, max_rows=10) as session:
        converse(session, read)
    shown = capsys.readouterr()
    assert "42" in shown.out
    assert "mart.capacity_plan" in shown.out
    assert "slope_per_day" in shown.out
    assert "no such command" in shown.out
    assert "nothere" in shown.err
    assert prompts[:3] == ["lakebed> ", "   ...> ", "lakebed> "]


def lakebed(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    command = [sys.executable, "-c", MAIN, *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120, check=False)


def test_a_refused_query_ends_with_1_and_one_message(project: Path) -> None:
    done = lakebed(project, "sql", "SET threads = 1")
    assert done.returncode == 1
    assert done.stderr.startswith("error: SET is not allowed here")
    assert "Traceback" not in done.stderr


def test_memory_beyond_the_databases_own_count_is_bounded(project: Path) -> None:
    done = lakebed(project, "sql", "SELECT list_sum(range(2000000000))")
    assert done.returncode == 1
    assert "needs more memory" in done.stderr


def test_a_call_that_cannot_be_interrupted_ends_the_process(project: Path) -> None:
    query = "SELECT levenshtein(repeat('a', 400000 + range::INT), repeat('b', 400000)) FROM range(2)"
    done = lakebed(project, "sql", "--timeout", "0.5", query)
    assert done.returncode == 1
    assert "could not be stopped" in done.stderr
    assert [note["error"] for note in noted(project)] == ["could not be stopped; the process was ended"]


def test_a_reader_that_leaves_early_is_no_error(project: Path) -> None:
    command = [sys.executable, "-c", MAIN, "sql", "--csv", "SELECT range FROM range(3000000)"]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().strip() == "range"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0
