"""What is in force, for people and programs: `tidegate config`. Secrets are masked before anything else happens."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tidegate.broker.properties import consumer_properties
from tidegate.config import SETTING_FIELDS, Configuration
from tidegate.config_checks import kafka_variable, show, unit_of
from tidegate.environment import PREFIX
from tidegate.kafka_names import is_secret
from tidegate.values import MASK, masked_url

if TYPE_CHECKING:
    from rich.table import Table

DEFAULT = "default"
FILE = "file "  # begins the origin of what came from one
_NAME_WIDTH = max(len(PREFIX + name) for name in SETTING_FIELDS)
_ORIGIN_WIDTH = len("environment")
_NARROWEST = 70  # columns; below, the terminal itself has to break lines
_WITH_UNITS = 110  # the names hold them, too


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting in force; ``value`` as it would stand in the environment, ``""`` where it is not set."""

    variable: str
    value: str
    unit: str
    origin: str
    description: str


def entries(configuration: Configuration) -> Iterator[Entry]:
    """Every setting, in the order of the model."""
    for name, field in SETTING_FIELDS.items():
        value = show(field, getattr(configuration.settings, name))
        origin = configuration.origins.get(name, DEFAULT)
        yield Entry(PREFIX + name.upper(), value, unit_of(field), origin, field.description or "")


def kafka_entries(configuration: Configuration) -> Iterator[tuple[str, str, str]]:
    """(property, value, origin) of what librdkafka gets, for one lane on one handle."""
    for name, value in consumer_properties(configuration.settings, lanes=1).items():
        shown = MASK if is_secret(name) else masked_url(value) if name.endswith(".url") else value
        yield name, shown, configuration.origins.get(f"kafka.{name}", "tidegate")


def as_json(configuration: Configuration) -> str:
    """One object: ``settings`` by variable, ``kafka`` by property."""
    settings = {}
    for entry in entries(configuration):
        fields = asdict(entry)
        settings[fields.pop("variable")] = fields
    kafka = {name: {"value": value, "origin": origin} for name, value, origin in kafka_entries(configuration)}
    return json.dumps({"settings": settings, "kafka": kafka}, indent=2, ensure_ascii=False)


def as_env(configuration: Configuration) -> str:
    """Shell assignments that give this configuration again; what is not set, or masked, is a comment."""
    lines = [_assignment(entry.variable, entry.value, entry.origin) for entry in entries(configuration)]
    lines += [
        _assignment(kafka_variable(name), value, origin)
        for name, value, origin in kafka_entries(configuration)
        if origin != "tidegate"
    ]
    return "\n".join(lines)


def _assignment(variable: str, value: str, origin: str) -> str:
    """What comes from a file is named by its file again, so that secrets need not be shown to be passed on."""
    if origin.startswith(FILE):
        return f"{variable}_FILE={shlex.quote(origin.removeprefix(FILE))}"
    hidden = not value or MASK in value
    return f"{'# ' if hidden else ''}{variable}={shlex.quote(value) if value else ''}"


def print_table(configuration: Configuration) -> None:
    """Two tables on stdout. Nothing is cut off: a terminal of 80 columns folds values, and without one nothing is."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    width = max(console.width, _NARROWEST) if console.is_terminal else 10_000
    console = Console(width=width)
    with_units = width >= _WITH_UNITS
    heads = ("setting", "value", "unit", "from") if with_units else ("setting", "value", "from")
    settings = _table(*heads)
    for entry in entries(configuration):
        unit = (entry.unit,) if with_units else ()
        value, origin = (entry.value or "–", entry.origin) if with_units else _narrow(entry.value, entry.origin)
        cells = (entry.variable, value, *unit, origin)
        settings.add_row(*map(Text, cells), style="dim" if entry.origin == DEFAULT else None)
    kafka = _table("librdkafka (one lane)", "value", "from")
    for name, value, origin in kafka_entries(configuration):
        style = "dim" if origin == "tidegate" else None
        if not with_units:
            value, origin = _narrow(value, origin)
        kafka.add_row(*map(Text, (name, value or "–", origin)), style=style)
    console.print(settings)
    console.print()
    console.print(kafka)


def _narrow(value: str, origin: str) -> tuple[str, str]:
    """A file's path below what it holds: beside it, it would leave no room for the values of all others."""
    if not origin.startswith(FILE):
        return value or "–", origin
    return f"{value or '–'}\n({origin.removeprefix(FILE)})", FILE.strip()


def _table(name: str, *others: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(name, no_wrap=True, min_width=_NAME_WIDTH)  # names are searched for and copied
    for other in others:
        table.add_column(other, overflow="fold", min_width=_ORIGIN_WIDTH if other == "from" else None)
    return table
