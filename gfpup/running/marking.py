"""Results that say how they were made: each restored photo gets the mark that its file is to carry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gfpup.core.plan import Recipe
from gfpup.core.types import Mark, Photo, RestoredPhoto
from gfpup.core.versions import __version__
from gfpup.models import backends
from gfpup.models.table import TRAINED
from gfpup.planning.method import Method

SOFTWARE: Final = f"gfpup {__version__}"


@dataclass(frozen=True)
class MarkingRestorer:
    """A restorer whose results carry their mark. `own_checkpoint`: the method's file is the user's, of no published version."""

    restorer: Callable[[Sequence[Photo]], list[RestoredPhoto]]
    recipe: Recipe
    method: Method
    own_checkpoint: bool = False

    def __call__(self, photos: Sequence[Photo]) -> list[RestoredPhoto]:
        """Restore `photos`; a photo in which nothing was restored or enlarged by a network gets no mark."""
        return [replace(restored, mark=self.mark(restored)) for restored in self.restorer(photos)]

    def mark(self, restored: RestoredPhoto) -> Mark | None:
        """What the file of this result is to say."""
        method = self.method
        if restored.method is not None:
            method = next((member for member in method.members if member.key == restored.method), method)
        boxes = _boxes(restored)
        enlarged = self.recipe.background not in ("none", None)
        source_type = TRAINED if enlarged else method.source_type if boxes else ""
        if not source_type:
            return None
        names = [_named(method)] if method.source_type and boxes else []
        names += [f"{self.recipe.background} (background)"] if enlarged else []
        version = "unverified checkpoint" if self.own_checkpoint else _version(method)
        return Mark(source_type, SOFTWARE, " and ".join(names), version if method.source_type and boxes else None, boxes)


def _named(method: Method) -> str:
    if method.name != "ensemble":
        return method.name
    members = (f"{member.name} {_version(member) or ''}".strip() for member in method.members)
    return f"ensemble of {', '.join(members)}"


def _version(method: Method) -> str | None:
    return str(method.parameters.get("version", backends.facts(method.name).default_version)) or None


def _boxes(restored: RestoredPhoto) -> tuple[tuple[float, float, float, float], ...]:
    """The faces that were restored, as boxes xyxy in pixels of the result, inside it."""
    (from_h, from_w), (to_h, to_w) = restored.photo.size_hw, restored.pixels.shape[:2]
    scales, most = (to_w / from_w, to_h / from_h) * 2, (to_w, to_h) * 2
    faces = [result.face.box_xyxy for result in restored.faces if result.restored]
    inside = [
        tuple(round(min(max(value * scale, 0.0), float(end)), 1) for value, scale, end in zip(box, scales, most, strict=True))
        for box in faces
    ]
    return tuple((box[0], box[1], box[2], box[3]) for box in inside)
