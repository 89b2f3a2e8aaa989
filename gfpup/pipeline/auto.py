"""A method for each photo: what ails its largest face is measured, and visible rules (conf/auto.yaml) choose by it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Final

import cv2
import numpy as np

from gfpup.errors import GfpupError
from gfpup.faces.align import align_faces, aligned_crop
from gfpup.faces.select import FaceChoice, select_faces
from gfpup.pipeline.cache import Reuse, noting
from gfpup.pipeline.jpeg import file_jpeg_quality
from gfpup.pipeline.restore import Restorer
from gfpup.types import Detector, Face, Float64, Photo, RestoredPhoto, UInt8

RULES: Final = "auto.yaml"
SHARPNESS_PX: Final = 64
"""Side at which sharpness is measured: of 64, 128 and 256 the one that follows blur best (conf/auto.yaml), and noise least."""
NOISE_PX: Final = 128
"""Side at which noise is measured: at 256 and 512 the noise of an enlarged face is smooth, and looks like none."""
CALM_SHARE: Final = 0.1
"""Noise is everywhere, texture is not: it is measured in the calmest tenth of the face's 8 px blocks."""
BLOCK_PX: Final = 8

_SECOND_DIFFERENCES: Final = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64)


@dataclass(frozen=True)
class Damage:
    """What was measured of a photo: of its largest face, but for `jpeg_quality` (the file's) and `faces` (how many).

    `sharpness`: variance of the Laplacian over variance, at 64 px a face. `noise`: standard deviation in 8-bit levels at
    128 px a face. `blockiness`: steps at the borders of 8 px blocks over the others, 1 for none. `colours`: standard deviation
    across the main line of colours in levels, 0 for grey. `face_px`: shorter side of the box. None: nothing to measure, or, for
    `blockiness`, nothing to guess because `jpeg_quality` is known.
    """

    faces: int
    face_px: float | None = None
    sharpness: float | None = None
    noise: float | None = None
    blockiness: float | None = None
    colours: float | None = None
    jpeg_quality: int | None = None


@dataclass(frozen=True)
class Choice:
    """The method of one photo: its name in the rules, what it is loaded with, the rule, and the reason as a sentence."""

    method: str
    backend: str
    parameters: Mapping[str, Any]
    rule: str
    reason: str


@cache
def rules() -> Mapping[str, Any]:
    """The shipped rules: `methods` by name, each with its backend and parameters, and `rules` in their order."""
    from omegaconf import OmegaConf

    loaded = OmegaConf.to_container(OmegaConf.create(_text()))
    assert isinstance(loaded, dict)
    return {str(key): value for key, value in loaded.items()}


def rules_sha256() -> str:
    """The SHA-256 of the shipped rules: other rules, other pixels."""
    return hashlib.sha256(_text().encode()).hexdigest()


def measure_damage(rgb: UInt8, faces: Sequence[Face], *, jpeg_quality: int | None = None) -> Damage:
    """Measure what ails an (h, w, 3) uint8 RGB photo with these faces; `jpeg_quality` is that of its file.

    Of several faces the largest decides: a stranger's blurred face behind it must not choose the method. One that cannot be
    aligned is passed over.
    """
    by_size = sorted(faces, key=lambda face: -_side_px(face))
    crops = [crop for crop in align_faces(rgb, by_size) if not isinstance(crop, str)]
    if not crops:
        return Damage(len(faces), jpeg_quality=jpeg_quality)
    crop = crops[0]
    luma = cv2.cvtColor(crop.pixels, cv2.COLOR_RGB2GRAY).astype(np.float64)
    return Damage(
        faces=len(faces),
        face_px=_side_px(crop.face),
        sharpness=_sharpness(luma),
        noise=_noise(luma),
        blockiness=_blockiness(_around(rgb, crop.face)) if jpeg_quality is None else None,
        colours=_colours(crop.pixels),
        jpeg_quality=jpeg_quality,
    )


