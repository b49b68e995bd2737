"""nst/JSONTestSuite: every implementation of the scanner must accept and reject what the suite says."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import pytest

from tidegate.core import scan

ARCHIVE = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "jsontestsuite.tar.gz"

if not ARCHIVE.exists():
    pytest.skip("JSONTestSuite is not there (../shared/data/jsontestsuite.tar.gz)", allow_module_level=True)


def load() -> dict[str, bytes]:
    with tarfile.open(ARCHIVE) as archive:
        members = [m for m in archive if m.isfile() and "test_parsing/" in m.name and m.name.endswith(".json")]
        return {Path(m.name).name: archive.extractfile(m).read() for m in members}


DOCUMENTS = load()
SCANNER = scan.Scanner(["", "/a", "/0"])


def reject_constant(name: str) -> None:
    raise ValueError(name)


def python_accepts(doc: bytes) -> bool:
    try:
        json.loads(
            doc.decode("utf-8").removeprefix("\ufeff"), parse_constant=reject_constant, parse_int=str, parse_float=str
        )
    except (ValueError, RecursionError):
        return False
    return True


def depth(doc: bytes) -> int:
    now = most = 0
    for c in re.sub(rb'"(?:[^"\\]|\\.)*"', b"", doc):
        now += (c in b"[{") - (c in b"]}")
        most = max(most, now)
    return most


def test_the_suite_is_whole():
    kinds = [name[0] for name in DOCUMENTS]
    assert (kinds.count("y"), kinds.count("n")) >= (95, 187)


@pytest.mark.parametrize("implementation", scan.implementations())
@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_document(name, implementation):
    doc = DOCUMENTS[name]
    scan.use(implementation)
    try:
        structure, grammar = SCANNER.scan(doc), SCANNER.scan(doc, grammar=True)
        padded = SCANNER.scan(b'["' + b"x" * 64 + b'",' + doc + b"]", grammar=True)
    finally:
        scan.use(None)
    accepted = grammar[0] == "ok"
    if depth(doc) > 64:
        assert grammar[0] in ("depth", "syntax")
        return
    if name[0] != "i":
        assert accepted == (name[0] == "y")
    assert accepted == python_accepts(doc)
    assert not accepted or structure == grammar
    # long enough for the fast scanners; what brings its own brackets or byte order mark may become right or wrong
    if not doc.startswith(b"\xef\xbb\xbf") and accepted:
        assert padded[0] == "ok"
