"""RestoreFormer and RestoreFormer++ against the official outputs, and against each other: they are two networks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden import Golden, fill_randomly
from torch import nn

from gfpup.models.nets.restoreformer import Attention, RestoreFormer, RestoreFormerPlusPlus
from gfpup.models.nets.vqgan import Codebook, smallest_margin

PLAIN_TOLERANCE = 1e-4
Network = RestoreFormer | RestoreFormerPlusPlus
NETWORKS = [
    pytest.param("restoreformer", RestoreFormer, 72_680_003, id="restoreformer"),
    pytest.param("restoreformerpp", RestoreFormerPlusPlus, 73_472_579, id="restoreformerpp"),
]


def noise(*shape: int, seed: int = 3) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def build(make: type[Network]) -> Network:
    with torch.device("meta"):
        network = make()
    fill_randomly(network, seed=41)
    return network


@pytest.mark.parametrize(("name", "make", "count"), NETWORKS)
@torch.inference_mode()
def test_meets_the_official_output_and_codes(shared: Path, name: str, make: type[Network], count: int) -> None:
    golden = Golden.load(shared, name)
    with torch.device("meta"):
        network = make()
    golden.load_into(network)
    latent, features = network.encode(golden.rgb())
    distances = network.quantize.distances(latent)
    codes = distances.argmin(dim=2)
    assert codes[0].tolist() == golden.arrays["codes"].tolist()
    assert smallest_margin(-distances) == pytest.approx(golden.facts["codes"]["smallest_margin"], rel=0.05)
    golden.check_output(network.decode(codes, latent, features), PLAIN_TOLERANCE)


@pytest.mark.parametrize(("name", "make", "count"), NETWORKS)
def test_builds_on_the_meta_device_with_the_official_count(name: str, make: type[Network], count: int) -> None:
    with torch.device("meta"):
        network = make().eval()
        out = network(torch.empty(2, 3, 512, 512))
    assert out.shape == (2, 3, 512, 512) and out.is_meta
    assert all(tensor.is_meta for tensor in network.state_dict().values())
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_the_two_networks_differ_in_heads_and_in_one_attention_level() -> None:
    with torch.device("meta"):
        old, new = RestoreFormer(), RestoreFormerPlusPlus()
    extra = set(new.state_dict()) - set(old.state_dict())
    assert set(old.state_dict()) < set(new.state_dict())
    assert {name.split(".attn")[0] for name in extra} == {"decoder.up.4"}
    assert {module.heads for module in old.modules() if isinstance(module, Attention)} == {8}
    assert {module.heads for module in new.modules() if isinstance(module, Attention)} == {4}
    with pytest.raises(RuntimeError, match=r"decoder\.up\.4\.attn"):
        old.load_state_dict(new.state_dict(), strict=True)


@pytest.mark.parametrize(("name", "make", "count"), NETWORKS)
@torch.inference_mode()
def test_rows_forward_and_decoder_precision(name: str, make: type[Network], count: int) -> None:
    """At 64x64 the whole network costs little: codes are 2x2."""
    network = build(make)
    pair = noise(2, 3, 64, 64).float()
    together, scores = network(pair), network.scores(pair)
    for row in range(2):
        alone = pair[row : row + 1]
        torch.testing.assert_close(scores[row : row + 1], network.scores(alone), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(together[row : row + 1], network(alone), rtol=1e-3, atol=1e-3)
    latent, features = network.encode(pair)
    assert torch.equal(network.codes(pair), scores.argmax(dim=2))
    assert torch.equal(network.decode(network.codes(pair), latent, features), together)

    network.decoder_to(torch.bfloat16)
    assert torch.equal(network.scores(pair), scores)
    lowered = network(pair)
    assert lowered.dtype == torch.float32 and not torch.equal(lowered, together)
    assert (lowered - together).std() < 0.1 * together.std()


@torch.inference_mode()
def test_the_extra_level_looks_at_the_encoder() -> None:
    network = build(RestoreFormerPlusPlus)
    x = noise(1, 3, 64, 64).float()
    latent, features = network.encode(x)
    codes, plain = network.codes(x), network(x)
    for name in ("level_4", "level_5", "middle"):
        changed = features | {name: features[name].flip(3)}
        assert not torch.allclose(network.decode(codes, latent, changed), plain), name


@pytest.mark.parametrize("heads", [1, 4, 8])
@pytest.mark.parametrize("guided", [False, True])
@torch.inference_mode()
def test_attention_has_that_many_heads(heads: int, guided: bool) -> None:
    block = fill_randomly(Attention(64, heads=heads), seed=heads).double()
    x, guide = noise(2, 64, 4, 3), noise(2, 64, 4, 3, seed=9)
    h = block.norm1(x)
    asking = block.norm2(guide) if guided else h

    def split(y: torch.Tensor) -> torch.Tensor:
        return y.reshape(2, heads, 64 // heads, 12).transpose(2, 3)

    attended = nn.functional.scaled_dot_product_attention(split(block.q(asking)), split(block.k(h)), split(block.v(h)))
    expected = x + block.proj_out(attended.transpose(2, 3).reshape(x.shape))
    torch.testing.assert_close(block(x, guide if guided else None), expected)


def test_distances_are_squared_and_euclidean() -> None:
    codebook = fill_randomly(Codebook(), seed=3).double()
    latent = noise(2, 256, 3, 2)
    places = latent.permute(0, 2, 3, 1).reshape(2, 6, 256)
    expected = (
        torch.cdist(places, codebook.embedding.weight.expand(2, -1, -1), compute_mode="donot_use_mm_for_euclid_dist") ** 2
    )
    torch.testing.assert_close(codebook.distances(latent), expected)


def test_a_code_finds_itself() -> None:
    codebook = fill_randomly(Codebook(), seed=13)
    codes = torch.randperm(1024, generator=torch.Generator().manual_seed(1)).reshape(4, 256)
    vectors = codebook.lookup(codes, size_hw=(16, 16))
    assert torch.equal(codebook.distances(vectors).argmin(dim=2), codes)


def test_the_smallest_margin_is_the_closest_call() -> None:
    scores = torch.tensor([[[5.0, 1.0, 0.0], [2.0, 1.75, -3.0]]])
    assert smallest_margin(scores) == pytest.approx(0.25 / float(scores.double().std(correction=0)))
    assert smallest_margin(torch.tensor([[1.0, 1.0, 0.0]])) == 0.0
