"""The page and its key: pictures cut alike, no method's name where a rater can look, and a page that a server may send."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pictures
import pytest
from PIL import Image, ImageCms
from raters import METHODS

from gfpup.analysis.vote import make_trial, page, read_trial
from gfpup.core.errors import GfpupError


def shown(html: bytes) -> dict[str, object]:
    """What the page's script reads."""
    held = re.search(r'<script id="data" type="application/json">(.*?)</script>', html.decode(), re.DOTALL)
    assert held is not None
    return json.loads(held[1])  # type: ignore[no-any-return]


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/webp;base64,"))))


def test_the_page_and_its_pictures_name_no_method(folders: Path, trial_folder: Path) -> None:
    html = (trial_folder / "vote.html").read_bytes()
    data = shown(html)
    words = [*METHODS, "trial.json", str(folders), "input/", ".png", ".jpg"]
    for uri in data["pictures"]:  # type: ignore[attr-defined]
        raw = base64.b64decode(uri.partition(",")[2])
        assert not any(word.encode() in raw for word in words)
        assert decoded(uri).info.keys() <= {"loop", "background", "timestamp", "duration"} and not decoded(uri).getexif()
    # Base64 may spell anything by chance; what is not a picture must not.
    text = re.sub(r"data:image/webp;base64,[A-Za-z0-9+/=]+", "", html.decode())
    assert not any(word in text for word in words)
    assert all(re.fullmatch("i[0-9a-f]{8}", item["id"]) for item in data["items"])  # type: ignore[attr-defined]
    assert b"http:" not in html and b"https:" not in html and b"default-src 'none'" in html


def test_the_key_says_what_the_page_does_not(folders: Path, trial_folder: Path) -> None:
    trial, data = read_trial(trial_folder), shown((trial_folder / "vote.html").read_bytes())
    assert [method.name for method in trial.methods] == list(METHODS) and trial.show == "photos"
    assert len(trial.counted) == 36 and len(trial.items) == 40 and trial.bytes == len((trial_folder / "vote.html").read_bytes())
    for item in data["items"]:  # type: ignore[attr-defined]
        known = trial.items[item["id"]]
        for side in "ab":
            folder = folders / trial.methods[getattr(known, side)].name
            own = pictures.read(folder / f"{known.photo}.png")
            seen = np.asarray(decoded(data["pictures"][item[side]]).resize((160, 120)), float)  # type: ignore[index]
            other = pictures.read(folder / f"{(int(known.photo) + 3) % 12}.png")
            assert np.abs(seen - own).mean() < 8 < np.abs(seen - other).mean()
    sides = [item.a < item.b for item in trial.counted.values()]
    assert 8 < sum(sides) < 28, "which picture is called a says nothing"


def test_faces_are_cut_alike_from_input_and_results(swept: Path) -> None:
    trial, data = read_trial(swept / "trial"), shown(page(swept / "trial"))
    assert trial.show == "faces" and {item.face for item in trial.items.values()} == {0}
    for item in data["items"]:  # type: ignore[attr-defined]
        a, b, before = (np.asarray(decoded(data["pictures"][item[side]]), float) for side in ("a", "b", "input"))  # type: ignore[index]
        assert a.shape == b.shape == before.shape == (96, 96, 3)
        assert max(np.abs(a - b).mean(), np.abs(a - before).mean()) < 15


def test_a_server_may_ask_for_the_votes(trial_folder: Path) -> None:
    plain, served = page(trial_folder), page(trial_folder, post_to="/vote/ab12")
    assert plain == (trial_folder / "vote.html").read_bytes()
    assert b"connect-src 'self'" in served and b'data-post-to="/vote/ab12"' in served and b"connect-src" not in plain
    assert shown(plain) == shown(served)
    with pytest.raises(GfpupError, match="there is no trial in"):
        page(trial_folder.parent)


def test_colours_are_brought_to_srgb_and_the_profile_is_gone(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, colour in (("one", (200, 30, 30)), ("two", (30, 30, 200))):
        (tmp_path / name).mkdir()
        Image.new("RGBA", (64, 64), (*colour, 128)).save(tmp_path / name / "a.png", icc_profile=lab)
    make_trial([tmp_path / "one", tmp_path / "two"], tmp_path / "trial", repeats=0)
    data = shown(page(tmp_path / "trial"))
    assert len(data["items"]) == 1 and data["items"][0]["input"] is None  # type: ignore[arg-type, index]
    colours = sorted(decoded(uri).convert("RGB").getpixel((9, 9)) for uri in data["pictures"])  # type: ignore[attr-defined]
    assert np.abs(np.array(colours) - [(142, 142, 227), (227, 142, 142)]).max() <= 4, "on white, where it is transparent"
    assert not any("icc_profile" in decoded(uri).info for uri in data["pictures"])  # type: ignore[attr-defined]


def test_what_cannot_be_asked_is_refused_in_one_sentence(tmp_path: Path, folders: Path, trial_folder: Path) -> None:
    one, two = folders / "sharpestmethod", folders / "blurriestmethod"
    pictures.save(tmp_path / "other" / "z.png", np.zeros((9, 9, 3), np.uint8))
    pictures.save(tmp_path / "tall" / "1.png", np.zeros((90, 9, 3), np.uint8))
    refused = {
        "at least two methods": ([one], {}),
        "given twice": ([one, one], {}),
        "no picture in .* has the name of one in the other folders": ([one, tmp_path / "other"], {}),
        "no record says where faces are": ([one, two], {"show": "faces"}),
        "of different shape": ([one, tmp_path / "tall"], {}),
        "share no photo on which their pictures differ": ([one, trial_folder.parent / "copy"], {}),
        "is not there|no folder|does not exist|there is no folder": ([one, tmp_path / "nothing"], {}),
    }
    (folders / "copy").mkdir(exist_ok=True)
    (folders / "copy" / "1.png").write_bytes((one / "1.png").read_bytes())
    for said, (given, facts) in refused.items():
        with pytest.raises(GfpupError, match=said):
            make_trial(given, tmp_path / "trial", **facts)  # type: ignore[arg-type]
    assert not (tmp_path / "trial").exists()
