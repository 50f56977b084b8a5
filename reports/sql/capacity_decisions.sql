SELECT
    resource_id, service, resource_kind, cutoff, lead_time_days, p_exceed_by_lead_time, warned, reached, reached_time, over_already, status
FROM mart.capacity_decisions
WHERE day = (SELECT max(day) FROM mart.capacity_decisions)
ORDER BY reached DESC NULLS LAST, warned DESC NULLS LAST, cutoff, resource_id
