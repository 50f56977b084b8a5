"""From the days that a run asks for to units of work: a closed day is replaced as a whole, the open day is read on
from where it was left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta

from sources.http import HttpServer
from sources.prometheus import metadata
from sources.prometheus.metadata import Facts
from sources.prometheus.spool import Spool
from sources.prometheus.windows import Asker, detect
from warehouse.lake import Known, Slice, Unit, batch_id
from warehouse.settings import Settings
from warehouse.settings.sources import PrometheusSettings

DAY = timedelta(days=1)


def units(
    name: str,
    settings: PrometheusSettings,
    *,
    config: Settings,
    known: Known,
    window: Slice,
    now: datetime | None = None,
) -> Iterator[Unit]:
    """Raw samples of the days in `window`, one unit a day, fetched one at a time as the iterator advances.

    A day that ended at least `lag_seconds` ago is replaced (`slice` is that day); later rows for it, or fewer, are
    seen by asking again. The open day is appended from the watermark of raw.metric_points, or from its midnight, up
    to `lag_seconds` ago; its replacement follows when it has closed. Days to come are left alone. Content that is in
    the lake already yields no unit.
    now: naive UTC; the clock by default. Raises SourceError when the server cannot be read, ConfigError when its
    login cannot be used."""
    moment = now or datetime.now(UTC).replace(tzinfo=None)
    horizon = (moment - timedelta(seconds=settings.lag_seconds)).replace(microsecond=0)
    spans = list(_spans(window, horizon, known.watermark("raw.metric_points")))
    if not spans:
        return
    server = HttpServer(name, settings.url, settings.auth, timeout_seconds=settings.timeout_seconds, max_attempts=settings.max_attempts)
    with server:
        asker = Asker(server, settings, detect(server, settings))
        facts = metadata.facts_of(metadata.fetch(server))
        for start, end in spans:
            unit = _fetch(asker, start, end, facts, config.lake.temp_directory)
            if unit is not None and not known.has(unit.batch_id):
                yield unit


def _spans(window: Slice, horizon: datetime, watermark: datetime | None) -> Iterator[tuple[datetime, datetime]]:
    """Half-open spans to ask for: whole closed days, then what is there of the open one."""
    for offset in range((window.end - window.start).days):
        start = _midnight(window.start + offset * DAY)
        end = start + DAY
        if end > horizon:
            end = horizon
            start = max(start, watermark) if watermark else start
        if start < end:
            yield start, end


def _fetch(
    asker: Asker, start: datetime, end: datetime, facts: Callable[[str, Mapping[str, str]], Facts], folder: str | None
) -> Unit | None:
    """Bring one span to disk and name its content; None when the open day has nothing new: its watermark stays."""
    name = asker.server.source
    origin = f"window:{start.isoformat()}/{end.isoformat()}"
    spool = Spool(name, origin, facts, folder)
    before = asker.server.bytes_read
    try:
        for selector in asker.settings.selectors:
            for answer in asker.answers(selector, _ms(start), _ms(end)):
                spool.append(answer)
        digest = spool.finish()
    except BaseException:
        spool.close()
        raise
    whole = start == _midnight(start.date()) and end == start + DAY
    if not whole and not spool.samples and not spool.rejects:
        spool.close()
        return None
    return Unit(
        source=name,
        batch_id=batch_id("window", name, origin, digest),
        origin=origin,
        open=spool.parts,
        slice=Slice(start.date(), end.date()) if whole else None,
        bytes_read=asker.server.bytes_read - before,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min)


def _ms(moment: datetime) -> int:
    """Unix ms of a naive UTC time, without floating point."""
    return (moment - datetime(1970, 1, 1)) // timedelta(milliseconds=1)  # noqa: DTZ001
