"""The paste mask from a parsed face: what the network restored is pasted, what it was never trained on is not.

Pasted are skin, brows, eyes, glasses, ears, earrings, nose, mouth, lips and hair; not hats, necks, necklaces, clothes and the
background. ParseNet's is the official mask: it reaches 30 pixels beyond what it pastes, and ends 10 pixels from the crop's edge
at once. BiSeNet's fades inside what is pasted and towards the edge, so that a hand or a microphone before the face, and what
lies behind the hair, stay as they were photographed, and no edge shows where the crop cuts through hair.

Source: facexlib 0.3.0, FaceRestoreHelper.paste_faces_to_input_image with `use_parse`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from gfpup.core.transfer import download, upload
from gfpup.core.types import Float32, UInt8
from gfpup.models.nets import parsing_bisenet, parsing_parsenet
from gfpup.models.nets.loading import load_network
from gfpup.ops.feather import feather_mask

Kind = Literal["bisenet", "parsenet"]

SIDE_PX = 512
BLUR_PX = 101
BLUR_SIGMA_PX = 11.0
BORDER_PX = 10
"""The official mask's kernel, its deviation (the blur is done twice) and the border that stays 0. Source: as above."""

FADE_PX = 40.0
"""Where BiSeNet's mask fades inside its border; no faster than the official mask does."""

OUTSIDE = parsing_parsenet.OUTSIDE
"""Labels that are not pasted. Hair is: the networks restore it with the face, and a hairline between old and new would show."""

FACE = ("skin", "l_brow", "r_brow", "l_eye", "r_eye", "nose", "mouth", "u_lip", "l_lip")
"""Labels that make a face; hair, ears and glasses alone make none."""
SMALLEST_FACE = 0.01
"""Share of the crop below which a parse counts as empty: an aligned face covers about a quarter of its crop."""


class ParsedMask:
    """Makes the paste mask of a restored crop. Holds a parser; keeps no state between calls."""

    def __init__(self, network: nn.Module, *, kind: Kind, device: str = "cpu") -> None:
        parsing = parsing_bisenet if kind == "bisenet" else parsing_parsenet
        self._network = network
        self._labels = parsing.LABELS
        self._mean = torch.tensor(parsing.MEAN, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(parsing.STD, device=device).view(1, 3, 1, 1)
        self._official = kind == "parsenet"
        self._device = device

    def __call__(self, crop: Float32) -> Float32 | None:
        """Mask a restored crop: (s, s, 3) float32 RGB in [0, 255] to (s, s) float32 in [0, 1], 0 at the edge.

        The parser sees 512 pixels, whatever the side s. None where it finds next to no face (`SMALLEST_FACE`): paste by the
        feathered mask then, and say so.
        """
        return self.many([crop])[0]

    def many(self, crops: Sequence[Float32]) -> list[Float32 | None]:
        """The mask of each crop; the parser sees them all in one forward."""
        labels = self.parse([_of_side(crop, SIDE_PX, cv2.INTER_AREA) for crop in crops])
        masks = (self._mask_of(each) for each in labels)
        return [
            None if mask is None else _of_side(mask, crop.shape[0], cv2.INTER_LINEAR)
            for crop, mask in zip(crops, masks, strict=True)
        ]

    def _mask_of(self, labels: UInt8) -> Float32 | None:
        face, outside = ([self._labels.index(name) for name in names] for names in (FACE, OUTSIDE))
        if np.isin(labels, face).mean() < SMALLEST_FACE:
            return None
        inside = ~np.isin(labels, outside)
        return soften(inside) * (official_border() if self._official else fade_inwards(inside) * feather_mask())

    @torch.inference_mode()
    def parse(self, crops: Sequence[Float32]) -> UInt8:
        """Label n crops: (512, 512, 3) float32 RGB in [0, 255] each, to (n, 512, 512) uint8, in the parser's own numbering.

        Crops are rounded to whole levels first, as the official path does. Always float32: in bfloat16 labels change.
        """
        levels = np.stack([np.rint(np.clip(crop, 0, 255)) for crop in crops]).astype(np.uint8)
        rgb = upload(levels, self._device).permute(0, 3, 1, 2).float().div(255)
        x = rgb.sub(self._mean).div(self._std).contiguous(memory_format=torch.channels_last)
        labels: UInt8 = download(self._network(x).argmax(dim=1).to(torch.uint8))
        return labels


def _of_side(pixels: Float32, side: int, how: int) -> Float32:
    """A square picture or mask, resized to `side`; itself where it has it."""
    return pixels if pixels.shape[0] == side else np.asarray(cv2.resize(pixels, (side, side), interpolation=how), np.float32)


def load_mask(kind: Kind, path: Path, device: str = "cpu") -> ParsedMask:
    """Load the parser `kind` from the checkpoint at `path`.

    Raises: CheckpointError (the file is not a checkpoint, or is one of another architecture).
    """
    make: type[nn.Module] = parsing_bisenet.BiSeNet if kind == "bisenet" else parsing_parsenet.ParseNet
    return ParsedMask(load_network(make, path, name=kind, device=device), kind=kind, device=device)


def soften(inside: npt.NDArray[np.bool_]) -> Float32:
    """Feather a region: (h, w) bool to (h, w) float32 in [0, 1], blurred twice by a Gaussian of 11 px. Source: the module's."""
    mask = np.where(inside, 255.0, 0.0)
    for _ in range(2):
        mask = np.asarray(cv2.GaussianBlur(mask, (BLUR_PX, BLUR_PX), BLUR_SIGMA_PX))
    return np.clip(mask / 255.0, 0.0, 1.0).astype(np.float32)


def fade_inwards(inside: npt.NDArray[np.bool_]) -> Float32:
    """A factor for a region: (h, w) bool to (h, w) float32, 0 outside and rising to 1 over `FADE_PX` inside."""
    distance = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # The first pixel inside has distance 1, and interpolation carries what it has half a pixel outside.
    return np.asarray(np.clip((distance - 1) / FADE_PX, 0.0, 1.0), np.float32)


@cache
def official_border() -> Float32:
    """The factor (512, 512) float32 that is 0 within 10 pixels of the crop's edge and 1 inside. Source: as the module's."""
    border = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    border[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = 1.0
    border.setflags(write=False)
    return border
