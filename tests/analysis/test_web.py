"""Pages in one file: the colours that all share, and a policy under which only the page's own script runs."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from gfpup.analysis.web import STYLE, environment, palette


def test_the_palette_is_the_colours_of_the_style_sheet_without_its_rules() -> None:
    colours, whole = palette(), STYLE.read_text(encoding="utf-8")
    assert whole.startswith(colours) and "--paper:" in colours and "--faint:" in colours
    assert "::before" not in colours and "body" not in colours and len(colours) < len(whole) / 2


def test_a_page_holds_the_shared_style_its_own_and_the_one_script_that_may_run(tmp_path: Path) -> None:
    (tmp_path / "own.css").write_text("p { margin: 0 }")
    (tmp_path / "own.js").write_text("let a = 1 < 2 && 'é';", encoding="utf-8")
    (tmp_path / "page.html").write_text("{{ style }}|{{ script }}|{{ policy }}|{{ text }}")
    found = environment(tmp_path, styles=[tmp_path / "own.css"], script=tmp_path / "own.js")
    style, script, policy, text = found.get_template("page.html").render(text="<b>").split("|")
    assert style == STYLE.read_text(encoding="utf-8") + "p { margin: 0 }" and script == "let a = 1 < 2 && 'é';"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy and "base-uri 'none'" in policy
    assert text == "&lt;b&gt;", "what is not the page's own is text"
