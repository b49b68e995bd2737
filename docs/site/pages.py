"""Which pages there are, what they link to, and GitHub's rule for anchors; for the site and for the tests of the links.

The site has the repository's own layout, so that a relative link means the same on GitHub and there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[2]
_PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/**/*.md",
    "benchmarks/README.md",
    "deploy/**/*.md",
    "examples/**/*.md",
)
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*\n.*?^ {0,3}\1[`~]*[ \t]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
# [text](target "title"), images as well. A target in angle brackets, or by a reference, is not how this project links.
_LINK = re.compile(r"\[(?P<text>[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*)\]\((?P<target>[^()\s]*)(?:\s+\"[^\"]*\")?\)")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(?P<text>.+?)[ \t]*#*$", re.MULTILINE)
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


class Link(NamedTuple):
    """A link as a page writes it. ``target`` is what stands in the parentheses."""

    page: str
    line: int
    target: str

    @property
    def outside(self) -> bool:
        return bool(re.match(r"[a-z][a-z0-9+.-]*:", self.target))

    @property
    def path(self) -> str:
        """Of a link into the repository: the file, from the top. Raises ValueError where it leaves the repository."""
        target = unquote(self.target.partition("#")[0])
        parts: list[str] = []
        for part in (PurePosixPath(self.page).parent / target).parts if target else PurePosixPath(self.page).parts:
            if part == "..":
                if not parts:
                    raise ValueError(f"{self.target} leaves the repository")
                parts.pop()
            else:
                parts.append(part)
        return "/".join(parts)

    @property
    def anchor(self) -> str:
        return unquote(self.target.partition("#")[2])


def pages(root: Path = ROOT) -> list[str]:
    """The pages' paths from the top, in order."""
    return sorted({path.relative_to(root).as_posix() for glob in _PAGES for path in root.glob(glob)})


def prose(text: str) -> str:
    """A page without its code and comments, with every line still where it was."""
    for pattern in (_FENCE, _COMMENT, _CODE):
        text = pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    return text


def links(page: str, text: str) -> Iterator[Link]:
    """Every inline link of a page, and the one around it where one is within another's text."""
    clean = prose(text)
    for match in _LINK.finditer(clean):
        line = clean.count("\n", 0, match.start()) + 1
        yield from links_within(page, line, match["text"])
        yield Link(page, line, match["target"])


def links_within(page: str, line: int, text: str) -> Iterator[Link]:
    for match in _LINK.finditer(text):
        yield Link(page, line, match["target"])


def leads_to(link: Link, root: Path = ROOT) -> str:
    """The file that a link into the repository shows, from the top: of a folder its README, as on GitHub."""
    readme = f"{link.path}/README.md"
    return readme if (root / readme).is_file() else link.path


def with_files(page: str, text: str, root: Path = ROOT) -> str:
    """The page with its links to folders led on to their READMEs, as the site needs it."""
    for link in links(page, text):
        if not link.outside and link.target and leads_to(link, root) != link.path:
            folder, mark, anchor = link.target.partition("#")
            text = text.replace(f"]({link.target})", f"]({folder.rstrip('/')}/README.md{mark}{anchor})")
    return text


def slug(heading: str) -> str:
    """A heading's anchor on GitHub: lower case, punctuation left out, each blank a hyphen."""
    plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
    return _NOT_IN_ANCHORS.sub("", plain.strip().lower()).replace(" ", "-")


def anchors(text: str) -> list[str]:
    """A page's anchors in order; one that is there already gets -1, -2 …, as on GitHub."""
    without_code = _COMMENT.sub("", _FENCE.sub("", text))
    found: list[str] = []
    for match in _HEADING.finditer(without_code):
        base = anchor = slug(match["text"])
        count = 0
        while anchor in found:
            count += 1
            anchor = f"{base}-{count}"
        found.append(anchor)
    return found


def attachments(root: Path = ROOT) -> list[str]:
    """Files that pages link to and that are no pages: pictures, sources, results. The site carries them along."""
    known = set(pages(root))
    linked = {
        link.path
        for page in known
        for link in links(page, (root / page).read_text())
        if not link.outside and link.path not in known
    }
    return sorted(path for path in linked if (root / path).is_file())
