/*
---
name: core.costs_daily
description: >-
  Charges per day, provider, account, service and resource. A charge belongs to the day its period starts on; the
  service is the bill's tag `service`, then what [[service_map]] says of the resource, else unknown.
grain:
  - day
  - source
  - service
  - provider
  - billing_account_id
  - sub_account_id
  - provider_service
  - service_category
  - region
  - resource_id
  - charge_category
  - commitment_discount_id
  - commitment_discount_status
  - billing_currency
  - consumed_unit
time_column: day
inputs:
  raw.costs: 0
  meta.service_map: 0
---
*/
WITH rules AS (
    SELECT rule_list(pattern, service, team, rank) AS rules
    FROM meta.service_map
),

charges AS (
    SELECT
        *,
        tag_service(tags) AS raw_service
    FROM raw.costs
    WHERE day >= $window_start::DATE AND day < $window_end::DATE
),

names AS (
    SELECT DISTINCT
        raw_service,
        resourceid
    FROM charges
),

services AS (
    SELECT
        n.raw_service,
        n.resourceid,
        r.rules,
        service_of(r.rules, n.raw_service, n.resourceid) AS service
    FROM names AS n
    CROSS JOIN rules AS r
)

SELECT
    c.source,
    n.service,
    team_of(n.rules, n.service) AS team,
    coalesce(c.providername, c.serviceprovidername, c.publishername, 'unknown') AS provider,
    c.billingaccountid AS billing_account_id,
    c.subaccountid AS sub_account_id,
    c.servicename AS provider_service,
    c.servicecategory AS service_category,
    c.regionid AS region,
    c.resourceid AS resource_id,
    c.chargecategory AS charge_category,
    c.commitmentdiscountid AS commitment_discount_id,
    c.commitmentdiscountstatus AS commitment_discount_status,
    c.billingcurrency AS billing_currency,
    sum(c.billedcost) AS billed_cost,
    sum(c.effectivecost) AS effective_cost,
    sum(c.contractedcost) AS contracted_cost,
    sum(c.listcost) AS list_cost,
    sum(c.consumedquantity) AS consumed_quantity,
    c.consumedunit AS consumed_unit,
    count(*) AS charge_count,
    c.day
FROM charges AS c
INNER JOIN services AS n
    ON c.raw_service IS NOT DISTINCT FROM n.raw_service AND c.resourceid IS NOT DISTINCT FROM n.resourceid
GROUP BY ALL
ORDER BY
    n.service, provider, resource_id, c.day, c.source, billing_account_id, sub_account_id, provider_service,
    service_category, region, charge_category, commitment_discount_id, commitment_discount_status, billing_currency,
    consumed_unit
