"""Every network after its rewrites against the official outputs, and against itself before them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden import Golden, fill_randomly
from official import written
from torch import nn

from gfpup.models.nets.loading import load_network
from gfpup.models.nets.rewrites import rewrite
from gfpup.models.networks import NETWORKS

HEAVY = ("codeformer", "elir", "gfpgan", "pmrf", "restoreformer", "restoreformerpp")
"""Networks that the tests of their backends hold to the same outputs."""

GOLDENS = [
    pytest.param(name, marks=pytest.mark.slow if name in HEAVY else ())
    for name, network in sorted(NETWORKS.items())
    if network.golden
]


@pytest.mark.parametrize("name", GOLDENS)
@torch.inference_mode()
def test_a_loaded_network_meets_the_official_output(shared: Path, tmp_path: Path, name: str) -> None:
    network = NETWORKS[name]
    golden = Golden.load(shared, str(network.golden))
    with written(golden, tmp_path) as path:
        loaded = load_network(network.make, path, name=name)
    noise = [torch.from_numpy(golden.fill("noises.0", network.noise, salt=golden.facts["salt"]))] if network.noise else []
    answer = network.ask(loaded, network.feed(golden.rgb8).contiguous(memory_format=torch.channels_last), *noise)
    for key, output in answer.outputs.items():
        golden.check_output(output, network.tolerance.reordered, key=key)
    if answer.codes is not None:
        assert answer.codes.tolist() == golden.arrays["codes"].tolist()


@torch.inference_mode()
def test_a_network_is_plain_until_it_is_rewritten(shared: Path, tmp_path: Path) -> None:
    golden = Golden.load(shared, "bisenet")
    network = NETWORKS["bisenet"]
    with written(golden, tmp_path) as path:
        plain = load_network(network.make, path, name="bisenet", plain=True)
        loaded = load_network(network.make, path, name="bisenet")
    golden.check_keys(plain)
    assert any(isinstance(module, nn.BatchNorm2d) for module in plain.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in loaded.modules())


@torch.inference_mode()
def test_batch_norms_fold_into_what_stands_before_them() -> None:
    class Fork(nn.Module):
        """Its first norm follows nothing, its last a linear layer."""

        def __init__(self) -> None:
            super().__init__()
            self.bn0 = nn.BatchNorm2d(3)
            self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
            self.bn1 = nn.BatchNorm2d(4)
            self.fc = nn.Linear(4 * 36, 5, bias=False)
            self.bn = nn.BatchNorm1d(5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.bn(self.fc(self.bn1(self.conv1(self.bn0(x))).flatten(1)))

    fork = fill_randomly(Fork(), seed=9).double()
    x = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    before = fork(x)
    torch.testing.assert_close(rewrite(fork)(x), before)
    assert [type(child).__name__ for child in fork.children()] == ["BatchNorm2d", "Conv2d", "Identity", "Linear", "Identity"]
