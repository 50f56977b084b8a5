/*
---
name: frames.changes
description: Deploys, releases and other changes with their conformed service, to be set beside change points.
grain: [source, change_id]
time_column: time
inputs:
  raw.changes: 0
  meta.service_map: 0
---
*/
WITH rules AS (
    SELECT rule_list(pattern, service, team, rank) AS rules
    FROM meta.service_map
)

SELECT
    c.source,
    c.change_id,
    c.kind,
    service_of(r.rules, c.service, NULL::VARCHAR) AS service,
    c.time,
    c.version,
    c.title
FROM raw.changes AS c
CROSS JOIN rules AS r
WHERE c.day >= $window_start::DATE AND c.day < $window_end::DATE
ORDER BY c.time, c.change_id, c.source
