"""A method for each photo: what ails its largest face is measured, and visible rules (conf/auto.yaml) choose by it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Final

from gfpup.core.errors import GfpupError
from gfpup.core.types import Detector, Face, Photo, RestoredPhoto, UInt8
from gfpup.photos.jpeg_quality import file_jpeg_quality
from gfpup.restoration.align import aligned_crop
from gfpup.restoration.damage import Damage, measure_damage
from gfpup.restoration.restorer import Restorer
from gfpup.restoration.select import FaceChoice, select_faces
from gfpup.restoration.stage_cache import Reuse, noting

RULES: Final = "auto.yaml"


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
