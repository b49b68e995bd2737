"""What is wrong with a configuration, in words: each value by itself, then the settings against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from tidegate import kafka_names, kafka_owned, values
from tidegate.environment import KAFKA_PREFIX, PREFIX, Problem, Reading, Value, shorten
from tidegate.errors import RuleError

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic.fields import FieldInfo

    from tidegate.config import Settings

REQUIRED = (
    ("TIDEGATE_KAFKA_BOOTSTRAP_SERVERS", "Name the brokers to ask first, such as kafka-0:9092,kafka-1:9092."),
    ("TIDEGATE_TOPICS", "Name the topics to read, such as orders,page-views, or ^shop\\..* for all that match."),
    ("TIDEGATE_SINK_URL", "Say where events go, such as http://localhost:8080/events, or blackhole: to try it out."),
)
EXAMPLE = """For example:
    export TIDEGATE_KAFKA_BOOTSTRAP_SERVERS=localhost:9092
    export TIDEGATE_TOPICS=orders,page-views
    export TIDEGATE_SINK_URL=http://localhost:8080/events
    tidegate validate --connect && tidegate run
  Without a Kafka: tidegate demo"""
BUILT_IN_WORD = "default"  # in a list: what is built in
BUILT_IN = ("rules", "places")  # units of the settings that have a list built in
SESSION_TIMEOUT_MS = 45_000
MAX_POLL_INTERVAL_MS = 300_000
_SESSION_ADVISED_MS = 30_000


def unit_of(field: FieldInfo) -> str:
    """The unit a setting is counted in, ``""`` where there is none."""
    extra = field.json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def is_secret_field(field: FieldInfo) -> bool:
    """Whether the setting's value is masked wherever it would be shown."""
    return field.annotation is not None and "SecretStr" in str(field.annotation)


