from __future__ import annotations

import torch

from gfpup.models.backends.identity import Identity


def test_identity_gives_back_the_bits_in_other_memory() -> None:
    crops = torch.rand(2, 3, 512, 512, generator=torch.Generator().manual_seed(8))
    restored = Identity().restore(crops)
    assert torch.equal(restored, crops)
    restored.zero_()
    assert crops.max() > 0
