"""The command line as a user meets it: real processes, exit codes, what goes to which stream."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import tidegate
from harness.ports import free_ports
from harness.terminal import lines_on_terminal
from tidegate.broker.embedded import EmbeddedBroker
from tidegate.config import VARIABLES

SECRET = "geheim-2718"


def tidegate_run(*arguments: str, stdin: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tidegate", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(**environ),
    )


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TIDEGATE_") or k == "TIDEGATE_TEST_SANITIZED"}
    return kept | {f"TIDEGATE_{k}": v for k, v in more.items()}


def shell(command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False, env=environment() | environ
    )


def test_version() -> None:
    done = tidegate_run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"tidegate {tidegate.__version__}\n", "")
    assert tidegate_run("--version", FORMAT="xml").returncode == 0


def test_version_imports_nothing_heavy() -> None:
    code = "import sys; sys.argv[1:] = ['--version']; from tidegate.__main__ import main; main(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[1].split())
    assert not loaded & {"typer", "pydantic", "rich", "aiohttp", "confluent_kafka", "asyncio", "tidegate.core.scan"}


def test_the_console_script_is_the_same() -> None:
    script = Path(sys.executable).parent / "tidegate"
    if not script.exists():
        pytest.skip("not installed into this environment; make build does")
    assert subprocess.run([script, "--version"], capture_output=True, text=True, check=True).stdout.startswith(
        "tidegate "
    )


def test_help_goes_to_stdout() -> None:
    done = tidegate_run("--help")
    assert done.returncode == 0
    for command in ("run", "demo", "validate", "config", "health", "drain", "pressure", "parked", "sample"):
        assert command in done.stdout
    assert "--until-end" in tidegate_run("run", "--help").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["rum"],
        ["run", "--no-such"],
        ["config", "--format", "xml"],
        ["health", "alive"],
        ["health", "live", "ready"],
        ["drain", "--timeout", "soon"],
        ["pressure", "set", "auto"],
        ["pressure", "set"],
        ["pressure", "lower"],
        ["parked", "lost"],
        ["parked", "list", "--limit", "some"],
        ["sample", "--topic", "a b"],
        ["sample", "--count", "0"],
        ["sample", "--from", "middle"],
        ["sample", "--wait", "long"],
    ],
)
def test_wrong_usage_is_exit_2(arguments: list[str]) -> None:
    done = tidegate_run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_a_run_without_settings_says_all_that_is_missing() -> None:
    done = tidegate_run("run")
    assert (done.returncode, done.stdout) == (2, "")
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "TOPICS", "SINK_URL"):
        assert f"TIDEGATE_{name} is not set" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) < 24, "one screen"


def test_a_bad_configuration_is_exit_2_for_every_command() -> None:
    for command in ("run", "validate", "config"):
        done = tidegate_run(command, BATCH_LINGER="5")
        assert (done.returncode, done.stdout) == (2, "")
        assert "Did you mean TIDEGATE_BATCH_LINGER_MS?" in done.stderr


def test_an_unexpected_exception_is_exit_1_with_a_traceback() -> None:
    code = (
        "import sys; sys.argv[1:] = ['config']\n"
        "import tidegate.config_show as s\n"
        "def broken(_): password = 'geheim-2718'; raise RuntimeError('a bug')\n"
        "s.print_table = broken\n"
        "from tidegate.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 1
    assert "RuntimeError: a bug" in done.stderr
    assert SECRET not in done.stderr.replace("password = 'geheim-2718'", ""), "no local variables"


# ---- health and drain; with a sidecar: tests/ops/test_drain.py ----


def test_health_imports_nothing_heavy() -> None:
    code = "import sys; sys.argv[1:] = ['health']; from tidegate.__main__ import main; main(); print(*sys.modules)"
    env = environment(OPS_ADDRESS=f"127.0.0.1:{free_ports(1)[0]}")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    answer, modules = done.stdout.splitlines()
    assert answer.startswith("not live: no answer from 127.0.0.1:")
    heavy = {"typer", "pydantic", "rich", "aiohttp", "confluent_kafka", "asyncio", "http.client", "tidegate.core.scan"}
    assert not set(modules.split()) & heavy


@pytest.mark.parametrize(
    ("command", "variable"), [("health", "OPS_ADDRESS"), ("drain", "ADMIN_ADDRESS"), ("pressure show", "ADMIN_ADDRESS")]
)
def test_asking_without_a_usable_address_is_exit_2(command: str, variable: str, tmp_path: Path) -> None:
    for address, words in (
        ("none", "is none: there is nobody to ask"),
        ("9400", "is not an address"),
        ("a:0", "port 0"),
    ):
        done = tidegate_run(*command.split(), **{variable: address})
        assert (done.returncode, done.stdout) == (2, "")
        assert f"TIDEGATE_{variable} " in done.stderr
        assert words in done.stderr
    port = free_ports(1)[0]
    (tmp_path / "address").write_text(f"[::]:{port}\n")
    done = tidegate_run(*command.split(), **{f"{variable}_FILE": str(tmp_path / "address")})
    assert done.returncode == 1
    assert f"no answer from [::1]:{port}: " in done.stdout
    assert tidegate_run(*command.split(), **{f"{variable}_FILE": str(tmp_path / "none")}).returncode == 2


def test_what_answers_is_not_tidegate() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            for _ in range(2):
                connection, _ = other.accept()
                connection.recv(1000)
                connection.sendall(b"220 mail.example\r\n")
                connection.close()

        threading.Thread(target=greet, daemon=True).start()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        done = tidegate_run("health", OPS_ADDRESS=address)
        assert (done.returncode, done.stdout.count("not tidegate")) == (1, 1)
        done = tidegate_run("drain", ADMIN_ADDRESS=address)
        assert (done.returncode, done.stdout.count("not tidegate")) == (1, 1)


def test_nobody_is_waited_for_longer_than_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        done = tidegate_run("drain", "--timeout", "500ms", ADMIN_ADDRESS=f"127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - begun < 3
    assert done.returncode == 1
    assert re.fullmatch(r"not drained within 0\.5 s: 127\.0\.0\.1:\d+ does not answer\n", done.stdout)


# ---- config ----


def test_config_as_json_tells_values_and_origins(tmp_path: Path) -> None:
    file = tmp_path / "group"
    file.write_text("shop\n")
    done = tidegate_run(
        "config", "--format", "json", CONCURRENCY="4", GROUP_ID_FILE=str(file), SINK_URL=f"http://u:{SECRET}@h/"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    settings = told["settings"]
    assert settings["TIDEGATE_CONCURRENCY"]["value"] == "4"
    assert settings["TIDEGATE_CONCURRENCY"]["origin"] == "environment"
    assert (settings["TIDEGATE_GROUP_ID"]["value"], settings["TIDEGATE_GROUP_ID"]["origin"]) == ("shop", f"file {file}")
    assert (
        settings["TIDEGATE_MEMORY_BYTES"] | {"value": "96MiB", "unit": "bytes", "origin": "default"}
        == (settings["TIDEGATE_MEMORY_BYTES"])
    )
    assert settings["TIDEGATE_SINK_URL"]["value"] == "http://h/"
    assert settings["TIDEGATE_SINK_AUTHORIZATION"]["value"] == "***"
    assert told["kafka"]["group.id"]["value"] == "shop"


@pytest.mark.parametrize("form", ["table", "env", "json"])
def test_config_masks_secrets(form: str) -> None:
    done = tidegate_run(
        "config",
        "--format",
        form,
        KAFKA_SASL_PASSWORD=SECRET,
        SINK_AUTHORIZATION=f"Bearer {SECRET}",
        KAFKA_SASL_USERNAME="shop",
        KAFKA_SECURITY_PROTOCOL="sasl_ssl",
        KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL=f"https://shop:{SECRET}@id/token",
        SINK_URL=f"http://app/events?key={SECRET}",
    )
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert done.stdout.count("***") == 3
    for shown in ("sasl_ssl", "https://id/token", "http://app/events?***"):
        assert shown in done.stdout


def test_config_as_environment_gives_the_same_configuration_again() -> None:
    given = {"TOPICS": "orders,^a{1\\,2}", "KAFKA_CLIENT_RACK": "it's a rack", "DRAIN_SECONDS": "2.5", "SIMD": "scalar"}
    first = tidegate_run("config", "--format", "env", **given)
    assert first.returncode == 0, first.stderr
    script = f"set -a; {first.stdout}\nexec {sys.executable} -m tidegate config --format env"
    again = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=environment())
    assert again.stdout == first.stdout
    assert "TIDEGATE_KAFKA_CLIENT_RACK='it'\"'\"'s a rack'" in first.stdout


def test_a_locale_without_the_characters_is_no_fault() -> None:
    told = shell(shlex.join([sys.executable, "-m", "tidegate", "config"]), PYTHONIOENCODING="latin-1")
    assert (told.returncode, told.stderr) == (0, "")


def test_a_table_without_a_terminal_is_not_cut() -> None:
    topics = ",".join(f"topic-{i}" for i in range(200))
    assert topics in tidegate_run("config", TOPICS=topics).stdout


def test_a_table_on_a_narrow_terminal_folds_values_and_keeps_names() -> None:
    lines = lines_on_terminal([sys.executable, "-m", "tidegate", "config"], environment(TOPICS="a" * 100))
    assert max(map(len, lines)) <= 80
    assert {line.split(" ")[0] for line in lines} >= set(VARIABLES)
    assert "".join(lines).count("a" * 30) == 3
    assert "…" not in "".join(lines)


def test_a_reader_that_leaves_early_is_no_traceback() -> None:
    command = f"{sys.executable} -m tidegate config | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=environment())
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("config",), ("config", "--format", "json")])
@pytest.mark.parametrize("redirect", [">/dev/full", ">&-"])
def test_an_answer_that_cannot_be_written_is_exit_1_and_one_line(arguments: tuple[str, ...], redirect: str) -> None:
    done = shell(f"{shlex.join([sys.executable, '-m', 'tidegate', *arguments])} {redirect}")
    assert done.returncode == 1
    assert done.stderr.startswith("tidegate: standard output cannot be written: ")
    assert len(done.stderr.splitlines()) == 1


def test_closed_streams_do_not_hide_the_exit_code() -> None:
    command = shlex.join([sys.executable, "-m", "tidegate", "validate"])
    assert shell(f"{command} 2>&- <&-", TIDEGATE_FORMAT="xml").returncode == 2
    assert shell(f"{command} 2>&- <&-").stdout == "ok\n"


def test_a_run_without_standard_streams_runs() -> None:
    """Its sockets must not take their numbers: libuv aborts the process for that."""
    with EmbeddedBroker({"t": 1}) as broker:
        environ = {
            "TIDEGATE_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "TIDEGATE_TOPICS": "t",
            "TIDEGATE_SINK_URL": "blackhole:",
            "TIDEGATE_OPS_ADDRESS": "127.0.0.1:0",
            "TIDEGATE_ADMIN_ADDRESS": "none",
        }
        command = f"exec {shlex.join([sys.executable, '-m', 'tidegate', 'run', '--until-end'])}"
        assert shell(f"{command} <&- 2>&-", TIDEGATE_GROUP_ID="one", **environ).returncode == 0
        done = shell(f"{command} <&- >&-", TIDEGATE_GROUP_ID="another", **environ)
        assert (done.returncode, done.stdout) == (1, ""), "the summary was asked for and got lost"
        assert "Traceback" not in done.stderr


# ---- validate ----


def test_validate_prints_ok() -> None:
    done = tidegate_run("validate")
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr


def test_validate_tells_warnings_on_stderr() -> None:
    done = tidegate_run("validate", PORT="tcp://10.0.0.1:9400")
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
    assert "enableServiceLinks" in done.stderr


def test_validate_finds_what_librdkafka_would_refuse_at_the_start() -> None:
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "TOPICS": "t",
        "SINK_URL": "blackhole:",
        "OPS_ADDRESS": "none",
        "ADMIN_ADDRESS": "none",
    }
    done = [tidegate_run(c, KAFKA_SECURITY_PROTOCOL="sasl_ssl", **settings) for c in ("validate", "run")]
    assert [one.returncode for one in done] == [2, 2]
    assert "No provider for SASL mechanism GSSAPI" in done[0].stderr
    assert done[0].stderr == done[1].stderr


def test_validate_checks_the_rules_and_names_the_variable() -> None:
    done = tidegate_run("validate", CRITICAL="purchase,json:no-pointer=1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "TIDEGATE_CRITICAL" in done.stderr
    assert "^" in done.stderr


def test_validate_warns_of_a_rule_in_two_classes() -> None:
    done = tidegate_run("validate", HIGH="x y,z", BULK="X_Y,z")
    assert (done.returncode, done.stdout) == (0, "ok\n")
    assert "TIDEGATE_BULK: X_Y is in TIDEGATE_HIGH (there as x y) as well" in done.stderr
    assert "TIDEGATE_BULK: z is in TIDEGATE_HIGH as well" in done.stderr
    assert tidegate_run("validate", HIGH="x", BULK="default,json:/a=x,key:x").stderr == ""


def test_validate_tries_the_rules_on_samples(tmp_path: Path) -> None:
    lines = [
        {"topic": "t", "value": json.dumps({"event": "my own"})},
        {"topic": "t", "value": "{broken"},
        {"topic": "t", "key": "k", "headers": {"priority": "low"}, "value_base64": "e30="},
    ]
    samples = tmp_path / "samples"
    samples.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rules = {"CRITICAL": "default,my_own", "BULK": "header:priority=low"}
    done = tidegate_run("validate", "--samples", str(samples), **rules)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [set(one) for one in told] == [{"class", "type", "where", "rule", "valid"}] * 3
    assert [one["class"] for one in told] == ["critical", "high", "bulk"]
    assert [one["valid"] for one in told] == [True, False, True]
    assert (told[0]["type"], told[1]["type"]) == ("my own", None)
    piped = tidegate_run("validate", "--samples", "-", stdin=samples.read_text(), **rules)
    assert piped.stdout == done.stdout


def test_validate_tells_what_the_format_in_force_makes_of_an_event() -> None:
    line = json.dumps({"topic": "t", "value": '{"event":"purchase","price":NaN}'})
    told = {f: tidegate_run("validate", "--samples", "-", stdin=line, FORMAT=f).stdout for f in ("ndjson", "json")}
    assert {f: json.loads(text)["class"] for f, text in told.items()} == {"ndjson": "critical", "json": "high"}


def test_validate_names_samples_that_cannot_be_read(tmp_path: Path) -> None:
    done = tidegate_run("validate", "--samples", str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (2, "")
    assert str(tmp_path / "none") in done.stderr


def test_validate_stops_at_a_line_that_is_no_sample() -> None:
    done = tidegate_run("validate", "--samples", "-", stdin='{"topic":"t"}\nnonsense\n{"topic":"t"}\n')
    assert (done.returncode, done.stdout.count("\n")) == (2, 1)
    assert "Line 2 " in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_is_no_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tidegate", "validate", "--samples", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background inherits it ignored
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write('{"topic":"t","value":"{}"}\n')
    process.stdin.flush()
    assert process.stdout.readline().startswith("{"), "each line is answered as it comes"
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Traceback" not in told
