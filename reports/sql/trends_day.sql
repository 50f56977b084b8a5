SELECT max(day) AS day FROM mart.trends
