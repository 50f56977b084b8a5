SELECT
    source,
    sum(rows_read)::BIGINT AS rows_read,
    sum(rows_landed)::BIGINT AS rows_landed,
    sum(rows_collapsed)::BIGINT AS rows_collapsed,
    sum(rows_quarantined)::BIGINT AS rows_quarantined,
    max(committed_at) AS newest_commit
FROM meta.ingest_log
WHERE starts_with(table_name, 'raw.')
GROUP BY source
ORDER BY source
