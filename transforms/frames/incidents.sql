/*
---
name: frames.incidents
description: Incidents of the window with the time in which they were felt, to be set beside episodes of anomalies.
grain: [source, incident_id]
time_column: start_time
inputs:
  core.incidents: 0
---
*/
SELECT
    i.source,
    i.incident_id,
    i.service,
    i.title,
    least(i.started_time, i.opened_time) AS start_time,
    coalesce(i.resolved_time, $window_end::TIMESTAMP) AS end_time
FROM core.incidents AS i
WHERE i.day >= $window_start::DATE AND i.day < $window_end::DATE
ORDER BY start_time, i.incident_id, i.source
