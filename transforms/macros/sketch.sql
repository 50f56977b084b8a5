-- Log-bucket sketches: MAP(INTEGER, BIGINT) from bucket to count, keys ascending, merged by adding counts.
-- gamma = 1.04, so a value read back is within 2% of the true one (DDSketch, Masson et al., VLDB 2019, section 2).
-- Keys order as their values do: 0 is the bucket of zero; else |key| - 32768 is ceil(ln |x| / ln gamma), and the
-- key's sign is that of x.

CREATE OR REPLACE TEMP MACRO sketch_bucket(x) AS
CASE WHEN x = 0 THEN 0::INTEGER ELSE (sign(x) * (32768 + ceil(ln(abs(x)) / ln(1.04))))::INTEGER END;

-- The value of a bucket that is off by at most (gamma - 1) / (gamma + 1) = 1.96% for every x in it; never past the
-- largest number there is.
CREATE OR REPLACE TEMP MACRO sketch_value(bucket) AS
CASE
    WHEN bucket = 0 THEN 0::DOUBLE
    ELSE sign(bucket) * exp(least((abs(bucket) - 32768) * ln(1.04) + ln(2 / 2.04), 709.782712893384))
END;

-- The sketch of a column; nothing that is not finite may come in. Its keys stand in ascending order.
CREATE OR REPLACE TEMP MACRO sketch_of(x) AS
histogram(sketch_bucket(x))::MAP (INTEGER, BIGINT);

-- Observations in a sketch.
CREATE OR REPLACE TEMP MACRO sketch_count(sketch) AS
coalesce(list_sum(map_values(sketch)), 0)::BIGINT;

-- The value at rank floor(q * (n - 1)) of the n sorted observations; NULL for an empty sketch.
CREATE OR REPLACE TEMP MACRO sketch_quantile(sketch, q) AS
sketch_value(
    map_keys(sketch)[list_filter(
        range(1, len(map_keys(sketch)) + 1),
        LAMBDA i: list_sum(map_values(sketch)[1:i]) > floor(q * (list_sum(map_values(sketch)) - 1))
    )[1]]
);

-- One sketch from a list of sketches: `sketch_merge(list(duration_sketch))` in a GROUP BY. It is a subquery: read its
-- quantiles in the query around it, because a lambda takes none.
CREATE OR REPLACE TEMP MACRO sketch_merge(sketches) AS (
    SELECT map_from_entries(list(struct_pack(bucket := bucket, n := n) ORDER BY bucket)) AS sketch
    FROM (
        SELECT
            entry.key AS bucket,
            sum(entry.value)::BIGINT AS n
        FROM (SELECT unnest(flatten(list_transform(sketches, LAMBDA sketch: map_entries(sketch)))) AS entry)
        GROUP BY entry.key
    )
);
