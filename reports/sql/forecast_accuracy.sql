SELECT
    resource_id, horizon_days, max(made_on) AS newest_made_on, sum(observations)::BIGINT AS observations,
    sum(mase * observations) / nullif(sum(observations) FILTER (WHERE mase IS NOT NULL), 0) AS mase,
    sum(mase_seasonal_naive * observations)
    / nullif(sum(observations) FILTER (WHERE mase_seasonal_naive IS NOT NULL), 0) AS mase_seasonal_naive,
    sum(coverage_80 * observations) / nullif(sum(observations) FILTER (WHERE coverage_80 IS NOT NULL), 0) AS coverage_80,
    sum(coverage_95 * observations) / nullif(sum(observations) FILTER (WHERE coverage_95 IS NOT NULL), 0) AS coverage_95
FROM mart.forecast_accuracy
WHERE day > (SELECT max(day) FROM mart.forecast_accuracy) - 60 AND status = 'ok' AND observations > 0
GROUP BY resource_id, horizon_days
ORDER BY resource_id, horizon_days
