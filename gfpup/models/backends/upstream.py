"""The official implementation's own path, side by side with ours: the methods' networks, detector, alignment and paste.

What the official path does differently from ours:

- It works in whole levels: a crop goes in and comes out as uint8 (ours keeps float32 until the paste, so one level may differ).
- Its GFPGAN draws fresh noise at every call. Here it runs on the noise maps stored in the checkpoint or, with a seed, on those
  that backend gfpgan draws for the same face and seed, so that both can be compared.
- It detects at full size, keeps every box, and pastes half a pixel too far right and down whenever it enlarges.
- Its paste cuts fractions of a level off instead of rounding, and the later of two overlapping faces covers the earlier.
- A face that fails is pasted unrestored and not reported; here it is reported as failed and not pasted.

Source: gfpgan/utils.py (GFPGANer), facexlib/utils/face_restoration_helper.py (FaceRestoreHelper).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import Any, Self

import cv2
import numpy as np
import torch

from gfpup.core.errors import GfpupError
from gfpup.core.types import AlignedCrop, BackendSpec, Face, FaceResult, Photo, Pixels, RestoredPhoto, UInt8
from gfpup.models.backends import gfpgan
from gfpup.models.backends import upstream_imports as imports
from gfpup.models.table import TABLE
from gfpup.ops.color import to_uint8

NOT_FINITE = "the network's output is not finite"


@dataclass(frozen=True, eq=False)
class Upstream:
    """Runs the official implementation (gfpgan, facexlib, basicsr): what every re-implementation is measured against."""

    network: torch.nn.Module
    detector: torch.nn.Module | None = None
    parser: torch.nn.Module | None = None
    device: str = "cpu"
    seed: int | None = None

    @classmethod
    def load(cls, spec: BackendSpec) -> Self:
        """Load an official file (GFPGAN 1.2, 1.3, 1.4 or RestoreFormer) into the official network it belongs to.

        Of `spec.checkpoints`, "backend" is that file, or else the catalogue's name of the parameter `version`; "detector" or a
        RetinaFace's name, and "parsenet", are for whole photos and may be absent.

        Raises: GfpupError: packages or a checkpoint are missing, or the settings ask for what the official path does not do.
        """
        imports.official()
        row = TABLE["upstream"]
        version = str(spec.parameters.get("version", row.default_version))
        if version not in row.versions:
            raise GfpupError(f"backend 'upstream' has no version {version!r}; it takes {', '.join(row.versions)}.")
        if spec.dtype != "float32":
            raise GfpupError(f"backend 'upstream' runs in float32 as published, not in {spec.dtype}; leave the precision out.")

        def opened(network: Callable[..., torch.nn.Module], *names: str) -> torch.nn.Module | None:
            path = next((spec.checkpoints[name] for name in names if name in spec.checkpoints), None)
            return None if path is None else network(path, device=spec.device)

        published = row.versions[version]
        network = opened(imports.restoration_network, "backend", published)
        if network is None:
            raise GfpupError(f"backend 'upstream' needs the checkpoint {published}; fetch it, or choose another version.")
        detector = opened(imports.detection_network, "detector", *imports.RETINAFACES)
        return cls(network, detector, opened(imports.parsing_network, "parsenet"), spec.device, spec.seed)

    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        """Restore (n, 3, 512, 512) RGB in [0, 1] one by one through GFPGANer.enhance; values come back in steps of 1/255.

        A row is NaN where the network's output is not finite, which the official code would turn into black.
        """
        return torch.stack([self._restore_one(crop) for crop in crops]).to(crops)

    def _restore_one(self, crop: torch.Tensor) -> torch.Tensor:
        rgb = to_uint8(crop.detach().float().permute(1, 2, 0).cpu().numpy())
        watched = _Watched(self.network, self.seed)
        with redirect_stdout(sys.stderr):
            _, (restored,), _ = self._restorer(watched, upscale=1).enhance(_swap(rgb), has_aligned=True, paste_back=False)
        (error,) = watched.errors
        if error is not None and str(error) != NOT_FINITE:
            raise error
        pixels = torch.from_numpy(_swap(restored)).permute(2, 0, 1).float().div(255)
        return torch.full_like(pixels, torch.nan) if error is not None else pixels

    def enhance(self, rgb: UInt8, *, upscale: float = 2.0, only_center: bool = False) -> Enhanced:
        """Run the whole official path over an (h, w, 3) uint8 RGB photo: detect, align, restore, enlarge, paste.

        The result measures int(h * upscale), int(w * upscale). `only_center` keeps the face nearest to the photo's middle.

        Raises: GfpupError where no detector was loaded.
        """
        if self.detector is None:
            raise GfpupError(
                "the official path over whole photos needs a RetinaFace checkpoint; give one with --detector-path."
            )
        began = time.perf_counter()
        watched = _Watched(self.network, self.seed)
        restorer = self._restorer(watched, upscale=upscale)
        with redirect_stdout(sys.stderr):
            crops, outputs, _ = restorer.enhance(_swap(rgb), only_center_face=only_center, paste_back=False)
        helper, found = restorer.face_helper, time.perf_counter()
        results = []
        for i, (crop, output, error) in enumerate(zip(crops, outputs, watched.errors, strict=True)):
            box, landmarks = helper.det_faces[i], np.asarray(helper.all_landmarks_5[i], np.float64)
            x0, y0, x1, y1, score = (float(value) for value in box)
            face = Face((x0, y0, x1, y1), score, landmarks)
            aligned = AlignedCrop(face, _swap(crop), np.asarray(helper.affine_matrices[i], np.float64))
            if error is None:
                results.append(FaceResult(face, restored=True, crop=aligned, output=_swap(output)))
            else:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                results.append(FaceResult(face, restored=False, failed=True, reason=reason, crop=aligned))
        pixels = paste(helper, [r for r in results if r.restored])
        done = time.perf_counter()
        seconds = {"detect": found - began - watched.seconds, "restore": watched.seconds, "paste": done - found}
        return Enhanced(pixels, tuple(results), seconds)

    def _restorer(self, watched: _Watched, *, upscale: float) -> Any:
        """A GFPGANer with the attributes its constructor would set, from what is loaded: the constructor downloads."""
        restorer = imports.official().restorer.__new__(imports.official().restorer)
        restorer.upscale, restorer.bg_upsampler = upscale, None
        restorer.gfpgan, restorer.device = watched, torch.device(self.device)
        restorer.face_helper = imports.helper(upscale=upscale, detector=self.detector, parser=self.parser, device=self.device)
        return restorer


@dataclass(frozen=True, eq=False)
class Enhanced:
    """A photo after the official path: `pixels` uint8 RGB, its faces in the detector's order, and the stages' seconds."""

    pixels: UInt8
    faces: tuple[FaceResult, ...]
    seconds: dict[str, float]


@dataclass(frozen=True, eq=False)
class UpstreamRestorer:
    """The official path in the place of `gfpup.restoration.restorer.Restorer`: photos in, restored photos out."""

    backend: Upstream
    upscale: float = 2.0
    only_center: bool = False

    def __call__(self, photos: Sequence[Photo]) -> list[RestoredPhoto]:
        """Restore `photos` one by one; 16-bit ones go through 8 bits, as in the official path, and say so."""
        return [self._restore(photo) for photo in photos]

    def _restore(self, photo: Photo) -> RestoredPhoto:
        enhanced = self.backend.enhance(photo.rgb8, upscale=self.upscale, only_center=self.only_center)
        warnings = []
        pixels: Pixels = enhanced.pixels
        if photo.pixels.dtype == np.uint16:
            pixels = pixels.astype(np.uint16) * np.uint16(257)
            warnings.append("the official path works in 8 bits: the photo's 16 were rounded")
        if self.backend.parser is None:
            warnings.append("no ParseNet checkpoint was given: the official paste used its square mask")
        if not enhanced.faces:
            warnings.append("no face was found; the photo was only resized")
        alpha = photo.alpha
        if alpha is not None and alpha.shape != pixels.shape[:2]:
            size_wh = (pixels.shape[1], pixels.shape[0])
            alpha = cv2.resize(alpha, size_wh, interpolation=cv2.INTER_LANCZOS4)  # type: ignore[assignment]
        return RestoredPhoto(photo, pixels, alpha, enhanced.faces, enhanced.seconds, warnings=tuple(warnings))


def paste(helper: Any, faces: Sequence[FaceResult]) -> UInt8:
    """The last steps of GFPGANer.enhance: enlarge the photo that `helper` has read and paste `faces`, all restored."""
    helper.affine_matrices, helper.restored_faces, helper.inverse_affine_matrices = [], [], []
    for result in faces:
        assert result.crop is not None and result.output is not None
        helper.affine_matrices.append(result.crop.affine)
        helper.add_restored_face(_swap(result.output))
    helper.get_inverse_affine(None)
    return _swap(helper.paste_faces_to_input_image(upsample_img=None))


@dataclass(eq=False)
class _Watched:
    """The official network as GFPGANer calls it, with its noise made repeatable and its failures remembered in order."""

    network: torch.nn.Module
    seed: int | None
    errors: list[RuntimeError | None] = field(default_factory=list)
    seconds: float = 0.0

    def __call__(self, x: torch.Tensor, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            # For this call alone the drawn maps stand in for the stored ones. RestoreFormer has neither and ignores the option.
            options["randomize_noise"] = False
            outputs = torch.func.functional_call(self.network, self._drawn(x), (x,), options)
            if not bool(torch.isfinite(outputs[0]).all()):
                raise RuntimeError(NOT_FINITE)
        except RuntimeError as error:
            self.errors.append(error)
            raise  # GFPGANer catches it
        finally:
            self.seconds += time.perf_counter() - began
        self.errors.append(None)
        return outputs

    def _drawn(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        if self.seed is None or not hasattr(self.network, "stylegan_decoder"):
            return {}
        maps = gfpgan._noise_of((x + 1) / 2, self.seed)
        return {f"stylegan_decoder.noises.noise{i}": each.to(x) for i, each in enumerate(maps)}


def _swap(pixels: UInt8) -> UInt8:
    """RGB to BGR or back, contiguous: the official code knows BGR alone."""
    return np.ascontiguousarray(pixels[..., ::-1])
