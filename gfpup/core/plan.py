"""What is decided before the first photo: each decision with its reason, and what of them decides the bytes of a result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Device(str):
    """A device by torch's name for it: "cpu", "mps" or "cuda:1". A string, so that torch and JSON take it as it is."""

    __slots__ = ()

    @property
    def kind(self) -> str:
        """The name without the number: "cpu", "cuda" or "mps"."""
        return self.partition(":")[0]

    @property
    def number(self) -> int | None:
        """The number of a GPU; None where the name has none."""
        text = self.partition(":")[2]
        return int(text) if text else None


@dataclass(frozen=True)
class Decision(Generic[T]):
    """One decision of the planner: the setting, the value it got, and why."""

    setting: str
    value: T
    why: str


@dataclass(frozen=True)
class FaceChoice:
    """Which of the faces found are restored: `which` is "all", "largest", "center" or a number N (the N largest).

    `min_px` bounds the shorter side of a face's box, `min_eye_distance_px` the distance of its eyes (5 in the official code),
    `min_score` the detector's score. A face whose centre lies in one of `leave_alone` (boxes xyxy, photo pixels) is not
    touched, and with `keep_large` none that would lose detail in the method's crop. `picked` names the faces of single photos
    by their numbers in the record, under the photo's file name or the end of its path; other photos are not concerned. Where
    `persons` are named, faces of nobody else are restored.
    """

    which: str | int = "all"
    min_px: float = 0.0
    min_eye_distance_px: float = 5.0
    min_score: float = 0.0
    leave_alone: tuple[tuple[float, float, float, float], ...] = ()
    keep_large: bool = False
    picked: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    persons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Encoding:
    """How results are written."""

    ext: str
    suffix: str
    metadata: bool
    mark: bool
    jpeg_quality: int
    webp_quality: int
    png_compression: int
    layout: str


@dataclass(frozen=True)
class Recipe:
    """What decides the bytes of a result, and nothing else: results of equal recipes may lie in one folder.

    `results` is the folder of another tool's results, `rules` the SHA-256 of the rules of `auto`, `members` are an
    ensemble's or those that `auto` chooses from. `damage` is the protocol and seed of synthetic photos, `detect_size` None
    where it goes by the photo, `faces` the choice of faces, `tiles` the side and overlap in px, `device` a kind of device,
    `threads` None where they change nothing. `people` are a digest of the photos of persons and the false match rate.
    """

    backend: str
    parameters: Mapping[str, Any]
    results: str | None
    rules: str | None
    members: tuple[Mapping[str, Any], ...]
    damage: tuple[str | None, int] | None
    mode: str
    dtype: str
    engine: str
    seed: int | None
    upscale: float
    aligned: bool
    strength: float
    match_color: bool
    keep_tone: bool
    detector: str
    detection_threshold: float
    detect_size: int | None
    turn: str
    faces: Mapping[str, Any]
    mask: str
    identity_min: float | None
    background: str
    tiles: tuple[int | None, int] | None
    device: str
    threads: int | None
    checkpoints: Mapping[str, str]
    write: Encoding
    people: Mapping[str, Any] | None = None

    def facts(self) -> dict[str, Any]:
        """Ready for JSON. The names and what is left out are those of all manifests so far, which must stay readable."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if not self.write.mark:
            del found["write"]["mark"]
        optional = ("results", "rules", "members", "keep_tone", "people")
        return {key: value for key, value in found.items() if value or key not in optional}


@dataclass(frozen=True)
class Plan:
    """Everything decided before the first photo.

    `missing` names what a real run would lack (weights, consent); it is empty unless the run is dry.
    """

    recipe: Recipe
    device: Device
    face_batch: int
    photo_batch: int
    workers: int
    threads: int
    reasons: tuple[Decision[Any], ...] = ()
    warnings: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    share_stages: bool = False
    """Whether faces, crops and backgrounds are shared with other runs through the cache; it changes no byte."""

    def facts(self) -> dict[str, Any]:
        """Ready for JSON, as manifests have it: the recipe is called "pixels" there."""
        rest = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "recipe"}
        return {"pixels": self.recipe.facts(), **rest, "reasons": [asdict(reason) for reason in self.reasons]}
