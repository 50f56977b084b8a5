"""Issues of bills: what replaces what, in which order, and what stays."""

from __future__ import annotations

import shutil

import pytest

from sources.focus.issues import issues, stem
from sources.input_file import InputFile
from tests.unit.sources.focus.conftest import Bills
from warehouse.settings import LakeSettings

Row = dict[str, str]


def charges(row: Row, *resources: str, month: int = 10, account: str = "acct-1") -> list[Row]:
    """Charges of one month and account, one per resource."""
    start = {"BillingPeriodStart": f"2026-{month:02}-01T00:00:00Z", "BillingPeriodEnd": f"2026-{month + 1:02}-01T00:00:00Z"}
    return [row | start | {"BillingAccountId": account, "ResourceId": r} for r in resources]


def test_a_new_issue_replaces_its_periods_and_accounts_only(bills: Bills, row: Row) -> None:
    bills.write("2026-09.csv", charges(row, "sep", month=9))
    bills.write("2026-10-v1.csv", charges(row, "old-1", "old-2") + charges(row, "other", account="acct-2"))
    assert bills.run() == ["2026-09.csv", "2026-10-v1.csv"]
    bills.write("2026-10-v2.csv", charges(row, "new-1", "new-2"))
    assert bills.run() == ["2026-10-v2.csv"]
    assert bills.resources() == ["new-1", "new-2", "other", "sep"]
    assert bills.run() == []
    assert bills.resources() == ["new-1", "new-2", "other", "sep"]


def test_all_issues_at_once_end_with_the_newest(bills: Bills, row: Row) -> None:
    for n in (10, 2, 1):
        bills.write(f"bill-v{n}.csv", charges(row, f"v{n}"))
    assert bills.run() == ["bill-v1.csv", "bill-v2.csv", "bill-v10.csv"]
    assert bills.resources() == ["v10"]
    assert bills.run() == []


def test_an_older_issue_that_comes_late_does_not_win(bills: Bills, row: Row) -> None:
    bills.write("v2.csv", charges(row, "newer"))
    bills.run()
    bills.write("v1.csv", charges(row, "older"))
    assert bills.run() == ["v1.csv", "v2.csv"]
    assert bills.resources() == ["newer"]
    assert bills.run() == []


def test_a_pass_that_died_between_a_late_issue_and_the_newer_one_is_mended(bills: Bills, row: Row) -> None:
    bills.write("v2.csv", charges(row, "newer"))
    bills.run()
    bills.write("v1.csv", charges(row, "older"))
    bills.run(stop_after=1)
    assert bills.resources() == ["older"]
    assert bills.run() == ["v2.csv"]
    assert bills.resources() == ["newer"]


def test_a_file_written_again_replaces_all_that_it_brought(bills: Bills, row: Row) -> None:
    bills.write("bill.csv", charges(row, "oct") + charges(row, "sep", month=9))
    bills.run()
    bills.write("bill.csv", charges(row, "oct-again"))
    assert bills.run() == ["bill.csv"]
    assert bills.resources() == ["oct-again"]


def test_parts_of_one_issue_do_not_replace_each_other(bills: Bills, row: Row) -> None:
    bills.write("run-1/part-0001.csv.gz", charges(row, "a", "b"))
    bills.write("run-1/part-0002.csv.gz", charges(row, "c"))
    assert bills.run() == ["run-1/*.csv.gz"]
    assert bills.resources() == ["a", "b", "c"]
    bills.write("run-1/part-0003.csv.gz", charges(row, "d"))
    assert bills.run() == ["run-1/*.csv.gz"]
    assert bills.resources() == ["a", "b", "c", "d"]
    bills.write("run-2/part-0001.csv.gz", charges(row, "e", "f"))
    assert bills.run() == ["run-2/*.csv.gz"]
    assert bills.resources() == ["e", "f"]
    assert bills.run() == []


def test_a_broken_part_keeps_the_whole_issue_out(bills: Bills, row: Row) -> None:
    bills.write("part-1.csv", charges(row, "a"))
    bills.write("part-2.csv", b"no bill at all\n")
    bills.write("zz.csv", charges(row, "sep", month=9))
    assert bills.run() == ["zz.csv"]
    assert bills.refused[0].startswith("part-2.csv: a FOCUS file needs the columns")
    assert bills.resources() == ["sep"]


def test_the_same_content_under_another_name_adds_nothing(bills: Bills, row: Row) -> None:
    bills.write("a.csv", charges(row, "a"))
    bills.run()
    bills.write("b.csv", charges(row, "a"))
    assert bills.run() == []
    assert bills.resources() == ["a"]


def test_an_issue_under_half_of_the_former_is_refused(bills: Bills, row: Row) -> None:
    bills.write("v1.csv", charges(row, "a", "b", "c"))
    bills.run()
    bills.write("v2.csv", charges(row, "d"))
    assert bills.run() == []
    assert "v2.csv now gives 1 rows of raw.costs where the lake holds 3" in bills.refused[0]
    assert bills.resources() == ["a", "b", "c"]
    assert bills.run(allow_shrink=True) == ["v2.csv"]
    assert bills.resources() == ["d"]


