"""The command line. Imports of what a command needs are inside it, so that the others start quickly.

Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate import __version__
from tidegate.cli_operator import parked, pressure
from tidegate.demo import options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.config import Configuration, Settings
    from tidegate.core.rules import RuleTable

_INTERRUPTED = 130
_typer = typer.Typer(
    name="tidegate",
    no_args_is_help=True,
    # Pretty tracebacks show local variables: payloads and passwords.
    pretty_exceptions_enable=False,
    help="Keeps critical events flowing from Kafka to an app when the stream surges.\n\n"
    "Settings are environment variables TIDEGATE_*; `tidegate config` shows them.",
)
_typer.add_typer(pressure, name="pressure")
_typer.add_typer(parked, name="parked")


def app() -> None:
    """Run the command that ``sys.argv`` names. Ends by SystemExit with its code; TidegateError passes through."""
    try:
        _typer(prog_name="tidegate")
    except SystemExit as end:
        if end.code == _INTERRUPTED:  # newer typers only; ours are 0, 2 and 1
            raise SystemExit(1) from None
        raise


def _version(wanted: bool) -> None:
    if wanted:
        print(f"tidegate {__version__}")
        raise typer.Exit


@_typer.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version, help="Show it.")] = False,
) -> None:
    pass


@_typer.command()
def run(
    until_end: Annotated[
        bool, typer.Option(help="Stop when every partition has reached the end it had at the start; implies --summary.")
    ] = False,
    summary: Annotated[bool, typer.Option(help="Print a JSON summary as the last line on any clean end.")] = False,
) -> None:
    """Read Kafka and feed the target until told to stop."""
    configuration = _read(running=True)
    with _Logs(configuration):
        from tidegate import sidecar

        code = sidecar.run(configuration.settings, until_end=until_end, summary=summary or until_end)
    raise typer.Exit(code)


@_typer.command()
def demo(
    seconds: Annotated[int, typer.Option(min=1, help="How long the shop is open.")] = options.SECONDS,
    rate: Annotated[int, typer.Option(min=1, help="Usual events per second, before the sale.")] = options.RATE,
    surge: Annotated[float, typer.Option(min=1, help="How many times the usual stream at its peak.")] = options.SURGE,
    seed: Annotated[int, typer.Option(help="Of the generated events.")] = options.SEED,
    json: Annotated[bool, typer.Option("--json", help="End with the summary as one line of JSON.")] = False,
    report: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the pictures: a page (.html), or the first one (.svg).")
    ] = None,
    topics: Annotated[
        str,
        typer.Option(metavar="NAME[,NAME…]", help="Topics from purchases on to page views; the last takes the rest."),
    ] = options.TOPIC,
    sink_url: Annotated[
        str | None, typer.Option(metavar="URL", help="An app of your own in place of the slow shop.")
    ] = None,
) -> None:
    """Show a sale on this machine: an embedded broker, generated events, a slow shop, and the same without tidegate.

    Needs nothing installed. With --sink-url it drives an app of your own; what you have set for it (TIDEGATE_FORMAT,
    TIDEGATE_CONCURRENCY, …) stands.
    """
    from tidegate.demo.main import run as run_demo

    names = tuple(name.strip() for name in topics.split(","))
    raise typer.Exit(run_demo(options.DemoOptions(seconds, rate, surge, seed, json, names, sink_url, report)))


@_typer.command()
def validate(
    samples: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Also try the rules on sample events, JSON lines; - reads stdin."),
    ] = None,
    connect: Annotated[
        bool,
        typer.Option("--connect", help="Also ask Kafka and the app for all that a run needs."),
    ] = False,
) -> None:
    """Check the configuration and the rules. Connects to nothing, unless --connect says so, and never changes a thing.

    With --connect: brokers, sign-in, topics and the right to read them, group, parking topic, app; a line each. Exit
    code 1: something is not as a run needs it.
    """
    if connect and samples is not None:
        raise typer.BadParameter("goes alone, without --samples", param_hint="--connect")
    configuration = _read(running=connect)
    for warning in configuration.warnings:
        print(f"tidegate: warning: {warning}", file=sys.stderr)
    settings = configuration.settings
    table = _rule_table(settings)
    _check_kafka(settings)
    if connect:
        from tidegate import connect_check

        raise typer.Exit(connect_check.check(settings))
    if samples is None:
        print("ok")
        return
    from tidegate.samples import validate_samples

    for line in validate_samples(_lines(samples), table, as_lines=settings.format == "ndjson"):
        sys.stdout.buffer.write(line if line.endswith(b"\n") else line + b"\n")
        if samples == "-":  # someone may be typing, or waiting for each answer
            sys.stdout.buffer.flush()


class Start(StrEnum):
    """Where `tidegate sample` begins."""

    LATEST = "latest"
    EARLIEST = "earliest"


@_typer.command()
def sample(
    topic: Annotated[
        list[str] | None,
        typer.Option(metavar="TOPIC", help="A topic, or ^ and an expression; may be repeated. Else TIDEGATE_TOPICS."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=100_000, help="Records of each topic, at most.")] = 100,
    start: Annotated[Start, typer.Option("--from", help="The latest that are there, or the earliest.")] = Start.LATEST,
    wait: Annotated[
        str, typer.Option(metavar="TIME", help="Where there are fewer, wait as long for new ones, such as 30s.")
    ] = "0s",
) -> None:
    """Write records from Kafka as JSON lines, for `validate --samples`. Joins no group, commits nothing.

    They are spread over a topic's partitions. Payloads are written as they are: mind who may read them.
    """
    from tidegate import sample_cli, values

    try:
        seconds = values.parse_seconds(wait)
    except ValueError as error:
        raise typer.BadParameter(f"{wait} {error}", param_hint="--wait") from None
    try:
        topics = [values.check_topic(one) for one in topic or ()]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--topic") from None
    sample_cli.sample(_read().settings, topics, count, oldest=start is Start.EARLIEST, wait_seconds=seconds)


class ConfigFormat(StrEnum):
    """How `tidegate config` prints."""

    TABLE = "table"
    ENV = "env"
    JSON = "json"


@_typer.command()
def config(
    form: Annotated[
        ConfigFormat, typer.Option("--format", help="table, env (to paste), or json.")
    ] = ConfigFormat.TABLE,
) -> None:
    """Print what is in force, secrets masked, and where each value came from."""
    from tidegate import config_show

    configuration = _read()
    for warning in configuration.warnings:
        print(f"tidegate: warning: {warning}", file=sys.stderr)
    if form is ConfigFormat.TABLE:
        config_show.print_table(configuration)
    else:
        print(config_show.as_env(configuration) if form is ConfigFormat.ENV else config_show.as_json(configuration))


class Check(StrEnum):
    """What `tidegate health` asks for."""

    LIVE = "live"
    READY = "ready"
    DRAINED = "drained"


@_typer.command()
def health(check: Annotated[Check, typer.Argument(help="Which probe to ask.")] = Check.LIVE) -> None:
    """Ask the sidecar beside this process for a probe; exit code 0 or 1. For probes by exec."""
    from tidegate import probes

    raise typer.Exit(probes.health(check.value))


@_typer.command()
def drain(
    timeout: Annotated[
        str, typer.Option(metavar="TIME", help="To wait, such as 20s; plain numbers are seconds.")
    ] = "30s",
) -> None:
    """Let the sidecar beside this process deliver, commit and leave the group; wait for it. For a pod's preStop.

    It stays up, drained, until SIGTERM. Exit code 1: it was not over in time, or not everything was delivered.
    """
    from tidegate import probes, values

    try:
        seconds = values.parse_seconds(timeout)
    except ValueError as error:
        raise typer.BadParameter(f"{timeout} {error}", param_hint="--timeout") from None
    raise typer.Exit(probes.drain(seconds))


def _read(*, running: bool = False) -> Configuration:
    from tidegate.config import read

    return read(os.environ, running=running)


def _rule_table(settings: Settings) -> RuleTable:
    from tidegate.classification import rule_table

    return rule_table(settings)


def _check_kafka(settings: Settings) -> None:
    from tidegate.broker.properties import check

    check(settings)


def _lines(path: str) -> Iterator[bytes]:
    from tidegate.errors import ConfigError

    if path == "-":
        yield from sys.stdin.buffer
        return
    try:
        with open(path, "rb") as file:
            yield from file
    except OSError as error:
        raise ConfigError(f"--samples {path} cannot be read: {error.strerror}", code="samples-unreadable") from None


class _Logs:
    """Logging for as long as a command runs; what the configuration warns of is its first lines."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def __enter__(self) -> None:
        settings = self._configuration.settings
        if not sys.stderr.isatty() and "rich" not in sys.modules:
            # structlog imports rich where it finds it, for colours: 3 MiB of every sidecar for nothing.
            sys.modules["rich"] = None  # type: ignore[assignment]
        import structlog

        if sys.modules.get("rich", ...) is None:
            del sys.modules["rich"]

        from tidegate.ops.logs import configure

        self._writer = configure(settings.log_level, settings.log_format, secrets=settings.secrets())
        for warning in self._configuration.warnings:
            structlog.get_logger("tidegate.config").warning(warning)

    def __exit__(self, *_: object) -> None:
        self._writer.close()
