"""The executive report in every format: filled, empty, and with hostile text everywhere."""

from __future__ import annotations

import csv
import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import polars as pl
import pytest

from reports import FORMATS, REPORTS, ReportError, render
from reports.tabular import neutral
from reports.writing import escaped
from warehouse.errors import LakebedError


class Page(HTMLParser):
    """Collects tags, attributes and visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\u00a0", " ").split())


def html(connection: duckdb.DuckDBPyConnection, folder: Path) -> tuple[str, Page]:
    """The page's source and its parts."""
    (path,) = render("executive", connection, folder, ["html"])
    source = path.read_text(encoding="utf-8")
    return source, Page(source)


def words(connection: duckdb.DuckDBPyConnection, folder: Path) -> str:
    """What the report says, without the drawings: the Markdown with its escapes taken away."""
    (path,) = render("executive", connection, folder, ["md"])
    return re.sub(r"\\(.)", r"\1", path.read_text(encoding="utf-8")).replace("\u00a0", " ")


@pytest.fixture(scope="module")
def drawn(company: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    """The page of the small company, drawn once, through a read-only connection."""
    with duckdb.connect(str(company), read_only=True) as connection:
        return html(connection, tmp_path_factory.mktemp("page"))


def rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_executive_is_first_and_formats_are_written_once(filled, tmp_path):
    assert next(iter(REPORTS)) == "executive"
    paths = render("executive", filled, tmp_path / "new" / "folder", ["parquet", "md", "csv", "md"])
    assert all(path.stat().st_size > 0 for path in paths)
    names = {path.relative_to(tmp_path / "new" / "folder").as_posix() for path in paths}
    assert {"executive.md", "executive-csv/findings.csv", "executive-parquet/capacity_plan.parquet"} <= names
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(paths)


def test_the_page_answers_every_question_with_its_figures(drawn):
    _, page = drawn
    for figure in (
        "As of 22 Nov 2026",
        "The last 30 days cost USD 21,028 (amortised), +2.5% against the 30 days before.",
        "USD 2,235 a month could be saved.",
        "2 idle resources: USD 730 a month",
        "2 of 3 resources with a limit may reach it, db-orders-0/pool first, around 14 Jan 2027.",
        "db-orders-0/pool is full around 14 Jan 2027 (80% between 9 Jan 2027 and 22 Jan 2027; in 53 days).",
        "The risk within the lead time of 7 days is 7.0%. Add 40 connections.",
        "No statement on 1 resource",
        "11 incidents in 3 months, on average detected after 5 min, acknowledged after 4 min, resolved after 1 h 21 min.",
        "checkout: p95 latency +35% (+28% to +43%) since 22 Oct 2026, 12:00 UTC (81.2 to 110). Nearest change: deploy checkout 4.12.0",
        "catalogue: log errors up by 42% in 30 days",
        "1 day is blocked by failed checks and left out of every figure: raw.spans (newest 21 Nov 2026).",
        "2,532,887 rows were read from 3 sources; 12 of them are in quarantine.",
    ):
        assert figure in page.text, figure


def test_it_says_first_that_it_rests_on_assumptions(filled, drawn, tmp_path):
    _, page = drawn
    said = page.text.index("The return on investment rests on assumptions: 9 of 15 inputs")
    assert said < page.text.index("In short")
    assert said < page.text.index("blocked by failed checks")
    markdown = render("executive", filled, tmp_path, ["md"])[0].read_text(encoding="utf-8")
    assert markdown.splitlines()[4].startswith("> 🟠 The return on investment rests on assumptions")
    filled.execute("UPDATE mart.roi SET provenance = 'measured' WHERE provenance = 'assumed'")
    assert "rests on assumptions" not in words(filled, tmp_path)


def test_every_finding_names_a_query_that_runs_unchanged(filled, drawn, tmp_path):
    render("executive", filled, tmp_path, ["parquet"])
    found = pl.read_parquet(tmp_path / "executive-parquet" / "findings.parquet")
    statements = found["sql"].drop_nulls().unique().to_list()
    assert len(statements) > 10
    for statement in statements:
        assert statement.startswith(("SELECT", "WITH"))  # a comment at the start would be an option on a command line
        assert len(filled.extract_statements(statement)) == 1
        filled.execute(statement)
    _, page = drawn
    proofs = {a["href"] for tag, a in page.tags if tag == "a" and a.get("class") == "proof"}
    ids = {f"#{a['id']}" for _, a in page.tags if a.get("id")}
    assert proofs
    assert proofs <= ids


def test_charts_are_there_twice_and_in_words(drawn):
    _, page = drawn
    charts = [a for tag, a in page.tags if tag == "div" and a.get("role") == "img"]
    assert len(charts) == 2 * 12
    assert all(a["aria-label"] for a in charts)
    assert sum(tag == "svg" for tag, _ in page.tags) == len(charts)


def test_nothing_is_loaded_and_nothing_runs(drawn):
    source, page = drawn
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "image", "use", "base", "form"})
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
        assert "src" not in attributes
    without_namespaces = re.sub(r'xmlns(:xlink)?="http://www\.w3\.org/[^"]*"', "", source)
    assert not re.findall(r"https?:|url\(|@import|javascript:", without_namespaces)
    assert "default-src 'none'" in source


