"""A method for each photo: the damage of its largest face is measured, and the rules in conf/auto.yaml choose by it."""

from __future__ import annotations

import hashlib
import operator
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Final, cast

from gfpup.core.errors import GfpupError
from gfpup.core.plan import FaceChoice
from gfpup.core.types import Detector, Photo, RestoredPhoto
from gfpup.photos.jpeg_quality import file_jpeg_quality
from gfpup.restoration.align import aligned_crop
from gfpup.restoration.damage import Damage, measure_damage
from gfpup.restoration.restorer import Detection, Restorer, detect_in_all
from gfpup.restoration.select import select_faces

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

    return cast("Mapping[str, Any]", OmegaConf.to_container(OmegaConf.create(_text())))


def rules_sha256() -> str:
    """The SHA-256 of the shipped rules: other rules, other pixels."""
    return hashlib.sha256(_text().encode()).hexdigest()


def choose(damage: Damage, available: Collection[str], *, given: Mapping[str, Any] | None = None) -> Choice:
    """Apply the rules (`given`, or those shipped) to a photo; `available` names the methods that can run here.

    Raises: GfpupError (none of the methods that the rule offers can run here).
    """
    table = rules() if given is None else given
    for rule in table["rules"]:
        held = [text for condition in rule["any"] if (text := _reason(condition, damage)) is not None]
        if held or not rule["any"]:
            break
    else:
        raise GfpupError("no rule fits a photo; end the rules with one without conditions.")
    method = next((name for name in rule["take"] if name in available), None)
    if method is None:
        raise GfpupError(f"no method of the rule {rule['name']!r} can run here: it takes {', '.join(rule['take'])}.")
    facts = table["methods"][method]
    why = f"{'; '.join(held) or 'no rule for damage holds'}; {rule['because']}"
    if method != rule["take"][0]:
        why += f"; {rule['take'][0]} cannot run here, so {method} is used"
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
        self._made: dict[str, Restorer] = {}

    def __call__(self, photos: Sequence[Photo]) -> list[RestoredPhoto]:
        """Restore `photos`, in their order; those of one method share its forwards. Each names its method and the reason."""
        detections = None if self.detector is None else detect_in_all(self.detector, photos)
        looks = [self._look(photo, None if detections is None else detections[i]) for i, photo in enumerate(photos)]
        done: dict[int, RestoredPhoto] = {}
        for method in dict.fromkeys(choice.method for choice, _ in looks):
            if method not in self._made:
                self._made[method] = self.makers[method]()
            restorer = self._made[method]
            places = [i for i, (choice, _) in enumerate(looks) if choice.method == method]
            chosen = [photos[i] for i in places]
            results = restorer(chosen) if detections is None else restorer.restore(chosen, [detections[i] for i in places])
            for i, restored in zip(places, results, strict=True):
                choice, took = looks[i]
                found = {name: seconds for name, seconds in restored.seconds.items() if name == "detect"}
                seconds = {**found, "choose": took, **restored.seconds}  # in the order of the stages
                done[i] = replace(restored, seconds=seconds, method=method, notes=(*restored.notes, choice.reason))
        return [done[i] for i in range(len(photos))]

    def _look(self, photo: Photo, detection: Detection | None) -> tuple[Choice, float]:
        """Choose the method of a photo by those of its faces that are to be restored; also the seconds that took."""
        began = time.perf_counter()
        rgb = photo.rgb8
        if detection is None:
            chosen = [aligned_crop(rgb).face]
        else:
            reasons = select_faces(detection.faces, photo.size_hw, self.selection, path=photo.path)
            chosen = [face for face, reason in zip(detection.faces, reasons, strict=True) if reason is None]
        quality = file_jpeg_quality(photo.path) if self.from_files and photo.metadata.format == "JPEG" else None
        choice = self.rule(measure_damage(rgb, chosen, jpeg_quality=quality), tuple(self.makers))
        return choice, time.perf_counter() - began


@cache
def _text() -> str:
    return files("gfpup.conf").joinpath(RULES).read_text(encoding="utf-8")


def _reason(condition: Mapping[str, Any], damage: Damage) -> str | None:
    """The text of a condition where it holds; None where it does not, or where nothing was measured."""
    value = getattr(damage, condition["fact"])
    if value is None:
        return None
    value = round(value, 3)  # else a grey photo has 1e-06 of colour
    for word, holds in (("under", operator.lt), ("from", operator.ge)):
        if word in condition and holds(value, condition[word]):
            return f"{condition['say']} ({condition['fact']} {value:.3g}, {word} {condition[word]:g})"
    return None
