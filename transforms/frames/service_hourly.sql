/*
---
name: frames.service_hourly
description: >-
  Latency, error ratio, requests and log errors of every service by the hour. Hours in which a service that sends spans
  or logs sent none count zero requests or errors, and have no latency. Input of models.trend.change_points and
  models.anomaly.score (series_id, time, value).
grain: [series_id, time]
time_column: time
inputs:
  core.span_rollup_5m: 0
  core.log_rollup_1h: 0
---
*/
WITH spans AS (
    SELECT
        service,
        date_trunc('hour', time) AS hour,
        span_count,
        error_count,
        duration_sketch
    FROM core.span_rollup_5m
    WHERE day >= $window_start::DATE AND day < $window_end::DATE
    QUALIFY
        if(
            bool_or(kind IN ('SERVER', 'CONSUMER')) OVER (PARTITION BY day, service),
            kind IN ('SERVER', 'CONSUMER'),
            is_entry
        )
),

merged AS (
    SELECT
        service,
        hour,
        sum(span_count)::DOUBLE AS request_count,
        sum(error_count)::DOUBLE AS error_count,
        sketch_merge(list(duration_sketch)) AS sketch
    FROM spans
    GROUP BY service, hour
),

requests AS (
    SELECT
        service,
        hour,
        request_count,
        error_count,
        sketch_quantile(sketch, 0.95) / 1e6 AS latency_p95_ms
    FROM merged
),

logs AS (
    SELECT
        service,
        time AS hour,
        coalesce(sum(log_count) FILTER (WHERE severity IN ('ERROR', 'FATAL')), 0)::DOUBLE AS log_error_count
    FROM core.log_rollup_1h
    WHERE day >= $window_start::DATE AND day < $window_end::DATE
    GROUP BY service, time
),

request_hours AS (
    SELECT
        service,
        unnest(range(min(hour), max(hour) + INTERVAL 1 HOUR, INTERVAL 1 HOUR)) AS hour
    FROM requests
    GROUP BY service
),

log_hours AS (
    SELECT
        service,
        unnest(range(min(hour), max(hour) + INTERVAL 1 HOUR, INTERVAL 1 HOUR)) AS hour
    FROM logs
    GROUP BY service
),

series AS (
    SELECT
        h.service,
        'request_count' AS measure,
        '1' AS unit,
        h.hour,
        coalesce(r.request_count, 0) AS value
    FROM request_hours AS h
    LEFT JOIN requests AS r ON h.service = r.service AND h.hour = r.hour
    UNION ALL
    SELECT
        service,
        'error_ratio' AS measure,
        '1' AS unit,
        hour,
        error_count / request_count AS value
    FROM requests
    UNION ALL
    SELECT
        service,
        'latency_p95_ms' AS measure,
        'ms' AS unit,
        hour,
        latency_p95_ms AS value
    FROM requests
    UNION ALL
    SELECT
        h.service,
        'log_error_count' AS measure,
        '1' AS unit,
        h.hour,
        coalesce(l.log_error_count, 0) AS value
    FROM log_hours AS h
    LEFT JOIN logs AS l ON h.service = l.service AND h.hour = l.hour
)

SELECT
    service || '/' || measure AS series_id,
    'service' AS subject,
    service,
    measure,
    unit,
    hour AS time,
    value
FROM series
ORDER BY service, measure, hour
