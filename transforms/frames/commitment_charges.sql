/*
---
name: frames.commitment_charges
description: Daily charges of commitments by status, under FOCUS's names. Input of models.cost.commitment_waste.
grain: [CommitmentDiscountId, CommitmentDiscountStatus, BillingCurrency, ChargePeriodStart]
time_column: ChargePeriodStart
inputs:
  core.costs_daily: 0
---
*/
SELECT
    commitment_discount_id AS "CommitmentDiscountId",
    commitment_discount_status AS "CommitmentDiscountStatus",
    billing_currency AS "BillingCurrency",
    day::TIMESTAMP AS "ChargePeriodStart",
    sum(effective_cost)::DOUBLE AS "EffectiveCost"
FROM core.costs_daily
WHERE
    day >= $window_start::DATE AND day < $window_end::DATE
    AND commitment_discount_id IS NOT NULL AND charge_category = 'Usage'
GROUP BY commitment_discount_id, commitment_discount_status, billing_currency, day
ORDER BY commitment_discount_id, commitment_discount_status, billing_currency, day
