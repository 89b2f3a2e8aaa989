"""Dense blocks in Winograd's form equal the ordinary convolutions, on maps of any size, and stay within them."""

from __future__ import annotations

import pytest
import torch

from gfpup.models.nets import winograd_dense
from gfpup.models.nets.rrdbnet import ResidualInResidual, Trunk


def trunk(*, blocks: int = 1, rewritten: bool = False) -> Trunk:
    torch.manual_seed(5)
    made = Trunk(*(ResidualInResidual() for _ in range(blocks)))
    if rewritten:
        made.rewrite()
    return made.eval().requires_grad_(False)


def features(*size_hw: int, count: int = 1) -> torch.Tensor:
    return torch.randn(count, 64, *size_hw, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("size_hw", [(64, 64), (65, 66), (79, 83), (37, 130), (128, 41), (4, 1030), (1030, 5)])
def test_equals_the_convolutions_to_rounding(size_hw: tuple[int, int]) -> None:
    x = features(*size_hw)
    true = trunk().double()(x.double())
    worst = [((net(x).double() - true).abs() / (true.std() + true.abs())).max() for net in (trunk(), trunk(rewritten=True))]
    assert 0 < worst[1] < max(10 * worst[0], torch.tensor(5e-6))


def test_several_blocks_share_their_memory_without_a_trace() -> None:
    x, net = features(67, 70), trunk(blocks=3, rewritten=True)
    torch.testing.assert_close(net(x), trunk(blocks=3)(x), rtol=1e-4, atol=1e-4)
    assert torch.equal(net(x), net(x.contiguous(memory_format=torch.channels_last)))


@pytest.mark.parametrize("threads", [1, 2])
def test_one_thread_and_two_compute_the_same(threads: int) -> None:
    x, before = features(70, 66), torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        assert torch.equal(trunk(rewritten=True)(x), trunk(rewritten=True)(x)), "nothing is read before it is written"
        torch.testing.assert_close(trunk(rewritten=True)(x), trunk()(x), rtol=1e-4, atol=1e-4)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_more_threads_take_the_ordinary_way(monkeypatch: pytest.MonkeyPatch) -> None:
    x = features(64, 64)
    assert winograd_dense.pays(x)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert not winograd_dense.pays(x)


def test_the_border_is_zero_however_the_map_is_filled_up() -> None:
    """A block reads 15 px around a pixel, and each convolution finds zeros beyond the edge: not what filled up a square."""
    x = features(66, 67)
    framed = torch.nn.functional.pad(x, (0, 1, 0, 2))
    inner = trunk(rewritten=True)(framed)[:, :, :66, :67]
    assert not torch.allclose(inner, trunk(rewritten=True)(x), atol=1e-3)  # zeros that are pixels become something else
    torch.testing.assert_close(trunk(rewritten=True)(x), trunk()(x), rtol=1e-4, atol=1e-4)


def test_phases_there_and_back() -> None:
    x = features(9, 14)
    phases = winograd_dense.to_phases(x)
    assert phases.shape == (4, 4, 3 + 2, 64, 8)
    assert torch.equal(phases[1, 2, 1 + 1, :, 1 + 2], x[0, :, 4 * 1 + 1, 4 * 2 + 2])
    assert torch.equal(winograd_dense.from_phases(phases, (9, 14)), x)


def test_other_maps_take_the_ordinary_way() -> None:
    plain, net = trunk(), trunk(rewritten=True)
    for x in (features(64, 64, count=2), features(64, 63)):
        assert torch.equal(net(x), plain(x))
    assert not any(map(winograd_dense.pays, (features(64, 64).double(), features(64, 64).bfloat16())))
