/*
---
name: core.resource_usage_1h
description: >-
  Hourly use and limit of every resource that [[capacity]] describes. The first rule that fits a series decides, and of
  two rules for one resource the first; several series of one resource add up, as do their limits. A counter is used at
  its rate per second. A limit holds for a day after it was last seen.
grain: [resource_id, time]
time_column: time
inputs:
  core.metric_rollup_1h: 1
  raw.metric_series: 0
  meta.capacity_limits: 0
  meta.service_map: 0
---
*/
WITH rules AS (
    SELECT rule_list(pattern, service, team, rank) AS rules
    FROM meta.service_map
),

ruled AS (
    SELECT
        s.source,
        s.series_id,
        l.rank,
        l.kind,
        l.unit,
        l.lead_time_days,
        l.limit_value,
        is_counter(s.kind, s.is_monotonic, s.labels) AS is_counter,
        try_cast(first_label(s.labels, [l.limit_label]) AS DOUBLE) AS limit_on_label,
        label_resource(s.labels, NULL) AS whole_id,
        label_service(s.labels) AS raw_service,
        label_resource(s.labels, l.resource_label) AS named_id
    FROM raw.metric_series AS s
    INNER JOIN meta.capacity_limits AS l ON s.metric_name = l.usage_metric AND labels_match(s.labels, l.usage_labels)
    QUALIFY row_number() OVER (PARTITION BY s.source, s.series_id ORDER BY l.rank) = 1
),

identified AS (
    SELECT
        u.*,
        service_of(r.rules, u.raw_service, coalesce(u.named_id, u.whole_id)) AS service,
        resource_part(coalesce(u.named_id, u.raw_service, 'unknown'), u.kind) AS resource_id
    FROM ruled AS u
    CROSS JOIN rules AS r
),

used_series AS (
    SELECT *
    FROM identified
    QUALIFY rank = min(rank) OVER (PARTITION BY resource_id)
),

limit_series AS (
    SELECT
        s.source,
        s.series_id,
        l.rank,
        resource_part(
            coalesce(label_resource(s.labels, l.resource_label), label_service(s.labels), 'unknown'), l.kind
        ) AS resource_id
    FROM raw.metric_series AS s
    INNER JOIN meta.capacity_limits AS l ON s.metric_name = l.limit_metric AND labels_agree(s.labels, l.usage_labels)
),

hours AS (
    SELECT
        source,
        series_id,
        time,
        count,
        sum,
        max,
        last,
        increase
    FROM core.metric_rollup_1h
    WHERE day >= $window_start::DATE - 1 AND day < $window_end::DATE
),

used AS (
    SELECT
        s.resource_id,
        h.time,
        stable_sum(s.limit_on_label) AS limit_on_labels,
        stable_sum(if(s.is_counter, h.increase / 3600, h.sum / h.count)) AS used_mean,
        stable_sum(if(s.is_counter, h.increase / 3600, h.max)) AS used_max
    FROM hours AS h
    INNER JOIN used_series AS s ON h.source = s.source AND h.series_id = s.series_id
    WHERE h.time >= $window_start AND h.count > 0
    GROUP BY s.resource_id, h.time
),

resources AS (
    SELECT
        s.resource_id,
        s.rank,
        min(s.kind) AS resource_kind,
        min(s.service) AS service,
        team_of(any_value(r.rules), min(s.service)) AS team,
        min(s.unit) AS unit,
        min(s.lead_time_days) AS lead_time_days,
        min(s.limit_value) AS limit_value
    FROM used_series AS s
    CROSS JOIN rules AS r
    GROUP BY s.resource_id, s.rank
),

limits AS (
    SELECT
        s.resource_id,
        s.rank,
        h.time,
        stable_sum(h.last) AS capacity
    FROM hours AS h
    INNER JOIN limit_series AS s ON h.source = s.source AND h.series_id = s.series_id
    WHERE h.count > 0
    GROUP BY s.resource_id, s.rank, h.time
)

SELECT
    u.resource_id,
    n.resource_kind,
    n.service,
    n.team,
    u.time,
    u.used_mean,
    u.used_max,
    coalesce(
        n.limit_value,
        u.limit_on_labels,
        CASE WHEN l.time >= u.time - INTERVAL 1 DAY THEN l.capacity END
    ) AS capacity,
    n.unit,
    n.lead_time_days,
    u.time::DATE AS day
FROM used AS u
INNER JOIN resources AS n ON u.resource_id = n.resource_id
ASOF LEFT JOIN limits AS l ON u.resource_id = l.resource_id AND n.rank = l.rank AND u.time >= l.time
ORDER BY u.resource_id, u.time
