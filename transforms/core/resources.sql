/*
---
name: core.resources
description: >-
  Resources that telemetry, limits or bills named on a day. Prices come from the usage charges of the 30 days up to the
  day: for a billed resource as a whole EffectiveCost / ConsumedQuantity, for its capacity the EffectiveCost of 30 days
  per unit of capacity. One bill prices one kind only, the first of cpu, disk, memory and pool, so that no cost is saved
  twice; what no bill prices takes the first [[price]] that fits.
grain: [day, resource_id]
time_column: day
inputs:
  core.resource_usage_1h: 0
  core.metric_rollup_1h: 0
  raw.metric_series: 0
  raw.costs: 29
  meta.prices: 0
  meta.service_map: 0
---
*/
WITH rules AS (
    SELECT rule_list(pattern, service, team, rank) AS rules
    FROM meta.service_map
),

limited AS (
    SELECT
        day,
        resource_id,
        max_by(resource_kind, time) AS resource_kind,
        max_by(service, time) AS service,
        max_by(capacity, time) AS capacity,
        max_by(unit, time) AS unit,
        stable_avg(used_mean) AS used_mean,
        max(used_max) AS used_max,
        resource_whole(resource_id, max_by(resource_kind, time)) AS whole_id
    FROM core.resource_usage_1h
    WHERE day >= $window_start::DATE AND day < $window_end::DATE
    GROUP BY day, resource_id
),

series_days AS (
    SELECT DISTINCT
        source,
        series_id,
        day
    FROM core.metric_rollup_1h
    WHERE day >= $window_start::DATE AND day < $window_end::DATE
),

series AS (
    SELECT
        source,
        series_id,
        label_resource(labels, NULL) AS whole_id,
        label_service(labels) AS raw_service,
        first_label(labels, ['cloud.provider']) AS provider,
        first_label(labels, ['cloud.region']) AS region
    FROM raw.metric_series
),

telemetered_services AS (
    SELECT
        d.day,
        s.whole_id,
        s.raw_service,
        count(*) AS series_count,
        min(s.provider) AS provider,
        min(s.region) AS region
    FROM series_days AS d
    INNER JOIN series AS s ON d.source = s.source AND d.series_id = s.series_id
    WHERE s.whole_id IS NOT NULL
    GROUP BY ALL
),

telemetered AS (
    SELECT
        day,
        whole_id,
        first(raw_service ORDER BY raw_service IS NULL ASC, series_count DESC, raw_service ASC) AS raw_service,
        min(provider) AS provider,
        min(region) AS region
    FROM telemetered_services
    GROUP BY day, whole_id
),

charges AS (
    SELECT
        resourceid AS whole_id,
        day,
        billingcurrency AS currency,
        consumedunit AS unit,
        chargeperiodstart AS period_start,
        chargeperiodend AS period_end,
        sum(effectivecost) AS effective_cost,
        sum(effectivecost) FILTER (
            WHERE chargecategory = 'Usage' AND commitmentdiscountstatus IS DISTINCT FROM 'Unused'
        ) AS usage_cost,
        sum(consumedquantity) FILTER (
            WHERE chargecategory = 'Usage' AND commitmentdiscountstatus IS DISTINCT FROM 'Unused'
        ) AS quantity,
        min(tag_service(tags)) AS raw_service,
        min(resourcetype) AS resource_type,
        min(coalesce(providername, serviceprovidername, publishername)) AS provider,
        min(regionid) AS region
    FROM raw.costs
    WHERE day >= $window_start::DATE - 29 AND day < $window_end::DATE AND resourceid <> ''
    GROUP BY ALL
),

billed AS (
    SELECT
        day,
        whole_id,
        min(raw_service) AS raw_service,
        min(resource_type) AS resource_type,
        min(provider) AS provider,
        min(region) AS region
    FROM charges
    WHERE day >= $window_start::DATE
    GROUP BY day, whole_id
),

wholes AS (
    SELECT
        day,
        whole_id
    FROM limited
    UNION
    SELECT
        day,
        whole_id
    FROM telemetered
    UNION
    SELECT
        day,
        whole_id
    FROM billed
),

month_of_units AS (
    SELECT
        w.day,
        w.whole_id,
        c.currency,
        c.unit,
        sum(c.effective_cost) AS effective_cost,
        sum(c.usage_cost) AS usage_cost,
        sum(c.quantity) AS quantity
    FROM wholes AS w
    INNER JOIN charges AS c ON w.whole_id = c.whole_id AND w.day >= c.day AND w.day - 29 <= c.day
    GROUP BY ALL
),

-- Charges say how long they are for, so a bill by the hour and one by the month give the same price.
months_covered AS (
    SELECT
        day,
        whole_id,
        currency,
        least(
            sum(epoch(period_end - period_start)), max(epoch(period_end)) - min(epoch(period_start))
        ) / (30 * 86400) AS months
    FROM (
        SELECT DISTINCT
            w.day,
            w.whole_id,
            c.currency,
            c.period_start,
            c.period_end
        FROM wholes AS w
        INNER JOIN charges AS c ON w.whole_id = c.whole_id AND w.day >= c.day AND w.day - 29 <= c.day
        WHERE c.usage_cost IS NOT NULL
    )
    GROUP BY day, whole_id, currency
),