@pytest.mark.parametrize("form", ["md", "csv"])
def test_same_data_same_report(filled, tmp_path, form):
    first = [path.read_bytes() for path in render("executive", filled, tmp_path / "a", [form])]
    second = [path.read_bytes() for path in render("executive", filled, tmp_path / "b", [form])]

    def without_clock(text: bytes) -> bytes:
        return re.sub(rb"made [^.<]*UTC", b"", text)

    assert [without_clock(text) for text in first] == [without_clock(text) for text in second]


def test_empty_marts_make_a_report_that_says_so(empty, tmp_path):
    paths = render("executive", empty, tmp_path, FORMATS)
    assert len(paths) == len(FORMATS)
    _, page = html(empty, tmp_path)
    assert "There is no data yet: no analysis has run." in page.text
    assert "No bill has been loaded." in page.text
    assert "As of –" in page.text
    assert not any(tag == "svg" for tag, _ in page.tags)


def test_a_lake_without_any_table_makes_a_report_too(tmp_path):
    with duckdb.connect() as connection:
        assert "There is no data yet" in html(connection, tmp_path)[1].text


def test_what_is_missing_or_old_is_named(filled, tmp_path):
    filled.execute("DELETE FROM mart.incident_metrics_monthly")
    filled.execute("UPDATE mart.roi SET day = ?", [date(2026, 11, 13)])
    text = words(filled, tmp_path)
    assert "Without data, and therefore without an answer: What broke?" in text
    assert "Older than the rest of this report: Is it worth it? (2026-11-13)." in text


def test_unknown_inputs_of_the_return_are_said_and_not_guessed(filled, tmp_path):
    filled.execute("UPDATE mart.roi SET status = 'not_enough_data', p50 = NULL WHERE item IN ('npv', 'p_positive')")
    text = words(filled, tmp_path)
    assert "There is no answer yet (not_enough_data): an input of the calculation is unknown." in text
    assert "Net present value" not in text


def test_hostile_text_is_only_text_in_html(filled, hostile, tmp_path):
    source, page = html(filled, tmp_path)
    assert "<script" not in source
    assert "<img" not in source
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "b"})
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert all((attributes.get("href") or "#").startswith("#") for _, attributes in page.tags)
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text
    assert "\u202e" not in source
    assert "\x00" not in source


def test_hostile_text_is_neutral_in_csv_and_whole_in_parquet(filled, hostile, tmp_path):
    paths = render("executive", filled, tmp_path, ["csv", "parquet"])
    assert all(path.resolve().is_relative_to(tmp_path) for path in paths)
    cells = [cell for path in paths if path.suffix == ".csv" for row in rows(path) for cell in row.values()]
    assert "'=cmd|' /C calc'!A0" in cells
    risky = [cell for cell in cells if cell.lstrip()[:1] in tuple("=+@\t\r") or re.match(r"-[^0-9]", cell)]
    assert not risky
    raw = pl.read_parquet(tmp_path / "executive-parquet" / "savings.parquet")
    assert set(hostile) <= set(raw["resource_id"])


def test_hostile_text_is_escaped_in_markdown(filled, hostile, tmp_path):
    text = render("executive", filled, tmp_path, ["md"])[0].read_text(encoding="utf-8")
    assert "<script" not in re.sub(r"\\<", "", text)
    assert not re.search(r"(?<!\\)\]\((?!#)", text)
    assert not re.search(r"(?<!\\)!\[", text)
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_numbers_and_plain_text_pass_neutralising_untouched():
    frame = pl.DataFrame({"n": [-1.5, 2.0], "t": ["plain", None], "x": ["-5", " =1"], "y": ["＝1", "a=b"]})
    assert neutral(frame).rows() == [(-1.5, "plain", "'-5", "'＝1"), (2.0, None, "' =1", "a=b")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("- a\n# b", "\\- a # b"),
        ("# a", "\\# a"),
        ("1. <x> | [y](z) `c` *d* _e_", "1\\. \\<x\\> \\| \\[y\\](z) \\`c\\` \\*d\\* \\_e\\_"),
        ("0.5", "0.5"),
        ("+2.5% at 10:30", "+2.5% at 10:30"),
        ("![i](http://x)", "\\!\\[i\\](http\\://x)"),
        ("a\u2028| b", "a \\| b"),
    ],
)
def test_markdown_escaping(text, shown):
    assert escaped(text) == shown


def test_unknown_names_and_formats_write_nothing(filled, tmp_path):
    with pytest.raises(ReportError, match="no report 'monthly'; choose one of: executive") as caught:
        render("monthly", filled, tmp_path, ["html"])
    assert isinstance(caught.value, LakebedError)
    with pytest.raises(ReportError, match="written as docx; choose of: html, pdf, xlsx, md, csv, parquet"):
        render("executive", filled, tmp_path, ["html", "docx"])
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_former_report(filled, tmp_path, monkeypatch):
    (path,) = render("executive", filled, tmp_path, ["md"])
    before = path.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        render("executive", filled, tmp_path, ["md"])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["executive.md"]
