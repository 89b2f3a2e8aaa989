"""CodeFormer against the official outputs, and its parts against independent arithmetic."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden import Golden, fill_randomly
from torch import nn

from gfpup.models.nets.codeformer import CodeFormer, SelfAttention, SpatialAttention, adaptive_instance_norm
from gfpup.models.nets.rewrites import rewrite
from gfpup.models.nets.vqgan import Codebook, smallest_margin

PLAIN_TOLERANCE = 5e-4


def noise(*shape: int, seed: int = 3) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def small() -> CodeFormer:
    """The whole network with random weights, given places for 2x2 codes only: it takes 64x64 faces and costs little."""
    with torch.device("meta"):
        network = CodeFormer()
    fill_randomly(network, seed=41)
    network.position_emb = nn.Parameter(torch.randn(4, 512, generator=torch.Generator().manual_seed(12)))
    return network


@torch.inference_mode()
def test_meets_the_official_outputs_and_codes(shared: Path) -> None:
    golden = Golden.load(shared, "codeformer")
    with torch.device("meta"):
        network = CodeFormer()
    golden.load_into(network)
    latent, features = network.encode(golden.rgb())
    logits = network.scores_of(latent)
    golden.check_output(logits, PLAIN_TOLERANCE, key="logits")
    codes = logits.argmax(dim=2)
    assert codes[0].tolist() == golden.arrays["codes"].tolist()
    assert smallest_margin(logits) == pytest.approx(golden.facts["codes"]["smallest_margin"], rel=0.01)
    for fidelity in (0.0, 0.5, 1.0):
        output = network.decode(codes, latent, features, fidelity=fidelity)
        golden.check_output(output, PLAIN_TOLERANCE, key=f"output_w{fidelity}")


def test_builds_on_the_meta_device_with_the_official_count() -> None:
    with torch.device("meta"):
        network = CodeFormer().eval()
        out = network(torch.empty(2, 3, 512, 512), fidelity=0.5)
    assert out.shape == (2, 3, 512, 512) and out.is_meta
    assert all(tensor.is_meta for tensor in network.state_dict().values())
    assert len(network.state_dict()) == 515
    assert sum(parameter.numel() for parameter in network.parameters()) == 94_112_707


@torch.inference_mode()
def test_forward_is_encode_choose_and_decode(small: CodeFormer) -> None:
    x = noise(1, 3, 64, 64).float()
    latent, features = small.encode(x)
    assert torch.equal(small.scores(x), small.scores_of(latent))
    assert torch.equal(small.codes(x), small.scores(x).argmax(dim=2))
    for adain in (True, False):
        decoded = small.decode(small.codes(x), latent, features, fidelity=0.3, adain=adain)
        assert torch.equal(small(x, fidelity=0.3, adain=adain), decoded)
    assert not torch.equal(small(x, fidelity=0.3), small(x, fidelity=0.3, adain=False))


@torch.inference_mode()
def test_fidelity_belongs_to_the_call(small: CodeFormer) -> None:
    x = noise(1, 3, 64, 64).float()
    first = small(x, fidelity=0.7)
    without = small(x, fidelity=0.0)
    assert not torch.allclose(first, without)
    assert torch.equal(small(x, fidelity=0.7), first)
    torch.testing.assert_close(small(x, fidelity=torch.tensor(0.7)), first)
    torch.testing.assert_close(small(x, fidelity=torch.tensor(0.0)), without)


@torch.inference_mode()
def test_fidelity_0_paints_from_the_codes_alone(small: CodeFormer) -> None:
    x = noise(1, 3, 64, 64).float()
    latent, features = small.encode(x)
    other = {size: feature * float("nan") for size, feature in features.items()}
    assert small.decode(small.codes(x), latent, other, fidelity=0.0).isfinite().all()
    assert small.decode(small.codes(x), latent, other, fidelity=0.1).isnan().any()


@torch.inference_mode()
def test_each_row_depends_on_its_own_face(small: CodeFormer) -> None:
    pair = noise(2, 3, 64, 64).float()
    together, logits = small(pair, fidelity=0.5), small.scores(pair)
    for row in range(2):
        alone = pair[row : row + 1]
        torch.testing.assert_close(logits[row : row + 1], small.scores(alone), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(together[row : row + 1], small(alone, fidelity=0.5), rtol=1e-3, atol=1e-3)


@torch.inference_mode()
def test_a_lower_decoder_leaves_the_codes_and_the_input_dtype() -> None:
    with torch.device("meta"):
        network = CodeFormer()
    fill_randomly(network, seed=41)
    network.position_emb = nn.Parameter(torch.randn(4, 512, generator=torch.Generator().manual_seed(5)))
    x = noise(1, 3, 64, 64).float()
    logits, exact = network.scores(x), network(x, fidelity=0.5)
    assert network.decoder_to(torch.bfloat16) is network
    assert torch.equal(network.scores(x), logits)
    lowered = network(x, fidelity=0.5)
    assert lowered.dtype == torch.float32
    assert not torch.equal(lowered, exact)
    assert (lowered - exact).std() < 0.1 * exact.std()


def test_adain_gives_content_the_statistics_of_style() -> None:
    content, style = noise(2, 5, 8, 8), 3 * noise(2, 5, 8, 8, seed=4) + 7
    out = adaptive_instance_norm(content, style)
    torch.testing.assert_close(out.mean(dim=(2, 3)), style.mean(dim=(2, 3)))
    torch.testing.assert_close(out.std(dim=(2, 3)), style.std(dim=(2, 3)), rtol=1e-4, atol=0)
    torch.testing.assert_close(adaptive_instance_norm(style, style), style)


@pytest.mark.parametrize("spread", [1e-4, 1.0, 3000.0])
def test_adain_survives_half_precision(spread: float) -> None:
    """Squares of 3000 overflow float16 and epsilon vanishes in it: the known black face."""
    style = (spread * noise(1, 4, 16, 16)).half()
    content = (spread * noise(1, 4, 16, 16, seed=8)).half()
    content[:, 0] = 0.25  # a constant channel: one code everywhere
    out = adaptive_instance_norm(content, style)
    assert out.dtype == torch.float16 and out.isfinite().all()
    expected = adaptive_instance_norm(content.double(), style.double())
    torch.testing.assert_close(out.double(), expected, rtol=2e-3, atol=2e-3 * spread)


def test_lookup_gives_the_bits_of_the_one_hot_product() -> None:
    codebook = fill_randomly(Codebook(), seed=2)
    codes = torch.randint(0, 1024, (3, 20), generator=torch.Generator().manual_seed(1))
    plain = codebook.lookup(codes, size_hw=(4, 5))
    assert torch.equal(rewrite(codebook).lookup(codes, size_hw=(4, 5)), plain)
    one_hot = torch.nn.functional.one_hot(codes, 1024).float()
    product = torch.matmul(one_hot, codebook.embedding.weight).reshape(3, 4, 5, 256).permute(0, 3, 1, 2)
    assert torch.equal(codebook.lookup(codes, size_hw=(4, 5)), product)


@torch.inference_mode()
def test_self_attention_is_torchs_own() -> None:
    ours = fill_randomly(SelfAttention(), seed=6).double()
    theirs = nn.MultiheadAttention(512, 8, batch_first=True).double()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    tokens, position = noise(2, 9, 512), noise(9, 512, seed=5)
    placed = tokens + position
    expected, _ = theirs(placed, placed, tokens)
    torch.testing.assert_close(ours(tokens, position=position), expected)


@torch.inference_mode()
def test_spatial_attention_is_one_head_over_places() -> None:
    block = fill_randomly(SpatialAttention(64), seed=7).double()
    x = noise(2, 64, 4, 3)
    h = block.norm(x)
    q, k, v = (layer(h).flatten(2).transpose(1, 2) for layer in (block.q, block.k, block.v))
    attended = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(block(x), x + block.proj_out(attended))
