/*
---
name: core.span_rollup_5m
description: >-
  Rate, errors and duration per service and operation in five-minute buckets. An entry is a server or consumer span, or
  one whose parent is missing or in another service; the parent is looked for from one hour before the span's day on.
grain: [source, service, operation, kind, is_entry, time]
time_column: time
inputs:
  raw.spans: 1
  meta.service_map: 0
---
*/
WITH rules AS (
    SELECT rule_list(pattern, service, team, rank) AS rules
    FROM meta.service_map
),

spans AS (
    SELECT
        source,
        trace_id,
        service AS raw_service,
        name,
        kind,
        time,
        duration_ns,
        status_code,
        day,
        CASE WHEN kind NOT IN ('SERVER', 'CONSUMER') THEN parent_span_id END AS asked_parent,
        day - INTERVAL 1 HOUR AS parents_from,
        day + INTERVAL 1 DAY AS parents_until
    FROM raw.spans
    WHERE day >= $window_start::DATE AND day < $window_end::DATE
),

services AS (
    SELECT
        n.raw_service,
        service_of(r.rules, n.raw_service, NULL::VARCHAR) AS service
    FROM (SELECT DISTINCT raw_service FROM spans) AS n
    CROSS JOIN rules AS r
),

parents AS (
    SELECT
        source,
        trace_id,
        span_id,
        service AS raw_service,
        time
    FROM raw.spans
    WHERE
        day >= ($window_start - INTERVAL 1 HOUR)::DATE
        AND day < $window_end::DATE AND time >= $window_start - INTERVAL 1 HOUR
),

placed AS (
    SELECT
        s.*,
        p.span_id IS NULL AS is_entry
    FROM spans AS s
    LEFT JOIN parents AS p
        ON
            s.source = p.source AND s.trace_id = p.trace_id AND s.asked_parent = p.span_id
            AND s.raw_service = p.raw_service AND s.parents_from <= p.time AND s.parents_until > p.time
)

SELECT
    s.source,
    n.service,
    s.name AS operation,
    s.kind,
    s.is_entry,
    time_bucket(INTERVAL 5 MINUTE, s.time) AS time,
    count(*) AS span_count,
    count(*) FILTER (WHERE s.status_code = 'ERROR') AS error_count,
    sum(s.duration_ns)::BIGINT AS duration_sum_ns,
    min(s.duration_ns) AS duration_min_ns,
    max(s.duration_ns) AS duration_max_ns,
    sketch_of(s.duration_ns) AS duration_sketch,
    s.day
FROM placed AS s
INNER JOIN services AS n ON s.raw_service = n.raw_service
GROUP BY ALL
ORDER BY n.service, time, operation, s.kind, s.is_entry, s.source
