"""Photos in, restored photos out: detect, align, restore, enlarge the background, paste. No files, no configuration."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from gfpup.core.plan import FaceChoice
from gfpup.core.transfer import download, upload
from gfpup.core.types import AlignedCrop, Backend, Detector, Face, FaceResult, Float32, Photo, Pixels, RestoredPhoto, UInt8
from gfpup.machine.allocator import is_out_of_memory, release_memory
from gfpup.models import backends
from gfpup.ops import geometry
from gfpup.ops.color import match_color, to_float, to_uint8, to_unit
from gfpup.ops.feather import feather_mask
from gfpup.ops.resize import output_size, resize
from gfpup.ops.smooth import smoothed
from gfpup.ops.tone import GREY, Tone, is_grey, keep_tone, tone_of
from gfpup.photos.modes import rounded_to_8
from gfpup.restoration.align import align_faces, aligned_crop
from gfpup.restoration.identity_guard import GuardNote
from gfpup.restoration.paste import Patch, paste_faces
from gfpup.restoration.paste_on_device import paste_faces_on
from gfpup.restoration.select import LARGE, Align, cut_faces, reduced, reduction, short_side
from gfpup.restoration.stage_cache import Reuse, noting
from gfpup.restoration.turn import turn_of, turned_face, turned_photo

Upsampler = Callable[[Pixels, tuple[int, int]], Pixels]
Masker = Callable[[Float32], Float32 | None]
P = TypeVar("P", bound=npt.NDArray[Any])
Guard = Callable[[AlignedCrop, Float32], tuple[Float32, GuardNote]]


@dataclass(frozen=True, eq=False)
class Detection:
    """The faces that were found in a photo, the seconds that took, and what of it another job had computed."""

    faces: Sequence[Face]
    seconds: float
    reuse: Reuse


def detect_faces(detector: Detector, photo: Photo) -> Detection:
    """Find the faces of a photo."""
    began = time.perf_counter()
    with noting(reuse := Reuse()):
        faces = detector.detect(photo.rgb8)
    return Detection(faces, time.perf_counter() - began, reuse)


def detect_in_all(detector: Detector, photos: Sequence[Photo]) -> list[Detection]:
    """Find the faces of each photo; a detector whose forwards are shared looks at all together, and each gets its share."""
    if len(photos) < 2 or not getattr(detector, "shares_forwards", False):
        return [detect_faces(detector, photo) for photo in photos]
    began = time.perf_counter()
    found = detector.detect_many([photo.rgb8 for photo in photos])  # type: ignore[attr-defined]
    share = (time.perf_counter() - began) / len(photos)
    return [Detection(faces, share, Reuse()) for faces in found]


@dataclass(frozen=True, eq=False)
class Restorer:
    """The loaded components of a run and the few settings they are used with.

    `detector` is None for photos that are aligned faces already. `align` cuts faces out of a photo; `upsample` enlarges a
    background to a size; `mask` makes the paste mask (s, s) float32 in [0, 1] from a restored crop (s, s, 3) float32 in
    [0, 255], or None where it sees no face in it; then, and without it, the mask is a feathered square. At most `face_batch`
    faces share a forward; 1 makes a face's bytes independent of its neighbours. A batch that runs out of memory is halved for
    the rest of the run, and the photos in it say so. A grey photo stays grey, and with `keep_tone` a sepia one sepia. A photo
    that lies on its side is restored as it lies, or with `turn_upright` turned.
    """

    backend: Backend
    detector: Detector | None
    upscale: float = 2.0
    strength: float = 1.0
    match_colors: bool = False
    keep_tone: bool = False
    turn_upright: bool = False
    choice: FaceChoice = field(default_factory=FaceChoice)
    face_batch: int = 1
    device: str = "cpu"
    paste_on: str = "cpu"
    """The device that pastes; a GPU's paste differs by rounding from the CPU's, which every run uses until one is measured."""
    align: Align = align_faces
    upsample: Upsampler = resize
    mask: Masker | None = None
    fallback: Backend | None = None
    """The same backend in float32, to redo a face whose output is not finite; None where `backend` is float32 already."""
    guard: Guard | None = None
    """Blends a restored face back towards its input where it no longer looks like it; None trusts the backend."""
    _too_large: list[int] = field(default_factory=list, init=False, repr=False)
    """The batches that ran out of memory."""

    @property
    def crop_px(self) -> int:
        """The side of the crops that the method takes."""
        return backends.crop_px(self.backend)

    @property
    def _align(self) -> Align:
        """`align` with the method's template."""
        template_xy = backends.template_xy(self.backend)
        if template_xy is geometry.TEMPLATE_512_XY:
            return self.align  # which need not know of templates
        return partial(self.align, template_xy=template_xy)  # type: ignore[call-arg]

    def __call__(self, photos: Sequence[Photo]) -> list[RestoredPhoto]:
        """Restore `photos`; faces of different photos share forwards, and every photo gets its share of the seconds."""
        if self.detector is None:
            return self._restore_aligned(photos)
        return self.restore(photos, detect_in_all(self.detector, photos))

    def restore(self, photos: Sequence[Photo], detections: Sequence[Detection]) -> list[RestoredPhoto]:
        """Restore `photos`, whose faces are known: `detections` has those of each photo."""
        work = []
        for given, detection in zip(photos, detections, strict=True):
            photo, faces, turn = given, detection.faces, turn_of(detection.faces)
            if turn and self.turn_upright:
                photo, faces = turned_photo(given, turn), [turned_face(face, turn, given.size_hw) for face in faces]
            work.append(item := _Work(photo, self._tone(photo), turn, {"detect": detection.seconds}, detection.reuse))
            with _clock(item, "align"):
                item.results = cut_faces(photo, faces, self.choice, self._align, self.crop_px)
        self._restore_crops(work)
        self._mask_faces(work)
        return [self._finish(item) for item in work]

    def _restore_aligned(self, photos: Sequence[Photo]) -> list[RestoredPhoto]:
        """Take each photo for one aligned face: the result is the restored crop, without a paste."""
        work = [_Work(photo, self._tone(photo)) for photo in photos]
        for item in work:
            with _clock(item, "align"):
                crop = aligned_crop(item.photo.rgb8, self.crop_px)
            item.results = [FaceResult(crop.face, restored=False, crop=crop)]
        self._restore_crops(work)
        done = []
        for item in work:
            (result,) = item.results
            assert result.crop is not None
            pixels = result.crop.pixels if result.output is None else result.output
            alpha = item.photo.alpha
            alpha = None if alpha is None else rounded_to_8(resize(alpha, (pixels.shape[0], pixels.shape[1])))
            h, w = item.photo.size_hw
            squeezed = () if h == w else (f"an aligned face is square, this one of {w}x{h} px was squeezed",)
            warnings = (*squeezed, *item.said_of_tone(), *item.warnings)
            done.append(RestoredPhoto(item.photo, pixels, alpha, tuple(item.results), dict(item.seconds), warnings=warnings))
        return done

    def _tone(self, photo: Photo) -> Tone | None:
        """The tone to keep the photo within; None where it may have any colours."""
        if self.keep_tone:
            return tone_of(photo.pixels)
        return GREY if is_grey(photo.pixels) else None

    def _restore_crops(self, work: Sequence[_Work]) -> None:
        """Restore all aligned crops of `work`, `face_batch` at a time, and put the results in their places."""
        places = [(item, i) for item in work for i, result in enumerate(item.results) if result.crop is not None]
        while places:
            batch = places[: min([self.face_batch, *(size // 2 for size in self._too_large)])]
            began = time.perf_counter()
            outputs = self._restore_or_halve([crop for item, i in batch if (crop := item.results[i].crop) is not None])
            if outputs is None:
                for item in {id(item): item for item, _ in batch}.values():
                    item.warnings.append(
                        f"{len(batch)} faces at once ran out of memory; from here on at most {len(batch) // 2}"
                    )
                continue
            del places[: len(batch)]
            share = (time.perf_counter() - began) / len(batch)
            for (item, i), (pixels, note) in zip(batch, outputs, strict=True):
                item.seconds["restore"] = item.seconds.get("restore", 0.0) + share
                if pixels is None:
                    item.results[i] = replace(item.results[i], failed=True, reason=note)
                    continue
                item.restored[i] = pixels = item.within_tone(pixels)
                item.results[i] = replace(item.results[i], restored=True, reason=note, output=to_uint8(to_unit(pixels)))
                if self.guard is not None:
                    with _clock(item, "identity"):
                        _hold(item, i, self.guard)

    def _restore_or_halve(self, crops: Sequence[AlignedCrop]) -> list[tuple[Float32 | None, str | None]] | None:
        """`_restore_batch`, or None where memory ran out and half as many are to be tried; a single face fails instead."""
        try:
            return self._restore_batch(crops)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        release_memory(self.device)  # not in the handler: the error holds on to what did not fit
        if len(crops) == 1:
            return [(None, f"out of memory on {self.device}, with this face alone")]
        self._too_large.append(len(crops))
        return None

    def _restore_batch(self, crops: Sequence[AlignedCrop]) -> list[tuple[Float32 | None, str | None]]:
        """Each crop's restored pixels (s, s, 3) float32 in [0, 255] or None, and what is to be said about it."""
        inputs = np.stack([crop.pixels for crop in crops])
        tensor = upload(inputs, self.device).permute(0, 3, 1, 2).float().div(255)
        outputs = _as_pixels(self.backend.restore(tensor))
        done: list[tuple[Float32 | None, str | None]] = []
        below_px = 0.0 if self.detector is None else backends.smooth_below_px(self.backend)
        for i, (crop, output) in enumerate(zip(crops, outputs, strict=True)):
            note = None
            if not np.isfinite(output).all() and self.fallback is not None:
                output = _as_pixels(self.fallback.restore(tensor[i : i + 1]))[0]
                note = "redone in float32: the first output was not finite"
            if np.isfinite(output).all():
                output = smoothed(output) if short_side(crop.face) < below_px else output
                done.append((self._adjust(np.clip(output, 0, 255), crop.pixels), note))
            else:
                done.append((None, "the network's output is not finite"))
        return done

    def _adjust(self, restored: Float32, original: UInt8) -> Float32:
        if self.match_colors:
            restored = match_color(to_unit(restored), to_float(original)) * np.float32(255)
        if self.strength < 1:
            restored = original + np.float32(self.strength) * (restored - original)
        return np.clip(restored, 0, 255).astype(np.float32)

    def _mask_faces(self, work: Sequence[_Work]) -> None:
        """Make the paste masks of all restored faces of `work`, `face_batch` in a forward where the parser takes several."""
        many = getattr(self.mask, "many", None)
        if many is None or self.face_batch == 1:
            return  # each is made when it is pasted, so that only one is held
        faces = [(item, i) for item in work for i in item.restored]
        for start in range(0, len(faces), self.face_batch):
            batch, began = faces[start : start + self.face_batch], time.perf_counter()
            masks = many([item.restored[i] for item, i in batch])
            share = (time.perf_counter() - began) / len(batch)
            for (item, i), mask in zip(batch, masks, strict=True):
                item.masks[i] = mask
                item.seconds["paste"] = item.seconds.get("paste", 0.0) + share

    def _finish(self, item: _Work) -> RestoredPhoto:
        photo = item.photo
        to_hw = output_size(photo.size_hw, self.upscale)
        with _clock(item, "background"):
            canvas = self.upsample(photo.pixels, to_hw)
            alpha = None if photo.alpha is None else resize(photo.alpha, to_hw)
        with _clock(item, "paste"):
            enlarge = geometry.resize_affine(photo.size_hw, to_hw)
            patches = []
            for i, pixels in item.restored.items():
                crop = item.results[i].crop
                assert crop is not None
                mask = None if self.mask is None else item.masks[i] if i in item.masks else self.mask(pixels)
                if mask is None and self.mask is not None:
                    item.say(i, "pasted with a feathered square: the parser sees no face in it")
                mask = feather_mask(crop.side_px) if mask is None else mask
                if reduction(crop) > LARGE:
                    item.say(i, f"{reduced(crop)} (--keep-large-faces leaves such faces as they are)")
                patches.append(Patch(pixels, mask, geometry.compose(enlarge, geometry.invert(crop.affine))))
            if self.paste_on == "cpu":
                paste_faces(canvas, patches)
            else:
                paste_faces_on(self.paste_on, canvas, patches)
            canvas = item.within_tone(canvas)
        none = () if item.results else ("no face was found; the photo was only resized",)
        turned = item.turn if self.turn_upright else 0
        warnings = (*none, *item.said_of_turn(turned), *item.said_of_tone(), *item.warnings, *item.reuse.remarks)
        seconds, reused = dict(item.seconds), dict(item.reuse.seconds)
        faces = tuple(item.results)
        return RestoredPhoto(photo, canvas, alpha, faces, seconds, warnings=warnings, reused=reused, turned=turned)


@dataclass(eq=False)
class _Work:
    """One photo on its way through the stages."""

    photo: Photo
    tone: Tone | None = None
    turn: int = 0
    """By how many degrees clockwise the photo as given has to be turned to be upright."""
    seconds: dict[str, float] = field(default_factory=dict)
    reuse: Reuse = field(default_factory=Reuse)
    recoloured: bool = False
    results: list[FaceResult] = field(default_factory=list)
    restored: dict[int, Float32] = field(default_factory=dict)
    masks: dict[int, Float32 | None] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def within_tone(self, pixels: P) -> P:
        """Pixels of the result, brought back to the photo's tone where the photo has only one."""
        if self.tone is not None:
            pixels, changed = keep_tone(pixels, self.tone)
            self.recoloured |= changed
        return pixels

    def said_of_turn(self, turned: int) -> tuple[str, ...]:
        if not self.turn:
            return ()
        how = "is upside down" if self.turn == 180 else "lies on its side"
        if turned:
            return (f"the photo {how}: it was turned by {turned} degrees clockwise",)
        return (f"the photo {how}: --turn apply would write it turned by {self.turn} degrees clockwise",)

    def said_of_tone(self) -> tuple[str, ...]:
        if not self.recoloured or self.tone is None:
            return ()
        return (f"the photo is {self.tone.name}: colours that were added to it have been removed",)

    def say(self, i: int, remark: str) -> None:
        before = self.results[i].reason
        self.results[i] = replace(self.results[i], reason=f"{before}; {remark}" if before else remark)


def _hold(item: _Work, i: int, guard: Guard) -> None:
    """Let the guard judge restored face `i` of `item`; one that it gives up is not pasted and leaves the photo as it was."""
    crop = item.results[i].crop
    assert crop is not None
    pixels, note = guard(crop, item.restored.pop(i))
    item.results[i] = replace(
        item.results[i], restored=note.share > 0, output=to_uint8(to_unit(pixels)), identity=note.after, guarded=note.changed
    )
    if note.share > 0:
        item.restored[i] = pixels
    if note.changed:
        item.say(i, note.sentence)


@contextmanager
def _clock(item: _Work, stage: str) -> Iterator[None]:
    began = time.perf_counter()
    with noting(item.reuse):
        yield
    item.seconds[stage] = item.seconds.get(stage, 0.0) + time.perf_counter() - began


def _as_pixels(outputs: torch.Tensor) -> Float32:
    """(n, 3, h, w) in [0, 1] on any device to (n, h, w, 3) float32 in [0, 255]."""
    return download(outputs.detach().float().mul(255).permute(0, 2, 3, 1).contiguous())