@pytest.fixture
def inbox(bills: Bills) -> Bills:
    """The folder as an inbox."""
    bills.options = {"path": (), "inbox": ".", "settle_seconds": 1}
    return bills


def test_parts_in_an_inbox_land_together_and_late_ones_are_added(inbox: Bills, row: Row) -> None:
    inbox.write("oct-part1.csv", charges(row, "before-1", "before-2"))
    inbox.write("export-part1.csv", charges(row, "a"))
    inbox.write("export-part2.csv", charges(row, "b"))
    assert sorted(inbox.run()) == ["inbox/export-*.csv", "inbox/oct-*.csv"]
    inbox.write("oct-part2.csv", charges(row, "c"))
    inbox.run()
    assert "c" in inbox.resources()
    done = sorted(p.name for p in (inbox.folder / "in" / "done").iterdir())
    assert done == ["export-part1.csv", "export-part2.csv", "oct-part1.csv", "oct-part2.csv"]


def test_parts_delivered_again_begin_a_new_issue(inbox: Bills, row: Row) -> None:
    for part in "abc":
        inbox.write(f"x-part{ord(part) - 96}.csv", charges(row, part))
        inbox.run()
    assert inbox.resources() == ["a", "b", "c"]
    inbox.write("x-part1.csv", charges(row, "A1", "A2"))
    inbox.run()
    inbox.write("x-part2.csv", charges(row, "B"))
    inbox.run()
    assert inbox.resources() == ["A1", "A2", "B"]


def test_a_pass_that_died_before_moving_a_part_loses_none(inbox: Bills, row: Row) -> None:
    first, second = charges(row, "a"), charges(row, "b")
    inbox.write("x-part1.csv", first)
    inbox.write("x-part2.csv", second)
    inbox.run()
    inbox.write("x-part2.csv", second)
    inbox.write("x-part3.csv", charges(row, "c"))
    inbox.run()
    assert inbox.resources() == ["a", "b", "c"]
    assert [p.name for p in (inbox.folder / "in").iterdir() if p.is_file()] == []


def test_a_refused_issue_rejects_all_its_parts(inbox: Bills, row: Row) -> None:
    inbox.write("x-part1.csv", charges(row, "a"))
    inbox.write("x-part2.csv", b"no bill\n")
    assert inbox.run() == []
    rejected = inbox.folder / "in" / "rejected"
    assert sorted(p.name for p in rejected.iterdir() if not p.name.endswith(".txt")) == ["x-part1.csv", "x-part2.csv"]
    assert "needs the columns" in (rejected / "x-part2.csv.reason.txt").read_text()
    shutil.rmtree(rejected)


@pytest.mark.parametrize(
    ("origin", "common"),
    [
        ("bills/focus-2026-10-v1.csv", None),
        ("bills/2026-10.csv", None),
        ("bills/part-0001.csv.gz", "bills/*.csv.gz"),
        ("exp/202610/part_0_0001.csv", "exp/202610/*.csv"),
        (
            "exp/part-00003-0a1b2c3d-1111-2222-3333-444455556666-c000.snappy.parquet",
            "exp/*-0a1b2c3d-1111-2222-3333-444455556666-c000.snappy.parquet",
        ),
        ("data/BILLING_PERIOD=2026-10/costs-00002.csv.gz", "data/BILLING_PERIOD=2026-10/costs-*.csv.gz"),
        (
            "cur/20261001-20261101/0a1b2c3d-1111-2222-3333-444455556666/cur-3.csv.gz",
            "cur/20261001-20261101/0a1b2c3d-1111-2222-3333-444455556666/*",
        ),
        (
            "data/2026-10-05T00:00:00Z-0a1b2c3d-1111-2222-3333-444455556666/a-00001.csv",
            "data/2026-10-05T00:00:00Z-0a1b2c3d-1111-2222-3333-444455556666/a-*.csv",
        ),
        ("bills/partner.csv", None),
        ("bills/spare-part.csv", None),
    ],
)
def test_the_common_name_of_an_issue(origin: str, common: str | None) -> None:
    assert stem(origin) == (common or origin)


def test_assemblies_with_random_names_are_ordered_by_time() -> None:
    def file(uuid: str, written: int) -> InputFile:
        origin = f"cur/20261001-20261101/{uuid}/cur-1.csv"
        return InputFile(origin, origin, LakeSettings(), 1, written)

    first, second = "f" * 8 + "-1111-2222-3333-444455556666", "0" * 8 + "-1111-2222-3333-444455556666"
    found = issues([file(second, 2000), file(first, 1000)])
    assert [i.files[0].mtime_ns for i in found] == [1000, 2000]
