/*
---
name: mart.incident_metrics_monthly
description: >-
  Incidents per month and service as known at the end of a day, for its month and the twelve before: what was not
  acknowledged or resolved by then is not counted as such.
grain: [day, month, service]
time_column: day
inputs:
  core.incidents: 396
  meta.service_map: 0
---
*/
WITH rules AS (
    SELECT rule_list(pattern, service, team, rank) AS rules
    FROM meta.service_map
),

days AS (
    SELECT unnest(range($window_start::TIMESTAMP, $window_end::TIMESTAMP, INTERVAL 1 DAY)) AS midnight
),

known AS (
    SELECT
        d.midnight::DATE AS day,
        date_trunc('month', i.opened_time)::DATE AS month,
        i.service,
        i.detect_s,
        CASE WHEN i.acknowledged_time < d.midnight + INTERVAL 1 DAY THEN i.acknowledge_s END AS acknowledge_s,
        CASE WHEN i.resolved_time < d.midnight + INTERVAL 1 DAY THEN i.resolve_s END AS resolve_s
    FROM days AS d
    INNER JOIN core.incidents AS i
        ON
            i.opened_time < d.midnight + INTERVAL 1 DAY
            AND i.opened_time >= date_trunc('month', d.midnight) - INTERVAL 12 MONTH
    WHERE i.day >= $window_start::DATE - 396 AND i.day < $window_end::DATE
),

measured AS (
    SELECT
        day,
        month,
        service,
        count(*) AS incident_count,
        count(*) FILTER (WHERE resolve_s IS NULL) AS open_count,
        stable_avg(detect_s) AS mttd_s,
        stable_avg(acknowledge_s) AS mtta_s,
        stable_avg(resolve_s) AS mttr_s,
        count(*) FILTER (WHERE detect_s IS NULL) AS unknown_start_count
    FROM known
    GROUP BY day, month, service
)

SELECT
    m.day,
    m.month,
    m.service,
    team_of(r.rules, m.service) AS team,
    m.incident_count,
    m.open_count,
    m.mttd_s,
    m.mtta_s,
    m.mttr_s,
    m.unknown_start_count
FROM measured AS m
CROSS JOIN rules AS r
ORDER BY m.month, m.service, m.day
