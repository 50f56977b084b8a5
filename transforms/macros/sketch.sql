-- Log-bucket sketches: MAP(INTEGER, BIGINT[]) from the first bucket of a run to the counts of it and of those after it.
-- A run goes on over at most four empty buckets, whose counts are 0; keys ascend. Merged by adding counts. (A map from
-- bucket to count is a quarter larger: neighbours are mostly there, and a list need not name them.)
-- gamma = 1.04, so a value read back is within 2% of the true one (DDSketch, Masson et al., VLDB 2019, section 2).
-- Buckets order as their values do: 0 is that of zero; else |bucket| - 32768 is ceil(ln |x| / ln gamma), and its sign
-- is that of x.
-- Parameters of lambdas have names that nobody gives to a column: one that is aliased in the same SELECT hides them.

CREATE OR REPLACE TEMP MACRO sketch_bucket(x) AS
CASE WHEN x = 0 THEN 0::INTEGER ELSE (sign(x) * (32768 + ceil(ln(abs(x)) / ln(1.04))))::INTEGER END;

-- The value of a bucket that is off by at most (gamma - 1) / (gamma + 1) = 1.96% for every x in it; never past the
-- largest number there is.
CREATE OR REPLACE TEMP MACRO sketch_value(bucket) AS
CASE
    WHEN bucket = 0 THEN 0::DOUBLE
    ELSE sign(bucket) * exp(least((abs(bucket) - 32768) * ln(1.04) + ln(2 / 2.04), 709.782712893384))
END;

-- The first and the last buckets of runs in a histogram, which is a map from bucket to count with ascending keys.
CREATE OR REPLACE TEMP MACRO sketch_starts(counts) AS
list_filter( -- noqa: PRS
    map_keys(counts), LAMBDA run_key, run_at: run_at = 1 OR run_key - map_keys(counts)[run_at - 1] > 5
);

CREATE OR REPLACE TEMP MACRO sketch_ends(counts) AS
list_filter( -- noqa: PRS
    map_keys(counts),
    LAMBDA run_key, run_at: run_at = len(map_keys(counts)) OR map_keys(counts)[run_at + 1] - run_key > 5
);

-- A sketch from a histogram. Give it a column: an expression would be computed again for every bucket.
CREATE OR REPLACE TEMP MACRO sketch_runs(counts) AS
map(
    sketch_starts(counts)::INTEGER [],
    list_transform(
        list_zip(sketch_starts(counts), sketch_ends(counts)),
        LAMBDA run_ends: list_transform(range(run_ends[1], run_ends[2] + 1), LAMBDA run_key: coalesce(counts[run_key], 0)::BIGINT)
    )
);

-- The sketch of a column; nothing that is not finite may come in.
CREATE OR REPLACE TEMP MACRO sketch_of(x) AS
sketch_runs(histogram(sketch_bucket(x)));

-- Buckets of a sketch, ascending, empty ones of its runs among them; and, in the same order, their counts. To merge many
-- sketches, unnest both beside what they are grouped by and add up: three times as quick as sketch_merge.
CREATE OR REPLACE TEMP MACRO sketch_buckets(sketch) AS
flatten(list_transform(map_entries(sketch), LAMBDA one_run: range(one_run.key, one_run.key + len(one_run.value))));

CREATE OR REPLACE TEMP MACRO sketch_counts(sketch) AS
flatten(map_values(sketch));

-- Observations in a sketch.
CREATE OR REPLACE TEMP MACRO sketch_count(sketch) AS
coalesce(list_sum(sketch_counts(sketch)), 0)::BIGINT;

-- The value at rank floor(q * (n - 1)) of the n sorted observations; NULL for an empty sketch. `n` of the accumulator is
-- how many observations are still to be passed; below zero, its bucket is the one that was looked for.
CREATE OR REPLACE TEMP MACRO sketch_quantile(sketch, q) AS
CASE
    WHEN sketch_count(sketch) > 0
        THEN sketch_value(
            list_reduce( -- noqa: PRS
                list_transform(
                    list_zip(sketch_buckets(sketch), sketch_counts(sketch)),
                    LAMBDA one_bucket: struct_pack(bucket := one_bucket[1]::BIGINT, n := one_bucket[2]::BIGINT)
                ),
                LAMBDA passed, one_more: CASE
                    WHEN passed.n < 0 THEN passed
                    ELSE struct_pack(bucket := one_more.bucket, n := passed.n - one_more.n)
                END,
                struct_pack(bucket := 0::BIGINT, n := floor(q * (sketch_count(sketch) - 1))::BIGINT)
            ).bucket
        )
END;

-- One sketch from a list of sketches: `sketch_merge(list(duration_sketch))` in a GROUP BY. It is a subquery: read its
-- quantiles in the query around it, because a lambda takes none.
CREATE OR REPLACE TEMP MACRO sketch_merge(sketches) AS (
    SELECT sketch_runs(counts) AS sketch
    FROM (
        SELECT map_from_entries(list(struct_pack(bucket := bucket, n := n) ORDER BY bucket)) AS counts
        FROM (
            SELECT
                bucket,
                sum(n)::BIGINT AS n
            FROM (
                SELECT
                    unnest(flatten(list_transform(sketches, LAMBDA one_sketch: sketch_buckets(one_sketch)))) AS bucket,
                    unnest(flatten(list_transform(sketches, LAMBDA one_sketch: sketch_counts(one_sketch)))) AS n
            )
            WHERE n > 0
            GROUP BY bucket
        )
    )
);

-- What a sketch's quantile stands for: the value at rank floor(q * (n - 1)) of ascending values.
CREATE OR REPLACE TEMP MACRO ranked_value(ordered, q) AS
ordered[floor(q * (len(ordered) - 1))::BIGINT + 1];

-- |estimate - exact| / |exact|; 1 where only `exact` is zero. Below the smallest normal number nothing is told apart.
CREATE OR REPLACE TEMP MACRO relative_error(estimate, exact) AS
CASE
    WHEN estimate IS NULL OR exact IS NULL THEN NULL
    WHEN abs(estimate - exact) <= 2.2250738585072014e-308 THEN 0
    WHEN exact = 0 THEN 1
    ELSE abs(estimate - exact) / abs(exact)
END;
