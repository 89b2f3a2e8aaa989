"""The page in a real browser: three folders voted by keys, downloaded and collected, rank as the raters saw them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from raters import METHODS

from gfpup.analysis.vote import make_trial, page, read_trial
from gfpup.cli.main import main

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def trial(folders: Path) -> Path:
    given = [folders / method for method in METHODS]
    make_trial(given, folders / "short", degraded=folders / "input", pairs=12, repeats=3, crop_px=128)
    return folders / "short"


@pytest.fixture(params=SIZES)
def tab(request: pytest.FixtureRequest, browser: Any) -> Iterator[Any]:
    """A new window, desktop or phone; fails where the browser complained or asked for anything else."""
    width, height = SIZES[request.param]
    context = browser.new_context(
        viewport={"width": width, "height": height}, has_touch=width < 500, is_mobile=width < 500, offline=True
    )
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda asked: None if asked.url.startswith(("file:", "data:", "blob:")) else complaints.append(asked.url))
    yield tab
    context.close()
    assert complaints == []


def begin(tab: Any, trial: Path, rater: str) -> None:
    tab.goto((trial / "vote.html").as_uri())
    tab.locator("#rater").fill(rater)
    tab.keyboard.press("Enter")


def sharpness(uri: str) -> float:
    grey = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("L"), float)
    return float(np.abs(np.diff(grey)).mean())


def vote(tab: Any, most: int = 999) -> int:
    """Vote by keys as somebody who sees which picture is sharper; returns how often."""
    votes = 0
    while votes < most and not tab.locator("#end").is_visible():
        if tab.locator("#pause").is_visible():
            tab.keyboard.press("Enter")
            continue
        left, right = (sharpness(uri) for uri in tab.locator(".pair img").evaluate_all("all => all.map((it) => it.src)"))
        tab.keyboard.press("0" if votes == 0 else "1" if left > right else "2")
        votes += 1
    return votes


def downloaded(tab: Any, folder: Path) -> Path:
    with tab.expect_download() as found:
        tab.locator("#end .download").click()
    target = folder / found.value.suggested_filename
    found.value.save_as(target)
    return target


def test_a_trial_voted_by_keys_ranks_as_its_raters_saw_it(
    browser: Any, trial: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for rater in ("Anna B.", "Zoë, the second"):
        tab = browser.new_context(offline=True).new_page()
        begin(tab, trial, rater)
        assert vote(tab) == 30
        files.append(downloaded(tab, tmp_path))
        tab.context.close()
    assert files[0].name == f"votes-{read_trial(trial).id}-Anna-B-.csv" and len(files[1].read_text().splitlines()) == 31
    assert main(["vote", "--collect", *map(str, files), "--trial", str(trial), "--format", "json"]) == 0
    result = json.loads(capsys.readouterr().out)
    for about in result["questions"]:
        assert [line["method"] for line in about["strengths"]] == list(METHODS)
    assert [(rater["rater"], rater["repeated"]) for rater in result["raters"]] == [("Anna B.", 6), ("Zoë, the second", 6)]
    assert all(rater["same"] >= 5 for rater in result["raters"]), "one of the first answers was a tie"


def test_the_page_fits_and_shows_three_pictures(tab: Any, trial: Path) -> None:
    begin(tab, trial, "Anna")
    for picture in tab.locator("#ask img").all():
        box = picture.bounding_box()
        assert box["width"] > 100 and box["height"] > 100 and picture.evaluate("it => it.decode().then(() => it.naturalWidth)")
    height = tab.evaluate("innerHeight")
    for button in tab.locator("#ask button").all():
        box = button.bounding_box()
        assert box["y"] + box["height"] <= height and box["height"] >= 44
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert tab.locator("main:visible").count() == 1
    sizes = [picture.bounding_box() for picture in tab.locator(".pair img").all()]
    assert sizes[0]["width"] == pytest.approx(sizes[1]["width"], abs=0.1) and sizes[0]["height"] == sizes[1]["height"]


def test_votes_are_kept_undone_and_shown_as_progress(tab: Any, trial: Path) -> None:
    begin(tab, trial, "Anna")
    assert vote(tab, 4) == 4
    assert tab.locator(".count").inner_text() == "5 of 30"
    seen = tab.locator(".pair img").first.get_attribute("src")
    tab.reload()
    assert tab.locator(".count").inner_text() == "5 of 30" and "Welcome back, Anna" in tab.locator("#said").inner_text()
    assert tab.locator(".pair img").first.get_attribute("src") == seen
    tab.keyboard.press("u")
    assert tab.locator(".count").inner_text() == "4 of 30"
    tab.locator("[data-key='2']").click()
    assert tab.locator(".count").inner_text() == "5 of 30" and tab.locator("progress").evaluate("it => it.value") > 0.1
    assert tab.locator("#early").is_visible()
    vote(tab)
    tab.keyboard.press("Backspace")
    assert tab.locator(".count").inner_text() == "30 of 30"


def test_repeated_pairs_come_later_with_sides_swapped(tab: Any, trial: Path) -> None:
    begin(tab, trial, "Anna")
    kept = json.loads(tab.evaluate("Object.values(localStorage)[0]"))
    items = read_trial(trial).items
    for question in ("better", "same-person"):
        order = [line for line in kept["order"] if line["question"] == question]
        places = {line["item"]: (i, line["left"]) for i, line in enumerate(order)}
        repeated = [(places[item.repeats], places[name]) for name, item in items.items() if item.repeats]
        assert len(order) == 15 and len(repeated) == 3
        assert all(first[0] < second[0] and first[1] != second[1] for first, second in repeated)


def test_another_person_starts_anew_and_a_name_is_needed(tab: Any, trial: Path) -> None:
    tab.goto((trial / "vote.html").as_uri())
    tab.locator("#rater").fill("   ")
    tab.keyboard.press("Enter")
    assert "Type a name" in tab.locator("#said").inner_text() and tab.locator("#start").is_visible()
    begin(tab, trial, "Anna")
    vote(tab)
    tab.on("dialog", lambda dialog: dialog.accept())
    tab.locator(".again").click()
    assert tab.locator("#start").is_visible() and tab.locator("#rater").input_value() == ""
    begin(tab, trial, "Bea")
    assert tab.locator(".count").inner_text() == "1 of 30"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_the_contrast_of_wcag_aa(browser: Any, trial: Path, scheme: str) -> None:
    tab = browser.new_context(color_scheme=scheme).new_page()
    begin(tab, trial, "Anna")
    vote(tab, 1)
    colours = """all => all.filter((it) => it.offsetParent && it.innerText && !it.disabled).map((it) => {
      let under = it;
      while (getComputedStyle(under).backgroundColor === "rgba(0, 0, 0, 0)" && under.parentElement) under = under.parentElement;
      const both = [getComputedStyle(it).color, getComputedStyle(under).backgroundColor];
      return both.map((colour) => colour.match(/[0-9.]+/g).slice(0, 3).map(Number));
    })"""
    found = tab.locator("h1, p, button, kbd, span, figcaption").evaluate_all(colours)
    assert len(found) > 8
    for pair in found:
        linear = [[c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb)] for rgb in pair]
        light, dark = sorted((0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in linear), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5
    tab.context.close()


def test_a_server_gets_the_votes_when_all_are_made(browser: Any, trial: Path) -> None:
    tab, bodies = browser.new_context().new_page(), []

    def answer(route: Any) -> None:
        if route.request.method == "POST":
            bodies.append(route.request.post_data)
        route.fulfill(status=200, body=page(trial, post_to="/votes"), headers={"Content-Type": "text/html; charset=utf-8"})

    tab.route("http://vote.invalid/**", answer)
    tab.goto("http://vote.invalid/page")
    tab.locator("#rater").fill("Anna")
    tab.keyboard.press("Enter")
    vote(tab)
    tab.get_by_text("Your votes were sent").wait_for()
    assert len(bodies) == 1 and bodies[0].startswith("rater,trial,item") and len(bodies[0].splitlines()) == 31
    tab.context.close()
