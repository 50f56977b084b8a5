/*
---
name: frames.trend_history
description: >-
  One value a day of what trends are looked for in: latency, errors, requests, log errors and cost of services, use of
  resources with a limit. Input of models.trend.trends (series_id, time, value), with what mart.trends says of a series:
  its latest service and unit.
grain: [series_id, time]
time_column: time
inputs:
  mart.service_health_daily: 0
  mart.cost_by_service_daily: 0
  core.resources: 0
---
*/
WITH health AS (
    SELECT
        day,
        service,
        latency_p95_ms,
        error_ratio,
        request_count::DOUBLE AS request_count,
        log_error_count::DOUBLE AS log_error_count
    FROM mart.service_health_daily
    WHERE day >= $window_start::DATE AND day < $window_end::DATE
),

measures AS (
    UNPIVOT health ON latency_p95_ms, error_ratio, request_count, log_error_count INTO NAME measure VALUE value
),

costs AS (
    SELECT
        day,
        service,
        billing_currency,
        sum(effective_cost)::DOUBLE AS effective_cost
    FROM mart.cost_by_service_daily
    WHERE day >= $window_start::DATE AND day < $window_end::DATE
    GROUP BY day, service, billing_currency
),

series AS (
    SELECT
        service || '/' || measure AS series_id,
        'service' AS subject,
        service,
        measure,
        if(measure = 'latency_p95_ms', 'ms', '1') AS unit,
        day,
        value
    FROM measures
    UNION ALL
    SELECT
        service || '/effective_cost/' || billing_currency AS series_id,
        'service' AS subject,
        service,
        'effective_cost' AS measure,
        billing_currency AS unit,
        day,
        effective_cost AS value
    FROM costs
    UNION ALL
    SELECT
        resource_id AS series_id,
        'resource' AS subject,
        service,
        'used_mean' AS measure,
        unit,
        day,
        used_mean AS value
    FROM core.resources
    WHERE day >= $window_start::DATE AND day < $window_end::DATE AND used_mean IS NOT NULL
)

SELECT
    series_id,
    subject,
    last_value(service) OVER whole AS service,
    measure,
    last_value(unit) OVER whole AS unit,
    day::TIMESTAMP AS time,
    value
FROM series
WHERE value IS NOT NULL
WINDOW
    whole AS (
        PARTITION BY series_id ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    )
ORDER BY series_id, day
