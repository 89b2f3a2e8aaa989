"""Running out of memory, from the command line to the manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from builders import manifest

from gfpup.core.plan import Decision
from gfpup.models.backends.identity import Identity
from gfpup.planning import placement
from gfpup.restoration.detect import CascadeDetector

ARGUMENTS = ("--backend", "identity", "--detector", "cascade", "--recursive", "--no-cache", "-q", "hardware.workers=0")


def lines(out: Path) -> dict[str, dict]:
    return {photo["name"]: photo for photo in manifest(out)["photos"]}


def hold(monkeypatch: pytest.MonkeyPatch, faces: int) -> None:
    """Let `identity` hold so many faces at once."""
    restore = Identity.restore

    def limited(self: Identity, crops: torch.Tensor) -> torch.Tensor:
        if len(crops) > faces:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return restore(self, crops)

    monkeypatch.setattr(Identity, "restore", limited)


def test_a_halved_batch_is_in_the_manifest(
    gfpup: Callable[..., int], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A processor never batches; what a GPU's plan would do is tried here all the same.
    monkeypatch.setattr(placement, "_face_batch", lambda *_, **__: Decision("face_batch", 4, "for this test"))
    hold(monkeypatch, 1)
    assert gfpup("run", "-i", photos, "-o", tmp_path / "out", *ARGUMENTS) == 0
    record = lines(tmp_path / "out")
    said = [warning for line in record.values() for warning in line["warnings"] if "ran out of memory" in warning]
    assert said == ["3 faces at once ran out of memory; from here on at most 1"] * 3
    assert sum(face["restored"] for line in record.values() for face in line["faces"]) == 3


def test_a_face_that_never_fits_is_failed_and_its_photo_written(
    gfpup: Callable[..., int], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(monkeypatch, 0)
    assert gfpup("run", "-i", photos / "a.png", "-o", tmp_path / "out", *ARGUMENTS) == 1
    (line,) = lines(tmp_path / "out").values()
    assert line["error"] is None
    assert Path(line["output"]).is_file()
    assert line["faces"][0]["failed"]
    assert "out of memory" in line["faces"][0]["reason"]


def test_a_photo_too_large_elsewhere_is_named_and_the_others_are_done(
    gfpup: Callable[..., int], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detect = CascadeDetector.detect

    def limited(self: CascadeDetector, rgb) -> list:
        if rgb.shape[0] == 300:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return detect(self, rgb)

    monkeypatch.setattr(CascadeDetector, "detect", limited)
    assert gfpup("run", "-i", photos, "-o", tmp_path / "out", *ARGUMENTS) == 1
    errors = {name: line["error"] for name, line in lines(tmp_path / "out").items()}
    assert "needs more memory than is free" in errors.pop("sub/c.png")
    assert set(errors.values()) == {None}
