"""`lakebed anomaly list|false`: what was found odd, and what people say of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from lakebed.cli.console import DEFAULT_CONFIG, ConfigOption, JsonOption, out, print_json, table
from warehouse.errors import ConfigError
from warehouse.settings import load

anomaly = typer.Typer(help="Anomalies that were found, and those that were false alarms.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(anomaly, name="anomaly")


@anomaly.command("list")
def list_command(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Anomalies of the last analysis and all false alarms, the newest first."""
    from orchestration.feedback import anomalies
    from warehouse.lake.lake import Lake

    with Lake.open(load(config), read_only=True) as lake:
        found = anomalies(lake)
    if as_json:
        print_json(found)
    elif found:
        said = {True: "false alarm", False: ""}
        lines = [
            (a["series_id"], a["time"], a["value"], a["expected"], a["episode_id"] or "", said[a["is_false_alarm"]], a["reason"] or "")
            for a in found
        ]
        table("anomalies", ("series", "time (UTC)", "value", "expected", "episode", "said", "reason"), lines)
    else:
        out.print("no anomalies")


@anomaly.command("false")
def false_command(
    series: Annotated[str, typer.Argument(metavar="SERIES", help="As `lakebed anomaly list` shows it.")],
    time: Annotated[str, typer.Argument(metavar="TIME", help="Hour of the anomaly, ISO 8601; UTC unless it says otherwise.")],
    reason: Annotated[str | None, typer.Option("--reason", help="Why it was none.")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="It was no false alarm after all.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Report a false alarm: from the next run on, later hours of the series must be odder than it was to be an anomaly."""
    from orchestration.feedback import say
    from warehouse.lake.lake import Lake

    hour = utc(time)
    with Lake.open(load(config)) as lake:
        say(lake, series, hour, is_false_alarm=not undo, reason=reason)
    out.print(f"noted; `lakebed run` looks at {series} again", highlight=False, markup=False)


def utc(text: str) -> datetime:
    """A time as naive UTC. Raises ConfigError for anything that is not ISO 8601."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is not a time; write it as 2026-11-20T14:00") from None
    return given.astimezone(UTC).replace(tzinfo=None) if given.tzinfo else given
