"""The instant that a constant expression of a query means, as it stood when the query ran. Nothing is executed: what is not understood is
None."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta

from sqlglot import exp

NOW = {"now", "get_current_timestamp", "transaction_timestamp", "current_localtimestamp"}
TODAY = {"today", "current_date"}
DAYS = {"DAY": 1.0, "WEEK": 7.0, "HOUR": 1 / 24, "MINUTE": 1 / 1440, "SECOND": 1 / 86400}
MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}


def instant(node: exp.Expr, ran: datetime) -> datetime | None:
    """The time (a date: its midnight) that an expression without columns means; None, too, for one outside Python's calendar and for an
    interval of several parts. ran: when the query started, naive UTC."""
    try:
        return _instant(node.unnest(), ran)
    except (ValueError, OverflowError):
        return None


def _instant(node: exp.Expr, ran: datetime) -> datetime | None:
    if isinstance(node, exp.CurrentDate):
        return _midnight(ran)
    if isinstance(node, exp.CurrentTimestamp):
        return ran
    if isinstance(node, exp.Anonymous) and not node.expressions:
        name = node.name.lower()
        return ran if name in NOW else _midnight(ran) if name in TODAY else None
    if isinstance(node, exp.Literal) and node.is_string:
        return _parsed(node.name)
    if isinstance(node, exp.Cast | exp.TsOrDsToDate):
        value = instant(node.this, ran)
        to_date = isinstance(node, exp.TsOrDsToDate) or node.to.is_type("date")
        return _midnight(value) if value is not None and to_date else value
    if isinstance(node, exp.TimestampTrunc | exp.DateTrunc):
        value = instant(node.this, ran)
        return _truncated(value, _unit(node)) if value is not None else None
    if isinstance(node, exp.Add | exp.Sub):
        value, sign = instant(node.left, ran), 1 if isinstance(node, exp.Add) else -1
        return _moved(value, node.right.unnest(), sign) if value is not None else None
    return None


def _moved(value: datetime, by: exp.Expr, sign: int) -> datetime | None:
    if isinstance(by, exp.Literal) and not by.is_string:
        return value + sign * timedelta(days=float(by.name))
    if isinstance(by, exp.ToDays) and isinstance(by.this, exp.Literal):
        return value + sign * timedelta(days=float(by.this.name))
    if not isinstance(by, exp.Interval) or not isinstance(by.this, exp.Literal):
        return None
    number, unit = float(by.this.name), _unit(by)
    if unit in DAYS:
        return value + sign * timedelta(days=number * DAYS[unit])
    return _months_later(value, sign * int(number) * MONTHS[unit]) if unit in MONTHS and number.is_integer() else None


def _unit(node: exp.Expr) -> str:
    unit = node.args.get("unit")
    return str(unit.name).upper().removesuffix("S") if unit is not None else ""


def _truncated(value: datetime, unit: str) -> datetime | None:
    day = _midnight(value)
    starts = {"DAY": day, "WEEK": day - timedelta(days=day.weekday()), "MONTH": day.replace(day=1), "YEAR": day.replace(month=1, day=1)}
    return starts.get(unit) or (value.replace(minute=0, second=0, microsecond=0) if unit == "HOUR" else None)


def _months_later(value: datetime, months: int) -> datetime:
    year, month = divmod(value.year * 12 + value.month - 1 + months, 12)
    return value.replace(year=year, month=month + 1, day=min(value.day, calendar.monthrange(year, month + 1)[1]))


def _midnight(value: datetime) -> datetime:
    return value.replace(hour=0, minute=0, second=0, microsecond=0)


def _parsed(text: str) -> datetime | None:
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        return None
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
