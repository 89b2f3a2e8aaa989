"""The flip ensemble around backends whose answers are known."""

from __future__ import annotations

from collections.abc import Callable

import torch

from gfpup.models.backends.ensemble import FlipEnsemble
from gfpup.models.backends.identity import Identity

Crops = Callable[..., torch.Tensor]


class Shift:
    """Moves each row of pixels one to the right: as far from symmetric as can be."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        self.seen.append(crops)
        return crops.roll(1, dims=3)


class Invert:
    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        return 1 - crops


def test_a_symmetric_method_is_unchanged(crops: Crops) -> None:
    x = crops(2, side=16)
    assert torch.equal(FlipEnsemble(Identity()).restore(x), x)
    assert torch.equal(FlipEnsemble(Invert()).restore(x), 1 - x)


def test_it_is_the_mean_of_both_ways(crops: Crops) -> None:
    x, member = crops(3, side=16, seed=8), Shift()
    done = FlipEnsemble(member).restore(x)
    # A shift to the right, mirrored twice, is a shift to the left.
    assert torch.equal(done, (x.roll(1, dims=3) + x.roll(-1, dims=3)) / 2)
    assert done.shape == x.shape and done.dtype == torch.float32 and done.is_contiguous()
    assert [len(seen) for seen in member.seen] == [3, 3], "two calls, each of the batch it was given"


def test_mirror_in_mirror_out(crops: Crops) -> None:
    x, ensemble = crops(2, side=16, seed=9), FlipEnsemble(Shift())
    assert torch.equal(ensemble.restore(x.flip(3)), ensemble.restore(x).flip(3))
    assert not torch.equal(Shift().restore(x.flip(3)), Shift().restore(x).flip(3))


def test_rows_do_not_see_each_other_and_no_face_is_no_face(crops: Crops) -> None:
    x, ensemble = crops(2, side=16, seed=10), FlipEnsemble(Shift())
    assert torch.equal(ensemble.restore(x)[1:], ensemble.restore(x[1:]))
    assert ensemble.restore(x[:0]).shape == (0, 3, 16, 16)
