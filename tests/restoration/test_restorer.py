"""The pipeline with made-up parts: what happens to faces that fail, are redone, blended, or have no face in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

from gfpup.core.plan import FaceChoice
from gfpup.core.types import Face, Metadata, Photo
from gfpup.ops import geometry
from gfpup.ops.geometry import TEMPLATE_512_XY
from gfpup.ops.resize import resize
from gfpup.restoration.restorer import Restorer
from gfpup.restoration.turn import turned_face


class Found:
    """Finds faces where it is told."""

    def __init__(self, *corners: tuple[float, float], size: float = 0.5) -> None:
        self.faces = [
            Face((x, y, x + 512 * size, y + 512 * size), 0.99, TEMPLATE_512_XY * size + np.array([x, y])) for x, y in corners
        ]

    def detect(self, rgb: np.ndarray) -> list[Face]:
        return list(self.faces)


class Paint:
    """Returns one value for every pixel, and remembers the sizes of its batches."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.batches: list[int] = []

    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(crops))
        return torch.full_like(crops, self.value)


def photo(h: int = 300, w: int = 600, dtype: type = np.uint8) -> Photo:
    level = 100 if dtype == np.uint8 else 25700
    return Photo(Path("p.png"), np.full((h, w, 3), level, dtype), Metadata("PNG"))


def test_a_face_that_is_not_finite_is_redone_then_named_and_never_pasted() -> None:
    detector = Found((10, 10))
    redone = Restorer(Paint(float("nan")), detector, upscale=1, fallback=Paint(1.0))([photo()])[0]
    assert redone.faces[0].restored
    assert "redone in float32" in str(redone.faces[0].reason)
    assert redone.pixels.max() == 255
    failed = Restorer(Paint(float("inf")), detector, upscale=1)([photo()])[0]
    assert (failed.faces[0].restored, failed.faces[0].failed) == (False, True)
    assert "not finite" in str(failed.faces[0].reason)
    np.testing.assert_array_equal(failed.pixels, photo().pixels)


