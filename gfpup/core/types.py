"""The facts that travel through a run. Arrays are RGB, upright.

Conventions (one place, used everywhere): points are (x, y), sizes (h, w), boxes (x0, y0, x1, y1). A pixel's centre lies at
integer coordinates, as in OpenCV: the top-left pixel covers [-0.5, 0.5). `affine` maps photo pixels to crop pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

CROP_PX = 512
"""The side of an aligned crop, where a method does not say another; most networks of the field take this one."""

UInt8 = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Float64 = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]


def as_8_bit(pixels: Pixels) -> UInt8:
    """Pixels of 8 or 16 bits a channel as uint8; 16-bit values are rounded, not cut."""
    if pixels.dtype == np.uint8:
        return pixels  # type: ignore[return-value]
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Metadata:
    """What a file carries beside its pixels, to be put back into the result.

    `exif` has its orientation reset to upright. `format` is Pillow's name of the file's format ("JPEG", "PNG", ...). `iptc` is
    the bare IPTC-IIM data, `texts` are PNG's. `modified_ns` is the file's date, in nanoseconds since 1970.
    """

    format: str
    icc_profile: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    comment: bytes | None = None
    texts: tuple[tuple[str, str], ...] = ()
    modified_ns: int | None = None


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo as read: `pixels` (h, w, 3) uint8 or uint16 RGB, upright; `alpha` (h, w) of the same dtype or None."""

    path: Path
    pixels: Pixels
    metadata: Metadata
    alpha: Pixels | None = None
    warnings: tuple[str, ...] = ()
    delivered: Path | None = None
    """Another tool's result for this photo, where the run has found one (backend `precomputed`)."""

    @property
    def size_hw(self) -> tuple[int, int]:
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def rgb8(self) -> UInt8:
        """The pixels as (h, w, 3) uint8, for detectors and networks."""
        return as_8_bit(self.pixels)


@dataclass(frozen=True)
class Recognition:
    """Who a face is: the `person`, None where it is not similar enough to anybody, and the cosine to the `nearest` person.

    `similarity`, -1 to 1, is that to the most similar photo of the nearest person.
    """

    person: str | None
    nearest: str
    similarity: float


@dataclass(frozen=True, eq=False)
class Face:
    """One face in a photo: `box_xyxy` in photo pixels, `score` in [0, 1], `landmarks_xy` (5, 2) float64.

    The five landmarks are left eye, right eye, nose tip, left and right mouth corner, left and right as seen in the picture.
    `recognition` is None where the run has no photos of persons.
    """

    box_xyxy: tuple[float, float, float, float]
    score: float
    landmarks_xy: Float64
    recognition: Recognition | None = None


@dataclass(frozen=True, eq=False)
class AlignedCrop:
    """A face turned upright into its template: `pixels` (s, s, 3) uint8; `affine` (2, 3) float64, photo to crop.

    The side s is the method's, 512 for most. Where the method has its own template, `standard` is the affine to the crop of
    512 px that the other methods take; metrics look at a face through it.
    """

    face: Face
    pixels: UInt8
    affine: Float64
    standard: Float64 | None = None

    @property
    def side_px(self) -> int:
        return int(self.pixels.shape[0])


@dataclass(frozen=True, eq=False)
class FaceResult:
    """What became of one face. `reason` says why it was not restored, or what was done about it when it was."""

    face: Face
    restored: bool
    failed: bool = False
    reason: str | None = None
    crop: AlignedCrop | None = None
    output: UInt8 | None = None
    """The restored crop, uint8, of the size of the crop."""
    identity: float | None = None
    """Cosine similarity to the input, or to its person's photos, after the identity guard where one ran."""
    guarded: bool = False
    """Whether the identity guard blended the face back, or left it as it was."""


IDENTICAL = "the pictures are identical"
"""Why a score has no finite value: the PSNR of two equal pictures is infinite."""


