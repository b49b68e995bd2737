"""`tidegate config`: where each value came from; what it prints for a shell is the same configuration again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from errors.processes import environment, tidegate
from harness.terminal import lines_on_terminal

SECRET = "geheim-2718"


def given(where: Path) -> dict[str, object]:
    """Settings of every origin: variables, files, a secret in a file, a property of librdkafka, the rest defaults."""
    (where / "group").write_text("it's a shop\n")
    (where / "password").write_text(f"{SECRET}\n")
    (where / "token").write_text(f"Bearer {SECRET}\n")
    return {
        "topics": "orders,^a{1\\,2}",
        "group_id_file": where / "group",
        "kafka_sasl_password_file": where / "password",
        "kafka_client_rack": "it's $HOME `rack`",
        "sink_authorization_file": where / "token",
        "sink_url": "http://app/events",
        "critical": "default,header:priority=high",
        "drain_seconds": "2.5",
    }


def again(printed: str, *arguments: str) -> str:
    """Pastes what was printed into a shell, and runs tidegate there."""
    script = f"set -a\n{printed}\nexec {sys.executable} -m tidegate {' '.join(arguments)}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=environment())
    return done.stdout


def test_where_each_value_came_from(tmp_path: Path) -> None:
    told = json.loads(tidegate("config", "--format", "json", **given(tmp_path)).stdout)
    origins = {name: one["origin"] for name, one in told["settings"].items() if one["origin"] != "default"}
    assert origins == {
        "TIDEGATE_TOPICS": "environment",
        "TIDEGATE_GROUP_ID": f"file {tmp_path}/group",
        "TIDEGATE_SINK_URL": "environment",
        "TIDEGATE_SINK_AUTHORIZATION": f"file {tmp_path}/token",
        "TIDEGATE_CRITICAL": "environment",
        "TIDEGATE_DRAIN_SECONDS": "environment",
    }
    assert told["kafka"]["sasl.password"] == {"value": "***", "origin": f"file {tmp_path}/password"}
    assert told["kafka"]["client.rack"]["origin"] == "environment"
    assert told["kafka"]["fetch.min.bytes"]["origin"] == "tidegate"


def test_pasted_into_a_shell_it_is_the_same_again_secrets_from_files_included(tmp_path: Path) -> None:
    first = tidegate("config", "--format", "env", **given(tmp_path))
    assert first.returncode == 0, first.stderr
    assert SECRET not in first.stdout
    assert again(first.stdout, "config", "--format", "env") == first.stdout
    told = json.loads(again(first.stdout, "config", "--format", "json"))
    meant = json.loads(tidegate("config", "--format", "json", **given(tmp_path)).stdout)
    for part in ("settings", "kafka"):
        assert {n: one["value"] for n, one in told[part].items()} == {n: one["value"] for n, one in meant[part].items()}
    assert told["kafka"]["sasl.password"]["origin"] == f"file {tmp_path}/password"


def test_credentials_out_of_a_url_say_so() -> None:
    done = tidegate("config", "--format", "json", sink_url=f"http://shop:{SECRET}@app/events")
    told = json.loads(done.stdout)["settings"]["TIDEGATE_SINK_AUTHORIZATION"]
    assert (told["value"], told["origin"]) == ("***", "TIDEGATE_SINK_URL")
    env = tidegate("config", "--format", "env", sink_url=f"http://shop:{SECRET}@app/events").stdout
    assert "# TIDEGATE_SINK_AUTHORIZATION='***'" in env
    assert SECRET not in env + done.stdout


def test_in_80_columns_a_long_path_leaves_room_for_values(tmp_path: Path) -> None:
    url = "http://localhost:8080/events"
    given = {"sink_url": url, "kafka_sasl_password_file": tmp_path / "password", "group_id_file": tmp_path / "group"}
    for name in ("password", "group"):
        (tmp_path / name).write_text("held")
    rows = lines_on_terminal([sys.executable, "-m", "tidegate", "config"], environment(**given))
    assert max(map(len, rows)) <= 80
    (row,) = (row for row in rows if row.startswith("TIDEGATE_SINK_URL "))
    assert row.split() == ["TIDEGATE_SINK_URL", url, "environment"]
    (row,) = (row for row in rows if row.startswith("TIDEGATE_GROUP_ID "))
    assert row.split() == ["TIDEGATE_GROUP_ID", "held", "file"]
    folded = "".join(row.replace(" ", "") for row in rows)
    assert f"({tmp_path}/group)" in folded
    assert f"({tmp_path}/password)" in folded
