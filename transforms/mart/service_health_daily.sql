/*
---
name: mart.service_health_daily
description: >-
  Requests, errors, latency, log errors and incidents per service and day. Requests are server and consumer spans, or
  the entry spans of a service that has neither. What a service does not send stays NULL, while no incidents are 0. An
  incident counts in its minutes until it is resolved, an open one until the day ends, looked for 30 days back.
grain: [day, service]
time_column: day
inputs:
  core.span_rollup_5m: 0
  core.log_rollup_1h: 0
  core.incidents: 30
  meta.service_map: 0
---
*/
WITH rules AS (
    SELECT rule_list(pattern, service, team, rank) AS rules
    FROM meta.service_map
),

spans AS (
    SELECT
        day,
        service,
        kind IN ('SERVER', 'CONSUMER') AS is_request,
        is_entry,
        span_count,
        error_count,
        duration_sketch
    FROM core.span_rollup_5m
    WHERE day >= $window_start::DATE AND day < $window_end::DATE
),

requests AS (
    SELECT *
    FROM spans
    QUALIFY if(bool_or(is_request) OVER (PARTITION BY day, service), is_request, is_entry)
),

counted AS (
    SELECT
        day,
        service,
        sum(span_count)::BIGINT AS request_count,
        sum(error_count)::BIGINT AS error_count,
        sketch_merge(list(duration_sketch)) AS sketch
    FROM requests
    GROUP BY day, service
),

logged AS (
    SELECT
        day,
        service,
        sum(log_count)::BIGINT AS log_count,
        coalesce(sum(log_count) FILTER (WHERE severity IN ('ERROR', 'FATAL')), 0)::BIGINT AS log_error_count
    FROM core.log_rollup_1h
    WHERE day >= $window_start::DATE AND day < $window_end::DATE
    GROUP BY day, service
),

days AS (
    SELECT unnest(range($window_start::TIMESTAMP, $window_end::TIMESTAMP, INTERVAL 1 DAY)) AS midnight
),

troubled AS (
    SELECT
        d.midnight::DATE AS day,
        i.service,
        count(*) FILTER (WHERE i.opened_time >= d.midnight) AS incident_count,
        sum(
            epoch_us(
                least(coalesce(i.resolved_time, d.midnight + INTERVAL 1 DAY), d.midnight + INTERVAL 1 DAY)
                - greatest(i.opened_time, d.midnight)
            )
        )::DOUBLE / 60e6 AS incident_minutes
    FROM days AS d
    INNER JOIN core.incidents AS i
        ON
            d.midnight + INTERVAL 1 DAY > i.opened_time AND d.midnight - INTERVAL 30 DAY <= i.opened_time
            AND (d.midnight <= i.opened_time OR coalesce(d.midnight < i.resolved_time, TRUE))
    WHERE i.day >= $window_start::DATE - 30 AND i.day < $window_end::DATE
    GROUP BY ALL
),

subjects AS (
    SELECT
        day,
        service
    FROM spans
    UNION
    SELECT
        day,
        service
    FROM logged
    UNION
    SELECT
        day,
        service
    FROM troubled
)

SELECT
    s.service,
    team_of(r.rules, s.service) AS team,
    c.request_count,
    c.error_count,
    c.error_count / c.request_count AS error_ratio,
    sketch_quantile(c.sketch, 0.5) / 1e6 AS latency_p50_ms,
    sketch_quantile(c.sketch, 0.95) / 1e6 AS latency_p95_ms,
    sketch_quantile(c.sketch, 0.99) / 1e6 AS latency_p99_ms,
    l.log_count,
    l.log_error_count,
    coalesce(t.incident_count, 0) AS incident_count,
    coalesce(t.incident_minutes, 0) AS incident_minutes,
    s.day
FROM subjects AS s
LEFT JOIN counted AS c ON s.day = c.day AND s.service = c.service
LEFT JOIN logged AS l ON s.day = l.day AND s.service = l.service
LEFT JOIN troubled AS t ON s.day = t.day AND s.service = t.service
CROSS JOIN rules AS r
ORDER BY s.service, s.day
