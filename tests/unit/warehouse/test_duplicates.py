"""One row per grain, also where the grain does not say the day: spans, incidents and changes that move from one day to another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import pytest

from tests.contract_rows import Row, reader, row, write
from tests.lakes import DAY, at, day_slice, points_unit
from tests.lakes import reader as rows_of
from warehouse.contracts import CONTRACTS
from warehouse.errors import ShrunkSourceError
from warehouse.lake import REJECT_SCHEMA, Part, Unit
from warehouse.lake.lake import Lake

SPANS = CONTRACTS["raw.spans"]
NEXT = DAY + timedelta(days=1)


def spans(lake: Lake) -> list[tuple[str, date]]:
    return lake.connection.execute("SELECT span_id, day FROM raw.spans ORDER BY ALL").fetchall()


def counts(lake: Lake) -> dict[date, int]:
    return {day: state.row_count for day, state in lake.states("raw.spans").items()}


def span(number: int, day: date = DAY, **changes: object) -> Row:
    return row(SPANS, number, day) | changes


def test_a_span_sent_again_for_another_day_replaces_the_former_one(lake: Lake) -> None:
    write(lake, SPANS, [span(1), span(2)], batch="b1")
    write(lake, SPANS, [span(1, NEXT), span(3)], batch="b2")
    assert spans(lake) == [("span_id 1", NEXT), ("span_id 2", DAY), ("span_id 3", DAY)]
    assert counts(lake) == {DAY: 2, NEXT: 1}
    assert lake.connection.execute("SELECT reason, batch_id, day FROM quarantine.spans").fetchall() == [
        ("superseded_by_later_ingest", "b1", DAY)
    ]


def test_a_span_that_a_batch_holds_on_two_days_stays_once(lake: Lake) -> None:
    write(lake, SPANS, [span(1), span(1, NEXT), span(2), span(3, NEXT)])
    assert sorted(s for s, _ in spans(lake)) == ["span_id 1", "span_id 2", "span_id 3"]
    assert sum(counts(lake).values()) == 3
    assert lake.connection.execute("SELECT reason FROM quarantine.spans").fetchall() == [("conflicting_duplicate",)]
    logged = "SELECT rows_read, rows_landed, rows_collapsed, rows_quarantined FROM meta.ingest_log"
    assert lake.connection.execute(logged).fetchall() == [(4, 3, 0, 1)]


def test_a_later_copy_takes_the_place_of_the_row_of_its_own_day_only(lake: Lake) -> None:
    far = DAY + timedelta(days=4)
    write(lake, SPANS, [span(1)], batch="b1")
    write(lake, SPANS, [span(1, far)], batch="b2")
    write(lake, SPANS, [span(1, far, name="renamed")], batch="b3")
    assert spans(lake) == [("span_id 1", DAY), ("span_id 1", far)]
    assert lake.connection.execute("SELECT batch_id, day FROM quarantine.spans").fetchall() == [("b2", far)]
    assert counts(lake) == {DAY: 1, far: 1}


@pytest.mark.parametrize("rejects_first", [True, False])
def test_a_window_that_gives_only_rejects_is_still_a_replacement(lake: Lake, rejects_first: bool) -> None:
    write(lake, SPANS, [span(1), span(2)], batch="b1")

    def parts(_connection: duckdb.DuckDBPyConnection) -> Iterator[Part]:
        rows = Part("raw.spans", reader(lake, SPANS, []))
        bad = Part("raw.spans", rows_of(REJECT_SCHEMA, [("bad", "f", 1, "x")]), rejects=True)
        yield from (bad, rows) if rejects_first else (rows, bad)

    unit = Unit("s", "b2", "window", parts, slice=day_slice())
    with pytest.raises(ShrunkSourceError):
        lake.land(unit)
    assert lake.land(unit, allow_shrink=True).quarantined == 1
    assert spans(lake) == []


def test_a_series_that_comes_again_unchanged_leaves_its_version(lake: Lake) -> None:
    lake.land(points_unit("b1", [(1, at("2026-03-01 10:00"), 1.0), (1, at("2026-03-03 10:00"), 1.0)]))
    before = lake.states("raw.metric_series")
    lake.land(points_unit("b2", [(1, at("2026-03-02 10:00"), 1.0)]))
    assert lake.states("raw.metric_series") == before
