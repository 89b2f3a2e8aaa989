"""Pictures of a trial are cut alike: of one size, the same way up, and of the same part of the photo."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from gfpup.analysis.vote.methods import Method, units_of
from gfpup.analysis.vote.pictures import Cutter
from gfpup.core.errors import GfpupError
from gfpup.records.items import Item

AFFINE = np.array([[8.0, 0.0, 0.0], [0.0, 8.0, 0.0]])
"""The face is the first 64 pixels of the input."""


def painted(path: Path, size_wh: tuple[int, int], *, corner: int = 250) -> Path:
    """Grey, with a bright part at the upper left: a quarter of each side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", size_wh, (60,) * 3)
    picture.paste((corner,) * 3, (0, 0, size_wh[0] // 4, size_wh[1] // 4))
    picture.save(path)
    return path


def method(name: str, item: Item | None) -> Method:
    return Method(Path(name), {}, (), name, {} if item is None else {"a": item})


def seen(data: bytes | None) -> np.ndarray:
    assert data is not None
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"), float)


def bright(data: bytes | None) -> tuple[str, float]:
    """In which corner the bright part lies, and which share of the picture it is."""
    pixels = seen(data)
    h, w = pixels.shape
    corners = {
        "upper left": pixels[2, 2],
        "upper right": pixels[2, w - 3],
        "lower left": pixels[h - 3, 2],
        "lower right": pixels[h - 3, w - 3],
    }
    return max(corners, key=lambda name: corners[name]), float((pixels > 150).mean())


def test_the_longer_side_is_the_one_asked_for_whatever_the_size_of_the_result(tmp_path: Path) -> None:
    before = painted(tmp_path / "in.png", (160, 80))
    methods = [method(f"{w}", Item("a.png", painted(tmp_path / f"{w}.png", (w, w // 2)), before)) for w in (160, 320, 80)]
    cutter = Cutter(methods, crop_px=100, quality=90)
    pictures = [*(cutter.result(i, ("a", None)) for i in range(3)), cutter.degraded(("a", None))]
    assert {seen(picture).shape for picture in pictures} == {(50, 100)}
    for picture in pictures:
        assert bright(picture) == ("upper left", pytest.approx(1 / 16, abs=0.01))
    upright = Item("a.png", painted(tmp_path / "up.png", (90, 180)), painted(tmp_path / "up_in.png", (90, 180)))
    assert seen(Cutter([method("up", upright)] * 2, crop_px=100, quality=90).result(0, ("a", None))).shape == (100, 50)


def test_a_face_is_cut_out_of_input_and_results_by_the_record_that_has_one(tmp_path: Path) -> None:
    before = painted(tmp_path / "in.png", (128, 128))
    known = Item("a.png", painted(tmp_path / "known.png", (256, 256)), before, affines={0: AFFINE})
    plain = Item("a.png", painted(tmp_path / "plain.png", (128, 128), corner=220))
    methods = [method("plain", plain), method("known", known)]
    assert units_of(methods, None) == ("faces", [("a", 0)]) and units_of(methods, "photos") == ("photos", [("a", None)])
    cutter = Cutter(methods, crop_px=64, quality=90)
    for picture in (cutter.result(0, ("a", 0)), cutter.result(1, ("a", 0)), cutter.degraded(("a", 0))):
        assert seen(picture).shape == (64, 64)
        assert bright(picture) == ("upper left", pytest.approx(1 / 4, abs=0.02)), "the bright 32 of the face's 64 pixels"
    assert seen(cutter.result(0, ("a", 0)))[5, 5] == pytest.approx(220, abs=4)


def test_results_and_inputs_are_turned_as_the_photo_that_sets_the_frame(tmp_path: Path) -> None:
    lying, upright = painted(tmp_path / "in.png", (160, 80)), painted(tmp_path / "out.png", (80, 160))
    turned = Item("a.png", upright, lying, turned=90)
    left = Item("a.png", painted(tmp_path / "left.png", (160, 80)), lying)
    cutter = Cutter([method("turned", turned), method("left", left)], crop_px=80, quality=90)
    assert [bright(cutter.result(i, ("a", None)))[0] for i in (0, 1)] == ["upper left", "upper right"]
    assert bright(cutter.degraded(("a", None)))[0] == "upper right"
    assert seen(cutter.result(1, ("a", None))).shape == (80, 40)
    other = Cutter([method("left", left), method("turned", turned)], crop_px=80, quality=90)
    assert [bright(other.result(i, ("a", None)))[0] for i in (0, 1)] == ["upper left", "lower left"]


def test_shapes_may_differ_by_rounding_and_no_more(tmp_path: Path) -> None:
    before = painted(tmp_path / "in.png", (150, 99))
    rounded, other = (Item("a.png", painted(tmp_path / f"{h}.png", (300, h)), before) for h in (199, 220))
    assert Cutter([method("r", rounded)] * 2, crop_px=64, quality=80).result(0, ("a", None))
    with pytest.raises(GfpupError, match=r"a\.png of other is 300x220, and others are 150x99: they are of different shape"):
        Cutter([method("other", other)] * 2, crop_px=64, quality=80).result(0, ("a", None))


def test_only_photos_with_two_results_are_shown(tmp_path: Path) -> None:
    good = Item("a.png", painted(tmp_path / "a.png", (64, 64)))
    lost, torn = Item("a.png"), Item("a.png", tmp_path / "a.png", refusal="torn")
    for bad in (lost, torn, None):
        with pytest.raises(GfpupError, match="one, two have no photo in common"):
            units_of([method("one", good), method("two", bad)], None)
    assert units_of([method("one", good), method("two", lost), method("three", good)], None) == ("photos", [("a", None)])


def test_a_profile_that_was_cut_off_is_shown_as_none(tmp_path: Path) -> None:
    plain, damaged = painted(tmp_path / "plain.png", (64, 64)), tmp_path / "damaged.png"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.open(plain).save(damaged, icc_profile=profile[:200])
    cutter = Cutter([method(path.stem, Item("a.png", path)) for path in (plain, damaged)], crop_px=64, quality=90)
    assert cutter.result(0, ("a", None)) == cutter.result(1, ("a", None))
