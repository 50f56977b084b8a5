WITH newest AS (SELECT max(day) AS day FROM mart.cost_by_service_daily)
SELECT
    max(c.day) AS newest_day,
    count(DISTINCT c.day) FILTER (WHERE c.day > newest.day - 30) AS last_days,
    count(DISTINCT c.day) FILTER (WHERE c.day <= newest.day - 30) AS previous_days
FROM mart.cost_by_service_daily AS c, newest
WHERE c.day > newest.day - 60
