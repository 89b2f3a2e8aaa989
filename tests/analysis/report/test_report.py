"""Reports over runs that the tests make: one file, no network, no name that becomes markup, numbers that can be sorted."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from pictures import save
from PIL import Image

import gfpup.analysis.report as report_module
from gfpup.analysis.report import CONTACT_SHEET, write_report
from gfpup.analysis.report.page import COLOURS
from gfpup.analysis.report.pictures import Limits, _picture, limits_for
from gfpup.cli import report as command
from gfpup.cli.main import main
from gfpup.core.errors import GfpupError

WICKED = "a <script>alert(1)<_script> \"q\" & 'p'.png"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A sweep of two backends over three aligned faces, one with a name that is markup, and one file that is no photo."""
    root = tmp_path_factory.mktemp("report")
    face = cv2.resize(np.ascontiguousarray(skimage.data.astronaut()[:200, 130:330]), (512, 512))
    (root / "photos").mkdir()
    for i, name in enumerate(("b.png", WICKED, "c.jpg")):
        save(root / "photos" / name, np.ascontiguousarray(np.roll(face, 9 * i, 1)))
    (root / "photos" / "torn.png").write_bytes(b"no picture")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("GFPUP_CONFIG_DIR", str(root / "config"))
        words = "run -m --input photos --aligned --backend identity,classical --metrics psnr,ssim,seconds --output out -q"
        assert main(shlex.split(words)) == 1
        yield root / "out"


@pytest.fixture(scope="module")
def html(sweep: Path) -> str:
    return write_report([sweep], sweep / "report.html").read_text(encoding="utf-8")


def data_of(html: str) -> dict[str, list[list[object]]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found.group(1))  # type: ignore[no-any-return]


def test_the_page_fetches_nothing_and_runs_only_its_own_script(html: str) -> None:
    for address in re.findall(r'\b(?:src|href|srcset|action|data)="([^"]*)"', html):
        assert address.startswith(("data:image/webp;base64,", "data:image/jpeg;base64,", "#", CONTACT_SHEET)), address[:80]
    assert not re.search(r"url\(|@import|<link|<iframe|<base", html)
    assert not re.search(r"<[a-z]+[^>]*\son[a-z]+=", html)
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in html


def test_names_stay_text(html: str) -> None:
    assert "<script>alert" not in html and "alert(1)" in html
    stem = WICKED
    assert sorted(unescape(name) for name in re.findall(r"<h3>(.*?)</h3>", html)) == sorted(
        [WICKED, "b.png", "c.jpg", "torn.png"]
    )
    assert [stem, "#photo-1"] in data_of(html)["photos"]


def test_photos_come_first_with_their_scores_and_what_was_decided(sweep: Path, html: str) -> None:
    sections = re.findall(r'<section id="([^"]*)"', html)
    assert sections == ["photos", "runs", "front", "scores", "failures", "plan", "command"]
    cards = {unescape(re.findall(r"<h3>(.*?)</h3>", card)[0]): card for card in html.split("<article")[1:]}
    for name in ("b.png", "c.jpg", WICKED):
        rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', cards[name])
        shown = {unescape(metric): re.findall(r"<td[^>]*>(?:<b>)?([^<]*)", cells) for metric, cells in rows}
        for run, value in zip(("backend=classical", "backend=identity"), shown["ssim_to_input"][:2], strict=True):
            with (sweep / run / "scores.csv").open(encoding="utf-8", newline="") as file:
                found = [
                    row
                    for row in csv.DictReader(file)
                    if (row["photo"], row["metric"], row["face"]) == (name, "ssim_to_input", "")
                ]
            assert float(value) == pytest.approx(float(found[0]["value"]), rel=1e-3)
        found = shown["psnr_to_input"][1]
        assert found == "∞" or (name == "c.jpg" and float(found) > 40), "identity changes nothing, and JPEG little"
    # One error of both runs is one line, and a photo without scores has no table of them.
    assert cards["torn.png"].count('class="error"') == 1 and "of-photo" not in cards["torn.png"]


