"""`gfpup report --folders`: pictures of the same names as a report, without a run; in Chromium as well."""

from __future__ import annotations

import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from pictures import save

from gfpup.cli import report as command
from gfpup.cli.main import main
from gfpup.core.errors import GfpupError


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two folders of results, `a` and `b`, which differ most on "c", and the inputs; `b` lacks "d"."""
    photo = cv2.resize(np.ascontiguousarray(skimage.data.astronaut()[:200, 130:330]), (160, 160))
    for i, name in enumerate(("b", "c", "d")):
        save(tmp_path / "photos" / f"{name}.jpg", photo)
        save(tmp_path / "a" / f"{name}.png", cv2.convertScaleAbs(photo, alpha=0.9))
        if name != "d":
            save(tmp_path / "b" / f"{name}_out.png", cv2.convertScaleAbs(photo, alpha=0.9, beta=4 + 20 * i))
    return tmp_path


def report(root: Path, *words: str) -> str:
    given = ["--folders", str(root / "a"), str(root / "b"), *words, "--output", str(root / "page")]
    assert command.run(given) == 0
    return (root / "page" / "report.html").read_text(encoding="utf-8")


def test_folders_are_a_report_without_a_run(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    html = report(folders, "--input", str(folders / "photos"), "--reference", str(folders / "photos"))
    assert capsys.readouterr().out.strip() == str(folders / "page" / "report.html")
    assert "gfpup report: 3 photos, 2 folders" in html
    cards = html.split("<article")[1:]
    assert [re.findall("<h3>(.*?)</h3>", card)[0] for card in cards] == ["c.jpg", "b.jpg", "d.jpg"]
    for card in cards:
        assert re.findall(r'data-column="([^"]*)"', card) == ["before", "reference", "run-0", "run-1"]
    assert "The results differ by 24 of 255 levels" in cards[0]
    assert f"this photo has no picture in {folders / 'b'}" in cards[2] and "differ by" not in cards[2]
    assert re.findall(r'<section id="([^"]*)"', html) == ["photos", "runs", "failures", "command"]
    assert "b lacks pictures: 1 of 3 photos (d.jpg has no picture)" in html


def test_the_commands_on_the_page_score_the_folders(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    html = report(folders, "--input", str(folders / "photos"))
    shown = [unescape(text) for text in re.findall(r'<pre class="command"[^>]*><code>(.*?)</code>', html, re.DOTALL)]
    assert "cd " in shown[0] and "gfpup report --folders" in shown[0]
    *scoring, again = shown[1].splitlines()
    for line in scoring:
        assert line.startswith("gfpup score --restored ")
        assert main([*line.split()[1:], "--metrics", "psnr", "--quiet"]) in (0, 1), "b lacks a picture"
    assert main([*again.split()[1:], "--output", str(folders / "scored.html")]) == 0
    assert "psnr_to_input" in (folders / "scored.html").read_text(encoding="utf-8")
    capsys.readouterr()


def test_a_run_and_a_folder_are_one_report(folders: Path, finished_sweep: Path, tmp_path: Path) -> None:
    other = tmp_path / "other tool"
    other.mkdir()
    shutil.copy(finished_sweep / "backend=classical" / "b.png", other / "b_restored.png")
    words = [str(finished_sweep / "backend=identity"), "--folders", str(other), "--output", str(tmp_path / "both.html")]
    assert command.run(words) == 0
    html = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert "3 photos, 2 runs" in html and html.count("<article") == 3
    assert re.findall("<h3>(.*?)</h3>", html)[0] == "b.png", "the only photo that both have"
    # A folder with a record in --folders is read as the run that it is.
    words = ["--folders", str(finished_sweep / "backend=identity"), str(other), "--output", str(tmp_path / "both.html")]
    assert command.run(words) == 0
    assert "3 photos, 2 runs" in (tmp_path / "both.html").read_text(encoding="utf-8")


def test_what_does_not_fit_is_refused(folders: Path) -> None:
    a = str(folders / "a")
    for words, message in (
        ([], "needs a run, or --folders DIR"),
        (["--folders", a], "needs a place outside them: give it with --output"),
        (["--folders", a, "--output", str(folders / "a" / "page")], "for --output: expected a place outside"),
        ([a, "--input", a], "--input and --reference belong to --folders"),
        (["--folders", a, str(folders / "none"), "--output", str(folders / "page")], "there is no folder"),
    ):
        with pytest.raises(GfpupError, match=message):
            command.run(words)


@pytest.mark.parametrize("width", [1280, 390])
def test_folders_in_a_browser(folders: Path, browser: Any, width: int) -> None:
    report(folders)
    complaints: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("request", lambda it: None if it.url.startswith(("file:", "data:")) else complaints.append(it.url))
    page.goto((folders / "page" / "report.html").as_uri())
    _look(page, width)
    page.close()
    assert complaints == []


def _look(page: Any, width: int) -> None:
    """Without inputs the slider is between the first two folders, and both are beside each other whole."""
    first = page.locator(".card").first
    assert first.locator("h3").inner_text() == "c.png"
    assert [page.locator(f"#{side}").input_value() for side in ("left", "right")] == ["run-0", "run-1"]
    slider = first.locator(".split")
    slider.focus()
    page.keyboard.press("End")
    assert slider.get_attribute("aria-valuetext") == "100 % of the left version"
    first.locator(".versions figure").first.wait_for()
    assert first.locator(".versions figcaption").all_inner_texts() == ["1 a", "2 b"]
    shapes = first.locator(".tile").evaluate_all("all => all.map((it) => it.offsetWidth / it.offsetHeight)")
    assert shapes == pytest.approx([1, 1], abs=0.02)
    assert page.locator("#data").count() == 1 and page.locator("#photo-scores").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    last = page.locator(".card").last
    last.scroll_into_view_if_needed()
    text = last.locator(".pane.right .gone")
    assert text.bounding_box()["x"] >= last.locator(".handle").bounding_box()["x"], "the text is not under the left picture"
