"""What pages list is what the code has, and their examples do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from docs.site.pages import pages

from tidegate import cli
from tidegate.config import SETTING_FIELDS
from tidegate.core.rule_text import Kind
from tidegate.kafka_names import catalogue
from tidegate.ops.metrics import TABLE
from tidegate.vocabulary import DEFAULT_TYPE_FIELDS

ROOT = Path(__file__).parents[2]
RULES = (ROOT / "docs" / "rules.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


def block(page: str, comment: str) -> list[str]:
    """The lines of the code block behind a comment."""
    found = re.search(rf"<!-- {comment}.*?-->\n```\w*\n(.*?)\n```", page, re.DOTALL)
    assert found is not None, f"the page has no block behind {comment}"
    return found[1].splitlines()


def test_the_layers_are_those_of_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert block(ARCHITECTURE, "layers") == [re.sub(r"tidegate\.|[()]", "", layer) for layer in layers]


def test_every_room_is_described() -> None:
    table = ARCHITECTURE.partition("## Rooms")[2].partition("## ")[0]
    rooms = {path.name for path in (ROOT / "src" / "tidegate").iterdir() if (path / "__init__.py").exists()}
    assert {f"`{room}/`" for room in rooms | {"csrc"}} == set(re.findall(r"^\| (`\w+/`) \|", table, re.MULTILINE))


def test_the_modules_that_the_architecture_names_are_there() -> None:
    named = set(re.findall(r"`((?:\w+/)?\w+\.(?:pyx|pxd|py))`", ARCHITECTURE))
    package = ROOT / "src" / "tidegate"
    assert len(named) > 10
    assert [name for name in named if not (package / name).exists()] == []


def test_the_type_fields_are_the_defaults() -> None:
    assert block(RULES, "type fields") == list(DEFAULT_TYPE_FIELDS)


def test_every_kind_of_rule_is_described() -> None:
    kinds = {kind.name.lower() for kind in Kind}
    described = set(re.findall(r"^\| `(\w+):", RULES, re.MULTILINE)) | {"type"}  # a type word has no prefix
    assert described == kinds


def test_the_example_says_what_validate_says() -> None:
    """Every line that begins with $ is run; what it prints is what stands behind it."""
    lines = block(RULES, "run by a test")
    commands = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    assert commands
    for number, end in zip(commands, [*commands[1:], len(lines)], strict=True):
        command = lines[number].removeprefix("$ ").replace("tidegate ", f"{sys.executable} -m tidegate ")
        ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=60)
        assert ran.stdout.splitlines() == lines[number + 1 : end]


def test_the_decisions_are_all_listed() -> None:
    folder = ROOT / "docs" / "adr"
    listed = re.findall(r"^(\d+)\. \[(.+)\]\((.+)\)$", (folder / "README.md").read_text(), re.MULTILINE)
    there = [(path.read_text().splitlines()[0].removeprefix("# "), path.name) for path in sorted(folder.glob("0*.md"))]
    assert [(f"{number}. {title}", name) for number, title, name in listed] == there


# Pages that say how things are now: decisions and the changelog say how they were.
NOW = [ROOT / page for page in pages() if not page.startswith(("docs/adr/0", "CHANGELOG"))]
# Not settings: what the build and the tests read, and the examples of a name.
NO_SETTINGS = re.compile(r"DEBUG|WERROR|SANITIZE|TEST_\w+|X|X_FILE")


def code_in(text: str) -> str:
    """What stands in code blocks and code spans."""
    fences = re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    without_remarks = [re.sub(r"\s#.*", "", fence) for fence in fences]
    return "\n".join([*without_remarks, *re.findall(r"`([^`\n]+)`", rest)])


@pytest.mark.parametrize("page", NOW, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    whole_names = re.findall(r"\bTIDEGATE_([A-Z][A-Z0-9_]*[A-Z0-9])\b(?![_<…])", text)
    variables = {name.removesuffix("_FILE") for name in whole_names}
    settings = {name.upper() for name in SETTING_FIELDS}
    properties = {f"KAFKA_{name}" for name in catalogue()}
    unknown = {name for name in variables if not NO_SETTINGS.fullmatch(name)} - settings - properties
    assert unknown == set(), "variables"
    code = code_in(text)
    metrics = set(re.findall(r"\btidegate_[a-z0-9_]+[a-z0-9]\b", code))
    assert metrics - {family.name for family in TABLE} == set(), "metrics"
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = {target for line in re.findall(r"\bmake ((?:[a-z][a-z0-9-]*\b ?)+)", code) for target in line.split()}
    assert called - targets == set(), "make targets"
    commands = set(typer.main.get_group(cli._typer).commands)
    assert set(re.findall(r"(?:^|[^\w./-])tidegate ([a-z]+)\b", code, re.MULTILINE)) - commands == set(), "commands"
