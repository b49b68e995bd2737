"""Every relative link in the documentation leads somewhere, on GitHub as on the site, and every page is led to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs.site.pages import ROOT, Link, anchors, attachments, leads_to, links, pages, slug

PAGES = pages()
TEXTS = {page: (ROOT / page).read_text() for page in PAGES}


def problem(link: Link, root: Path = ROOT) -> str | None:
    """What is wrong with a link; None where nothing is."""
    if link.outside:
        return None if link.target.startswith(("https://", "mailto:")) else "not by https"
    if link.target.startswith("/") or not link.target:
        return "an absolute link means something else on GitHub and on the site"
    try:
        path = root / leads_to(link, root)
    except ValueError as error:
        return str(error)
    if not path.exists():
        return "there is no such file"
    if path.is_dir():
        return "a folder without a README is no page of the site: link a file in it"
    if not link.anchor:
        return None
    if path.suffix != ".md":
        return None if re.fullmatch(r"L\d+(-L\d+)?", link.anchor) else "only pages have anchors"
    return None if link.anchor in anchors(path.read_text()) else f"{leads_to(link, root)} has no such heading"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    found = [(link.line, link.target, problem(link)) for link in links(page, TEXTS[page])]
    assert [entry for entry in found if entry[2]] == []


def test_the_pages_are_all_there() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md", "docs/guarantees.md"} <= set(PAGES)


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, ahead = {"README.md"}, ["README.md"]
    while ahead:
        page = ahead.pop()
        for link in links(page, TEXTS[page]):
            if not link.outside and (target := leads_to(link)) in TEXTS and target not in reached:
                reached.add(target)
                ahead.append(target)
    assert set(PAGES) - reached == set()


@pytest.mark.parametrize("page", PAGES)
def test_pictures_say_what_they_show(page: str) -> None:
    assert "![](" not in TEXTS[page]


def test_what_pages_link_to_goes_to_the_site() -> None:
    assert {"LICENSE", "docs/img/architecture.svg", "csrc/tg_parked.h"} <= set(attachments())


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("there.md", None),
        ("there.md#a-heading", None),
        ("#a-heading", None),
        ("code.py#L3", None),
        ("https://example.org/x#y", None),
        ("http://example.org", "not by https"),
        ("gone.md", "there is no such file"),
        ("there.md#gone", "there.md has no such heading"),
        ("code.py#main", "only pages have anchors"),
        ("folder/", "a folder without a README is no page of the site: link a file in it"),
        ("whole", None),
        ("whole/#itself", None),
        ("whole/#gone", "whole/README.md has no such heading"),
        ("/there.md", "an absolute link means something else on GitHub and on the site"),
        ("../../there.md", "../../there.md leaves the repository"),
    ],
)
def test_what_is_wrong_is_found(tmp_path: Path, target: str, told: str | None) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "README.md").write_text("# Itself\n")
    (tmp_path / "code.py").write_text("")
    (tmp_path / "there.md").write_text("# A heading\n")
    assert problem(Link("there.md", 1, target), tmp_path) == told


def test_links_are_found_where_they_are_links() -> None:
    text = "\n".join(
        [
            '[a](one.md) and ![picture](two.svg "title")',
            "`[code](no.md)` <!-- [comment](no.md) -->",
            "```",
            "[code](no.md)",
            "```",
            "[![badge](three.svg)](four.md#x)",
            "[over two",
            "lines](five.md)",
        ]
    )
    assert [(link.line, link.target) for link in links("page.md", text)] == [
        (1, "one.md"),
        (1, "two.svg"),
        (6, "three.svg"),
        (6, "four.md#x"),
        (7, "five.md"),
    ]


def test_anchors_are_githubs() -> None:
    assert slug("What's *new*, and `why`?") == "whats-new-and-why"
    assert slug("Own Kafka – in five  minutes") == "own-kafka--in-five--minutes"
    assert slug("[Unreleased] – 0.1.0") == "unreleased--010"
    assert slug("TIDEGATE_TOPICS") == "tidegate_topics"
    text = "# One\n```sh\n# no heading\n```\n## One\n## Two ##\n"
    assert anchors(text) == ["one", "one-1", "two"]