def choose(damage: Damage, available: Collection[str], *, given: Mapping[str, Any] | None = None) -> Choice:
    """Apply the rules (`given`, or those shipped) to a photo; `available` names the methods that can run here.

    Raises:
        GfpupError: none of the methods that the rule offers can run here.
    """
    table = rules() if given is None else given
    for rule in table["rules"]:
        held = [said for said in (_said(condition, damage) for condition in rule["any"]) if said is not None]
        if held or not rule["any"]:
            break
    else:
        raise GfpupError("no rule fits a photo; end the rules with one without conditions.")
    method = next((name for name in rule["take"] if name in available), None)
    if method is None:
        raise GfpupError(f"no method of the rule {rule['name']!r} can run here: it takes {', '.join(rule['take'])}.")
    facts = table["methods"][method]
    first = rule["take"][0]
    why = f"{'; '.join(held) or 'no rule for damage holds'}; {rule['because']}"
    if method != first:
        why += f"; {first} cannot run here, so it is {method}"
    return Choice(method, facts["backend"], dict(facts["parameters"]), rule["name"], f"{method} was chosen: {why}")


class AutoRestorer:
    """Restores each photo with the method that the rules choose for it.

    `detector` finds the faces, once a photo; it is None for aligned faces. `makers` make the restorer of each available method;
    each is called when a photo first needs it. `from_files` says that the pixels are the files', so that a JPEG's quality
    counts (not so for damage made on the fly).
    """

    def __init__(
        self,
        detector: Detector | None,
        makers: Mapping[str, Callable[[], Restorer]],
        *,
        selection: FaceChoice | None = None,
        from_files: bool = True,
        rule: Callable[[Damage, Collection[str]], Choice] = choose,
    ) -> None:
        self.detector = detector
        self.makers = makers
        self.selection = selection or FaceChoice()
        self.from_files = from_files
        self.rule = rule
        self._known = _Known()
        self._made: dict[str, Restorer] = {}

    def __call__(self, photos: Sequence[Photo]) -> list[RestoredPhoto]:
        """Restore `photos`, in their order; those of one method share its forwards. Each says its method and why."""
        looks = [self._look(photo) for photo in photos]
        done: dict[int, RestoredPhoto] = {}
        for method in dict.fromkeys(look.choice.method for look in looks):
            places = [i for i, look in enumerate(looks) if look.choice.method == method]
            restorer = self._restorer(method)
            self._known.faces = [looks[i].faces for i in places]
            for i, restored in zip(places, restorer([photos[i] for i in places]), strict=True):
                done[i] = _noted(restored, looks[i])
        return [done[i] for i in range(len(photos))]

    def _look(self, photo: Photo) -> _Look:
        """Find the faces of a photo and choose its method by those that are to be restored."""
        rgb = photo.rgb8
        reuse = Reuse()
        began = time.perf_counter()
        if self.detector is None:
            faces = chosen = [aligned_crop(rgb).face]
        else:
            with noting(reuse):
                faces = self.detector.detect(rgb)
            reasons = select_faces(faces, photo.size_hw, self.selection)
            chosen = [face for face, reason in zip(faces, reasons, strict=True) if reason is None]
        found = time.perf_counter()
        quality = file_jpeg_quality(photo.path) if self.from_files and photo.metadata.format == "JPEG" else None
        choice = self.rule(measure_damage(rgb, chosen, jpeg_quality=quality), tuple(self.makers))
        seconds = {"choose": time.perf_counter() - found}
        if self.detector is not None:
            seconds = {"detect": found - began, **seconds}
        return _Look(choice, faces, seconds, reuse)

    def _restorer(self, method: str) -> Restorer:
        if method not in self._made:
            made = self.makers[method]()
            self._made[method] = made if self.detector is None else replace(made, detector=self._known)
        return self._made[method]


@dataclass(frozen=True, eq=False)
class _Look:
    """What was seen of a photo before it is restored."""

    choice: Choice
    faces: list[Face]
    seconds: Mapping[str, float]
    reuse: Reuse


class _Known:
    """A detector that has looked already: it returns `faces`, those of the photos to come, in their order."""

    def __init__(self) -> None:
        self.faces: list[list[Face]] = []

    def detect(self, rgb: UInt8) -> list[Face]:
        return self.faces.pop(0)


