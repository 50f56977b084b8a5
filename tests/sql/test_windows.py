"""A day is the same bytes whether it is built alone or with its neighbours, by one thread or by several, and again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from transforms.model import Model, load_models

FIRST, DAYS = date(2026, 1, 3), 5
MODELS = list(load_models().values())

RANDOM_RAW = """
CREATE OR REPLACE TEMP MACRO moment(i) AS TIMESTAMP '2026-01-01' + INTERVAL ((hash(i) % (8 * 86400000))::BIGINT) MILLISECOND;
INSERT INTO meta.service_map BY NAME SELECT i AS rank, 'svc' || i AS pattern, 'service ' || (i // 2) AS service, 'team' AS team
FROM range(4) AS t (i);
INSERT INTO meta.capacity_limits BY NAME SELECT 0 AS rank, 'cpu' AS kind, 'gauge' AS usage_metric, MAP {}::MAP (VARCHAR, VARCHAR)
AS usage_labels, 'size' AS limit_metric, 7.0 AS lead_time_days;
INSERT INTO meta.prices BY NAME SELECT 0 AS rank, 'cpu' AS kind, 2.0 AS unit_price, 'EUR' AS currency;
INSERT INTO raw.metric_series BY NAME SELECT 's' AS source, i::UBIGINT AS series_id, ['gauge', 'count', 'size'][i % 3 + 1] AS metric_name,
MAP {'job': 'svc' || (i % 5), 'instance': 'h' || (i // 6)} AS labels, ['gauge', 'counter', 'gauge'][i % 3 + 1] AS kind, 1.0 AS unit_scale,
TIMESTAMP '2026-01-01' AS first_seen, TIMESTAMP '2026-01-01' AS last_seen, 'b' AS batch_id FROM range(24) AS t (i);
INSERT INTO raw.metric_points BY NAME SELECT DISTINCT ON (series_id, time) 's' AS source, (i % 24)::UBIGINT AS series_id,
moment(i) AS time, if(hash(i, 1) % 50 = 0, 'nan'::DOUBLE, (hash(i, 2) % 100000) / 7) AS value, 'b' AS batch_id,
time::DATE AS day FROM range(20000) AS t (i) ORDER BY i;
INSERT INTO raw.spans BY NAME SELECT 's' AS source, (i // 5)::VARCHAR AS trace_id, i::VARCHAR AS span_id,
if(i % 5 > 0, (i - 1)::VARCHAR, NULL) AS parent_span_id, 'svc' || (hash(i) % 6) AS service, 'op' || (i % 3) AS name,
['SERVER', 'CLIENT', 'INTERNAL'][(hash(i, 3) % 3 + 1)::BIGINT] AS kind, moment(i // 5) + INTERVAL (i % 5 * 400) SECOND AS time,
0 AS time_unix_nano, (hash(i, 4) % 1000000)::BIGINT AS duration_ns, ['OK', 'ERROR'][(hash(i, 5) % 2 + 1)::BIGINT] AS status_code,
'b' AS batch_id, time::DATE AS day FROM range(8000) AS t (i);
INSERT INTO raw.logs BY NAME SELECT 's' AS source, uuid() AS log_id, moment(i) AS time, 0 AS time_unix_nano, 'svc' || (i % 6) AS service,
['INFO', 'ERROR'][i % 2 + 1] AS severity, 'took ' || i || ' ms' || (i % 4) AS body, 'b' AS batch_id, time::DATE AS day
FROM range(5000) AS t (i);
INSERT INTO raw.incidents BY NAME SELECT 's' AS source, i::VARCHAR AS incident_id, 'svc' || (i % 6) AS service, 'resolved' AS status,
moment(i) AS opened_time, moment(i) - INTERVAL (i) SECOND AS started_time, moment(i) + INTERVAL (i * 977) SECOND AS resolved_time,
'b' AS batch_id, opened_time::DATE AS day FROM range(60) AS t (i);
INSERT INTO raw.costs BY NAME SELECT 's' AS source, uuid() AS charge_id, (hash(i) % 9999)::DECIMAL(38, 12) / 7 AS BilledCost,
(hash(i) % 9999) / 7 AS EffectiveCost, 'a' AS BillingAccountId, ['EUR', 'USD'][i % 2 + 1] AS BillingCurrency,
TIMESTAMP '2026-01-01' AS BillingPeriodStart, TIMESTAMP '2026-02-01' AS BillingPeriodEnd, 'Usage' AS ChargeCategory,
date_trunc('hour', moment(i)) AS ChargePeriodStart, ChargePeriodStart + INTERVAL 1 HOUR AS ChargePeriodEnd, 2 AS ConsumedQuantity,
'Hours' AS ConsumedUnit, 'h' || (i % 4) AS ResourceId, MAP {'service': 'svc' || (i % 6)} AS Tags, '1.0' AS focus_version, 'b' AS batch_id,
ChargePeriodStart::DATE AS day FROM range(2000) AS t (i);
"""


@pytest.fixture(scope="module")
def filled(schema: Any) -> Iterator[Any]:
    """Random raw data of eight days, and every model built for the days that the tests look at, and those before."""
    schema.clear()
    schema.connection.execute(RANDOM_RAW)
    schema.filled |= {name for model in MODELS for name in model.inputs}
    for model in MODELS:
        schema.filled.add(model.name)
        window = {"window_start": FIRST - timedelta(days=2), "window_end": FIRST + timedelta(days=DAYS)}
        schema.connection.execute(f"INSERT INTO {model.name} BY NAME {model.sql}", window)
    yield schema
    schema.clear()


def of_days(rows: list[dict[str, Any]], day: date) -> list[dict[str, Any]]:
    return [row for row in rows if row["day"] == day]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_day_alone_is_the_day_of_a_range(filled: Any, model: Model) -> None:
    whole = filled.run(model.name, FIRST, FIRST + timedelta(days=DAYS))
    assert len({row["day"] for row in whole}) == DAYS
    for day in (FIRST + timedelta(days=i) for i in range(DAYS)):
        assert repr(filled.run(model.name, day)) == repr(of_days(whole, day))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_threads_change_nothing(filled: Any, model: Model) -> None:
    found = [repr(filled.run(model.name, FIRST, FIRST + timedelta(days=DAYS)))]
    filled.connection.execute("SET threads = 4; PRAGMA verify_parallelism")  # a task per vector: small tables are spread, too
    found += [repr(filled.run(model.name, FIRST, FIRST + timedelta(days=DAYS))) for _ in range(3)]
    filled.connection.execute("RESET threads; PRAGMA disable_verify_parallelism")
    assert len(set(found)) == 1


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_the_grain_is_unique(filled: Any, model: Model) -> None:
    rows = filled.run(model.name, FIRST, FIRST + timedelta(days=DAYS))
    assert len({tuple(row[name] for name in model.grain) for row in rows}) == len(rows)


def test_growth_is_that_of_the_samples(filled: Any) -> None:
    rows = filled.run("core.metric_rollup_1h", FIRST, FIRST + timedelta(days=DAYS))
    (samples,) = filled.connection.execute(
        "SELECT count(*) FROM raw.metric_points WHERE day >= ? AND day < ?::DATE + 5", [FIRST, FIRST]
    ).fetchone()
    assert sum(row["count"] + row["nonfinite_count"] for row in rows) == samples
