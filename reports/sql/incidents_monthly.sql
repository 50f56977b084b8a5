SELECT
    month,
    sum(incident_count)::BIGINT AS incidents,
    sum(open_count)::BIGINT AS still_open,
    sum(unknown_start_count)::BIGINT AS unknown_start,
    sum(mttd_s * (incident_count - unknown_start_count))
    / nullif(sum(incident_count - unknown_start_count) FILTER (WHERE mttd_s IS NOT NULL), 0) AS mttd_s,
    sum(mtta_s * incident_count) / nullif(sum(incident_count) FILTER (WHERE mtta_s IS NOT NULL), 0) AS mtta_s,
    sum(mttr_s * (incident_count - open_count))
    / nullif(sum(incident_count - open_count) FILTER (WHERE mttr_s IS NOT NULL), 0) AS mttr_s
FROM mart.incident_metrics_monthly
WHERE day = (SELECT max(day) FROM mart.incident_metrics_monthly)
GROUP BY month
ORDER BY month
