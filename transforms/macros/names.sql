-- Who a row belongs to: service, team and resource, as the design defines them.

-- The first label that is present and not empty; each name also as an OTLP resource attribute and as Prometheus
-- spells it.
CREATE OR REPLACE TEMP MACRO first_label(labels, names) AS
list_filter(
    list_transform(
        flatten(list_transform(names, LAMBDA name: [name, 'resource.' || name, replace(name, '.', '_')])),
        LAMBDA spelling: labels[spelling]
    ),
    LAMBDA found: found <> ''
)[1];

CREATE OR REPLACE TEMP MACRO label_service(labels) AS
first_label(labels, ['service.name', 'service', 'app', 'job']);

-- `chosen` is the rule's resource_label: one label, or several separated by commas whose values are joined by `/`.
CREATE OR REPLACE TEMP MACRO label_resource(labels, chosen) AS
CASE
    WHEN chosen IS NULL
        THEN first_label(labels, ['cloud.resource_id', 'ResourceId', 'k8s.pod.uid', 'host.id', 'instance'])
    ELSE nullif(
        array_to_string(
            list_transform(string_split(chosen, ','), LAMBDA name: coalesce(first_label(labels, [trim(name)]), '')),
            '/'
        ),
        ''
    )
END;

-- Tag `service` of a bill; AWS writes the tags of users as `user:<key>`.
CREATE OR REPLACE TEMP MACRO tag_service(tags) AS
list_filter(
    list_transform(['service.name', 'service', 'user:service', 'Service'], LAMBDA name: tags[name]),
    LAMBDA found: found <> ''
)[1];

-- [[service_map]] as one list, in order of rank, for service_of and team_of.
CREATE OR REPLACE TEMP MACRO rule_list(pattern, service, team, rank) AS
coalesce(list(struct_pack(pattern := pattern, service := service, team := team) ORDER BY rank), []);

-- The conformed service: the first rule whose pattern is found in the raw name or the resource id decides,
-- a rule without a service keeps the raw name, and what nothing names is `unknown`.
CREATE OR REPLACE TEMP MACRO service_of(rules, raw_name, resource) AS
coalesce(
    list_filter(
        rules,
        LAMBDA rule: coalesce(regexp_matches(raw_name, rule.pattern), FALSE)
        OR coalesce(regexp_matches(resource, rule.pattern), FALSE)
    )[1].service,
    nullif(raw_name, ''),
    'unknown'
);

-- The team of a conformed service: that of the first rule which gives this service, or keeps names and is found in
-- this one.
CREATE OR REPLACE TEMP MACRO team_of(rules, conformed) AS
list_filter(
    rules,
    LAMBDA rule: rule.team IS NOT NULL
    AND CASE WHEN rule.service IS NULL THEN regexp_matches(conformed, rule.pattern) ELSE rule.service = conformed END
)[1].team;

-- What has a limit is a part of a resource, and stands behind its id by its kind: two quotas of one account are two.
CREATE OR REPLACE TEMP MACRO resource_part(resource, kind) AS resource || '/' || kind;

CREATE OR REPLACE TEMP MACRO resource_whole(resource, kind) AS
CASE WHEN ends_with(resource, '/' || kind) THEN left(resource, length(resource) - length(kind) - 1) ELSE resource END;

-- Whether every wanted label is there with its value; and, weaker, whether none of them is there with another one.
CREATE OR REPLACE TEMP MACRO labels_match(labels, wanted) AS
len(list_filter(map_keys(wanted), LAMBDA name: first_label(labels, [name]) IS DISTINCT FROM wanted[name])) = 0;

CREATE OR REPLACE TEMP MACRO labels_agree(labels, wanted) AS
len(list_filter(map_keys(wanted), LAMBDA name: first_label(labels, [name]) <> wanted[name])) = 0;

-- Bytes in a unit of information (UCUM), 1 for anything else: what to divide a price per unit by.
CREATE OR REPLACE TEMP MACRO unit_factor(unit) AS
CASE unit
    WHEN 'KiBy' THEN 1024.0 WHEN 'MiBy' THEN 1048576.0 WHEN 'GiBy' THEN 1073741824.0 WHEN 'TiBy' THEN 1099511627776.0
    WHEN 'kBy' THEN 1e3 WHEN 'MBy' THEN 1e6 WHEN 'GBy' THEN 1e9 WHEN 'TBy' THEN 1e12
    ELSE 1.0
END;
