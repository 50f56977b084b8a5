/*
---
name: core.incidents
description: >-
  Incidents on the day they opened, conformed. A start after the opening is a clock's error and counts as unknown.
grain: [source, incident_id]
time_column: opened_time
inputs:
  raw.incidents: 0
  meta.service_map: 0
---
*/
WITH rules AS (
    SELECT rule_list(pattern, service, team, rank) AS rules
    FROM meta.service_map
),

named AS (
    SELECT
        i.*,
        service_of(r.rules, i.service, label_resource(i.labels, NULL)) AS conformed,
        r.rules
    FROM raw.incidents AS i
    CROSS JOIN rules AS r
    WHERE i.day >= $window_start::DATE AND i.day < $window_end::DATE
)

SELECT
    source,
    incident_id,
    conformed AS service,
    team_of(rules, conformed) AS team,
    title,
    severity,
    status,
    started_time,
    opened_time,
    acknowledged_time,
    resolved_time,
    CASE WHEN started_time <= opened_time THEN epoch_us(opened_time - started_time) / 1e6 END AS detect_s,
    epoch_us(acknowledged_time - opened_time) / 1e6 AS acknowledge_s,
    epoch_us(resolved_time - opened_time) / 1e6 AS resolve_s,
    day
FROM named
ORDER BY opened_time, incident_id, source