def show(field: FieldInfo, value: object) -> str:
    """A setting's value as it would stand in the environment; secrets masked, ``""`` for none."""
    if value is None:
        # The word that stands for the built-in list is also how to write it.
        return BUILT_IN_WORD if unit_of(field) in BUILT_IN else ""
    if isinstance(value, SecretStr) or is_secret_field(field):
        return values.MASK
    if unit_of(field) == "URL":
        return values.masked_url(str(value))
    if isinstance(value, tuple):
        # Rules keep their escapes, so what stands in them is already as it has to be written.
        return ",".join(str(entry) if unit_of(field) in BUILT_IN else entry.replace(",", "\\,") for entry in value)
    if unit_of(field) == "bytes" and isinstance(value, int):
        return values.format_size(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def missing(reading: Reading) -> list[Problem]:
    """What a run needs and nobody gave. A variable that was given and is faulty has its own complaint already."""
    told = {p.where.split("=")[0].removesuffix("_FILE") for p in reading.problems}
    return [
        Problem(name, "is not set", todo)
        for name, todo in REQUIRED
        if name not in reading.settings and name not in told
    ]


def nothing_is_set(problems: Sequence[Problem]) -> bool:
    """Whether all that is wrong is that nothing was said yet: somebody tries it for the first time."""
    return [problem.where for problem in problems] == [name for name, _ in REQUIRED]


def kafka_values(given: Mapping[str, Value]) -> list[Problem]:
    """Values that librdkafka refuses, or would take for another."""
    complaints = kafka_names.check_values((n, v.text) for n, v in given.items()) if given else {}
    problems = []
    for name, complaint in complaints.items():
        what = "is refused by librdkafka" if kafka_names.is_secret(name) else complaint.rstrip(" .")
        todo = f"See {name} in librdkafka's table of properties (CONFIGURATION.md)."
        problems.append(Problem(_where(given[name], secret=True), what, todo))
    return problems


def rules(lists: Mapping[str, str]) -> list[Problem]:
    """Rules and type fields that cannot be understood, by setting; what they are to each other comes later."""
    from tidegate.core.rule_text import parse_rule, parse_sample_field, parse_type_field

    problems = []
    for name, text in lists.items():
        parse = {"type_fields": parse_type_field, "sample_key": parse_sample_field}.get(name, parse_rule)
        for entry in values.split_rule_list(text):
            try:
                if entry != BUILT_IN_WORD:
                    parse(entry)
            except RuleError as error:
                # Its first line says what; the rest shows where and what to do, indented already.
                what, _, rest = str(error).partition("\n  ")
                problems.append(Problem(f"{PREFIX}{name.upper()}:", what, rest))
    return problems


def explain(error: ValidationError, given: Mapping[str, Value], fields: Mapping[str, FieldInfo]) -> list[Problem]:
    """Each of pydantic's complaints with the variable it is about, and what to write instead."""
    problems = []
    for one in error.errors(include_url=False, include_input=False):
        name = str(one["loc"][0]) if one["loc"] else ""
        field, variable = fields[name], PREFIX + name.upper()
        secret = is_secret_field(field) or name == "sink_url"
        where = _where(given[variable], secret=secret) if variable in given else variable
        what = _words(one["type"], one.get("ctx", {}), one["msg"], unit_of(field))
        problems.append(Problem(where, what, _todo(field)))
    return problems


def across(settings: Settings, kafka: Mapping[str, Value]) -> tuple[list[Problem], list[str]]:
    """Settings that are each right and do not go together: problems, and warnings."""
    problems = [
        Problem(_where(kafka[name], secret=True), what, todo)
        for name, (what, todo) in kafka_owned.refused_by_protocol(settings.group_protocol, kafka).items()
    ]
    classic = settings.group_protocol == "classic"
    session_ms = _number(kafka, "session.timeout.ms", SESSION_TIMEOUT_MS) if classic else SESSION_TIMEOUT_MS
    warnings = []
    if settings.drain_seconds * 1000 >= session_ms:
        what = f"is not below the session timeout of {session_ms / 1000:g} s: the group would go on without this member"
        if classic:
            todo = "Lower it, or raise TIDEGATE_KAFKA_SESSION_TIMEOUT_MS."
            problems.append(Problem(f"TIDEGATE_DRAIN_SECONDS={settings.drain_seconds:g}", what, todo))
        else:
            warnings.append(
                f"TIDEGATE_DRAIN_SECONDS={settings.drain_seconds:g} is only right if group.consumer.session.timeout.ms"
                " on the brokers was raised above it from its default of 45 s"
            )
    if session_ms < _SESSION_ADVISED_MS:
        warnings.append(
            f"TIDEGATE_KAFKA_SESSION_TIMEOUT_MS={session_ms} is below {_SESSION_ADVISED_MS}:"
            " a short stall of the broker or the network will cost a rebalance and duplicates"
        )
    poll_ms = _number(kafka, "max.poll.interval.ms", MAX_POLL_INTERVAL_MS)
    if classic and poll_ms < session_ms:
        what = f"is below the session timeout of {session_ms} ms, and librdkafka refuses that"
        culprit = kafka.get("max.poll.interval.ms") or kafka["session.timeout.ms"]
        problems.append(Problem(_where(culprit, secret=True), what, "Raise it, or lower the session timeout."))
    in_flight = settings.budget.in_flight
    if settings.batch_max_bytes > in_flight:
        what = (
            f"is more than the {values.format_size(in_flight)} that TIDEGATE_MEMORY_BYTES leaves for bodies in flight"
        )
        where = f"TIDEGATE_BATCH_MAX_BYTES={values.format_size(settings.batch_max_bytes)}"
        problems.append(Problem(where, what, "Lower it, or raise TIDEGATE_MEMORY_BYTES to six times as much."))
    return problems + _parking(settings), warnings + _contradictions(settings)


def _parking(settings: Settings) -> list[Problem]:
    """A parking topic that cannot be one, or that is a source as well: its records would go round for ever."""
    topic = settings.parking_topic_name
    if topic is None:
        return []
    variable = f"{PREFIX}PARKING_TOPIC"
    todo = f"Name another topic, or switch parking off: {variable}=none."
    of_group = "" if settings.parking_topic is not None else f"is {shorten(topic)} where it is not set, which "
    if len(topic) > values.TOPIC_NAME_MOST:
        what = f"has {len(topic)} characters; a topic's name has {values.TOPIC_NAME_MOST} at most"
        return [Problem(variable, of_group + what, todo)]
    for entry in settings.topics:
        if values.matches_topic(entry, topic):
            how = "one of" if entry == topic else f"matched by {shorten(entry)} in"
            what = f"{of_group}is {how} TIDEGATE_TOPICS: what is parked would be read as if it were new"
            return [Problem(variable, what, todo)]
    return []


def _contradictions(settings: Settings) -> list[str]:
    """The higher class takes a rule that two of the operator's lists name: right by the rules, and hardly meant."""
    from tidegate.core.rule_text import parse_rule
    from tidegate.errors import RuleError

    warnings: list[str] = []
    seen: dict[object, tuple[str, str]] = {}
    for label, rules in settings.rule_overrides.items():
        for rule in rules or ():
            try:
                other, text = seen.setdefault(parse_rule(rule).identity, (label, rule))
            except RuleError:
                continue  # told when the rules are compiled
            if other != label:
                there = f"TIDEGATE_{other.upper()}" + ("" if text == rule else f" (there as {text})")
                warnings.append(f"TIDEGATE_{label.upper()}: {rule} is in {there} as well, which is higher and takes it")
    return warnings


def _number(given: Mapping[str, Value], name: str, default: int) -> int:
    text = given[name].text.strip() if name in given else ""
    return int(text) if text.isascii() and text.isdigit() else default  # librdkafka complains of anything else


def _where(value: Value, *, secret: bool) -> str:
    # What a file holds is not repeated: the path may have been mistaken for another secret's.
    if value.origin != "environment":
        return f"{value.variable} ({value.origin})"
    return value.variable if secret else f"{value.variable}={shorten(value.text)}"


def _words(kind: str, context: Mapping[str, Any], message: str, unit: str) -> str:
    of_unit = f" {unit}" if unit else ""
    match kind:
        case "int_parsing" | "int_from_float" | "int_type":
            return "is not a whole number"
        case "float_parsing" | "float_type" | "finite_number":
            return "is not a number"
        case "greater_than_equal":
            return f"is too small: at least {_amount(context['ge'], unit)}{of_unit if unit != 'bytes' else ''}"
        case "less_than_equal":
            return f"is too large: at most {_amount(context['le'], unit)}{of_unit if unit != 'bytes' else ''}"
        case "greater_than":
            return f"is too small: more than {_amount(context['gt'], unit)}{of_unit}"
        case "less_than":
            return f"is too large: less than {_amount(context['lt'], unit)}{of_unit}"
        case "literal_error":
            return f"is not one of {context['expected'].replace(chr(39), '').replace(' or ', ', ')}"
        case "string_too_short":
            return "is empty"
        case "value_error":
            return str(context["error"])
        case _:
            return f"is not right: {message}"


def _amount(limit: float, unit: str) -> str:
    return values.format_size(int(limit)) if unit == "bytes" else f"{limit:g}" if limit < 1e6 else str(int(limit))


def _todo(field: FieldInfo) -> str:
    default = show(field, field.default)
    return f"{field.description}{f' Default: {default}.' if default else ''}"


def kafka_variable(name: str) -> str:
    """``"ssl.ca.location"`` → ``"TIDEGATE_KAFKA_SSL_CA_LOCATION"``."""
    return KAFKA_PREFIX + kafka_names.environment_name(name)