bills AS (
    SELECT
        u.day,
        u.whole_id,
        u.currency,
        sum(u.effective_cost)::DOUBLE AS effective_cost_30d,
        sum(u.usage_cost)::DOUBLE / nullif(any_value(m.months), 0) AS price_of_whole,
        first(u.unit ORDER BY u.usage_cost DESC NULLS LAST, u.unit ASC) AS unit,
        first(u.usage_cost::DOUBLE / nullif(u.quantity::DOUBLE, 0) ORDER BY u.usage_cost DESC NULLS LAST, u.unit ASC)
            AS price_of_unit
    FROM month_of_units AS u
    LEFT JOIN months_covered AS m ON u.day = m.day AND u.whole_id = m.whole_id AND u.currency = m.currency
    GROUP BY u.day, u.whole_id, u.currency
    QUALIFY row_number() OVER (
        PARTITION BY u.day, u.whole_id ORDER BY abs(effective_cost_30d) DESC, u.currency ASC
    ) = 1
),

rows_of_wholes AS (
    SELECT
        w.day,
        w.whole_id AS resource_id,
        w.whole_id,
        b.resource_type AS resource_kind,
        NULL::VARCHAR AS service,
        NULL::DOUBLE AS capacity,
        m.unit,
        NULL::DOUBLE AS used_mean,
        NULL::DOUBLE AS used_max,
        m.price_of_unit AS bill_price
    FROM wholes AS w
    LEFT JOIN billed AS b ON w.day = b.day AND w.whole_id = b.whole_id
    LEFT JOIN bills AS m ON w.day = m.day AND w.whole_id = m.whole_id
    ANTI JOIN limited AS l ON w.day = l.day AND w.whole_id = l.resource_id
),

rows_of_limits AS (
    SELECT
        l.day,
        l.resource_id,
        l.whole_id,
        l.resource_kind,
        l.service,
        l.capacity,
        l.unit,
        l.used_mean,
        l.used_max,
        CASE
            WHEN
                row_number() OVER (
                    PARTITION BY l.day, l.whole_id
                    ORDER BY
                        coalesce(list_position(['cpu', 'disk', 'memory', 'pool'], l.resource_kind), 9), l.resource_id
                ) = 1
                THEN m.price_of_whole / nullif(l.capacity, 0)
        END AS bill_price
    FROM limited AS l
    LEFT JOIN bills AS m ON l.day = m.day AND l.whole_id = m.whole_id
),

everything AS (
    SELECT * FROM rows_of_wholes
    UNION ALL
    SELECT * FROM rows_of_limits
),

config_prices AS (
    SELECT
        e.day,
        e.resource_id,
        p.currency,
        p.unit_price * unit_factor(e.unit) / unit_factor(p.unit) AS unit_price
    FROM everything AS e
    INNER JOIN meta.prices AS p
        ON
            e.resource_kind = p.kind
            AND (p.pattern IS NULL OR regexp_matches(e.resource_id, p.pattern))
            AND (
                p.unit IS NULL OR e.unit IS NULL OR e.unit = p.unit
                OR (ends_with(p.unit, 'By') AND ends_with(e.unit, 'By'))
            )
    QUALIFY row_number() OVER (PARTITION BY e.day, e.resource_id ORDER BY p.rank) = 1
),

named AS (
    SELECT
        e.*,
        r.rules,
        coalesce(
            e.service,
            service_of(r.rules, coalesce(t.raw_service, b.raw_service), e.whole_id)
        ) AS conformed,
        coalesce(b.provider, t.provider) AS provider,
        coalesce(b.region, t.region) AS region
    FROM everything AS e
    LEFT JOIN telemetered AS t ON e.day = t.day AND e.whole_id = t.whole_id
    LEFT JOIN billed AS b ON e.day = b.day AND e.whole_id = b.whole_id
    CROSS JOIN rules AS r
)

SELECT
    n.resource_id,
    n.resource_kind,
    n.conformed AS service,
    team_of(n.rules, n.conformed) AS team,
    n.provider,
    n.region,
    n.capacity,
    n.unit,
    n.used_mean,
    n.used_max,
    if(n.bill_price >= 0, n.bill_price, p.unit_price) AS unit_price,
    if(n.bill_price >= 0, m.currency, p.currency) AS billing_currency,
    CASE WHEN n.bill_price >= 0 THEN 'bill' WHEN p.unit_price IS NOT NULL THEN 'config' END AS price_source,
    CASE WHEN n.resource_id = n.whole_id THEN m.effective_cost_30d END AS effective_cost_30d,
    n.day
FROM named AS n
LEFT JOIN bills AS m ON n.day = m.day AND n.whole_id = m.whole_id
LEFT JOIN config_prices AS p ON n.day = p.day AND n.resource_id = p.resource_id
ORDER BY n.resource_id, n.day