def test_photos_that_runs_disagree_on_come_first(html: str) -> None:
    cards = html.split("<article")[1:]
    apart = [float(re.findall(r'data-apart="([^"]*)"', card)[0]) for card in cards]
    assert apart == sorted(apart, reverse=True) and apart[2] > 0 and apart[3] == -1 and "<h3>torn.png" in cards[3]
    first = [unescape(label) for label in re.findall(r"<option[^>]*>([^<]*)</option>", html.split('id="sort"')[1])][:2]
    assert first == ["difference between pictures", "difference in psnr_to_input"]
    for card, difference in zip(cards[:3], apart, strict=False):
        said = re.findall(r"The results differ by ([0-9.]+) of 255 levels", card)
        assert float(said[0]) == pytest.approx(difference, rel=0.06)
    assert "differ by" not in cards[3] and "are equal" not in cards[3]
    groups = re.findall(r'<optgroup label="([^"]*)">', html)
    assert groups == ["Largest difference first", "Worst score first", "Most changed first", "Name"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_numbers_of_runs_can_be_read_on_their_colours(html: str, scheme: str) -> None:
    light, dark = re.search(r"<style>(.*?)</style>", html, re.DOTALL).group(1).split("@media (prefers-color-scheme: dark)", 1)  # type: ignore[union-attr]
    style = light if scheme == "light" else dark.split("*, ::before", 1)[0]
    own = re.findall(r"--own: (#[0-9a-f]+)", style)
    on = re.findall(r"--on-own: (#[0-9a-f]+)", style)
    faint, paper = (re.findall(rf"--{name}: (#[0-9a-f]+)", style)[0] for name in ("faint", "paper"))
    assert len(own) == COLOURS and len(on) == 1
    for colour in own:
        assert contrast(colour, on[0]) >= 4.5, colour
    assert contrast(faint, paper) >= 4.5


def contrast(one: str, other: str) -> float:
    """Source: WCAG 2.2, "contrast ratio" and "relative luminance"."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_folder_that_was_only_scored_is_a_report(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    restored, reference, scored = tmp_path / "restored", tmp_path / "reference", tmp_path / "scored"
    for folder, run in ((restored, "backend=classical"), (reference, "backend=identity")):
        folder.mkdir()
        for name in ("b.png", "c.jpg"):
            shutil.copy(sweep / run / name, folder / name)
    given = ["--restored", str(restored), "--reference", str(reference)]
    assert main(["score", *given, "--metrics", "psnr,ssim", "--output", str(scored), "--quiet"]) == 0
    assert command.run([str(scored)]) == 0
    html = (scored / "report.html").read_text(encoding="utf-8")
    assert html.count("<article") == 2 and "psnr ↑" in html
    for card in html.split("<article")[1:]:
        assert re.findall(r'data-column="([^"]*)"', card) == ["reference", "run-0"] and card.count("data:image/webp") >= 2
    shown = re.search(r'<pre class="command"[^>]*><code>(.*?)</code>', html, re.DOTALL)
    assert shown is not None
    words = shlex.split(unescape(shown.group(1)))
    (scored / "scores.csv").unlink()
    assert main(words[1:]) == 0 and (scored / "scores.csv").is_file(), "the command on the page runs as it stands"
    # Beside a run, and after the pictures have gone.
    html = write_report([scored, sweep / "backend=identity"], tmp_path / "both.html").read_text(encoding="utf-8")
    assert html.count("<article") == 4 and 'data-column="run-1"' in html
    shutil.rmtree(restored)
    assert "the scored pictures are not shown" in write_report([scored], tmp_path / "gone.html").read_text(encoding="utf-8")
    capsys.readouterr()


def test_every_version_of_every_photo_is_inside(html: str) -> None:
    assert html.count("<article") == 4
    cards = html.split("<article")[1:]
    for card in cards[:3]:
        assert re.findall(r'data-column="([^"]*)"', card) == ["before", "run-0", "run-1"]
        assert card.count("data:image/webp;base64,") == 3
    # What cannot be read says so in its place, in each version.
    assert cards[3].count('class="gone"') == 3 and "torn.png" in cards[3]


def test_pictures_are_those_of_the_run(sweep: Path, html: str) -> None:
    import io

    card = next(card for card in html.split("<article")[1:] if "<h3>b.png" in card)
    shown = [Image.open(io.BytesIO(base64.b64decode(uri))) for uri in re.findall(r"data:image/webp;base64,([^\"]*)", card)]
    names = [unescape(tag) for tag in re.findall(r'<span class="tag">([^<]*)</span>', card)][1:]
    assert names == ["classical", "identity"]
    files = [sweep.parent / "photos" / "b.png", *(sweep / f"backend={name}" / "b.png" for name in names)]
    for picture, file in zip(shown, files, strict=True):
        wanted = np.asarray(Image.open(file).convert("RGB").resize(picture.size), np.float64)
        assert np.abs(np.asarray(picture.convert("RGB"), np.float64) - wanted).mean() < 4
    assert np.abs(np.asarray(shown[1], np.float64) - np.asarray(shown[2], np.float64)).mean() > 0.3


def test_tables_carry_the_numbers_they_are_sorted_by(sweep: Path, html: str) -> None:
    runs = re.search(r'<table class="sortable" id="table-runs">.*?</table>', html, re.DOTALL)
    assert runs is not None and "psnr_to_input" in runs.group()
    rows = re.findall(r"<tr>(<td.*?)</tr>", runs.group(), re.DOTALL)
    assert len(rows) == 2
    for row, name in zip(rows, ("backend=classical", "backend=identity"), strict=True):
        values = re.findall(r'data-value="([^"]*)"', row)
        assert values[:4] == [name.removeprefix("backend="), "4", "1", "3"]
        mean = next(line["mean"] for line in json.loads((sweep / name / "scores.json").read_text())["scores"]
                    if (line["metric"], line["level"]) == ("ssim_to_input", "photo"))  # fmt: skip
        assert any(value and abs(float(value) - mean) < 1e-9 for value in values[4:])
    data = data_of(html)
    assert data["runs"] == ["classical", "identity"]
    assert all(len(run) == len(data["photos"]) for metric in data["metrics"] for run in metric["values"])  # type: ignore[call-overload]
    torn = next(i for i, photo in enumerate(data["photos"]) if photo[0] == "torn.png")
    assert data["metrics"][0]["values"][0][torn] is None  # type: ignore[call-overload]


def test_front_failures_plan_and_command_are_there(sweep: Path, html: str) -> None:
    assert 'class="front"' in html or html.count('class="point ahead') >= 1
    failed = re.search(r'<table class="sortable" id="table-failed">.*?</table>', html, re.DOTALL)
    assert failed is not None and failed.group().count("torn.png") >= 2
    document = json.loads((sweep / "backend=classical" / "manifest.json").read_text())
    for reason in document["plan"]["reasons"]:
        assert reason["why"] in unescape(html)
    shown = re.search(r'<pre class="command"[^>]*><code>(.*?)</code>', html, re.DOTALL)
    assert shown is not None
    assert shlex.split(unescape(shown.group(1))) == ["cd", document["cwd"], *document["argv"]]


def test_the_contact_sheet_has_a_column_a_version(sweep: Path, html: str) -> None:
    sheet = Image.open(sweep / CONTACT_SHEET)
    assert sheet.format == "JPEG"
    assert sheet.width == 3 * 208 + 16 and sheet.height > 4 * 50


def test_more_photos_than_a_page_holds_get_pages_beside(sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_module, "PHOTOS_A_PAGE", 3)
    target = write_report([sweep], tmp_path / "all.html")
    main_page, second = (
        target.read_text(encoding="utf-8"),
        (tmp_path / "all_pages" / "photos-002.html").read_text(encoding="utf-8"),
    )
    assert main_page.count("<article") == 3 and second.count("<article") == 1
    assert 'href="all_pages/photos-002.html#photos"' in main_page and 'href="../all.html#photos"' in second
    assert [link for name, link in data_of(main_page)["photos"] if name == "torn.png"] == ["all_pages/photos-002.html#photo-4"]
    assert 'id="photo-4"' in second
    monkeypatch.setattr(report_module, "PHOTOS_A_PAGE", 200)
    write_report([sweep], target)
    assert not list((tmp_path / "all_pages").glob("*"))


def test_one_run_without_scores_is_a_report_too(sweep: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(sweep / "backend=classical", run)
    (run / "scores.csv").unlink()
    html = write_report([run], tmp_path / "one.html").read_text(encoding="utf-8")
    assert "There are no scores" in html and 'id="photo-scores"' not in html
    assert html.count("<article") == 4
    assert data_of(html)["photos"] == []


def test_a_refused_job_and_an_unended_run_are_named(sweep: Path, tmp_path: Path) -> None:
    copy = tmp_path / "sweep"
    shutil.copytree(sweep, copy)
    manifest = copy / "backend=identity" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"status": "failed"', '"status": "running"'))
    lost = {
        "job": 7,
        "overrides": ["backend=gfpgan"],
        "output": "out/backend=gfpgan",
        "status": 2,
        "error": "no weights <here>",
    }
    (copy / ".sweep" / "7.json").write_text(json.dumps(lost))
    html = write_report([copy], tmp_path / "two.html").read_text(encoding="utf-8")
    assert "no weights &lt;here&gt;" in html and "gfpgan" in html
    assert "identity is left out" in html and 'data-column="run-1"' not in html


def test_a_changed_input_is_not_shown_as_before(sweep: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(sweep / "backend=classical", run)
    other = tmp_path / "b.png"
    save(other, np.full((64, 64, 3), 200, np.uint8))
    document = json.loads((run / "manifest.json").read_text())
    next(line for line in document["photos"] if line["name"] == "b.png")["input"] = str(other)
    (run / "manifest.json").write_text(json.dumps(document))
    html = write_report([run], tmp_path / "r.html").read_text(encoding="utf-8")
    card = next(card for card in html.split("<article")[1:] if "<h3>b.png" in card)
    assert "has changed since the run" in card and card.count("data:image/webp") == 1


def test_a_page_of_pictures_stays_bounded_and_faces_sharp() -> None:
    few, many = limits_for(5, 3), limits_for(200, 3)
    assert few.side_px == 1280 > many.side_px > 256
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (900, 1200, 3), dtype=np.uint8))
    seen = _picture(noise, [(0.25, 0.25, 0.1, 0.1)], Limits(side_px=400, face_px=200))
    assert len(seen.uri) < 2 * 400 * 400 and len(seen.patches) == 1
    assert seen.patches[0][0] == pytest.approx((0.25, 0.25, 0.1, 0.1), abs=1e-3)
    small = _picture(noise.resize((200, 150)), [(0.25, 0.25, 0.1, 0.1)], Limits(side_px=400, face_px=200))
    assert small.patches == ()  # the picture is whole already


def test_the_command_writes_where_it_says(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "pages" / "look.html"
    words = [str(sweep), "--output", str(target), "--baseline", str(sweep / "backend=identity")]
    assert command.run(words) == 0
    assert capsys.readouterr().out.strip() == str(target)
    assert "Differences are to identity, paired by photo" in target.read_text(encoding="utf-8")
    assert command.run([str(sweep / "backend=identity")]) == 0
    assert (sweep / "backend=identity" / "report.html").exists()
    assert main(["report", "--help"]) == 0 and "usage: gfpup report" in capsys.readouterr().out


def test_what_cannot_be_reported_is_refused(sweep: Path, tmp_path: Path) -> None:
    with pytest.raises(GfpupError, match="holds neither a run nor scores: give the --output folder"):
        command.run([str(tmp_path)])
    with pytest.raises(GfpupError, match="unknown baseline 'nobody': choose one of classical; identity"):
        command.run([str(sweep), "--baseline", "nobody"])
    with pytest.raises(GfpupError, match=r"for --output: expected a file that ends in \.html"):
        command.run([str(sweep), "--output", str(tmp_path / "look.pdf")])
    with pytest.raises(GfpupError, match="explains"):
        command.run([str(sweep), "--colour", "red"])
