"""`make docs` builds the site, and ends with an error where it should. It also installs what these tests need."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from docs.site.pages import ROOT, attachments, pages

MKDOCS = ROOT / ".venv" / "docs" / "bin" / "mkdocs"
if not MKDOCS.exists():
    pytest.skip("the site's tools are not installed: make docs", allow_module_level=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The pages, what they link to, and what builds the site, in a folder of their own."""
    for path in (*pages(), *attachments()):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    shutil.copytree(ROOT / "docs" / "site", tmp_path / "docs" / "site", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def build(place: Path) -> tuple[int, str]:
    """Exit code, and what mkdocs said."""
    command = [str(MKDOCS), "build", "-f", "docs/site/mkdocs.yml"]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    ran = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=120)
    return ran.returncode, ran.stderr


def test_the_site_has_every_page_and_what_it_shows(copy: Path) -> None:
    (copy / "docs" / "adr" / "0099-new.md").write_text("# 99. New\n")
    (copy / "docs" / "unlisted.md").write_text(
        "# Unlisted\n\nof [a folder](adr) and [a decision](adr/0099-new.md#99-new)\n"
    )
    code, said = build(copy)
    assert code == 0, said
    site = copy / "build" / "site"
    home = (site / "index.html").read_text()
    for page in pages():
        made = page.removesuffix("README.md") + "index.html" if page.endswith("README.md") else page[:-3] + ".html"
        assert (site / made).exists(), page
        assert f'href="{made}"' in home or made == "index.html", f"{page} is not in the navigation"
    assert 'href="docs/unlisted.html"' in home
    assert 'href="docs/adr/0099-new.html"' in home
    assert 'href="adr/index.html">a folder' in (site / "docs" / "unlisted.html").read_text()
    assert (site / "docs" / "img" / "architecture.svg").exists()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[x](docs/gone.md)", "docs/gone.md"),
        ("[x](docs/pressure.md#gone)", "#gone"),
        ("[x](docs/site)", "docs/site"),
        ("![x](docs/img/gone.svg)", "gone.svg"),
        ('<script src="https://example.org/x.js"></script>', "loads something from elsewhere"),
        ('<img src="//example.org/x.png" alt="x">', "loads something from elsewhere"),
    ],
)
def test_what_does_not_hold_together_ends_the_build(copy: Path, line: str, told: str) -> None:
    with (copy / "CHANGELOG.md").open("a") as page:
        page.write(f"\n{line}\n")
    code, said = build(copy)
    assert code != 0
    assert told in said
