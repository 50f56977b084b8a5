"""Some rows of a day: filters over service, severity and labels, and the classes into which the filters of several rules divide a day.

Values are patterns with `*` and `?`. Filters become SQL with bound values over the columns that a table has, or over the labels of its
series; a table that has neither cannot tell the rows apart."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from warehouse.contracts import Contract
from warehouse.lake.connection import identifier, literal
from warehouse.settings import ServiceRule
from warehouse.settings.retention import RetentionRule

SERVICE_LABELS = ("service.name", "service", "app", "job")
RESOURCE_LABELS = ("cloud.resource_id", "ResourceId", "k8s.pod.uid", "host.id", "instance")
LABEL_COLUMNS = ("labels", "resource_attributes", "attributes")

Sql = tuple[str, tuple[str | None, ...]]
"""A condition with `?` and its values."""


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Rows of one of the services, with one of the severities, and for every label (name, values) with one of the values; what is empty
    asks for nothing."""

    services: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def of(cls, rule: RetentionRule) -> RowFilter | None:
        """What a rule asks of rows; None when it takes whole days."""
        labels = tuple(sorted((name, (v,) if isinstance(v, str) else v) for name, v in rule.labels.items()))
        found = cls(rule.services, rule.severities, labels)
        return found if found != cls() else None


@dataclass(frozen=True, slots=True)
class RowClass:
    """The rows that a filter takes (None: all) and that no filter before it took. service_map: fingerprint of the [[service_map]] under
    which it was made, where services are asked for."""

    takes: RowFilter | None
    unless: tuple[RowFilter, ...] = ()
    service_map: str | None = None

    def encode(self) -> str:
        """As JSON, for the stored plan."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> RowClass:
        """From `encode`."""
        fields = json.loads(text)
        takes = _filter(fields["takes"]) if fields["takes"] is not None else None
        return cls(takes, tuple(_filter(f) for f in fields["unless"]), fields["service_map"])


def classes_of(filters: Sequence[RowFilter], service_map: Sequence[ServiceRule]) -> list[RowClass]:
    """One class per filter, in order of precedence, and last the rows that none takes: every row is in exactly one."""
    mark = fingerprint(service_map) if any(f.services for f in filters) else None
    taking: list[RowFilter | None] = [*filters, None]
    return [RowClass(f, tuple(filters[:n]), mark) for n, f in enumerate(taking)]


def fingerprint(service_map: Sequence[ServiceRule]) -> str:
    """Short hash over [[service_map]]."""
    return hashlib.sha256(json.dumps([r.model_dump() for r in service_map]).encode()).hexdigest()[:12]


def can_tell(definition: Contract | None, rows: RowFilter) -> bool:
    """Whether a table's rows can be told apart by a filter."""
    if definition is None or not definition.has_day:
        return False
    names = definition.column_names
    by_series = "series_id" in names
    return (
        (not rows.services or by_series or "service" in names)
        and (not rows.severities or "severity" in names)
        and (not rows.labels or by_series or any(c in names for c in LABEL_COLUMNS))
    )


def class_condition(definition: Contract, rows: RowClass, service_map: Sequence[ServiceRule]) -> Sql:
    """The condition that is TRUE for exactly the rows of a class."""
    parts = [(f, "IS NOT TRUE") for f in rows.unless]
    parts += [(rows.takes, "IS TRUE")] if rows.takes is not None else []
    written = [(filter_condition(definition, f, service_map), wanted) for f, wanted in parts]
    sql = " AND ".join(f"({condition}) {wanted}" for (condition, _), wanted in written) or "TRUE"
    return sql, tuple(v for (_, values), _ in written for v in values)


def filter_condition(definition: Contract, rows: RowFilter, service_map: Sequence[ServiceRule]) -> Sql:
    """The condition that is TRUE for the rows that a filter takes."""
    names = definition.column_names
    own = tuple(c for c in LABEL_COLUMNS if c in names)
    conditions: list[Sql] = []
    if rows.services:
        resource = first_label(own, RESOURCE_LABELS) if own else "NULL"
        mapped = service_map if definition.schema == "raw" else ()
        if "service" in names:
            conditions.append(_service("service", resource, rows.services, mapped))
        else:
            of_series = first_label(("labels",), SERVICE_LABELS), first_label(("labels",), RESOURCE_LABELS)
            conditions.append(_by_series(_service(*of_series, rows.services, mapped)))
    if rows.severities:
        conditions.append(("regexp_full_match(upper(severity), ?)", (pattern([s.upper() for s in rows.severities]),)))
    for name, values in rows.labels:
        one = f"regexp_full_match({first_label(own or ('labels',), (name,))}, ?)", (pattern(values),)
        conditions.append(one if own else _by_series(one))
    sql = " AND ".join(f"({condition})" for condition, _ in conditions) or "TRUE"
    return sql, tuple(v for _, bound in conditions for v in bound)


def _by_series(condition: Sql) -> Sql:
    """A condition over the series, as one over their points."""
    return f"(source, series_id) IN (SELECT (source, series_id) FROM raw.metric_series WHERE {condition[0]})", condition[1]


def _service(raw: str, resource: str, services: Sequence[str], service_map: Sequence[ServiceRule]) -> Sql:
    """Whether the service is one of those named: as it came, or as [[service_map]] calls it."""
    wanted, own = pattern(services), f"regexp_full_match(coalesce(nullif({raw}, ''), 'unknown'), ?)"
    if not service_map:
        return own, (wanted,)
    name, values = conformed(raw, resource, service_map)
    return f"{own} OR regexp_full_match({name}, ?)", (wanted, *values, wanted)


def conformed(raw: str, resource: str, service_map: Sequence[ServiceRule]) -> Sql:
    """The service as [[service_map]] calls it: the first rule found in the name or the resource decides, one without a service keeps the
    name. raw, resource: expressions without `?`."""
    name = f"coalesce(nullif({raw}, ''), 'unknown')"
    found = f"coalesce(regexp_matches({raw}, ?), FALSE) OR coalesce(regexp_matches({resource}, ?), FALSE)"
    cases = "".join(f"WHEN {found} THEN coalesce(CAST(? AS VARCHAR), {name}) " for _ in service_map)
    values = tuple(v for rule in service_map for v in (rule.pattern, rule.pattern, rule.service))
    return (f"CASE {cases}ELSE {name} END" if cases else name), values


def first_label(columns: Sequence[str], names: Sequence[str]) -> str:
    """The first label that is present and not empty, as attribute, as OTLP resource attribute and as Prometheus spells it."""
    spellings = dict.fromkeys(s for n in names for s in (n, f"resource.{n}", n.removeprefix("resource."), n.replace(".", "_")))
    return "coalesce(" + ", ".join(f"nullif({identifier(c)}[{literal(s)}], '')" for s in spellings for c in columns) + ")"


def pattern(values: Sequence[str]) -> str:
    """A regular expression (RE2) that fully matches texts which one of the values describes; `*` is any text, `?` any one character."""
    wild = {"*": ".*", "?": "."}
    return "(?s:" + "|".join("".join(wild.get(c) or re.escape(c) for c in value) for value in values) + ")"


def _filter(fields: dict[str, Any]) -> RowFilter:
    labels = tuple((str(name), tuple(values)) for name, values in fields["labels"])
    return RowFilter(tuple(fields["services"]), tuple(fields["severities"]), labels)
