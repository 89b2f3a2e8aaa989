"""Add to the site what pages link to outside docs/ (`../experiments/...`), and the colours of gfpup's own pages.

In the repository, docs/ is next to experiments/. In the site, the pages of docs/ are at the top and every other file keeps its
path, so links are rewritten to the location of their file in the site. A link to a missing file is left unchanged, and the
strict build refuses it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
STYLE = ROOT / "gfpup" / "analysis" / "style.css"
LINK = re.compile(r"(?<=\]\()([^)#\s]+)")


def on_config(config: Any) -> Any:
    """Add every study of experiments/ to the navigation."""
    config.nav.append({"Experiments": [path.relative_to(ROOT).as_posix() for path in studies()]})
    return config


def on_files(files: Files, *, config: Any) -> Files:
    """Add the studies, everything that the pages link to, directly or indirectly, and the colours."""
    files.append(File.generated(config, "stylesheets/colours.css", content=colours(STYLE.read_text(encoding="utf-8"))))
    found: set[Path] = set()
    waiting = [*DOCS.glob("*.md"), *studies()]
    while waiting:
        page = waiting.pop()
        if page not in found:
            found.add(page)
            waiting += linked(page) if page.suffix == ".md" else []
    for path in sorted(found):
        if not path.is_relative_to(DOCS):
            name = path.relative_to(ROOT).as_posix()
            files.append(File(name, str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Rewrite each link of a page to the location of its file in the site."""
    source = Path(page.file.abs_src_path)
    here = Path(page.file.src_uri).parent

    def turned(match: re.Match[str]) -> str:
        target = in_repository(source, match[1])
        if target is None:
            return match[1]
        place = target.relative_to(DOCS if target.is_relative_to(DOCS) else ROOT)
        return Path(os.path.relpath(place, here)).as_posix()

    return LINK.sub(turned, markdown)


def colours(style: str) -> str:
    """The custom properties of gfpup's style sheet, light and dark, under the theme's names for the two."""
    light, dark = (
        " ".join(re.findall(r"--[\w-]+:[^;]+;", rules)) for rules in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    )
    return f"[data-md-color-scheme=default] {{{light}}}\n[data-md-color-scheme=slate] {{{dark}}}\n"


def studies() -> list[Path]:
    """The page of each study, in the order of their numbers."""
    return sorted((ROOT / "experiments").glob("*/README.md"))


def linked(page: Path) -> list[Path]:
    """The files of the repository that a page links to."""
    targets = (in_repository(page, link) for link in LINK.findall(page.read_text(encoding="utf-8")))
    return [target for target in targets if target is not None]


def in_repository(page: Path, link: str) -> Path | None:
    """The file that a link of `page` leads to, or None for a web address or a missing file."""
    if "://" in link:
        return None
    path = (page.parent / link).resolve()
    return path if path.is_file() and path.is_relative_to(ROOT) else None
