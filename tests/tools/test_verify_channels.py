"""Both orders of colours are measured on the user's faces, and what cannot be measured is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import save
from torch import nn

from gfpup.core.errors import GfpupError
from gfpup.core.types import UInt8
from gfpup.tools.verify.channels import ORDERS, channel_checks, read_people, separate


class FirstChannel(nn.Module):
    """Knows a person by the first channel's mean alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        angle = x[:, 0].mean(dim=(1, 2)) * 3
        return torch.stack([torch.cos(angle), torch.sin(angle)], dim=1)


def face(red: int, blue: int) -> UInt8:
    return np.full((112, 112, 3), (red, 90, blue), np.uint8)


def people(tmp_path: Path) -> Path:
    """Two people who differ in blue; their red varies."""
    for name, faces in (("ann", [face(10, 20), face(200, 22)]), ("bob", [face(12, 220), face(202, 222)])):
        (tmp_path / "people" / name).mkdir(parents=True)
        for i, picture in enumerate(faces):
            save(tmp_path / "people" / name / f"{i}.png", picture)
    return tmp_path / "people"


def test_the_order_that_tells_people_apart_is_named(tmp_path: Path) -> None:
    folder = people(tmp_path)
    blue_first = separate(FirstChannel(), read_people(folder), ORDERS["identity_bgr"])
    red_first = separate(FirstChannel(), read_people(folder), ORDERS["identity"])
    assert blue_first.area == 1 and red_first.area < 0.6
    assert (len(blue_first.same), len(blue_first.different)) == (2, 4)
    rgb, bgr = channel_checks(FirstChannel(), folder)
    assert rgb.name.startswith("identity:") and "better" not in rgb.found and rgb.status == bgr.status == "ok"
    assert "told apart 100.0%, the better one here" in bgr.found and "(2 pairs)" in bgr.found


def test_what_cannot_be_measured_is_skipped_with_its_reason(tmp_path: Path) -> None:
    (row,) = channel_checks(None, tmp_path)
    assert row.status == "skipped" and "no weights" in row.found
    (row,) = channel_checks(FirstChannel(), None)
    assert row.status == "skipped" and "--faces DIR" in row.found


def test_folders_that_are_no_people_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GfpupError, match="no folder"):
        read_people(tmp_path / "absent")
    folder = people(tmp_path)
    save(folder / "ann" / "wide.png", np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(GfpupError, match=r"wide\.png has 30x20 pixels"):
        read_people(folder)
    with pytest.raises(GfpupError, match="at least two people"):
        read_people(folder / "bob")
