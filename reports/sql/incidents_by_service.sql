SELECT
    service, any_value(team) AS team,
    sum(incident_count)::BIGINT AS incidents,
    sum(open_count)::BIGINT AS still_open,
    sum(mttr_s * (incident_count - open_count))
    / nullif(sum(incident_count - open_count) FILTER (WHERE mttr_s IS NOT NULL), 0) AS mttr_s,
    sum(mttr_s * (incident_count - open_count)) / 3600 AS hours
FROM mart.incident_metrics_monthly
WHERE day = (SELECT max(day) FROM mart.incident_metrics_monthly)
GROUP BY service
ORDER BY hours DESC NULLS LAST, incidents DESC, service
