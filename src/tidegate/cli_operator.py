"""The groups of commands by which an operator steps in: `tidegate pressure` and `tidegate parked`."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tidegate.config import Settings

pressure = typer.Typer(no_args_is_help=True, help="See and set what pressure makes of the stream.")


class SetRung(StrEnum):
    """What `tidegate pressure set` sets."""

    NORMAL = "normal"
    DEFER = "defer"
    SAMPLE = "sample"
    HOLD = "hold"
    PAUSE = "pause"


@pressure.command("show")
def _show() -> None:
    """Show the rung of the sidecar beside this process, and the rates that it goes by."""
    from tidegate import probes

    raise typer.Exit(probes.pressure(None))


@pressure.command("set")
def _set(rung: Annotated[SetRung, typer.Argument(help="The rung to stay on.")]) -> None:
    """Set the rung of the sidecar beside this process, until `auto`. May go beyond TIDEGATE_LADDER_MAX.

    normal: nothing is held early. hold, pause: topics of normal and bulk wait in Kafka. Full buffers stop their topics
    on every rung. Exit code 1: nothing can act on it.
    """
    from tidegate import probes

    raise typer.Exit(probes.pressure(rung.value))


@pressure.command("auto")
def _auto() -> None:
    """Let the rung be decided again."""
    from tidegate import probes

    raise typer.Exit(probes.pressure("auto"))


parked = typer.Typer(no_args_is_help=True, help="See what waits in the parking topic, let it come back, or drop it.")
_Limit = Annotated[int, typer.Option(min=0, help="Records to look into, at most; all that wait are counted.")]
_LIMIT = 100_000


@parked.command("list")
def _list(
    limit: _Limit = _LIMIT,
    json: Annotated[bool, typer.Option("--json", help="One line of JSON instead of tables.")] = False,
) -> None:
    """Show what waits, by class and by the topic it came from. Takes nothing, and disturbs no sidecar."""
    from tidegate import parked_cli

    parked_cli.show(_settings(), limit, as_json=json)


@parked.command("drop")
def _drop(
    limit: _Limit = _LIMIT,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete what waits now. It is lost: Kafka has it nowhere else. A sidecar that runs counts it as lost by retention.

    Exit code 1: not all was deleted, or it was not wanted after all.
    """
    from tidegate import parked_cli

    raise typer.Exit(parked_cli.drop(_settings(), limit, yes=yes))


@parked.command("replay")
def _replay(
    rate: Annotated[
        str | None, typer.Argument(metavar="RATE", help="Records a second from 0, or auto: as is decided.")
    ] = None,
) -> None:
    """Set how fast the sidecar beside this process takes records back, whatever the pressure; show it without a rate.

    0: none come back, until another rate or auto. Exit code 1: it was not done.
    """
    from tidegate import probes

    if rate is not None and rate != "auto":
        try:
            rate = repr(float(rate))
        except ValueError:
            raise typer.BadParameter(f"{rate!r} is no number, nor auto", param_hint="RATE") from None
    raise typer.Exit(probes.pressure(None, rate))


def _settings() -> Settings:
    from tidegate.config import read

    return read(os.environ, running=False).settings
