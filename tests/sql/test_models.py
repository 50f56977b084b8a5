"""Every SQL file against its header and its contract: inputs, grain, columns and types, parameters, empty input."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from transforms.model import LAYERS, PARAMETERS, Model, ModelError, load_frames, load_models, macros, parse, tables_read
from warehouse.contracts import CONTRACTS, contract

MODELS = list(load_models().values())
FRAMES = list(load_frames().values())
HEADER = "/*\n---\nname: core.x\ndescription: d\ngrain: [a]\ntime_column: a\ninputs: {raw.logs: 0}\n---\n*/\n"


def ident(model: Model) -> str:
    return model.name


@pytest.mark.parametrize("model", [*MODELS, *FRAMES], ids=ident)
def test_header_names_exactly_the_tables_the_query_reads(model: Model) -> None:
    assert set(model.inputs) == tables_read(model.sql)
    assert set(model.inputs) <= set(CONTRACTS)


@pytest.mark.parametrize("model", MODELS, ids=ident)
def test_grain_and_time_are_those_of_the_contract(model: Model) -> None:
    definition = contract(model.name)
    assert (model.grain, model.time_column) == (definition.grain, definition.time_column)


@pytest.mark.parametrize("model", MODELS, ids=ident)
def test_columns_and_types_are_those_of_the_contract(model: Model, db: Any) -> None:
    window = dict.fromkeys(PARAMETERS, datetime.fromisoformat("2026-01-01"))
    relation = db.connection.execute(f"DESCRIBE {model.sql}", window).fetchall()
    assert [(name, kind) for name, kind, *_ in relation] == [(c.name, c.type) for c in contract(model.name).columns]


@pytest.mark.parametrize("model", [*MODELS, *FRAMES], ids=ident)
def test_no_input_gives_no_rows(model: Model, db: Any) -> None:
    assert db.run(model.name, date(2026, 1, 1), date(2026, 1, 31)) == []


@pytest.mark.parametrize("model", [*MODELS, *FRAMES], ids=ident)
def test_query_is_one_select_with_both_parameters_and_an_order(model: Model) -> None:
    assert ";" not in model.sql
    assert all(f"${name}" in model.sql for name in PARAMETERS)
    assert "\nORDER BY" in model.sql


def test_every_core_table_has_a_model() -> None:
    core = {name for name in CONTRACTS if name.startswith("core.")}
    assert core == {name for name in load_models() if name.startswith("core.")}


def test_models_come_after_what_they_read() -> None:
    names = list(load_models())
    for model in MODELS:
        above = [name for name in model.inputs if name.split(".")[0] in LAYERS]
        assert all(names.index(name) < names.index(model.name) for name in above)


def test_macros_need_no_table() -> None:
    assert "meta." not in macros()
    assert "raw." not in macros()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("SELECT 1", "must begin with a comment"),
        ("/*\n---\nname: core.x\n---\n*/\nSELECT 1", "must have the keys"),
        ("/*\n---\nname: [\n---\n*/\nSELECT 1", "not valid YAML"),
        (HEADER.replace("core.x", "core.y") + "SELECT 1", "calls it 'core.y'"),
    ],
)
def test_a_header_that_is_not_right_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint):
        parse(text, "core.x")


def test_a_header_becomes_a_model() -> None:
    model = parse(HEADER.replace("raw.logs: 0", "raw.logs: 2, raw.costs: 7") + "SELECT 1", "core.x")
    assert (model.lookback_days, model.inputs, model.sql) == (7, ("raw.logs", "raw.costs"), "SELECT 1\n")


def test_tables_read_leaves_out_ctes() -> None:
    assert tables_read("WITH a AS (FROM raw.logs) SELECT * FROM a JOIN meta.prices USING (rank)") == {"raw.logs", "meta.prices"}
