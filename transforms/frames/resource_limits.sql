/*
---
name: frames.resource_limits
description: >-
  What is allocated at the end of the history: last known limit, lead time, use of the last day (95th percentile of its
  hours) and price per resource, for resources that were seen in the last 7 days. Limits of models.capacity.plan,
  allocations of models.cost.rightsize and idle.
grain: [resource_id]
time_column: last_seen
inputs:
  core.resource_usage_1h: 0
  core.resources: 0
---
*/
WITH used AS (
    SELECT
        resource_id,
        resource_kind,
        service,
        team,
        unit,
        time,
        used_mean,
        capacity,
        lead_time_days,
        day,
        max(day) OVER (PARTITION BY resource_id) AS last_day
    FROM core.resource_usage_1h
    WHERE day >= $window_start::DATE AND day < $window_end::DATE
),

limits AS (
    SELECT
        resource_id,
        max_by(resource_kind, time) AS resource_kind,
        max_by(service, time) AS service,
        max_by(team, time) AS team,
        max_by(unit, time) AS unit,
        max_by(capacity, time) AS capacity,
        max_by(lead_time_days, time) AS lead_time_days,
        quantile_cont(used_mean, 0.95) FILTER (WHERE day = last_day) AS used_now,
        max(time) AS last_seen
    FROM used
    WHERE last_day >= $window_end::DATE - 7
    GROUP BY resource_id
),

prices AS (
    SELECT
        resource_id,
        max_by(struct_pack(unit_price, billing_currency, price_source), day) AS price
    FROM core.resources
    WHERE day >= $window_start::DATE AND day < $window_end::DATE AND unit_price IS NOT NULL
    GROUP BY resource_id
)

SELECT
    l.resource_id,
    l.resource_kind,
    l.service,
    l.team,
    l.unit,
    l.capacity,
    l.lead_time_days,
    l.used_now,
    p.price.unit_price,
    p.price.billing_currency,
    p.price.price_source,
    l.last_seen
FROM limits AS l
LEFT JOIN prices AS p ON l.resource_id = p.resource_id
ORDER BY l.resource_id
