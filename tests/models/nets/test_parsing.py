"""BiSeNet and ParseNet against the official outputs, and the facts a mask is made from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from golden import Golden, difference, fill_randomly
from torch import nn

from gfpup.models.nets import parsing_bisenet, parsing_parsenet
from gfpup.models.nets.parsing_bisenet import BiSeNet
from gfpup.models.nets.parsing_parsenet import ConvLayer, ParseNet

PLAIN_TOLERANCE = 1e-4
NETWORKS = pytest.mark.parametrize("make", [BiSeNet, lambda: ParseNet(depth=1)], ids=["bisenet", "parsenet"])


def faces(count: int, *, size: int = 64, seed: int = 5) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("name", "make"), [("bisenet", BiSeNet), ("parsenet", ParseNet)])
@torch.inference_mode()
def test_meets_the_official_output(shared: Path, name: str, make: Callable[[], nn.Module]) -> None:
    golden = Golden.load(shared, name)
    with torch.device("meta"):
        network = make()
    golden.load_into(network)
    output = network(golden.rgb())
    golden.check_output(output, PLAIN_TOLERANCE)


def test_each_parser_numbers_the_same_parts_in_its_own_order() -> None:
    bisenet, parsenet = parsing_bisenet.LABELS, parsing_parsenet.LABELS
    assert len(bisenet) == len(set(bisenet)) == 19
    assert set(bisenet) == set(parsenet) and bisenet != parsenet
    assert (bisenet.index("hair"), bisenet.index("hat"), bisenet.index("eye_g")) == (17, 18, 6)
    assert (parsenet.index("hair"), parsenet.index("hat"), parsenet.index("eye_g")) == (13, 14, 3)


def test_the_official_mask_leaves_out_hat_neck_and_cloth() -> None:
    face = [255 * (label not in parsing_parsenet.OUTSIDE) for label in parsing_parsenet.LABELS]
    assert face == [0, *[255] * 13, 0, 255, 0, 0, 0]


@pytest.mark.parametrize(
    ("make", "entries", "parameters"), [(BiSeNet, 191, 13_300_416), (ParseNet, 238, 21_303_254)], ids=["bisenet", "parsenet"]
)
def test_the_whole_network_stays_on_its_device(make: Callable[[], nn.Module], entries: int, parameters: int) -> None:
    """On the meta device any tensor made elsewhere raises; the counts are those of the official checkpoint."""
    with torch.device("meta"):
        network = make().eval()
    assert all(tensor.is_meta for tensor in network.state_dict().values())
    assert len(network.state_dict()) == entries
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    out = network(torch.empty(2, 3, 512, 512, device="meta"))
    assert out.is_meta and out.shape == (2, 19, 512, 512)


@NETWORKS
@torch.no_grad()
def test_row_i_depends_on_face_i_alone(make: Callable[[], nn.Module]) -> None:
    network, x = fill_randomly(make(), seed=1).double(), faces(3)
    together = network(x)
    assert together.shape == (3, 19, 64, 64) and torch.isfinite(together).all()
    for row in range(3):
        assert difference(network(x[row : row + 1]), together[row : row + 1]) < 1e-10
    other = x.clone()
    other[1] = 0.0
    changed = network(other)
    assert torch.equal(changed[[0, 2]], together[[0, 2]])
    assert not torch.equal(changed[1], together[1])


@NETWORKS
@torch.no_grad()
def test_auxiliary_heads_load_and_do_not_touch_the_logits(make: Callable[[], nn.Module]) -> None:
    network, x = fill_randomly(make(), seed=2).double(), faces(1)
    kept = x.clone()
    before = network(x)
    heads = [module for name, module in network.named_children() if name in ("conv_out16", "conv_out32", "out_img_conv")]
    assert heads
    for head in heads:
        for parameter in head.parameters():
            parameter.fill_(float("nan"))
    assert torch.equal(network(x), before)
    assert torch.equal(x, kept)


@NETWORKS
@torch.no_grad()
def test_layout_and_precision_are_followed(make: Callable[[], nn.Module]) -> None:
    network, x = fill_randomly(make(), seed=3), faces(1).float()
    reference = network(x)
    network.to(memory_format=torch.channels_last)
    assert difference(network(x.contiguous(memory_format=torch.channels_last)), reference) < 5e-4
    low = network.to(torch.bfloat16)(x.to(torch.bfloat16))
    assert low.dtype == torch.bfloat16 and torch.isfinite(low).all()


@torch.no_grad()
def test_parsenet_reflects_its_borders() -> None:
    """A flat picture has flat logits only where no border is filled with zeros."""
    network = fill_randomly(ParseNet(depth=2), seed=4).double()
    logits = network(torch.full((1, 3, 32, 48), 0.3, dtype=torch.float64))
    assert logits.shape == (1, 19, 32, 48)
    torch.testing.assert_close(logits, logits[:, :, :1, :1].expand_as(logits))


@pytest.mark.parametrize(("scale", "side"), [("same", 8), ("down", 4), ("up", 16)])
@torch.no_grad()
def test_parsenet_layer_resizes_before_it_pads(scale: str, side: int) -> None:
    layer = fill_randomly(ConvLayer(3, 5, scale), seed=6).double()
    x = faces(2, size=8)
    out = layer(x)
    assert out.shape == (2, 5, side, side)
    source = x.repeat_interleave(2, 2).repeat_interleave(2, 3) if scale == "up" else x
    padded = F.pad(source, (1, 1, 1, 1), mode="reflect")
    conv = layer.conv2d
    assert isinstance(conv, nn.Conv2d)
    expected = F.conv2d(padded, conv.weight, conv.bias, stride=2 if scale == "down" else 1)
    torch.testing.assert_close(out, expected)


@torch.no_grad()
def test_bisenet_logits_meet_its_features_at_the_corners() -> None:
    """The last upsampling aligns corners, so a corner's logits are those of the corner of the 1/8 features."""
    network = fill_randomly(BiSeNet(), seed=7).double()
    x = faces(1, size=96)
    features = network.conv_out(network.ffm(*network.cp(x)))
    out = network(x)
    assert features.shape == (1, 19, 12, 12)
    for y, across in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        torch.testing.assert_close(out[..., y, across], features[..., y, across])
