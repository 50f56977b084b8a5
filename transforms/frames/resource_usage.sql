/*
---
name: frames.resource_usage
description: >-
  Hourly use and limit of resources: the history of capacity forecasts, idleness, right sizes and their replay, change
  points and anomalies. Take used_mean or used_max as `value` or `used`. Service, team and unit are the latest ones.
grain: [resource_id, time]
time_column: time
inputs:
  core.resource_usage_1h: 0
---
*/
SELECT
    resource_id,
    last_value(resource_kind) OVER whole AS resource_kind,
    last_value(service) OVER whole AS service,
    last_value(team) OVER whole AS team,
    last_value(unit) OVER whole AS unit,
    time,
    used_mean,
    used_max,
    capacity
FROM core.resource_usage_1h
WHERE day >= $window_start::DATE AND day < $window_end::DATE
WINDOW
    whole AS (
        PARTITION BY resource_id ORDER BY time ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    )
ORDER BY resource_id, time
