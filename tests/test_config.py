"""The whole way from an environment to settings, or to words about what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tidegate import config
from tidegate.config import SETTING_FIELDS, VARIABLES, Settings, load, read
from tidegate.config_docs import markdown
from tidegate.errors import ConfigError
from tidegate.pressure.policy import Policy

SECRET = "geheim-3141"
MIB = 1 << 20


def refused(environ: dict[str, str], *, running: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        load(environ, running=running)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_defaults() -> None:
    settings = load({})
    assert settings.group_id == "tidegate"
    assert settings.format == "ndjson"
    assert (settings.batch_max_records, settings.batch_max_bytes, settings.batch_linger_ms) == (500, MIB, 5)
    assert (settings.concurrency, settings.memory_bytes, settings.start) == (8, 96 * MIB, "earliest")
    assert settings.ops_listener == ("0.0.0.0", 9400)
    assert settings.rule_overrides == {"critical": None, "high": None, "normal": None, "bulk": None}
    assert settings.max_uncommitted_records == 131072
    assert settings.budget.total == settings.memory_bytes
    assert settings.policies == (Policy(), Policy(defer=True), Policy(defer=True), Policy(defer=True))
    assert settings.ladder_max == "pause"
    assert settings.parking_topic_name == "tidegate.tidegate.parked"
    assert (settings.replay_headroom, settings.parking_max_seconds) == (0.2, 3600)
    assert (settings.bulk_ttl_seconds, settings.sample_seed) == (None, 0)


def test_what_pressure_may_do_is_the_operators() -> None:
    settings = load(
        {
            "TIDEGATE_CRITICAL_ON_PRESSURE": "keep",
            "TIDEGATE_HIGH_ON_PRESSURE": "keep",
            "TIDEGATE_NORMAL_ON_PRESSURE": "defer, sample",
            "TIDEGATE_BULK_ON_PRESSURE": "sample",
        }
    )
    assert settings.policies == (Policy(), Policy(), Policy(defer=True, sample=True), Policy(sample=True))


def test_every_setting_says_what_it_is() -> None:
    for name, field in SETTING_FIELDS.items():
        assert field.description, name
        extra = field.json_schema_extra
        assert isinstance(extra, dict), name
        assert extra["group"], name
        for suffix in ("ms", "seconds", "bytes", "records"):
            assert not name.endswith(f"_{suffix}") or extra["unit"], name


def test_the_page_is_up_to_date() -> None:
    page = Path(__file__).parents[1] / "docs" / "settings.md"
    assert page.read_text() == markdown(), "docs/settings.md is out of date: make settings"


def test_texts_become_values() -> None:
    settings = load(
        {
            "TIDEGATE_TOPICS": r"orders, page-views,^shop\..*,orders",
            "TIDEGATE_MEMORY_BYTES": "64MiB",
            "TIDEGATE_BATCH_MAX_BYTES": "65536",
            "TIDEGATE_DRAIN_SECONDS": "2.5",
            "TIDEGATE_OPS_ADDRESS": "none",
            "TIDEGATE_SINK_URL": "http://app:8080/events",
            "TIDEGATE_GROUP_PROTOCOL": "consumer",
            "TIDEGATE_SIMD": "scalar",
            "TIDEGATE_GROUP_ID": "",
            "PATH": "/bin",
        }
    )
    assert settings.topics == ("orders", "page-views", r"^shop\..*")
    assert (settings.memory_bytes, settings.batch_max_bytes, settings.drain_seconds) == (64 * MIB, 65536, 2.5)
    assert settings.ops_listener is None
    assert (settings.group_id, settings.group_protocol, settings.simd) == ("tidegate", "consumer", "scalar")


def test_rule_lists_keep_their_escapes(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text("order.*\nkey:a\\,b,default\n")
    settings = load({"TIDEGATE_CRITICAL": r"purchase, topic:orders,key:x\,y", "TIDEGATE_BULK_FILE": str(rules)})
    assert settings.critical == ("purchase", "topic:orders", r"key:x\,y")
    assert settings.bulk == ("order.*", r"key:a\,b", "default")
    assert settings.high is None


def test_settings_are_frozen_and_ignore_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_GROUP_ID", "from-the-shell")
    settings = load({})
    assert settings.group_id == "tidegate"
    assert Settings().group_id == "tidegate"
    with pytest.raises(ValidationError):
        settings.group_id = "other"


# ---- names ----


def test_an_unknown_name_is_an_error_with_the_nearest() -> None:
    assert "TIDEGATE_BATCH_LINGER is not a setting" in (text := refused({"TIDEGATE_BATCH_LINGER": SECRET}))
    assert "Did you mean TIDEGATE_BATCH_LINGER_MS?" in text
    assert SECRET not in text
    assert "`tidegate config` lists" in refused({"TIDEGATE_QQQ": "1"})
    assert "TIDEGATE_SINK_AUTHORIZATION_FILE?" in refused({"TIDEGATE_SINK_AUTHORISATION_FILE": "x"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SASL_PASSWORD_FILE", "KAFKA_SASL_PASSWORD_FILE"),
        ("SESSION_TIMEOUT_MS", "KAFKA_SESSION_TIMEOUT_MS"),
        ("BOOTSTRAP_SERVER", "KAFKA_BOOTSTRAP_SERVERS"),
        ("KAFKA_TOPICS", "TOPICS"),
        ("KAFKA_TOPIC", "TOPICS"),
        ("KAFKA_sasl_password", "KAFKA_SASL_PASSWORD"),
        ("topics", "TOPICS"),
    ],
)
def test_the_nearest_is_found_on_either_side_of_kafka(name: str, meant: str) -> None:
    assert f"Did you mean TIDEGATE_{meant}?" in refused({f"TIDEGATE_{name}": SECRET})


@pytest.mark.parametrize("name", ["TIDEGATE_", "TIDEGATE_kafka_x", "TIDEGATE_TOPICS_FILE_FILE", "TIDEGATE_KAFKA_"])
def test_odd_names_are_unknown(name: str) -> None:
    assert f"{name} is not a" in refused({name: "x"})


@pytest.mark.parametrize(
    "name", ["TIDEGATE_DEBUG", "TIDEGATE_NATIVE", "TIDEGATE_SANITIZE", "TIDEGATE_WERROR", "TIDEGATE_TEST_KAFKA"]
)
def test_the_builds_own_variables_are_left_alone(name: str) -> None:
    assert read({name: "1"}).warnings == ()


def test_service_links_are_ignored_with_one_warning() -> None:
    links = {
        "TIDEGATE_PORT": "tcp://10.0.0.1:9400",
        "TIDEGATE_SERVICE_HOST": "10.0.0.1",
        "TIDEGATE_SERVICE_PORT": "9400",
        "TIDEGATE_SERVICE_PORT_OPS": "9400",
        "TIDEGATE_PORT_9400_TCP": "tcp://10.0.0.1:9400",
        "TIDEGATE_PORT_9400_TCP_ADDR": "10.0.0.1",
        "TIDEGATE_METRICS_SERVICE_HOST": "10.0.0.1",
        "TIDEGATE_METRICS_PORT": "tcp://10.0.0.1:9400",
        "TIDEGATE_METRICS_PORT_9400_TCP_PROTO": "tcp",
        "TIDEGATE_KAFKA_SERVICE_HOST": "10.0.0.1",
        "TIDEGATE_KAFKA_PORT": "tcp://10.0.0.1:9092",
    }
    configuration = read(links)
    (warning,) = configuration.warnings
    assert "11 variables" in warning
    assert "enableServiceLinks: false" in warning
    assert configuration.settings == load({})


@pytest.mark.parametrize("name", ["TIDEGATE_PORTS", "TIDEGATE_METRICS_PORT", "TIDEGATE_SERVICES"])
def test_what_only_resembles_a_service_link_is_unknown(name: str) -> None:
    assert name in refused({name: "9400"})


@pytest.mark.parametrize("name", ["GROUP_ID", "TOPICS", "SINK_AUTHORIZATION", "KAFKA_CLIENT_ID", "GROUP_ID_FILE"])
def test_what_is_not_utf8_is_said(name: str) -> None:
    assert f"TIDEGATE_{name} is not UTF-8" in refused({f"TIDEGATE_{name}": "a\udcff"}), "as os.environ has it"


# ---- files ----


def test_any_value_can_come_from_a_file(tmp_path: Path) -> None:
    token, size = tmp_path / "token", tmp_path / "size"
    token.write_bytes(b"Bearer " + SECRET.encode() + b"\r\n")
    size.write_text("32MiB\n")
    configuration = read({"TIDEGATE_SINK_AUTHORIZATION_FILE": str(token), "TIDEGATE_MEMORY_BYTES_FILE": str(size)})
    settings = configuration.settings
    assert settings.sink_authorization is not None
    assert settings.sink_authorization.get_secret_value() == f"Bearer {SECRET}"
    assert settings.memory_bytes == 32 * MIB
    assert configuration.origins["memory_bytes"] == f"file {size}"


def test_both_at_once_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("a")
    text = refused({"TIDEGATE_GROUP_ID": "a", "TIDEGATE_GROUP_ID_FILE": str(file)})
    assert "TIDEGATE_GROUP_ID_FILE and TIDEGATE_GROUP_ID are both set" in text
    assert load({"TIDEGATE_GROUP_ID": "", "TIDEGATE_GROUP_ID_FILE": str(file)}).group_id == "a"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b"x" * (MIB + 1), "1 MiB"),
        (b"pass\0word", "a NUL byte"),
    ],
    ids=["absent", "empty", "blank", "binary", "huge", "nul"],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, why: str) -> None:
    file = tmp_path / "value"
    if content is not None:
        file.write_bytes(content)
    text = refused({"TIDEGATE_GROUP_ID_FILE": str(file)})
    assert f"TIDEGATE_GROUP_ID_FILE={file} cannot be read" in text
    assert why in text


@pytest.mark.parametrize("name", ["SINK_AUTHORIZATION", "SINK_URL", "KAFKA_SASL_PASSWORD", "KAFKA_SSL_KEY_PEM"])
def test_a_secret_given_in_place_of_its_path_is_not_repeated(name: str) -> None:
    text = refused({f"TIDEGATE_{name}_FILE": SECRET})
    assert f"TIDEGATE_{name}_FILE cannot be read" in text
    assert SECRET not in text
    assert "/run/secrets/none" in refused({f"TIDEGATE_{name}_FILE": "/run/secrets/none"})
    assert len(refused({f"TIDEGATE_{name}_FILE": "/" + "x" * 5000})) < 400


def test_a_faulty_value_from_a_file_is_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "mistaken"
    file.write_text(SECRET)
    text = refused({"TIDEGATE_CONCURRENCY_FILE": str(file)})
    assert f"TIDEGATE_CONCURRENCY_FILE (file {file}) is not a whole number" in text
    assert SECRET not in text


# ---- values ----


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CONCURRENCY", "abc", "is not a whole number"),
        ("CONCURRENCY", "0", "too small: at least 1 requests"),
        ("BATCH_LINGER_MS", "60001", "too large: at most 60000 ms"),
        ("MEMORY_BYTES", "15MiB", "too small: at least 16MiB"),
        ("MEMORY_BYTES", "lots", "is not a size"),
        ("FORMAT", "xml", "is not one of ndjson, json, envelope"),
        ("DRAIN_SECONDS", "nan", "is not a number"),
        ("DRAIN_SECONDS", "soon", "is not a number"),
        ("OPS_ADDRESS", "9400", "is not an address"),
        ("ADMIN_ADDRESS", "9401", "is not an address"),
        ("ADMIN_ADDRESS", "0.0.0.0:9401", "is not a loopback address"),
        ("ADMIN_ADDRESS", "[::]:9401", "is not a loopback address"),
        ("ADMIN_ADDRESS", "localhost.example:9401", "is not a loopback address"),
        ("SINK_URL", "gopher://x", "unknown kind of target"),
        ("TOPICS", "a b", "a topic that Kafka does not allow"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka:port", "not host:port"),
        ("TOPICS", ",", "lists nothing"),
        ("TOPICS", "orders,^shop(", "a regular expression that is not right: '^shop(' (Unmatched"),
        ("KAFKA_BOOTSTRAP_SERVERS", " , ", "lists nothing"),
        ("SINK_URL", "http://app:0/", "port 0"),
        ("SIMD", "mmx", "is not one of auto, scalar, sse2, sse42, avx2, avx512, neon"),
        ("MAX_UNCOMMITTED_RECORDS", "10", "at least 1024 records per partition"),
        ("CRITICAL_ON_PRESSURE", "defer", "has defer, which critical events are never to bear: only keep"),
        ("CRITICAL_ON_PRESSURE", "keep,sample", "has sample, which critical events are never to bear: only keep"),
        ("HIGH_ON_PRESSURE", "sample", "has sample, which high events are never to bear: only keep, defer"),
        ("BULK_ON_PRESSURE", "drop", "has 'drop', which is none of keep, defer and sample"),
        ("NORMAL_ON_PRESSURE", "defer,", "has '', which is none of keep, defer and sample"),
        ("LADDER_MAX", "high", "is not one of normal, defer, sample, hold, pause"),
        ("PARKING_TOPIC", "^parked", "is not a topic's name"),
        ("PARKING_TOPIC", "..", "is not a topic's name"),
        ("PARKING_TOPIC", "p" * 250, "at most 249"),
        ("PARKING_MAX_SECONDS", "0", "is too small: more than 0 s"),
        ("PARKING_MAX_SECONDS", "inf", "is not a number"),
        ("REPLAY_HEADROOM", "-0.1", "is too small: at least 0"),
        ("REPLAY_HEADROOM", "1", "is too large: less than 1"),
        ("REPLAY_HEADROOM", "nan", "is not a number"),
        ("BULK_TTL_SECONDS", "0", "is too small: more than 0 s"),
        ("BULK_TTL_SECONDS", "never", "is not a number"),
        ("SAMPLE_SEED", "-1", "is too small: at least 0"),
        ("SAMPLE_SEED", "18446744073709551616", "is too large: at most 18446744073709551615"),
        ("SAMPLE_SEED", "0x10", "is not a whole number"),
    ],
)
def test_wrong_values_are_explained(name: str, value: str, words: str) -> None:
    text = refused({f"TIDEGATE_{name}": value})
    assert text.startswith(f"TIDEGATE_{name}")
    assert words in text
    assert len(text.splitlines()) == 2, "what, and what to do"


def test_all_problems_are_told_at_once() -> None:
    text = refused(
        {
            "TIDEGATE_TOPIC": "x",
            "TIDEGATE_FORMAT": "xml",
            "TIDEGATE_CONCURRENCY": "abc",
            "TIDEGATE_KAFKA_GROUP_ID": "x",
            "TIDEGATE_KAFKA_FETCH_WAIT_MAX_MS": "abc",
            "TIDEGATE_GROUP_ID_FILE": "/nowhere/at/all",
            "TIDEGATE_SINK_URL_FILE": "/nowhere/either",
        },
        running=True,
    )
    assert text.startswith("The configuration has 9 problems:")
    for name in (
        "TOPIC ",
        "FORMAT=xml",
        "CONCURRENCY=abc",
        "KAFKA_GROUP_ID ",
        "KAFKA_FETCH_WAIT_MAX_MS",
        "GROUP_ID_FILE",
    ):
        assert f"TIDEGATE_{name}" in text
    assert "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS is not set" in text
    assert "TIDEGATE_TOPICS is not set" in text
    assert "TIDEGATE_SINK_URL is not set" not in text, "its file's complaint is enough"


def test_neither_rules_nor_credentials_keep_other_problems_back() -> None:
    text = refused(
        {
            "TIDEGATE_FORMAT": "xml",
            "TIDEGATE_SINK_URL": f"http://shop:{SECRET}@app/",
            "TIDEGATE_SINK_AUTHORIZATION": "Bearer x",
            "TIDEGATE_CRITICAL": "default,json:no-pointer,good\\,one",
            "TIDEGATE_TYPE_FIELDS": "key:x",
            "TIDEGATE_SAMPLE_KEY": "session_id",
        }
    )
    assert text.startswith("The configuration has 5 problems:")
    assert "TIDEGATE_CRITICAL: A JSON pointer starts with '/'.\n  json:no-pointer\n       ^\n  Write" in text
    for name in (
        "FORMAT=xml",
        "SINK_URL holds",
        "TYPE_FIELDS: A type field",
        "SAMPLE_KEY: A place of the sampling key",
    ):
        assert f"TIDEGATE_{name}" in text
    assert SECRET not in text


def test_only_a_run_needs_brokers_topics_and_a_target() -> None:
    assert load({}).sink_url is None
    text = refused({}, running=True)
    assert [name for name in VARIABLES if f"{name} is not set" in text] == [
        "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS",
        "TIDEGATE_TOPICS",
        "TIDEGATE_SINK_URL",
    ]


def test_parking_is_configured() -> None:
    settings = load(
        {
            "TIDEGATE_PARKING_TOPIC": "later",
            "TIDEGATE_PARKING_MAX_SECONDS": "0.5",
            "TIDEGATE_REPLAY_HEADROOM": "0",
            "TIDEGATE_BULK_TTL_SECONDS": "90",
            "TIDEGATE_SAMPLE_SEED": str((1 << 64) - 1),
        }
    )
    assert settings.parking_topic_name == "later"
    assert (settings.parking_max_seconds, settings.replay_headroom) == (0.5, 0)
    assert (settings.bulk_ttl_seconds, settings.sample_seed) == (90, (1 << 64) - 1)


@pytest.mark.parametrize("word", ["none", "None", "NONE"])
def test_parking_can_be_switched_off(word: str) -> None:
    settings = load({"TIDEGATE_PARKING_TOPIC": word, "TIDEGATE_TOPICS": "^.*", "TIDEGATE_GROUP_ID": "g" * 400})
    assert settings.parking_topic_name is None


def test_a_group_gives_its_parking_topic_a_name_that_kafka_allows() -> None:
    odd = load({"TIDEGATE_GROUP_ID": "shop/eu west:1_ü.-Z9"})
    assert odd.parking_topic_name == "tidegate.shop_eu_west_1__.-Z9.parked"
    longest = "g" * (249 - len("tidegate..parked"))
    assert len(load({"TIDEGATE_GROUP_ID": longest}).parking_topic_name or "") == 249
    text = refused({"TIDEGATE_GROUP_ID": longest + "g"})
    assert text.startswith("TIDEGATE_PARKING_TOPIC is tidegate.ggg")
    assert "where it is not set, which has 250 characters; a topic's name has 249 at most" in text
    assert "TIDEGATE_PARKING_TOPIC=none" in text
    assert load({"TIDEGATE_GROUP_ID": longest + "g", "TIDEGATE_PARKING_TOPIC": "p" * 249}).parking_topic_name


# ---- settings against each other ----


@pytest.mark.parametrize(
    ("topics", "parking", "words"),
    [
        ("a,later", "later", "TIDEGATE_PARKING_TOPIC is one of TIDEGATE_TOPICS: what is parked"),
        ("a,^lat", "later", "TIDEGATE_PARKING_TOPIC is matched by ^lat in TIDEGATE_TOPICS: what is parked"),
        ("^[[:alpha:]]+$", "later", "is matched by ^[[:alpha:]]+$ in"),
        ("^.*", "", "is tidegate.tidegate.parked where it is not set, which is matched by ^.* in TIDEGATE_TOPICS"),
        ("tidegate.tidegate.parked", "", "where it is not set, which is one of TIDEGATE_TOPICS"),
    ],
)
def test_what_is_parked_is_not_read_as_new(topics: str, parking: str, words: str) -> None:
    text = refused({"TIDEGATE_TOPICS": topics, "TIDEGATE_PARKING_TOPIC": parking})
    assert words in text
    assert text.endswith("Name another topic, or switch parking off: TIDEGATE_PARKING_TOPIC=none.")


@pytest.mark.parametrize("topics", ["later.1,^later.+", "^lat$", "^Later", "^[[:digit:]]"])
def test_a_source_that_only_resembles_the_parking_topic_is_right(topics: str) -> None:
    assert load({"TIDEGATE_TOPICS": topics, "TIDEGATE_PARKING_TOPIC": "later"}).parking_topic_name == "later"


def test_draining_ends_before_the_session() -> None:
    assert "TIDEGATE_DRAIN_SECONDS=45 is not below the session timeout of 45 s" in refused(
        {"TIDEGATE_DRAIN_SECONDS": "45"}
    )
    assert load({"TIDEGATE_DRAIN_SECONDS": "45", "TIDEGATE_KAFKA_SESSION_TIMEOUT_MS": "60000"}).drain_seconds == 45
    configuration = read({"TIDEGATE_DRAIN_SECONDS": "60", "TIDEGATE_GROUP_PROTOCOL": "consumer"})
    assert "group.consumer.session.timeout.ms" in configuration.warnings[0]


def test_a_short_session_is_warned_of() -> None:
    environ = {"TIDEGATE_KAFKA_SESSION_TIMEOUT_MS": "29999", "TIDEGATE_DRAIN_SECONDS": "5"}
    assert "below 30000" in read(environ).warnings[0]
    assert read({"TIDEGATE_KAFKA_SESSION_TIMEOUT_MS": "30000"}).warnings == ()


def test_a_batch_fits_into_what_may_be_in_flight() -> None:
    text = refused({"TIDEGATE_BATCH_MAX_BYTES": "5MiB", "TIDEGATE_MEMORY_BYTES": "16MiB"})
    assert "TIDEGATE_BATCH_MAX_BYTES=5MiB is more than the 2" in text


def test_the_poll_interval_is_not_below_the_session() -> None:
    assert "below the session timeout" in refused({"TIDEGATE_KAFKA_MAX_POLL_INTERVAL_MS": "30000"})
    load({"TIDEGATE_KAFKA_MAX_POLL_INTERVAL_MS": "30000", "TIDEGATE_GROUP_PROTOCOL": "consumer"})


# ---- secrets ----


def test_credentials_in_the_url_become_a_header() -> None:
    configuration = read({"TIDEGATE_SINK_URL": f"http://shop:{SECRET}@app/"})
    settings = configuration.settings
    assert settings.sink_url == "http://app/"
    assert settings.sink_authorization is not None
    assert configuration.origins["sink_authorization"] == "TIDEGATE_SINK_URL"
    assert SECRET in settings.secrets()
    text = refused({"TIDEGATE_SINK_URL": f"http://shop:{SECRET}@app/", "TIDEGATE_SINK_AUTHORIZATION": "Bearer x"})
    assert "holds user:password@, and TIDEGATE_SINK_AUTHORIZATION is set as well" in text


@pytest.mark.parametrize(
    "environ",
    [
        {"TIDEGATE_SINK_URL": f"http://shop:{SECRET}@app/"},
        {"TIDEGATE_SINK_AUTHORIZATION": f"Bearer {SECRET}"},
        {"TIDEGATE_KAFKA_SASL_PASSWORD": SECRET},
        {"TIDEGATE_KAFKA_SSL_KEY_PEM": SECRET},
        {"TIDEGATE_KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET": SECRET},
        {"TIDEGATE_SINK_URL": f"http://app/?key={SECRET}"},
    ],
)
def test_secrets_show_nowhere(environ: dict[str, str]) -> None:
    configuration = read(environ)
    assert SECRET not in repr(configuration) + str(configuration.settings)
    assert any(SECRET in secret for secret in configuration.settings.secrets())


def test_parts_of_a_secret_list_are_secrets() -> None:
    """librdkafka: Unrecognized sasl.oauthbearer.config beginning at: …"""
    settings = load({"TIDEGATE_KAFKA_SASL_OAUTHBEARER_CONFIG": f"principal=shop token={SECRET}"})
    assert f"token={SECRET}" in settings.secrets()


@pytest.mark.parametrize(
    "environ",
    [
        {"TIDEGATE_SINK_URL": f"ftp://shop:{SECRET}@app/"},
        {"TIDEGATE_SINK_URL": f"http://shop:{SECRET}@app:port/"},
        {"TIDEGATE_SINK_AUTHORIZATION": f"Bearer {SECRET}\nX-Evil: 1"},
        {"TIDEGATE_SASL_PASSWORD": SECRET},
        {"TIDEGATE_KAFKA_SASL_PASSWRD": SECRET},
        {"TIDEGATE_KAFKA_SSL_KEY": SECRET},
    ],
)
def test_secrets_are_not_repeated_in_errors(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environ)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or SECRET not in repr(caught.value.__context__)


def test_the_module_has_no_second_table() -> None:
    assert set(VARIABLES.values()) == set(SETTING_FIELDS) == set(config.Settings.model_fields) - {"kafka"}
