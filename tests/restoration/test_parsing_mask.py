"""Paste masks: the official one from ParseNet, what is inside and outside by name, and the crop's edge."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
import torch
from golden import Golden
from official import written
from torch import nn

from gfpup.core.errors import CheckpointError
from gfpup.core.plan import FaceChoice
from gfpup.core.types import Face, Metadata, Photo
from gfpup.models.nets import parsing_bisenet, parsing_parsenet
from gfpup.ops.feather import feather_mask
from gfpup.ops.geometry import TEMPLATE_512_XY
from gfpup.restoration.parsing import ParsedMask, load_mask, official_border, soften
from gfpup.restoration.restorer import Restorer

Kind = Literal["bisenet", "parsenet"]
KINDS = pytest.mark.parametrize("kind", ["bisenet", "parsenet"])
LABELS = {"bisenet": parsing_bisenet.LABELS, "parsenet": parsing_parsenet.LABELS}


class Painted(nn.Module):
    """A parser that knows its answer: `regions` are (label, rows, columns), later ones over earlier ones."""

    def __init__(self, kind: Kind, *regions: tuple[str, slice, slice]) -> None:
        super().__init__()
        labels = torch.zeros(512, 512, dtype=torch.long)
        for name, rows, columns in regions:
            labels[rows, columns] = LABELS[kind].index(name)
        self.logits = nn.functional.one_hot(labels, 19).permute(2, 0, 1)[None].float()
        self.seen: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = x
        return self.logits


FACE = ("skin", slice(120, 440), slice(130, 380))
HAIR = ("hair", slice(0, 120), slice(0, 512))


def mask_of(kind: Kind, *regions: tuple[str, slice, slice]) -> np.ndarray | None:
    return ParsedMask(Painted(kind, *regions), kind=kind)(np.zeros((512, 512, 3), np.float32))


def made(kind: Kind, *regions: tuple[str, slice, slice]) -> np.ndarray:
    mask = mask_of(kind, *regions)
    assert mask is not None
    return mask


def official_mask(labels: np.ndarray) -> np.ndarray:
    """facexlib's steps, by its numbers instead of ParseNet's names."""
    inside = ~np.isin(labels, [0, 14, 16, 17, 18])
    mask = cv2.GaussianBlur(cv2.GaussianBlur(inside * 255.0, (101, 101), 11), (101, 101), 11)
    mask[:10] = mask[-10:] = 0
    mask[:, :10] = mask[:, -10:] = 0
    return mask / 255.0


@pytest.mark.parametrize("kind", ["bisenet", "parsenet"])
def test_an_official_file_gives_the_official_labels_and_mask(shared: Path, tmp_path: Path, kind: Kind) -> None:
    golden = Golden.load(shared, kind)
    with written(golden, tmp_path) as path:
        masker = load_mask(kind, path)
    crop = golden.rgb8.astype(np.float32)
    labels = masker.parse([crop])[0]
    mask = masker(crop + np.float32(0.2))  # rounded to levels first
    assert mask is not None and mask.dtype == np.float32 and mask.shape == (512, 512)
    assert float(mask.min()) >= 0 and float(mask.max()) <= 1
    if kind == "parsenet":
        stride = golden.facts["outputs"]["output"]["stride"]
        theirs = golden.arrays["output"][0].argmax(axis=0)
        assert (labels[::stride, ::stride] == theirs).mean() > 0.9999
        np.testing.assert_allclose(mask, official_mask(labels), atol=1e-6)


@KINDS
def test_each_network_gets_the_input_it_was_trained_with(kind: Kind) -> None:
    parser = Painted(kind, FACE)
    crop = np.zeros((512, 512, 3), np.float32)
    crop[..., 0], crop[..., 1], crop[..., 2] = 255.0, 51.2, -3.0
    ParsedMask(parser, kind=kind)(crop)
    assert parser.seen is not None and parser.seen.shape == (1, 3, 512, 512) and parser.seen.dtype == torch.float32
    pixel = parser.seen[0, :, 100, 200].numpy()
    imagenet = [(1 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (0 - 0.406) / 0.225]
    expected = [1.0, -0.6, -1.0] if kind == "parsenet" else imagenet
    np.testing.assert_allclose(pixel, expected, rtol=1e-5)


@KINDS
@pytest.mark.parametrize("part", ["eye_g", "hair", "l_ear", "ear_r", "r_eye", "l_brow", "nose", "mouth", "u_lip"])
def test_what_belongs_to_the_face_is_pasted(kind: Kind, part: str) -> None:
    mask = made(kind, FACE, (part, slice(200, 320), slice(200, 320)))
    np.testing.assert_allclose(mask, made(kind, FACE), atol=1e-6)
    assert mask[260, 260] > 0.999


@KINDS
@pytest.mark.parametrize("part", ["hat", "neck", "neck_l", "cloth", "background"])
def test_what_does_not_is_left_alone(kind: Kind, part: str) -> None:
    mask = made(kind, FACE, (part, slice(120, 240), slice(100, 400)))
    assert mask[160, 256] < 0.01 and mask[350, 256] > 0.99


@KINDS
def test_a_mask_is_soft_and_0_at_the_edge(kind: Kind) -> None:
    mask = made(kind, HAIR, FACE)
    for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]):
        assert not edge.any()
    inner = mask[60:-60, 60:-60]
    assert max(np.abs(np.diff(inner, axis=0)).max(), np.abs(np.diff(inner, axis=1)).max()) < 0.03


@pytest.mark.parametrize("upscale", [1, 2])
def test_what_lies_before_a_face_stays_as_photographed(upscale: int) -> None:
    """A textured bar over the face, which the parser takes for no face: nothing under it changes by two levels."""
    numbers = np.random.default_rng(4)
    pixels = np.full((600, 700, 3), 120, np.uint8)
    rows, columns = slice(300, 360), slice(180, 520)
    pixels[rows, columns] = numbers.integers(0, 256, (60, 340, 3), np.uint8)
    photo = Photo(Path("p.png"), pixels, Metadata("PNG"))
    face = Face((200, 150, 500, 520), 0.99, TEMPLATE_512_XY + np.array([94.0, 44.0]))
    bar = ("cloth", slice(rows.start - 44, rows.stop - 44), slice(columns.start - 94, columns.stop - 94))
    mask = ParsedMask(Painted("bisenet", HAIR, ("skin", slice(100, 480), slice(60, 460)), bar), kind="bisenet")

    class White:
        def restore(self, crops: torch.Tensor) -> torch.Tensor:
            return torch.ones_like(crops)

    class Known:
        def detect(self, rgb: np.ndarray) -> list[Face]:
            return [face]

    def result(masker: ParsedMask | None) -> np.ndarray:
        choice = FaceChoice() if masker else FaceChoice(min_score=1.0)
        (done,) = Restorer(White(), Known(), upscale=upscale, mask=masker, choice=choice)([photo])
        return done.pixels.astype(int)

    changed = np.abs(result(mask) - result(None)).max(axis=2)
    under = changed[rows.start * upscale : rows.stop * upscale, columns.start * upscale : columns.stop * upscale]
    assert under.max() < 2
    assert changed[250 * upscale, 350 * upscale] > 100, "the face around it is restored"


def test_bisenet_fades_where_the_crop_cuts_through_hair() -> None:
    mask, official = made("bisenet", HAIR, FACE), made("parsenet", HAIR, FACE)
    assert np.abs(np.diff(official[:60, 256])).max() > 0.9  # the official mask ends at once
    assert np.abs(np.diff(mask[:, 256])).max() < 0.04
    # Within the ramps at the crop's edge and at the region's it is the official one, and outside the region nothing.
    np.testing.assert_allclose(mask[51:400, 172:338], official[51:400, 172:338], atol=1e-6)
    np.testing.assert_array_equal(mask[440:], 0)
    assert (mask <= feather_mask() + 1e-6).all()


@KINDS
def test_an_empty_parse_is_no_mask(kind: Kind) -> None:
    assert mask_of(kind) is None
    assert mask_of(kind, HAIR, ("hat", slice(0, 60), slice(0, 512))) is None
    assert mask_of(kind, ("skin", slice(0, 51), slice(0, 51))) is None  # under a hundredth of the crop
    assert mask_of(kind, ("skin", slice(200, 252), slice(200, 252))) is not None


def test_factors_at_the_edge() -> None:
    border, fade = official_border(), feather_mask()
    assert border.sum() == 492 * 492 and border[10, 10] == 1 and border[9, 256] == 0
    assert fade[0, 256] == 0 and 0 < fade[25, 256] < 1 and fade[51, 256] == 1 and fade[256, 460] == 1
    assert not border.flags.writeable and not fade.flags.writeable


def test_softening_keeps_the_whole_and_halves_an_edge() -> None:
    half = np.zeros((512, 512), bool)
    half[:, 256:] = True
    soft = soften(half)
    assert np.array_equal(soften(np.ones((512, 512), bool)), np.ones((512, 512), np.float32))
    np.testing.assert_allclose(soft[100, 255] + soft[100, 256], 1.0, atol=1e-6)
    spread = np.diff(soft[100]).astype(np.float64)
    position = np.arange(511) - 255
    assert np.sqrt((spread * position**2).sum()) == pytest.approx(11 * 2**0.5, rel=0.01)


@KINDS
def test_the_other_parser_is_refused(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / "other.pth"
    other = parsing_parsenet.ParseNet(depth=1) if kind == "bisenet" else parsing_bisenet.BiSeNet()
    torch.save(other.state_dict(), path)
    with pytest.raises(CheckpointError, match=f"does not hold the weights of {kind}"):
        load_mask(kind, path)
