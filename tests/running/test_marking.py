"""Runs say in the XMP of their results how these were made: learned methods, the classical one, and not the identity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from builders import Run, manifest
from PIL import Image

from gfpup.core.types import Face, FaceResult, Metadata, Photo, RestoredPhoto
from gfpup.models.table import COMPUTED, TRAINED
from gfpup.photos import read_photo
from gfpup.planning.method import Method
from gfpup.running.marking import MarkingRestorer

QUIET = ("-q", "--tracking", "none", "--no-download")


@pytest.fixture
def face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save("face.png")


def xmp(path: str) -> bytes:
    return read_photo(Path(path)).metadata.xmp or b""


@pytest.mark.usefixtures("face")
def test_a_run_marks_what_it_computes_and_resumes(gfpup: Run, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("run", "-i", "face.png", "--aligned", *QUIET)
    assert gfpup(*words, "--backend", "classical", "-o", "marked") == 0
    assert COMPUTED.encode() in xmp("marked/face.png") and b"<gfpup:Method>classical<" in xmp("marked/face.png")
    before = Path("marked/face.png").stat()
    assert gfpup(*words, "--backend", "classical", "-o", "marked") == 0
    assert Path("marked/face.png").stat() == before
    assert gfpup(*words, "--backend", "classical", "-o", "marked", "--no-mark") == 2
    assert "the mark in XMP (--no-mark) changed" in capsys.readouterr().err

    assert gfpup(*words, "--backend", "classical", "-o", "bare", "--no-mark") == 0
    assert xmp("bare/face.png") == b"" and "mark" not in manifest(Path("bare"))["plan"]["pixels"]["write"]
    assert (read_photo(Path("bare/face.png")).pixels == read_photo(Path("marked/face.png")).pixels).all()


@pytest.mark.usefixtures("face")
def test_the_identity_has_no_mark_and_is_the_same_run_without(gfpup: Run) -> None:
    words = ("run", "-i", "face.png", "--aligned", *QUIET, "--backend", "identity", "-o", "out")
    assert gfpup(*words) == 0 and xmp("out/face.png") == b""
    assert gfpup(*words, "--no-mark") == 0  # resumed, not refused


def restored(*faces: bool, method: str | None = None) -> RestoredPhoto:
    """A photo of 40 x 20 px, restored at 2x, with faces that were restored or not."""
    found = [Face((-3.0, 2.0, 10.0 + i, 12.0), 1.0, np.zeros((5, 2))) for i in range(len(faces))]
    photo = Photo(Path("a.png"), np.zeros((20, 40, 3), np.uint8), Metadata("PNG"))
    results = tuple(FaceResult(face, restored=done) for face, done in zip(found, faces, strict=True))
    return RestoredPhoto(photo, np.zeros((40, 80, 3), np.uint8), None, results, {}, method=method)


def mark_of(method: Method, result: RestoredPhoto, *, background: str = "none", own: bool = False) -> Any:
    recipe = cast(Any, SimpleNamespace(background=background))
    return MarkingRestorer(lambda _: [result], recipe, method, own_checkpoint=own)([result.photo])[0].mark


def test_each_method_says_what_it_is_and_which_faces_it_restored() -> None:
    gfpgan, classical = Method("gfpgan", {"version": "1.3"}), Method("classical", {})
    mark = mark_of(gfpgan, restored(True, False, True))
    assert (mark.source_type, mark.method, mark.version) == (TRAINED, "gfpgan", "1.3")
    assert mark.boxes == ((0.0, 4.0, 20.0, 24.0), (0.0, 4.0, 24.0, 24.0))
    assert mark_of(gfpgan, restored(True), own=True).version == "unverified checkpoint"
    assert mark_of(gfpgan, restored(False)) is None and mark_of(gfpgan, restored()) is None
    assert mark_of(classical, restored(True)).source_type == COMPUTED
    assert mark_of(Method("identity", {}), restored(True)) is None
    assert mark_of(Method("precomputed", {}), restored(True)) is None


def test_of_several_methods_a_trained_one_decides_or_the_one_that_was_chosen() -> None:
    gfpgan, classical = Method("gfpgan", {"version": "1.4"}), Method("classical", {})
    blend = mark_of(Method("ensemble", {}, members=(classical, gfpgan)), restored(True))
    assert (blend.source_type, blend.method) == (TRAINED, "ensemble of classical, gfpgan 1.4")
    auto = Method("auto", {}, members=(replace(classical, key="mild"), replace(gfpgan, key="strong")))
    assert mark_of(auto, restored(True, method="mild")).source_type == COMPUTED
    assert mark_of(auto, restored(True, method="strong")).method == "gfpgan"


def test_a_background_by_a_network_is_marked_whatever_became_of_the_faces() -> None:
    for result in (restored(), restored(True)):
        mark = mark_of(Method("identity", {}), result, background="realesrgan")
        assert (mark.source_type, mark.method, mark.version) == (TRAINED, "realesrgan (background)", None)
