"""The report in a real browser: Chromium moves the slider, sorts the tables, zooms all versions and finds no error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gfpup.analysis.report import write_report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, finished_sweep: Path) -> Path:
    return write_report([finished_sweep], tmp_path_factory.mktemp("browser") / "report.html")


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desktop", "phone"])
def page(request: pytest.FixtureRequest, browser: Any, report: Path) -> Iterator[Any]:
    """The report in a new window, desktop or phone; fails where the browser complained or asked for anything else."""
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height}, has_touch=width < 500, reduced_motion="reduce")
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("request", lambda asked: None if asked.url.startswith(("file:", "data:")) else complaints.append(asked.url))
    page.goto(report.as_uri())
    yield page
    context.close()
    assert complaints == []


def value(page: Any, selector: str, name: str) -> float:
    return float(page.locator(selector).first.evaluate(f"it => getComputedStyle(it).getPropertyValue('{name}')"))


def test_the_slider_moves_by_keyboard_and_by_pointer(page: Any) -> None:
    slider = page.locator(".split").first
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert value(page, ".stage", "--split") == 60
    page.keyboard.press("Home")
    assert value(page, ".stage", "--split") == 0
    assert slider.get_attribute("aria-valuetext") == "0 % of the left version"
    stage = page.locator(".stage").first
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 20, steps=4)
    page.mouse.up()
    assert value(page, ".stage", "--split") == pytest.approx(25, abs=1.5)
    clip = page.locator(".stage .pane.right").first.evaluate("it => getComputedStyle(it).clipPath")
    assert "25" in clip
    if page.evaluate("navigator.maxTouchPoints"):
        touch = page.context.new_cdp_session(page)
        for kind, at in (("touchStart", 0.3), ("touchMove", 0.6), ("touchMove", 0.8), ("touchEnd", None)):
            points = [] if at is None else [{"x": box["x"] + at * box["width"], "y": box["y"] + 20}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        assert value(page, ".stage", "--split") == pytest.approx(80, abs=1.5)
    # The second photo's slider has not moved.
    assert page.locator(".split").nth(1).input_value() == "50"


def test_tables_are_sorted_by_click_and_by_keyboard(page: Any) -> None:
    def column(table: str, at: int) -> list[str]:
        return page.locator(f"{table} tbody tr td:nth-child({at})").all_inner_texts()  # type: ignore[no-any-return]

    page.locator("#scores details summary", has_text="Each photo").click()
    head = page.locator("#photo-scores th button").nth(1)
    head.click()
    up = [float(text) for text in column("#photo-scores", 2)]
    assert len(up) == 3 and up == sorted(up) and up[0] < up[-1]
    head.focus()
    page.keyboard.press("Enter")
    assert [float(text) for text in column("#photo-scores", 2)] == up[::-1]
    assert page.locator("#photo-scores th").nth(1).get_attribute("aria-sort") == "descending"
    page.locator("#filter").fill("B.P")
    assert column("#photo-scores", 1) == ["b.png"]
    names = column("#table-runs", 1)
    page.locator("#table-runs th button").first.click()
    page.locator("#table-runs th button").first.click()
    assert column("#table-runs", 1) == names[::-1]


def test_photos_are_sorted_by_score_difference_and_name(page: Any) -> None:
    def shown() -> tuple[list[str], list[list[float]]]:
        cards = page.locator(".card")
        values = [json.loads(values)[0] for values in cards.evaluate_all("all => all.map((it) => it.dataset.values)")]
        return page.locator(".card h3").all_text_contents(), values

    assert page.evaluate("document.getElementById('photos').nextElementSibling.id") == "runs"
    _, offered = shown()
    apart = page.locator(".card").evaluate_all("all => all.map((it) => Number(it.dataset.apart))")
    assert apart == sorted(apart, reverse=True) and apart[-1] > 0
    sort = page.locator("#sort")
    sort.select_option(label="difference in ssim_to_input")
    differences = [max(row) - min(row) for row in shown()[1]]
    assert differences == sorted(differences, reverse=True) and differences[0] > differences[-1]
    sort.select_option(label="name")
    assert shown()[0] == ['a "<img src=x onerror=alert(1)>.png', "b.png", "c.jpg"]
    sort.select_option(label="most changed by ssim_to_input")
    least = [min(row) for row in shown()[1]]
    assert least == sorted(least) and least[0] < least[-1]
    sort.select_option(index=0)
    assert shown()[1] == offered
    # What a photo scored stands beneath it.
    card = page.locator(".card").first
    assert float(card.locator(".of-photo tbody td").first.inner_text()) == pytest.approx(offered[0][0], rel=1e-3)


def test_labels_and_first_columns_leave_room_on_a_phone(page: Any) -> None:
    width = page.evaluate("innerWidth")
    for label in page.locator(".card").first.locator(".sides > *").all():
        assert label.evaluate("it => it.scrollWidth <= it.clientWidth && getComputedStyle(it).overflow === 'visible'")
    assert page.locator("#table-runs td").first.bounding_box()["width"] <= 0.4 * width
    page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_all_versions_zoom_together_on_a_face(page: Any) -> None:
    page.get_by_role("button", name="Side by side").click()
    assert page.locator(".stage").first.locator(".pane:visible").count() == 3
    page.locator("[data-face]").first.click()
    worlds = page.locator(".stage").first.locator(".world")
    inside = "it => { const m = new DOMMatrix(getComputedStyle(it).transform); return [m.a, m.e, m.f]; }"
    first, *others = [worlds.nth(i).evaluate(inside) for i in range(3)]
    assert first[0] == pytest.approx(value(page, ".stage", "--zoom")) and first[0] > 1.1
    for other in others:
        assert other == pytest.approx(first, abs=0.1)
    page.locator(".stage").first.focus()
    before = value(page, ".stage", "--cx")
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    assert value(page, ".stage", "--cx") < before
    page.keyboard.press("0")
    assert value(page, ".stage", "--zoom") == 1


def test_the_first_photo_is_seen_at_once_with_its_face_in_every_version(page: Any) -> None:
    # The middle of the first slider is on the first screen, and on a desktop the versions beside it are as well.
    size = page.viewport_size
    stage = page.locator(".stage").first.bounding_box()
    assert stage["y"] + stage["height"] / 2 < size["height"]
    assert stage["width"] >= (0.8 if size["width"] < 500 else 0.4) * size["width"] and stage["height"] <= 0.77 * size["height"]
    tiles = page.locator(".card").first.locator(".versions.of-face figure")
    tiles.first.wait_for()
    assert tiles.locator("figcaption").all_inner_texts() == ["before", "1 classical", "2 identity"]
    name = page.locator(".card h3").first.inner_text()
    assert tiles.locator("img[alt]:not([alt=''])").first.get_attribute("alt") == f"face 1 of {name}, before"
    if size["width"] > 500:
        assert tiles.last.bounding_box()["y"] + tiles.last.bounding_box()["height"] < size["height"]
    # The face is in the middle of its tile, and fills most of it.
    x, y, w, h = map(float, page.locator(".card [data-face]").first.get_attribute("data-face").split())
    tile, world = (tiles.first.locator(it).bounding_box() for it in (".tile", ".world"))
    assert world["x"] + (x + w / 2) * world["width"] == pytest.approx(tile["x"] + tile["width"] / 2, abs=1)
    assert world["y"] + (y + h / 2) * world["height"] == pytest.approx(tile["y"] + tile["height"] / 2, abs=1)
    assert max(w * world["width"], h * world["height"]) == pytest.approx(tile["width"] / 1.3, rel=0.02)


def test_every_picture_is_shown_and_the_page_fits(page: Any) -> None:
    page.get_by_role("button", name="Side by side").click()
    broken = page.evaluate("""async () => {
      document.querySelectorAll("details").forEach((each) => { each.open = true; });  // pictures in closed ones wait
      const all = [...document.images];
      for (const image of all) image.loading = "eager";
      await Promise.all(all.map((image) => image.decode().catch(() => 0)));
      return all.filter((image) => !image.naturalWidth).length;
    }""")
    assert broken == 0 and page.locator("img").count() >= 9
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
