"""From environment variables to texts: files behind ``_FILE``, unknown names, librdkafka's properties, service links.

Nothing here knows what a setting means; that is ``config``'s. Problems are collected, never raised one by one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from tidegate import kafka_names, kafka_owned

PREFIX = "TIDEGATE_"
KAFKA_PREFIX = "TIDEGATE_KAFKA_"
_FILE = "_FILE"
_FILE_LIMIT_BYTES = 1 << 20
_OTHER_CUTOFF = 0.85  # likeness (difflib's ratio) from which a name of the other family is proposed
_PATH_SHOWN = 200  # characters
_SECRETS = ("TIDEGATE_SINK_AUTHORIZATION_FILE", "TIDEGATE_SINK_URL_FILE")
# Read by the build and by the tests, often left in a developer's shell.
_NOT_OURS = frozenset({"TIDEGATE_DEBUG", "TIDEGATE_NATIVE", "TIDEGATE_SANITIZE", "TIDEGATE_WERROR"})
_TESTS = "TIDEGATE_TEST_"
# Kubernetes adds these to every pod for a service called tidegate (or tidegate-something) in its namespace.
_SERVICE_LINK = re.compile(
    r"TIDEGATE_(\w+_)??(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
    r"|TIDEGATE_SERVICE_\w+|TIDEGATE_PORT_\d+_\w+|TIDEGATE_PORT"
)


@dataclass(frozen=True, slots=True)
class Value:
    """A text and where it came from: ``"environment"`` or ``"file <path>"``."""

    text: str = field(repr=False)
    origin: str
    variable: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the configuration: where, what, what to do."""

    where: str
    what: str
    todo: str

    def __str__(self) -> str:
        return f"{self.where} {self.what}.\n  {self.todo}"


@dataclass(slots=True)
class Reading:
    """What the environment says. ``settings`` by variable name, ``kafka`` by librdkafka's canonical property name."""

    settings: dict[str, Value] = field(default_factory=dict)
    kafka: dict[str, Value] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read(environ: Mapping[str, str], known: Collection[str]) -> Reading:
    """Read every ``TIDEGATE_*`` variable. An empty value counts as not set.

    Args:
        environ: usually ``os.environ``.
        known: the variable names of all settings, without their ``_FILE`` forms.

    Raises:
        NativeLibraryError: a librdkafka property is set and librdkafka cannot be asked about it.
    """
    reading = Reading()
    links: list[str] = []
    for name in sorted(n for n in environ if n.startswith(PREFIX)):
        if name in _NOT_OURS or name.startswith(_TESTS):
            continue
        if name in known:
            _take(reading, reading.settings, name, environ, name, from_file=False)
        elif name.endswith(_FILE) and name.removesuffix(_FILE) in known:
            _take(reading, reading.settings, name.removesuffix(_FILE), environ, name, from_file=True)
        elif _SERVICE_LINK.fullmatch(name) or (name.endswith("_PORT") and environ[name].startswith("tcp://")):
            links.append(name)
        elif name.startswith(KAFKA_PREFIX):
            _take_property(reading, name, environ, known)
        else:
            reading.problems.append(_unknown(name, known))
    if links:
        reading.warnings.append(
            f"ignored {len(links)} {'variables' if links[1:] else 'variable'} that Kubernetes sets for a service named"
            f" tidegate ({links[0]}{', …' if links[1:] else ''});"
            " set enableServiceLinks: false in the pod to be rid of them"
        )
    return reading


def _take(
    reading: Reading, into: dict[str, Value], key: str, environ: Mapping[str, str], variable: str, *, from_file: bool
) -> None:
    text = environ[variable]
    if not text:
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        reading.problems.append(Problem(variable, "is not UTF-8 text", "Write its value in UTF-8."))
        return
    if key in into:
        reading.problems.append(
            Problem(variable, f"and {into[key].variable} are both set", "Set one of them; which should win is a guess.")
        )
    elif not from_file:
        into[key] = Value(text, "environment", variable)
    else:
        try:
            into[key] = Value(_read_file(text), f"file {text}", variable)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            todo = "Give the path of a readable text file that holds only the value."
            reading.problems.append(Problem(_shown(variable, text), f"cannot be read: {why}", todo))


def _shown(variable: str, path: str) -> str:
    # What is no absolute path may be the secret itself, given where its file was asked for.
    secret = variable in _SECRETS or kafka_names.is_secret(variable.lower().replace("_", "."))
    return variable if secret and not path.startswith("/") else f"{variable}={shorten(path, _PATH_SHOWN)}"


def shorten(text: str, length: int = 60) -> str:
    """What of a value fits into a message."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _read_file(path: str) -> str:
    with Path(path).open("rb") as file:
        content = file.read(_FILE_LIMIT_BYTES + 1)
    if len(content) > _FILE_LIMIT_BYTES:
        raise ValueError("it is larger than 1 MiB")
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    if not text:
        # An empty secret is a broken mount, not a wish for the default.
        raise ValueError("it is empty")
    if "\0" in text:
        # C ends a text there: of a password the rest would be gone, and nobody would know.
        raise ValueError("it holds a NUL byte")
    return text


def _take_property(reading: Reading, variable: str, environ: Mapping[str, str], known: Collection[str]) -> None:
    table = kafka_names.catalogue()
    key = variable.removeprefix(KAFKA_PREFIX)
    # Some properties end in .file themselves (sasl.oauthbearer.assertion.file): the exact name goes first.
    from_file = key not in table and key.endswith(_FILE)
    found = table.get(key.removesuffix(_FILE) if from_file else key)
    if found is None:
        reading.problems.append(_unknown(variable, known))
    elif refusal := kafka_owned.refusal(found):
        reading.problems.append(Problem(variable, *refusal))
    else:
        _take(reading, reading.kafka, found.name, environ, variable, from_file=from_file)


def _unknown(name: str, known: Collection[str]) -> Problem:
    of_kafka = name.startswith(KAFKA_PREFIX)
    # Compared without what all of them share, which would make everything look alike.
    bare = name.removeprefix(KAFKA_PREFIX if of_kafka else PREFIX).upper()
    end = _FILE if bare.endswith(_FILE) else ""
    bare = bare.removesuffix(_FILE)
    families = [{k.removeprefix(PREFIX): k for k in known}, {k: KAFKA_PREFIX + k for k in kafka_names.catalogue()}]
    own, other = reversed(families) if of_kafka else families
    near = [own[k] for k in get_close_matches(bare, own, n=1)]
    far = [other[k] for k in get_close_matches(bare, other, n=1, cutoff=_OTHER_CUTOFF)]
    # A name that is right but for KAFKA_ in front goes before one that merely looks alike.
    found = next(iter(far + near if bare in other else near + far), None)
    what = "is not a property of librdkafka" if of_kafka else "is not a setting of tidegate"
    return Problem(name, what, f"Did you mean {found}{end}?" if found else "`tidegate config` lists every setting.")
