/*
---
name: frames.resource_usage
description: >-
  Hourly use and limit of resources: the history of capacity forecasts, idleness, right sizes and their replay, change
  points and anomalies. Take used_mean or used_max as `value` or `used`.
grain: [resource_id, time]
time_column: time
inputs:
  core.resource_usage_1h: 0
---
*/
SELECT
    resource_id,
    resource_kind,
    service,
    team,
    unit,
    time,
    used_mean,
    used_max,
    capacity
FROM core.resource_usage_1h
WHERE day >= $window_start::DATE AND day < $window_end::DATE
ORDER BY resource_id, time
