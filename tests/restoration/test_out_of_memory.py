"""Batches that run out of memory are halved and the run goes on; a face that does not fit alone is failed, its photo kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gfpup.core.types import Face, Metadata, Photo
from gfpup.ops.geometry import TEMPLATE_512_XY
from gfpup.restoration.restorer import Restorer

GPU = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
CPU = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")


class Holds:
    """A backend with memory for so many faces at once; it paints them white and remembers its calls."""

    def __init__(self, faces: int, error: Exception = GPU) -> None:
        self.faces = faces
        self.error = error
        self.calls: list[int] = []

    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        self.calls.append(len(crops))
        if len(crops) > self.faces:
            raise self.error
        return torch.ones_like(crops)


class Row:
    """Finds `count` faces side by side."""

    def __init__(self, count: int) -> None:
        self.faces = [Face((x, 0, x + 64, 64), 0.99, TEMPLATE_512_XY / 8 + [x, 0]) for x in range(0, 64 * count, 64)]

    def detect(self, rgb: np.ndarray) -> list[Face]:
        return list(self.faces)


def photo(name: str = "p.png") -> Photo:
    return Photo(Path(name), np.full((64, 512, 3), 100, np.uint8), Metadata("PNG"))


@pytest.mark.parametrize("error", [GPU, CPU, MemoryError()])
def test_the_batch_is_halved_until_it_fits_and_stays_so(error: Exception) -> None:
    backend = Holds(2, error)
    restorer = Restorer(backend, Row(8), upscale=1, face_batch=8)
    first = restorer([photo()])[0]
    assert backend.calls == [8, 4, 2, 2, 2, 2]
    assert all(face.restored for face in first.faces)
    assert first.warnings == (
        "8 faces at once ran out of memory; from here on at most 4",
        "4 faces at once ran out of memory; from here on at most 2",
    )
    assert first.seconds["restore"] > 0
    backend.calls.clear()
    second = restorer([photo()])[0]
    assert backend.calls == [2, 2, 2, 2], "the rest of the run knows"
    assert second.warnings == ()
    np.testing.assert_array_equal(first.pixels, second.pixels)


def test_the_result_is_that_of_a_batch_that_fits() -> None:
    def run(batch: int, holds: int) -> list[np.ndarray]:
        return [done.pixels for done in Restorer(Holds(holds), Row(3), upscale=1, face_batch=batch)([photo(), photo()])]

    for tight, roomy in zip(run(4, 1), run(4, 4), strict=True):
        np.testing.assert_array_equal(tight, roomy)


def test_only_the_photos_that_were_in_the_batch_say_so() -> None:
    restorer = Restorer(Holds(2), Row(2), upscale=1, face_batch=4)
    photos = restorer([photo("a"), photo("b"), photo("c")])
    assert [len(done.warnings) for done in photos] == [1, 1, 0]


def test_a_short_last_batch_counts_as_what_it_was() -> None:
    backend = Holds(2)
    done = Restorer(backend, Row(3), upscale=1, face_batch=8)([photo()])[0]
    assert backend.calls == [3, 1, 1, 1]
    assert done.warnings == ("3 faces at once ran out of memory; from here on at most 1",)


def test_a_face_that_does_not_fit_alone_is_failed_and_the_photo_is_kept() -> None:
    backend = Holds(0)
    done = Restorer(backend, Row(2), upscale=1, face_batch=2)([photo()])[0]
    assert backend.calls == [2, 1, 1]
    assert [(face.restored, face.failed, face.reason) for face in done.faces] == [
        (False, True, "out of memory on cpu, with this face alone")
    ] * 2
    np.testing.assert_array_equal(done.pixels, photo().pixels)


def test_aligned_faces_are_halved_too() -> None:
    backend = Holds(1)
    done = Restorer(backend, None, face_batch=2)([photo("a"), photo("b")])
    assert backend.calls == [2, 1, 1]
    assert all("ran out of memory" in str(result.warnings) for result in done)


def test_a_face_redone_in_float32_may_run_out_too() -> None:
    class NotFinite:
        def restore(self, crops: torch.Tensor) -> torch.Tensor:
            return torch.full_like(crops, float("nan"))

    done = Restorer(NotFinite(), Row(1), upscale=1, fallback=Holds(0))([photo()])[0]
    assert "out of memory" in str(done.faces[0].reason)


def test_other_errors_are_not_swallowed() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        Restorer(Holds(0, RuntimeError("shapes do not match")), Row(2), upscale=1, face_batch=2)([photo()])
