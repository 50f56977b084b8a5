"""What `lakebed doctor` looks at outside: do the configured files exist, do the servers answer, do their clocks agree with this one."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from lakebed.cli.doctor import Finding
from warehouse.errors import LakebedError
from warehouse.settings import Settings

SERVER_TIMEOUT_S = 10.0
MAX_SKEW_S = 60.0
COUNTED_FILES = 10_000


def sources(settings: Settings) -> Iterator[Finding]:
    """Every enabled source: its files, its inbox, its server."""
    if not settings.sources:
        yield Finding("sources", "warn", "no source is configured", "uncomment one under [sources.NAME] in lakebed.toml")
    for name, source in settings.sources.items():
        if not source.enabled:
            yield Finding("sources", "ok", f"{name} is switched off")
            continue
        for pattern in getattr(source, "paths", ()):
            yield _files(name, settings, pattern)
        if getattr(source, "inbox", None):
            yield _inbox(name, Path(settings.resolve_input(str(source.inbox))))  # type: ignore[union-attr]
        if getattr(source, "url", None):
            yield _server(name, source)


def _files(name: str, settings: Settings, pattern: str) -> Finding:
    place = settings.resolve_input(pattern)
    try:
        count = _matches(place, settings)
    except LakebedError as error:
        return Finding("sources", "problem", str(error), f"check sources.{name}.path and the AWS_* environment variables")
    if count == 0:
        return Finding("sources", "problem", f"{name}: no file matches {place}", f"correct data_root or sources.{name}.path")
    return Finding("sources", "ok", f"{name}: {count:,}{' or more' if count == COUNTED_FILES else ''} file(s) match {place}")


def _matches(place: str, settings: Settings) -> int:
    if place.startswith("s3://"):
        from sources.objects import listing

        return sum(1 for _ in islice(listing(place, settings.lake), COUNTED_FILES))
    found = (f for f in glob.iglob(place, recursive=True) if Path(f).is_file() and os.access(f, os.R_OK))  # noqa: PTH207 - lazily
    return sum(1 for _ in islice(found, COUNTED_FILES))


def _inbox(name: str, folder: Path) -> Finding:
    if not folder.is_dir():
        return Finding("sources", "problem", f"{name}: the inbox {folder} does not exist", f"mkdir -p {folder}")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding("sources", "problem", f"{name}: the inbox {folder} cannot be written", "let this user move files in it")
    return Finding("sources", "ok", f"{name}: the inbox {folder} is there")


def _server(name: str, source: Any) -> Finding:
    """Ask the server something cheap that also tells its time, where it has such a thing."""
    from sources.http import HttpServer

    try:
        with HttpServer(name, source.url, source.auth, timeout_seconds=SERVER_TIMEOUT_S, max_attempts=1) as server:
            if source.kind == "alertmanager":
                server.json("/api/v2/status")
                return Finding("sources", "ok", f"{name}: {server.url} answers")
            before = time.time()
            answer = server.json("/api/v1/query", {"query": "time()"})
            skew = float(answer["data"]["result"][1]) - (before + time.time()) / 2
    except LakebedError as error:
        return Finding("sources", "problem", str(error), f"check sources.{name}.url and sources.{name}.auth, and that the server runs")
    except (KeyError, IndexError, TypeError, ValueError):
        return Finding("sources", "problem", f"{name}: {server.url} answers, but not as Prometheus does", f"check sources.{name}.url")
    if abs(skew) > MAX_SKEW_S:
        message = f"{name}: {server.url} answers, but its clock is {skew:+.0f} s from this one"
        return Finding("sources", "warn", message, "set both clocks (NTP)")
    return Finding("sources", "ok", f"{name}: {server.url} answers, its clock is within {abs(skew):.0f} s of this one")
