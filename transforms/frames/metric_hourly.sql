/*
---
name: frames.metric_hourly
description: >-
  Every sample series by the hour, gauges as means and counters as rates per second, but for those that [[capacity]]
  names (frames.resource_usage has them). The series is named as in PromQL, behind its source.
grain: [series_id, time]
time_column: time
inputs:
  core.metric_rollup_1h: 0
  raw.metric_series: 0
  meta.capacity_limits: 0
  meta.service_map: 0
---
*/
WITH rules AS (
    SELECT rule_list(pattern, service, team, rank) AS rules
    FROM meta.service_map
),

limited AS (
    SELECT usage_metric AS metric_name
    FROM meta.capacity_limits
    UNION
    SELECT limit_metric AS metric_name
    FROM meta.capacity_limits
    WHERE limit_metric IS NOT NULL
),

series AS (
    SELECT
        s.source,
        s.series_id,
        s.metric_name,
        s.unit,
        is_counter(s.kind, s.is_monotonic, s.labels) AS is_counter,
        service_of(r.rules, label_service(s.labels), label_resource(s.labels, NULL)) AS service,
        s.source || ':' || s.metric_name || '{' || array_to_string(
            list_transform(list_sort(map_keys(s.labels)), LAMBDA name: name || '="' || s.labels[name] || '"'), ','
        ) || '}' AS series_name
    FROM raw.metric_series AS s
    ANTI JOIN limited AS l ON s.metric_name = l.metric_name
    CROSS JOIN rules AS r
)

SELECT
    s.series_name AS series_id,
    'metric' AS subject,
    s.service,
    s.metric_name AS measure,
    CASE WHEN s.is_counter THEN coalesce(s.unit, '1') || '/s' ELSE s.unit END AS unit,
    h.time,
    if(s.is_counter, h.increase / 3600, h.sum / h.count) AS value
FROM core.metric_rollup_1h AS h
INNER JOIN series AS s ON h.source = s.source AND h.series_id = s.series_id
WHERE h.day >= $window_start::DATE AND h.day < $window_end::DATE AND h.count > 0
ORDER BY s.series_name, h.time
