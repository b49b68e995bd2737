"""Figures in pages, from benchmarks/results: ``python -m benchmarks.figures`` (``make figures``) writes them anew.

A page says which table it wants between two comments, which no reader sees::

    <!-- figures: drain -->
    …
    <!-- /figures -->

What is between them is this module's. A test compares, so that no page quotes what a newer run no longer says.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchmarks.figure_tables import TABLES, Results

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = ("README.md", "docs/comparison.md")
_PLACE = re.compile(r"(<!-- figures: (?P<name>[\w-]+) -->\n).*?(<!-- /figures -->)", re.DOTALL)
_MARK = re.compile(r"<!-- /?figures")

Tables = Mapping[str, Callable[[Results], str]]


class FiguresError(Exception):
    """A page asks for a table that there is not, or in a form that is not understood."""


def named(page: str) -> list[str]:
    """The tables that a page has, in order. Raises FiguresError where a comment has no partner."""
    found = [match["name"] for match in _PLACE.finditer(page)]
    if 2 * len(found) != len(_MARK.findall(page)):
        raise FiguresError("a figures comment is without its partner")
    return found


def refreshed(page: str, results: Results, tables: Tables = TABLES) -> str:
    """The page with its tables as the results have them.

    Raises:
        FiguresError: a table is not known, or a comment has no partner.
    """
    if unknown := set(named(page)) - set(tables):
        raise FiguresError(f"no table is named {', '.join(sorted(unknown))}; there are: {', '.join(sorted(tables))}")
    return _PLACE.sub(lambda match: f"{match[1]}{tables[match['name']](results).rstrip()}\n{match[3]}", page)


def outdated(pages: Iterable[Path], results: Results) -> list[tuple[Path, str]]:
    """Pages that say something else than the results, and what they should say."""
    fresh = [(page, refreshed(page.read_text(), results)) for page in pages]
    return [(page, text) for page, text in fresh if text != page.read_text()]


def main() -> int:
    parser = argparse.ArgumentParser(description="Writes the tables of figures in the pages anew")
    parser.add_argument("--check", action="store_true", help="only say which are out of date; exit code 1 then")
    options = parser.parse_args()
    old = outdated([ROOT / page for page in PAGES], Results(RESULTS))
    for page, text in old:
        print(f"{page.relative_to(ROOT)}: {'out of date' if options.check else 'written'}", file=sys.stderr)
        if not options.check:
            page.write_text(text)
    return 1 if old and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