class Masks:
    """Masks faces alone or together, and remembers how many it saw at once."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, crop: np.ndarray) -> np.ndarray | None:
        return self.many([crop])[0]

    def many(self, crops: list[np.ndarray]) -> list[np.ndarray | None]:
        self.batches.append(len(crops))
        return [np.full(crop.shape[:2], 0.5, np.float32) for crop in crops]


def test_masks_of_a_batch_are_made_together_and_are_the_same() -> None:
    detector = Found((10, 10), (300, 10), size=0.4)
    alone, together = Masks(), Masks()
    one = Restorer(Paint(1.0), detector, upscale=1, mask=alone)([photo(), photo()])
    several = Restorer(Paint(1.0), detector, upscale=1, mask=together, face_batch=3)([photo(), photo()])
    assert (alone.batches, together.batches) == ([1, 1, 1, 1], [3, 1])
    for a, b in zip(one, several, strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)
        assert b.seconds["paste"] > 0


def test_strength_blends_the_face_with_its_input() -> None:
    for strength, level in ((1.0, 200), (0.9, 190), (0.75, 175), (0.5, 150), (0.25, 125), (0.0, 100)):
        result = Restorer(Paint(200 / 255), Found((10, 10)), upscale=1, strength=strength)([photo()])[0]
        assert abs(int(result.pixels[138, 138, 0]) - level) <= 1


def test_faces_of_several_photos_share_forwards_and_keep_their_places() -> None:
    backend = Paint(0.0)
    detector = Found((10, 10), (300, 10))
    results = Restorer(backend, detector, upscale=1, face_batch=3)([photo(), photo()])
    assert backend.batches == [3, 1]
    assert [len(result.faces) for result in results] == [2, 2]
    for result in results:
        assert result.pixels[138, 138, 0] == 0
        assert result.pixels[138, 428, 0] == 0
        assert result.seconds["restore"] >= 0


def test_one_face_a_forward_where_bytes_are_promised() -> None:
    backend = Paint(0.0)
    Restorer(backend, Found((10, 10), (300, 10)), face_batch=1)([photo()])
    assert backend.batches == [1, 1]


def test_a_photo_without_a_face_is_resized_and_says_so() -> None:
    result = Restorer(Paint(0.0), Found(), upscale=2)([photo()])[0]
    np.testing.assert_array_equal(result.pixels, resize(photo().pixels, (600, 1200)))
    assert "no face was found" in result.warnings[0]


def test_faces_left_out_keep_their_reason() -> None:
    detector = Found((10, 10), (300, 10))
    result = Restorer(Paint(0.0), detector, upscale=1, choice=FaceChoice(1))([photo()])[0]
    assert [face.restored for face in result.faces] == [True, False]
    assert result.faces[1].reason == "not one of the 1 largest"
    assert result.pixels[138, 428, 0] == 100


def test_sixteen_bits_and_alpha_go_through() -> None:
    deep = photo(dtype=np.uint16)
    alpha = np.full((300, 600), 40000, np.uint16)
    result = Restorer(Paint(1.0), Found((10, 10)), upscale=2)([Photo(deep.path, deep.pixels, deep.metadata, alpha)])[0]
    assert result.pixels.dtype == np.uint16
    assert result.pixels[5, 5, 0] == 25700
    assert result.pixels[276, 276, 0] == 65535
    assert result.alpha is not None
    assert result.alpha.shape == (600, 1200)
    assert (result.alpha == 40000).all()


def test_a_mask_that_sees_no_face_falls_back_aloud() -> None:
    result = Restorer(Paint(0.0), Found((10, 10)), upscale=1, mask=lambda crop: None)([photo()])[0]
    assert "feathered square" in str(result.faces[0].reason)
    assert result.pixels[138, 138, 0] == 0


def test_landmarks_that_fit_nothing_fail_that_face_alone() -> None:
    detector = Found((10, 10))
    detector.faces.append(Face((0, 0, 9, 9), 0.98, np.full((5, 2), 5.0)))
    choice = FaceChoice(min_eye_distance_px=0)
    result = Restorer(Paint(0.0), detector, upscale=1, choice=choice)([photo()])[0]
    assert [face.restored for face in result.faces] == [True, False]
    assert result.faces[1].failed


class Blush:
    """Adds a colour to every face, as learned methods do to grey ones."""

    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        return (crops + torch.tensor([0.2, 0.0, -0.1]).view(1, 3, 1, 1)).clamp(0, 1)


def coloured(pixels: np.ndarray, to_hw: tuple[int, int]) -> np.ndarray:
    """Enlarges a background, and adds a colour to it."""
    enlarged = resize(pixels, to_hw)
    enlarged[..., 0] += 30 * (1 if pixels.dtype == np.uint8 else 257)
    return enlarged


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_photo_stays_grey_and_says_so(dtype: type) -> None:
    restorer = Restorer(Blush(), Found((10, 10)), upscale=1, upsample=coloured)
    result = restorer([photo(dtype=dtype)])[0]
    assert np.ptp(result.pixels, axis=2).max() == 0
    output = result.faces[0].output
    assert output is not None and np.ptp(output, axis=2).max() == 0
    assert result.pixels[138, 138, 0] != result.pixels[5, 5, 0], "the face is still restored"
    assert "the photo is grey: colours that were added to it have been removed" in result.warnings
    aligned = Restorer(Blush(), None, upscale=1)([photo(512, 512)])[0]
    assert np.ptp(aligned.pixels, axis=2).max() == 0 and any("grey" in warning for warning in aligned.warnings)


def test_a_photo_of_one_tone_keeps_it_only_where_asked() -> None:
    shades = np.tile(np.linspace(0, 255, 600), (300, 1))[..., None]
    pixels = np.clip(shades * [1.0, 0.8, 0.6], 0, 255).round().astype(np.uint8)
    sepia = Photo(Path("p.png"), pixels, Metadata("PNG"))
    free, kept = (Restorer(Blush(), Found((10, 10)), upscale=1, keep_tone=keep)([sepia])[0] for keep in (False, True))
    assert np.abs(free.pixels.astype(int) - pixels).max() > 20 and not free.warnings
    bright = kept.pixels.astype(float) @ [0.299, 0.587, 0.114]
    expected = (bright / (0.299 + 0.8 * 0.587 + 0.6 * 0.114))[..., None] * [1.0, 0.8, 0.6]
    assert np.abs(kept.pixels - expected)[bright < 200].max() < 4
    assert "toned" in kept.warnings[0]


def test_photos_with_colours_are_not_touched() -> None:
    vivid = Photo(Path("p.png"), np.ascontiguousarray(skimage.data.astronaut()[:300]), Metadata("PNG"))
    for keep in (False, True):
        result = Restorer(Blush(), Found((10, 10)), upscale=1, keep_tone=keep)([vivid])[0]
        assert np.ptp(result.pixels, axis=2).max() > 50 and not result.warnings


def test_what_overshoots_is_clipped_before_it_is_blended() -> None:
    for value, level in ((2.0, 178), (-1.0, 50)):
        result = Restorer(Paint(value), Found((10, 10)), upscale=1, strength=0.5)([photo()])[0]
        assert abs(int(result.pixels[138, 138, 0]) - level) <= 1


def test_a_face_that_failed_says_so_and_leaves_its_neighbour() -> None:
    class FirstFails:
        def restore(self, crops: torch.Tensor) -> torch.Tensor:
            out = torch.zeros_like(crops)
            out[0] = float("nan")
            return out

    result = Restorer(FirstFails(), Found((10, 10), (300, 10)), upscale=1, face_batch=2)([photo()])[0]
    assert [(face.restored, face.failed) for face in result.faces] == [(False, True), (True, False)]
    assert result.faces[0].output is None and result.pixels[138, 138, 0] == 100 and result.pixels[138, 428, 0] == 0


def test_photos_that_share_a_forward_share_its_seconds_by_their_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("gfpup.restoration.restorer.time.perf_counter", lambda: clock[0])

    class Slow:
        def restore(self, crops: torch.Tensor) -> torch.Tensor:
            clock[0] += 6.0
            return crops.clone()

    class Looks:
        faces = (Found((10, 10), (300, 10)).faces, Found((10, 10)).faces)

        def detect(self, rgb: np.ndarray) -> list[Face]:
            clock[0] += 2.0
            return list(self.faces[0 if rgb.max() == 100 else 1])

    def slow_resize(pixels: np.ndarray, to_hw: tuple[int, int]) -> np.ndarray:
        clock[0] += 0.5
        return resize(pixels, to_hw)

    other = Photo(Path("q.png"), np.full((300, 600, 3), 90, np.uint8), Metadata("PNG"))
    two, one = Restorer(Slow(), Looks(), upscale=1, face_batch=3, upsample=slow_resize)([photo(), other])
    assert two.seconds == pytest.approx({"detect": 2, "align": 0, "restore": 4, "background": 0.5, "paste": 0})
    assert one.seconds == pytest.approx({"detect": 2, "align": 0, "restore": 2, "background": 0.5, "paste": 0})
    alone = Restorer(Slow(), Looks(), upscale=1, face_batch=1)([photo()])[0]
    assert alone.seconds["restore"] == pytest.approx(12)


def test_a_lying_photo_is_restored_as_it_lies_or_turned_where_asked_and_says_which() -> None:
    face = Found((10, 10)).faces[0]
    for turn, how in ((90, "lies on its side"), (180, "is upside down"), (270, "lies on its side")):
        lying = turned_face(face, -turn, (300, 600))
        seen = type("Seen", (), {"detect": lambda self, rgb, lying=lying: [lying]})()
        given = photo(600, 300) if turn != 180 else photo(300, 600)
        left, turned = (Restorer(Paint(1.0), seen, upscale=1, turn_upright=apply)([given])[0] for apply in (False, True))
        assert left.pixels.shape == given.pixels.shape and left.turned == 0
        assert left.warnings == (f"the photo {how}: --turn apply would write it turned by {turn} degrees clockwise",)
        assert turned.pixels.shape == (300, 600, 3) and turned.turned == turn
        assert turned.warnings == (f"the photo {how}: it was turned by {turn} degrees clockwise",)
        assert turned.pixels[138, 138, 0] == 255 and turned.pixels[138, 500, 0] == 100
        np.testing.assert_array_equal(turned.pixels, geometry.turned_pixels(left.pixels, turn))


def test_an_aligned_photo_that_is_not_square_says_that_it_was_squeezed() -> None:
    warnings = [Restorer(Paint(0.5), None)([photo(h, w)])[0].warnings for h, w in ((512, 512), (300, 300), (400, 512))]
    assert warnings == [(), (), ("an aligned face is square, this one of 512x400 px was squeezed",)]


def test_remarks_about_one_face_are_all_said() -> None:
    result = Restorer(Paint(float("nan")), Found((10, 10)), upscale=1, fallback=Paint(1.0), mask=lambda crop: None)([photo()])[
        0
    ]
    assert result.faces[0].reason == (
        "redone in float32: the first output was not finite; pasted with a feathered square: the parser sees no face in it"
    )


def test_a_mask_decides_what_is_pasted() -> None:
    half = np.zeros((512, 512), np.float32)
    half[:, :256] = 1.0
    seen: list[np.ndarray] = []
    result = Restorer(Paint(200 / 255), Found((10, 10)), upscale=1, mask=lambda crop: seen.append(crop) or half)([photo()])[0]  # type: ignore[func-returns-value]
    assert seen[0].shape == (512, 512, 3) and seen[0].max() == pytest.approx(200, abs=0.01)
    assert result.pixels[138, 70, 0] == 200 and result.pixels[138, 200, 0] == 100
