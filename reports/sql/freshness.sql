SELECT
    table_name,
    max(day) FILTER (WHERE state IN ('passed', 'waved')) AS newest_good_day,
    max(day) AS newest_day,
    sum(row_count)::BIGINT AS row_count,
    max(changed_at) AS changed_at
FROM (
    SELECT * FROM meta.day_state
    QUALIFY row_number() OVER (PARTITION BY table_name, day ORDER BY version DESC, changed_at DESC) = 1
)
WHERE day > DATE '1970-01-01'
GROUP BY table_name
ORDER BY newest_good_day NULLS FIRST, table_name
