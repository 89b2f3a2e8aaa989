"""What a record says of one photo and of each of its faces: the only reader of a manifest's lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from gfpup.core.types import Float64
from gfpup.evaluation.metrics.cost import unshared


@dataclass(frozen=True, eq=False)
class FaceRecord:
    """One face: its box in pixels of the photo, the affine that cut it out where it was, and what became of it.

    `person` is who it was recognised as, and `similarity` that to the nearest person, where the run had photos of persons.
    """

    box_xyxy: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    affine: list[list[float]] | None = None
    landmarks_xy: list[list[float]] = field(default_factory=list)
    restored: bool = False
    failed: bool = False
    reason: str | None = None
    guarded: bool = False
    person: str | None = None
    similarity: float | None = None


@dataclass(frozen=True, eq=False)
class PhotoRecord:
    """One photo: its files, its faces, the seconds of its stages, and what was said of it.

    The result is `turned` by so many degrees clockwise from the input. `faces_recorded` is False for the pictures of another
    tool, of whose faces nothing is known.
    """

    name: str
    input: str = ""
    input_sha256: str | None = None
    output_bytes: int | None = None
    faces: tuple[FaceRecord, ...] = ()
    faces_recorded: bool = True
    face_files: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    reused: Mapping[str, float] = field(default_factory=dict)
    turned: int = 0
    method: str | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str | None = None

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> PhotoRecord:
        """Read a line of a manifest; what an earlier version did not record keeps its default."""
        faces = tuple(FaceRecord(**_known(FaceRecord, face)) for face in line.get("faces", ()))
        return cls(**_known(cls, line) | {"faces": faces, "faces_recorded": "faces" in line})

    @property
    def has_failed(self) -> bool:
        """Whether the photo failed, or one of its faces."""
        return self.error is not None or any(face.failed for face in self.faces)

    @property
    def unshared_seconds(self) -> dict[str, float]:
        """The seconds of its stages as if it had reused none."""
        return unshared(self.seconds, self.reused)

    @property
    def affines(self) -> dict[int, Float64]:
        """The affines of the faces that were restored, by their number: as `evaluation.scorer.affines_of` finds them."""
        faces = enumerate(self.faces)
        cut = {i: face.affine for i, face in faces if (face.restored or face.guarded) and face.affine is not None}
        return {i: np.asarray(affine, np.float64) for i, affine in cut.items()}


def _known(kind: type, line: Mapping[str, Any]) -> dict[str, Any]:
    return {each.name: line[each.name] for each in fields(kind) if each.name in line}
