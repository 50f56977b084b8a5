/*
---
name: core.service_dependencies_1d
description: >-
  Calls from one service to another: spans whose parent is in another service, on the day of the called span. The parent
  is looked for from one hour before that day on.
grain: [day, source, parent_service, child_service]
time_column: day
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
        span_id,
        parent_span_id,
        service AS raw_service,
        time,
        duration_ns,
        status_code,
        day
    FROM raw.spans
    WHERE
        day >= ($window_start - INTERVAL 1 HOUR)::DATE
        AND day < $window_end::DATE AND time >= $window_start - INTERVAL 1 HOUR
),

services AS (
    SELECT
        n.raw_service,
        service_of(r.rules, n.raw_service, NULL::VARCHAR) AS service
    FROM (SELECT DISTINCT raw_service FROM spans) AS n
    CROSS JOIN rules AS r
),

raw_edges AS (
    SELECT
        child.source,
        child.day,
        parent.raw_service AS raw_parent,
        child.raw_service AS raw_child,
        count(*) AS call_count,
        count(*) FILTER (WHERE child.status_code = 'ERROR') AS error_count,
        sum(child.duration_ns) AS duration_sum_ns,
        max(child.duration_ns) AS duration_max_ns
    FROM spans AS child
    INNER JOIN spans AS parent
        ON
            child.source = parent.source AND child.trace_id = parent.trace_id
            AND child.parent_span_id = parent.span_id
            AND child.raw_service <> parent.raw_service
            AND parent.time >= child.day - INTERVAL 1 HOUR AND parent.time < child.day + INTERVAL 1 DAY
    WHERE child.time >= $window_start
    GROUP BY ALL
)

SELECT
    e.source,
    parent.service AS parent_service,
    child.service AS child_service,
    sum(e.call_count)::BIGINT AS call_count,
    sum(e.error_count)::BIGINT AS error_count,
    sum(e.duration_sum_ns)::BIGINT AS duration_sum_ns,
    max(e.duration_max_ns) AS duration_max_ns,
    e.day
FROM raw_edges AS e
INNER JOIN services AS parent ON e.raw_parent = parent.raw_service
INNER JOIN services AS child ON e.raw_child = child.raw_service
WHERE parent.service <> child.service
GROUP BY ALL
ORDER BY parent_service, child_service, e.day, e.source
