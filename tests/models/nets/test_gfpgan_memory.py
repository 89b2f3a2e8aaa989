"""GFPGAN's rewritten form saves memory by overwriting what it needs no more, and nothing else."""

from __future__ import annotations

import torch
from torch.profiler import ProfilerActivity, profile

from gfpup.models.nets.gfpgan import GFPGAN
from gfpup.models.nets.rewrites import rewrite


def small(*, narrow: float) -> GFPGAN:
    generator = torch.Generator().manual_seed(3)
    network = GFPGAN(out_size=128, narrow=narrow).eval().requires_grad_(False)
    for tensor in network.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.05)
    return network


def test_a_forward_overwrites_neither_its_input_nor_its_weights() -> None:
    network = rewrite(small(narrow=0.125))
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    x = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(4))
    given = x.clone()
    with torch.inference_mode():
        first, second = network(x), network(x)
    assert torch.equal(first, second)
    assert torch.equal(x, given)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in network.state_dict().items())


def test_no_level_keeps_what_it_has_used() -> None:
    """The most that a forward holds at once, in feature maps of the largest level: 7.6 where all is kept, else 5.6."""
    network = rewrite(small(narrow=0.0625))
    x = torch.rand(1, 3, 128, 128)
    with torch.inference_mode():
        network(x)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            network(x)
    held = most = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    largest = network.stylegan_decoder.style_convs[-1].bias.numel() * 128 * 128 * 4
    assert 2 < most / largest < 6.5
