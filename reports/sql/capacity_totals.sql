WITH ends AS (
    SELECT
        level, name, resource_kind, unit, min(time)::DATE AS first_day, max(time)::DATE AS last_day,
        arg_min(mean, time) AS now_mean, arg_max(mean, time) AS then_mean,
        arg_max(lo_80, time) AS then_lo_80, arg_max(hi_80, time) AS then_hi_80, arg_max("limit", time) AS "limit"
    FROM mart.capacity_totals
    WHERE day = (SELECT max(day) FROM mart.capacity_totals) AND status = 'ok'
    GROUP BY ALL
)

SELECT *, then_mean / nullif(now_mean, 0) - 1 AS growth, then_hi_80 / nullif("limit", 0) AS share_of_limit
FROM ends
ORDER BY level = 'all' DESC, level = 'team' DESC, share_of_limit DESC NULLS LAST, name, resource_kind, unit