def _noted(restored: RestoredPhoto, look: _Look) -> RestoredPhoto:
    """The finished photo with its method, the reason for it, and what looking took: the restorer found its faces at once."""
    return replace(
        restored,
        seconds={**look.seconds, **restored.seconds, **look.seconds},  # in their order, with what looking really took
        reused={**look.reuse.seconds, **restored.reused},
        warnings=(*restored.warnings, *look.reuse.remarks),
        method=look.choice.method,
        notes=(*restored.notes, look.choice.reason),
    )


@cache
def _text() -> str:
    return files("gfpup.conf").joinpath(RULES).read_text(encoding="utf-8")


def _said(condition: Mapping[str, Any], damage: Damage) -> str | None:
    """What a condition says where it holds, None where it does not or there is nothing to hold it against."""
    value = getattr(damage, condition["fact"])
    if value is None:
        return None
    value = round(value, 3)  # else a grey photo has 1e-06 of colour
    if "under" in condition and value < condition["under"]:
        return f"{condition['say']} ({condition['fact']} {value:.3g}, under {condition['under']:g})"
    if "from" in condition and value >= condition["from"]:
        return f"{condition['say']} ({condition['fact']} {value:.3g}, from {condition['from']:g})"
    return None


def _side_px(face: Face) -> float:
    x0, y0, x1, y1 = face.box_xyxy
    return min(x1 - x0, y1 - y0)


def _sharpness(luma: Float64) -> float:
    """Variance of the Laplacian of the (512, 512) crop at 64 px, over its variance: contrast does not count as sharpness."""
    small = cv2.resize(luma, (SHARPNESS_PX, SHARPNESS_PX), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(small, cv2.CV_64F).var() / max(float(small.var()), 1.0))


def _noise(luma: Float64) -> float:
    """Standard deviation of the noise in the calmest tenth of the crop's blocks at 128 px, in levels.

    Source: Immerkaer, "Fast noise variance estimation" (1996): the mean of |second differences| times sqrt(pi / 2) / 6.
    """
    small = cv2.resize(luma, (NOISE_PX, NOISE_PX), interpolation=cv2.INTER_AREA)
    rough = np.abs(cv2.filter2D(small, -1, _SECOND_DIFFERENCES))
    side = NOISE_PX // BLOCK_PX
    blocks = rough.reshape(side, BLOCK_PX, side, BLOCK_PX).mean(axis=(1, 3)) * np.sqrt(np.pi / 2) / 6
    return float(np.quantile(blocks, CALM_SHARE))


def _blockiness(rgb: UInt8) -> float | None:
    """Steps between columns (or rows) 8 px apart over the others, where they are largest; 1: no grid, None: few pixels."""
    luma = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY).astype(np.float64)
    if min(luma.shape) < 4 * BLOCK_PX:
        return None
    ratios = []
    for plane in (luma, luma.T):
        steps = np.abs(np.diff(plane, axis=1)).mean(axis=0)
        means = np.array([steps[place::BLOCK_PX].mean() for place in range(BLOCK_PX)])
        border = int(means.argmax())
        ratios.append(float(means[border] / max(float(np.delete(means, border).mean()), 1e-3)))
    return min(ratios)  # a grid runs both ways; the edge of a collar runs one


def _colours(rgb: UInt8) -> float:
    """Standard deviation in levels across the line along which the colours of a (512, 512, 3) crop vary most."""
    small = cv2.resize(rgb, (SHARPNESS_PX, SHARPNESS_PX), interpolation=cv2.INTER_AREA).reshape(-1, 3).astype(np.float64)
    second = float(np.linalg.eigvalsh(np.cov(small.T))[1])
    return float(np.sqrt(max(second, 0.0)))


def _around(rgb: UInt8, face: Face) -> UInt8:
    """The face's box in the photo's own pixels, where blocks of 8 are still 8 px wide."""
    x0, y0, x1, y1 = (round(value) for value in face.box_xyxy)
    return rgb[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1]
