"""docs/errors.md says what every error of the code means, and nothing of errors that there are not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tidegate import errors, samples
from tidegate.broker import admin
from tidegate.errors import TidegateError
from tidegate.errors_docs import ERRORS, markdown

ROOT = Path(__file__).parents[2]
LISTENERS = ("ops", "admin")  # what stands for {name} in f"{name}-address"


def codes() -> Iterator[tuple[str, str]]:
    """(code, where) of each ``code="…"`` and ``default_code = "…"`` in the source; native files by their text."""
    for path in sorted((ROOT / "src" / "tidegate").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                for keyword in node.keywords:
                    if keyword.arg == "code":
                        yield from ((code, path.name) for code in _texts(keyword.value))
            elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(isinstance(target, ast.Name) and target.id == "default_code" for target in targets):
                    yield from ((code, path.name) for code in _texts(node.value))
    for path in sorted((ROOT / "src" / "tidegate").rglob("*.pyx")):
        yield from ((code, path.name) for code in re.findall(r"\bcode=\"([a-z-]+)\"", path.read_text()))


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        assert ast.unparse(node) == "f'{name}-address'", "a code that is put together: say here of what"
        yield from (f"{name}-address" for name in LISTENERS)


def test_every_code_is_on_the_page_and_no_other() -> None:
    found = {("demo-*" if code.startswith("demo-") else code) for code, _ in codes()}
    assert len(found) > 20, "this finds too little to show anything"
    assert found == set(ERRORS)


def test_the_page_says_the_exit_code_of_each_class() -> None:
    kinds = [*vars(errors).values(), *vars(samples).values(), *vars(admin).values()]
    classes = {kind for kind in kinds if isinstance(kind, type) and issubclass(kind, TidegateError)}
    assert len(classes) >= 9
    for kind in classes:
        assert ERRORS[kind.default_code][0] == kind.exit_code, kind


def test_the_page_is_as_the_tables_are() -> None:
    page = ROOT / "docs" / "errors.md"
    assert page.read_text() == markdown(), "docs/errors.md is out of date: make errors"
