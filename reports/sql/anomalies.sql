WITH services AS (
    SELECT * FROM mart.anomaly_episodes WHERE day = (SELECT max(day) FROM mart.anomalies)
),

affected AS (
    SELECT
        episode_id, count(*) - 1 AS others, string_agg(service, ', ' ORDER BY rank) FILTER (WHERE rank > 1) AS other_services,
        sum(evidence) AS evidence
    FROM services
    GROUP BY episode_id
),

seen AS (
    -- what left its course most: of the likely origin, if it has an alarm of its own, else of any service
    SELECT
        a.episode_id,
        unnest(
            max_by(
                {'measure': measure, 'series_id': series_id, 'value': value, 'expected': expected},
                (a.service = s.service, abs(value - expected) / greatest(abs(value), abs(expected), 1e-300), series_id)
            )
        )
    FROM mart.anomalies AS a
    INNER JOIN services AS s ON s.episode_id = a.episode_id AND s.rank = 1
    WHERE a.day = (SELECT max(day) FROM mart.anomalies) AND a.status = 'ok'
    GROUP BY a.episode_id
)

SELECT
    s.service, s.probability, s.start_time, s.end_time, t.others, t.other_services, t.evidence, a.measure, a.series_id, r.unit, a.value,
    a.expected, s.incident_id, s.incident_title, s.change_id, s.change_kind, s.change_title, s.change_service, s.change_distance_h, s.episode_id
FROM services AS s
INNER JOIN affected AS t ON t.episode_id = s.episode_id
LEFT JOIN seen AS a ON a.episode_id = s.episode_id
LEFT JOIN mart.trends AS r ON r.series_id = a.series_id AND r.day = (SELECT max(day) FROM mart.trends)
WHERE s.rank = 1
ORDER BY s.evidence DESC, s.start_time DESC, s.episode_id
