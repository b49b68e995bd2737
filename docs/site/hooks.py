"""What mkdocs does not do by itself: the repository's layout as the site's, and a look at what it built."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from pages import ROOT, attachments, pages, slug, with_files

_LOADED = re.compile(
    r"<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=[\"']?(https?:)?//[^\"'\s>]+", re.IGNORECASE
)


def on_config(config: Any) -> Any:
    """Anchors by GitHub's rule; each decision below their list, and at the end what the nav does not name."""
    toc = config.mdx_configs.setdefault("toc", {})
    toc["slugify"] = lambda heading, separator: slug(heading)
    named = set(_named(config.nav))
    left = [page for page in pages() if page not in named]
    decisions = [page for page in left if page.startswith("docs/adr/")]
    _section(config.nav, "Decisions").extend(decisions)
    if more := [page for page in left if page not in decisions]:
        config.nav.append({"More": more})
    return config


def _named(nav: Any) -> Iterator[str]:
    """The pages that a nav names."""
    if isinstance(nav, str):
        yield nav
    else:
        for entry in nav.values() if isinstance(nav, dict) else nav:
            yield from _named(entry)


def _section(nav: list[Any], title: str) -> list[Any]:
    """The list below a title, at any depth. Raises PluginError where there is none."""
    levels = [nav]
    for level in levels:  # it grows while it is read
        for entry in level:
            for name, below in entry.items() if isinstance(entry, dict) else ():
                if not isinstance(below, list):
                    continue
                if name == title:
                    return below
                levels.append(below)
    raise PluginError(f"the nav has no section {title}")


def on_files(files: Files, *, config: Any) -> Files:
    """The pages and what they link to, at the paths that they have in the repository; the theme's own files stay."""
    kept = [file for file in files if not Path(file.abs_src_path or "").is_relative_to(config.docs_dir)]
    ours = [
        File(path, src_dir=str(ROOT), dest_dir=config.site_dir, use_directory_urls=config.use_directory_urls)
        for path in (*pages(), *attachments(), *config.extra_css)
    ]
    return Files([*kept, *ours])


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Links to folders lead to their READMEs."""
    return with_files(page.file.src_uri, markdown)


def on_post_build(*, config: Any) -> None:
    """The site needs no network: raises PluginError where a page would load something from elsewhere."""
    for page in Path(config.site_dir).rglob("*.html"):
        if found := _LOADED.search(page.read_text()):
            raise PluginError(f"{page.relative_to(config.site_dir)} loads something from elsewhere: {found[0]}")
