WITH latest AS (
    SELECT * FROM meta.check_results
    QUALIFY row_number() OVER (PARTITION BY table_name, day, check_name ORDER BY checked_at DESC) = 1
)
SELECT
    table_name, check_name, severity,
    count(*) AS days, max(day) AS newest_day, sum(unexpected_count)::BIGINT AS unexpected_count
FROM latest
WHERE NOT success
GROUP BY table_name, check_name, severity
ORDER BY severity, days DESC, table_name, check_name
