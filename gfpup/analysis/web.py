"""Pages that work from one file: a template with its style and script inside, and nothing fetched from anywhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

STYLE: Final = Path(__file__).with_name("style.css")
"""Colours, type, spacing and controls that all pages of gfpup share."""


def palette() -> str:
    """The colours of the shared style sheet without its rules, for a page whose controls are another library's."""
    return STYLE.read_text(encoding="utf-8").partition("\n*, ::before")[0]


def environment(templates: Path, *, styles: Sequence[Path], script: Path) -> Environment:
    """The templates of a folder, with the globals `style`, `script` and `policy` for the page's head.

    `styles` are added to the shared style sheet. Under `policy` only `script` may run in the page, and nothing may be fetched,
    whatever the texts in it say.
    """
    found = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    style = "".join(path.read_text(encoding="utf-8") for path in (STYLE, *styles))
    code = script.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    # The policy is an attribute without double quotes, and its single quotes must stay as they are for a reader of the source.
    found.globals |= {"style": Markup(style), "script": Markup(code), "policy": Markup(policy)}
    return found
