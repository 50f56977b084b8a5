/*
---
name: core.log_rollup_1h
description: >-
  Hourly counts of log records per service, severity and template; a record without a body goes by its event name.
grain: [source, service, severity, template, time]
time_column: time
inputs:
  raw.logs: 0
  meta.service_map: 0
---
*/
WITH rules AS (
    SELECT rule_list(pattern, service, team, rank) AS rules
    FROM meta.service_map
),

shaped AS (
    SELECT
        source,
        service AS raw_service,
        severity,
        date_trunc('hour', time) AS hour,
        log_shape(coalesce(body, event_name, '')) AS shape,
        count(*) AS log_count,
        min(left(body, 500)) AS example
    FROM raw.logs
    WHERE day >= $window_start::DATE AND day < $window_end::DATE
    GROUP BY ALL
),

masks AS (
    SELECT
        shape,
        log_mask(shape) AS masked
    FROM (SELECT DISTINCT shape FROM shaped)
),

templates AS (
    SELECT
        masked,
        log_tidy(masked) AS template
    FROM (SELECT DISTINCT masked FROM masks)
),

services AS (
    SELECT
        n.raw_service,
        service_of(r.rules, n.raw_service, NULL::VARCHAR) AS service
    FROM (SELECT DISTINCT raw_service FROM shaped) AS n
    CROSS JOIN rules AS r
)

SELECT
    s.source,
    n.service,
    s.severity,
    t.template,
    s.hour AS time,
    sum(s.log_count)::BIGINT AS log_count,
    min(s.example) AS example,
    s.hour::DATE AS day
FROM shaped AS s
INNER JOIN masks AS m ON s.shape = m.shape
INNER JOIN templates AS t ON m.masked = t.masked
INNER JOIN services AS n ON s.raw_service = n.raw_service
GROUP BY ALL
ORDER BY n.service, time, s.severity, t.template, s.source