@dataclass(frozen=True)
class Score:
    """One measured number, and what it was measured on.

    A score without a finite `value` has a `missing_reason`, and one with a finite value has none. `photo` is the name of the
    result, "" for the whole run; `face` is the number of the face in the record, None for the whole photo. `taken_from` names
    the pixels: "memory", or the format of the file that holds them, a JPEG's with its quality ("PNG", "JPEG 95"). It is "" for
    what is not measured on pixels, and for tables of earlier versions, which do not say.
    """

    metric: str
    value: float | None
    higher_is_better: bool
    missing_reason: str | None = None
    photo: str = ""
    face: int | None = None
    taken_from: str = ""

    def __post_init__(self) -> None:
        if self.value is not None and math.isinf(self.value) and self.missing_reason is None:
            object.__setattr__(self, "missing_reason", IDENTICAL)
        if self.is_finite != (self.missing_reason is None):
            raise ValueError(f"score {self.metric!r} needs either a finite value or a missing_reason")

    @property
    def is_finite(self) -> bool:
        """Whether there is a number that can enter a mean."""
        return self.value is not None and math.isfinite(self.value)

    @property
    def level(self) -> str:
        """What was measured: "photo", "faces" or "run"."""
        return "run" if not self.photo else "photo" if self.face is None else "faces"

    @property
    def key(self) -> tuple[str, str]:
        """The metric and its level."""
        return self.metric, self.level


@dataclass(frozen=True)
class Mark:
    """What a result's file says of how it was made: IPTC's `source_type`, who did it, and to which faces.

    `software` and `method` are names, `version` is the method's or None; `boxes` are the restored faces, xyxy in pixels of the
    result.
    """

    source_type: str
    software: str
    method: str
    version: str | None = None
    boxes: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class RestoredPhoto:
    """The finished photo: `pixels` (h, w, 3) of the input's dtype, and all that is known about how it came to be."""

    photo: Photo
    pixels: Pixels
    alpha: Pixels | None
    faces: tuple[FaceResult, ...]
    seconds: Mapping[str, float]
    scores: tuple[Score, ...] = ()
    warnings: tuple[str, ...] = ()
    turned: int = 0
    """By how many degrees clockwise `photo` and `pixels` are turned from the file's, by `--turn apply`."""
    reused: Mapping[str, float] = field(default_factory=dict)
    """The stages that another job had computed, each with the seconds that it took then; `seconds` has what they took now."""
    method: str | None = None
    """The method that was chosen for this photo by `--auto`; None where the run has one method."""
    notes: tuple[str, ...] = ()
    """What was decided about this photo, and why; unlike a warning it asks nothing of the user."""
    mark: Mark | None = None
    """What its file is to say of how it was made; None where nothing was restored, or no mark is wanted."""


class Backend(Protocol):
    """A method of restoring faces. Instances hold weights; they keep no state between calls.

    One that takes crops of another side than 512 px has an attribute `crop_px`, one that takes them of another template
    `template_xy`, and one whose small faces are smoothed `smooth_below_px` (`models.backends` has a function that reads each).
    """

    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        """Restore aligned crops: float32 (n, 3, 512, 512) RGB in [0, 1], to the same shape, dtype and range.

        Values may leave [0, 1] a little; the caller clips. Row i depends on crop i alone.
        """
        ...


class Detector(Protocol):
    """Finds faces in one photo."""

    def detect(self, rgb: UInt8) -> list[Face]:
        """Find the faces of an (h, w, 3) uint8 RGB picture, largest first."""
        ...


@dataclass(frozen=True)
class BackendSpec:
    """What a backend is loaded with: its `checkpoints` by role, its own `parameters`, and where it is to run.

    The method's own file has the role "backend". `parameters` holds only what this backend declares; `members` are an
    ensemble's, each with its weight. `dtype` is "float32" or "bfloat16", and "float16" only for a class that lists it among its
    `precisions`. `seed` is None where stored noise is to be used.
    `memory_efficient` asks for smaller intermediate results at the cost of time. `engine` is what runs the networks: "eager",
    torch as it is, or one of `gfpup.models.engines`.
    """

    name: str
    checkpoints: Mapping[str, Path] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    dtype: str = "float32"
    seed: int | None = None
    members: tuple[tuple[BackendSpec, float], ...] = ()
    memory_efficient: bool = False
    engine: str = "eager"
