"""The settings: one table, this model. `tidegate config` and docs/settings.md are generated from it.

Every field is a variable ``TIDEGATE_<NAME>``; any may come from a file through ``TIDEGATE_<NAME>_FILE``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from tidegate import config_checks, environment, values
from tidegate.budget import MINIMUM_BYTES, Budget
from tidegate.environment import PREFIX, Problem
from tidegate.errors import ConfigError
from tidegate.pressure.policy import DEFAULTS, Policy
from tidegate.types import CLASSES, EventClass


def _setting(default: Any, group: str, unit: str, description: str, **limits: Any) -> Any:
    return Field(default, description=description, json_schema_extra={"group": group, "unit": unit}, **limits)


def _size(value: object) -> object:
    return values.parse_size(value) if isinstance(value, str) else value


def _list(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not (entries := values.split_list(value)):
        raise ValueError("lists nothing")
    return entries


def _rules(value: object) -> object:
    return values.split_rule_list(value) if isinstance(value, str) else value


Size = Annotated[int, BeforeValidator(_size)]
Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_list)]
Rules = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_rules)]

_PRESSURE = "What {} events bear when there are more than the target can take: {}."
_RULES = "Rules that make an event {}: type words, topic:, header:, json:, key:. `default`: the built-in list."


class Settings(BaseSettings):
    """What is in force. Frozen; secrets never show in its repr. Built by :func:`load`, or directly in tests."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True)

    kafka_bootstrap_servers: str | None = _setting(
        None, "Kafka", "host:port list", "Brokers to ask first. Needed to run.", min_length=1
    )
    topics: Texts = _setting(
        (),
        "Kafka",
        "list",
        "Topics to read; an entry that begins with ^ is a POSIX extended regular expression. Needed to run.",
    )
    group_id: str = _setting("tidegate", "Kafka", "", "Consumer group.", min_length=1)
    group_protocol: Literal["classic", "consumer"] = _setting(
        "classic",
        "Kafka",
        "",
        "classic (cooperative-sticky, or another partition.assignment.strategy), or consumer (KIP-848, Kafka 4).",
    )
    group_instance_id: str | None = _setting(
        None, "Kafka", "", "Static membership; unique per replica, and only for replicas that stay.", min_length=1
    )
    start: Literal["earliest", "latest"] = _setting(
        "earliest", "Kafka", "", "Where to begin in a topic that the group has not begun to read."
    )
    max_uncommitted_records: int = _setting(
        131072, "Kafka", "records per partition", "Read but not yet committed, at most.", ge=1024, le=1 << 24
    )

    sink_url: str | None = _setting(
        None,
        "Target",
        "URL",
        "Where events go: http://…, https://…, stdout: or blackhole:. Needed to run.",
        repr=False,  # its query may be a secret
    )
    sink_authorization: SecretStr | None = _setting(
        None, "Target", "", "Authorization header of every request. user:password@ in the URL sets it, too."
    )
    sink_connect_timeout_ms: int = _setting(1000, "Target", "ms", "To connect, at most.", ge=1, le=600_000)
    sink_timeout_ms: int = _setting(
        10_000, "Target", "ms", "For one request with its answer, at most.", ge=1, le=3_600_000
    )
    concurrency: int = _setting(8, "Target", "requests", "In flight to the target at once, at most.", ge=1, le=1024)
    limiter: Literal["adaptive", "fixed"] = _setting(
        "adaptive",
        "Target",
        "",
        "adaptive: requests at once and records per batch follow what the target can do, so that critical finds a short"
        " line; fixed: always as many as configured.",
    )

    format: Literal["ndjson", "json", "envelope"] = _setting(
        "ndjson", "Batches", "", "One event per line, a JSON array, or one object with metadata per line."
    )
    batch_max_records: int = _setting(500, "Batches", "records", "In one batch, at most.", ge=1, le=100_000)
    batch_max_bytes: Size = _setting(
        1 << 20, "Batches", "bytes", "One batch's body, at most; a larger record goes alone.", ge=1024, le=1 << 30
    )
    batch_linger_ms: int = _setting(
        5, "Batches", "ms", "Wait for a batch to fill. Critical never waits while a slot is free.", ge=0, le=60_000
    )

    critical: Rules | None = _setting(None, "Classes", "rules", _RULES.format("critical"))
    high: Rules | None = _setting(None, "Classes", "rules", _RULES.format("high"))
    normal: Rules | None = _setting(None, "Classes", "rules", _RULES.format("normal"))
    bulk: Rules | None = _setting(None, "Classes", "rules", _RULES.format("bulk"))
    type_fields: Rules | None = _setting(
        None, "Classes", "places", "Where an event's type stands, in order: header:<name>, json:<pointer>."
    )
    sample_key: Rules | None = _setting(
        None,
        "Classes",
        "places",
        "What events are kept or dropped by, where a class is thinned out: the first of these places that an event has,"
        " such as its session. Else the record's key, else its offset.",
    )

    critical_on_pressure: str = _setting(
        DEFAULTS[EventClass.CRITICAL], "Pressure", "list", _PRESSURE.format("critical", "keep, and nothing else")
    )
    high_on_pressure: str = _setting(
        DEFAULTS[EventClass.HIGH],
        "Pressure",
        "list",
        _PRESSURE.format("high", "keep, defer, or both: they wait where there is no other way"),
    )
    normal_on_pressure: str = _setting(
        DEFAULTS[EventClass.NORMAL],
        "Pressure",
        "list",
        _PRESSURE.format(
            "normal",
            "keep; defer: they wait, a topic of nothing else in Kafka; sample: a share is delivered, with its weight",
        ),
    )
    bulk_on_pressure: str = _setting(
        DEFAULTS[EventClass.BULK], "Pressure", "list", _PRESSURE.format("bulk", "as normal ones")
    )
    ladder_max: Literal["normal", "defer", "sample", "hold", "pause"] = _setting(
        "pause",
        "Pressure",
        "",
        "Highest rung that is taken by itself. Below hold no topic is held early, and below pause none gives memory"
        " back; a full buffer stops its topic all the same.",
    )
    parking_topic: str | None = _setting(
        None,
        "Pressure",
        "",
        "Topic that deferred records wait in, one for each group; none switches parking off. Left out:"
        " `tidegate.<group>.parked`, where _ stands for what a group's name may have and a topic's may not.",
        min_length=1,
    )
    parking_max_seconds: float = _setting(
        3600,
        "Pressure",
        "s",
        "Longest time that emptying the parking topic may be expected to take; beyond it, classes that may be sampled"
        " are.",
        gt=0,
        le=31_536_000,
        allow_inf_nan=False,
    )
    replay_headroom: float = _setting(
        0.2,
        "Pressure",
        "",
        "Share of what the target can do that is left free while parked records come back.",
        ge=0,
        lt=1,
        allow_inf_nan=False,
    )
    bulk_ttl_seconds: float | None = _setting(
        None,
        "Pressure",
        "s",
        "Age at which bulk events expire instead of being delivered late; with it, those whose header `ce_expirytime`"
        " has passed expire as well. Left out: none ever does.",
        gt=0,
        le=31_536_000,
        allow_inf_nan=False,
    )
    sample_seed: int = _setting(
        0,
        "Pressure",
        "",
        "Seed of which events are kept where a class is thinned out; the same in the whole fleet. Unsigned, 64 bits.",
        ge=0,
        le=(1 << 64) - 1,
    )

    memory_bytes: Size = _setting(
        96 << 20,
        "Limits",
        "bytes",
        "Budget for prefetch, buffers and in flight together.",
        ge=MINIMUM_BYTES,
        le=1 << 40,
    )
    drain_seconds: float = _setting(
        20,
        "Limits",
        "s",
        "To deliver what is buffered when asked to stop; below the session timeout.",
        ge=0,
        le=3600,
        allow_inf_nan=False,
    )
    simd: Literal["auto", "scalar", "sse2", "sse42", "avx2", "avx512", "neon"] | None = _setting(
        None, "Limits", "", "Force one form of the JSON scanner; left out, the fastest that the processor has."
    )

    ops_address: str = _setting(
        values.OPS_ADDRESS, "Operations", "host:port", "Probes and metrics; none switches them off."
    )
    admin_address: str = _setting(
        values.ADMIN_ADDRESS,
        "Operations",
        "host:port",
        "Where `tidegate drain` asks; loopback addresses only, none switches it off.",
    )
    allocator: Literal["auto", "system"] = _setting(
        "auto", "Operations", "", "auto: mimalloc where it is installed, a fifth less CPU; system: the C library's."
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "Operations", "", "Least level logged.")
    log_format: Literal["auto", "json", "console"] = _setting(
        "auto", "Operations", "", "auto: console on a terminal, JSON lines otherwise."
    )

    kafka: Mapping[str, SecretStr] = Field(
        default_factory=dict,
        description="librdkafka properties set through TIDEGATE_KAFKA_<PROPERTY>, by their own names.",
        json_schema_extra={"group": "", "unit": ""},
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is given: :func:`read` hands the environment over, so that tests cannot catch the shell's."""
        return (init_settings,)

    @model_validator(mode="before")
    @classmethod
    def _credentials_out_of_url(cls, data: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(data.get("sink_url"), str):
            return data
        url, authorization = values.split_credentials(data["sink_url"])
        # Both given: left in the URL, so that its own check complains and the other fields are still looked at.
        if authorization is None or data.get("sink_authorization"):
            return data
        return {**data, "sink_url": url, "sink_authorization": authorization}

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _bootstrap(cls, value: str | None) -> str | None:
        return None if value is None else values.check_bootstrap(value)

    @field_validator("topics")
    @classmethod
    def _topics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(values.check_topic(entry) for entry in value))

    @field_validator("sink_url")
    @classmethod
    def _sink_url(cls, value: str | None) -> str | None:
        return None if value is None else values.check_sink_url(value)

    @field_validator("sink_authorization")
    @classmethod
    def _sink_authorization(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else SecretStr(values.check_header_value(value.get_secret_value()))

    @field_validator("critical_on_pressure", "high_on_pressure", "normal_on_pressure", "bulk_on_pressure")
    @classmethod
    def _on_pressure(cls, value: str, field: ValidationInfo) -> str:
        assert field.field_name is not None
        Policy.parse(EventClass[field.field_name.split("_")[0].upper()], value)
        return value

    @field_validator("parking_topic")
    @classmethod
    def _parking_topic(cls, value: str | None) -> str | None:
        return None if value is None else values.check_topic_name(value)

    @field_validator("ops_address")
    @classmethod
    def _ops_address(cls, value: str) -> str:
        values.parse_listener(value)
        return value

    @field_validator("admin_address")
    @classmethod
    def _admin_address(cls, value: str) -> str:
        return values.check_loopback(value)

    @property
    def budget(self) -> Budget:
        """How ``memory_bytes`` is divided."""
        return Budget.from_bytes(self.memory_bytes)

    @property
    def ops_listener(self) -> tuple[str, int] | None:
        """``ops_address`` as (host, port); None when it is off."""
        return values.parse_listener(self.ops_address)

    @property
    def admin_listener(self) -> tuple[str, int] | None:
        """``admin_address`` as (host, port); None when it is off."""
        return values.parse_listener(self.admin_address)

    @property
    def parking_topic_name(self) -> str | None:
        """The topic that records are parked in; None: parking is switched off."""
        if self.parking_topic is None:
            return values.parking_topic_of(self.group_id)
        return None if self.parking_topic.lower() == "none" else self.parking_topic

    @property
    def policies(self) -> tuple[Policy, ...]:
        """What pressure may do, by class."""
        return tuple(Policy.parse(klass, getattr(self, f"{klass.label}_on_pressure")) for klass in CLASSES)

    @property
    def rule_overrides(self) -> dict[str, tuple[str, ...] | None]:
        """The four rule lists by class label, None where the built-in one stands; for ``vocabulary.resolve_rules``."""
        return {"critical": self.critical, "high": self.high, "normal": self.normal, "bulk": self.bulk}

    def secrets(self) -> list[str]:
        """Texts that must appear in no output."""
        from tidegate.kafka_names import is_secret

        found = []
        for name, value in self.kafka.items():
            if is_secret(name):
                text = value.get_secret_value()
                # librdkafka repeats the rest of what it cannot read of a list of key=value.
                found += [text, *(part for part in re.split(r"[\s,]+", text) if "=" in part)]
        if query := urlsplit(self.sink_url or "").query:
            found.append(query)
        if self.sink_authorization is not None:
            found += values.secrets_of_header(self.sink_authorization.get_secret_value())
        return found


RULE_FIELDS = ("critical", "high", "normal", "bulk", "type_fields", "sample_key")
SETTING_FIELDS = {name: field for name, field in Settings.model_fields.items() if name != "kafka"}
VARIABLES = {PREFIX + name.upper(): name for name in SETTING_FIELDS}


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings with their story: ``origins`` by field or ``kafka.<property>`` (none: default), and warnings to log."""

    settings: Settings
    origins: Mapping[str, str]
    warnings: tuple[str, ...]


def load(environ: Mapping[str, str], *, running: bool = False) -> Settings:
    """The settings that ``environ`` gives. See :func:`read`."""
    return read(environ, running=running).settings


def read(environ: Mapping[str, str], *, running: bool = False) -> Configuration:
    """Read and check everything at once.

    Args:
        environ: usually ``os.environ``; only ``TIDEGATE_*`` is looked at.
        running: also require what a real run needs (brokers, topics, a target).

    Raises:
        ConfigError: with every problem found, not just the first.
    """
    reading = environment.read(environ, VARIABLES.keys())
    problems = list(reading.problems)
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value.text for name, value in reading.settings.items()}
    fields = source()
    kafka = {name: SecretStr(value.text) for name, value in reading.kafka.items()}
    problems += config_checks.kafka_values(reading.kafka)
    problems += config_checks.rules({name: fields[name] for name in RULE_FIELDS if name in fields})
    settings: Settings | None = None
    try:
        settings = Settings(**fields, kafka=kafka)
    except ValidationError as error:
        problems += config_checks.explain(error, reading.settings, SETTING_FIELDS)
    if running:
        problems += config_checks.missing(reading)
    if settings is not None:
        more, warnings = config_checks.across(settings, reading.kafka)
        problems += more
        reading.warnings += warnings
    if problems or settings is None:
        raise _error(problems)
    origins = {VARIABLES[name]: value.origin for name, value in reading.settings.items()}
    if "sink_authorization" not in origins and settings.sink_authorization is not None:
        origins["sink_authorization"] = f"{PREFIX}SINK_URL"
    origins |= {f"kafka.{name}": value.origin for name, value in reading.kafka.items()}
    return Configuration(settings, origins, tuple(reading.warnings))


def _error(problems: list[Problem]) -> ConfigError:
    if len(problems) == 1:
        one = problems[0]
        return ConfigError(f"{one.where} {one.what}.", hint=one.todo)
    body = "\n".join(str(problem) for problem in problems)
    hint = config_checks.EXAMPLE if config_checks.nothing_is_set(problems) else None
    return ConfigError(f"The configuration has {len(problems)} problems:\n{body}", hint=hint)
