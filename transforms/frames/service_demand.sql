/*
---
name: frames.service_demand
description: >-
  Requests of every service by the hour, counted as in frames.service_hourly and without its sketches: what drives the
  use of the service's resources. Hours without spans between others count zero. Input of models.capacity.demand_drivers.
grain: [service, driver, time]
time_column: time
inputs:
  core.span_rollup_5m: 0
---
*/
WITH spans AS (
    SELECT
        service,
        date_trunc('hour', time) AS hour,
        span_count
    FROM core.span_rollup_5m
    WHERE day >= $window_start::DATE AND day < $window_end::DATE
    QUALIFY
        if(
            bool_or(kind IN ('SERVER', 'CONSUMER')) OVER (PARTITION BY day, service),
            kind IN ('SERVER', 'CONSUMER'),
            is_entry
        )
),

requests AS (
    SELECT
        service,
        hour,
        sum(span_count)::DOUBLE AS request_count
    FROM spans
    GROUP BY service, hour
),

hours AS (
    SELECT
        service,
        unnest(range(min(hour), max(hour) + INTERVAL 1 HOUR, INTERVAL 1 HOUR)) AS hour
    FROM requests
    GROUP BY service
)

SELECT
    h.service,
    'requests' AS driver,
    h.hour AS time,
    coalesce(r.request_count, 0) AS value
FROM hours AS h
LEFT JOIN requests AS r ON h.service = r.service AND h.hour = r.hour
ORDER BY h.service, h.hour
