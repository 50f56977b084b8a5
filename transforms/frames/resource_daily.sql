/*
---
name: frames.resource_daily
description: >-
  Highest hourly mean use of each resource and day, over all that the lake still holds: what comes back every year shows
  in years only. Service, team and unit are the latest ones. Input of models.capacity.seasonal_peaks.
grain: [resource_id, time]
time_column: time
inputs:
  core.resource_usage_1h: 0
---
*/
SELECT
    resource_id,
    last_value(max_by(resource_kind, time)) OVER whole AS resource_kind,
    last_value(max_by(service, time)) OVER whole AS service,
    last_value(max_by(team, time)) OVER whole AS team,
    last_value(max_by(unit, time)) OVER whole AS unit,
    day::TIMESTAMP AS time,
    max(used_mean) AS value
FROM core.resource_usage_1h
WHERE day >= $window_start::DATE AND day < $window_end::DATE
GROUP BY resource_id, day
WINDOW
    whole AS (
        PARTITION BY resource_id ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    )
ORDER BY resource_id, day
