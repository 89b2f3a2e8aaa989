"""`memory_efficient`: attention in parts and one face a forward, with the pictures and codes of the whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from golden import fill_randomly
from torch import nn

from gfpup.core.types import Backend, BackendSpec
from gfpup.models.backends.codeformer import CodeFormer
from gfpup.models.backends.gfpgan import GFPGAN
from gfpup.models.backends.restoreformer import RestoreFormer, RestoreFormerPP
from gfpup.models.nets import codeformer, gfpgan, restoreformer
from gfpup.models.nets.vqgan import QUERY_CHUNK, ChunkedQueries

TOLERANCE = 1e-5
"""Of the largest value. Measured: equal to the bit here; another processor may add a smaller product in another order."""

Crops = Callable[..., torch.Tensor]
CODEBOOKS = {
    "codeformer": codeformer.CodeFormer,
    "restoreformer": restoreformer.RestoreFormer,
    "restoreformerpp": restoreformer.RestoreFormerPlusPlus,
}


SEED = 41


def random_network(name: str, *, places: int = 256) -> Any:
    with torch.device("meta"):
        network = CODEBOOKS[name]()
    fill_randomly(network, seed=SEED)
    if name == "codeformer":
        network.position_emb = nn.Parameter(torch.randn(places, 512, generator=torch.Generator().manual_seed(SEED)))
    return network.eval()


class Watched:
    """Records how many faces each forward call of a network had."""

    def __init__(self, network: nn.Module) -> None:
        self.batches: list[int] = []
        network.register_forward_pre_hook(lambda _, args: self.batches.append(len(args[0])))


def close(mine: torch.Tensor, other: torch.Tensor) -> bool:
    return float((mine - other).abs().max()) <= TOLERANCE * float(other.abs().max())


@pytest.mark.parametrize("name", CODEBOOKS)
@torch.inference_mode()
def test_parts_of_attention_make_the_whole(name: str) -> None:
    """Each attention of the network over 8x8 places; 5 does not divide them."""
    network = random_network(name, places=64)
    generator = torch.Generator().manual_seed(42)
    seen = 0
    for module in network.modules():
        if not isinstance(module, ChunkedQueries):
            continue
        seen += 1
        if seen % 4:
            continue  # many are alike
        if isinstance(module, codeformer.SelfAttention):
            given: tuple[Any, ...] = (torch.randn(2, 64, 512, generator=generator),)
            named = {"position": network.position_emb}
        else:
            x = torch.randn(2, module.q.in_channels, 8, 8, generator=generator)
            given, named = (x, x.flip(2)) if isinstance(module, restoreformer.Attention) else (x,), {}
        whole = module(*given, **named)
        for rows in (1, 5, 16, 64):
            module.query_chunk = rows
            assert close(module(*given, **named), whole), rows
    assert seen >= 6


@pytest.mark.parametrize("rows", [1, 3, 7, 8])
def test_no_part_asks_more_than_it_may(rows: int) -> None:
    block, asked = ChunkedQueries(), []

    def attend(queries: torch.Tensor) -> torch.Tensor:
        asked.append(queries.shape[1])
        return queries * 2

    block.query_chunk = rows
    queries = torch.arange(2 * 7 * 3.0).reshape(2, 7, 3)
    assert torch.equal(block.in_chunks(attend, queries), queries * 2)
    assert max(asked) <= rows and sum(asked) == 7
    block.query_chunk = None
    asked.clear()
    block.in_chunks(attend, queries)
    assert asked == [7]


def test_every_attention_is_reached_and_none_is_left_out() -> None:
    for name, make in CODEBOOKS.items():
        with torch.device("meta"):
            network = make()
        attentions = [m for m in network.modules() if isinstance(m, ChunkedQueries)]
        named = [m for m in network.modules() if "Attention" in type(m).__name__]
        assert attentions == named and len(attentions) >= 6, name
        assert network.attend_in_chunks(32) is network
        assert {module.query_chunk for module in attentions} == {32}
        network.attend_in_chunks(None)
        assert {module.query_chunk for module in attentions} == {None}
    with pytest.raises(ValueError, match="0 queries"):
        network.attend_in_chunks(0)


@pytest.mark.parametrize("name", CODEBOOKS)
@pytest.mark.parametrize("side", [256, pytest.param(512, marks=pytest.mark.slow)])
@torch.inference_mode()
def test_the_codes_are_equal_and_so_is_the_picture(name: str, side: int) -> None:
    """In four parts at any side."""
    network = random_network(name, places=(side // 32) ** 2)
    x = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(44)) * 2 - 1
    latent, features = network.encode(x)
    codes = network.choose(latent)
    more = {"fidelity": 0.5} if name == "codeformer" else {}
    whole = network.decode(codes, latent, features, **more)
    network.attend_in_chunks(QUERY_CHUNK * side**2 // 512**2)
    assert torch.equal(network.codes(x), codes)
    assert close(network.decode(codes, latent, features, **more), whole)


@pytest.mark.parametrize("make", ["codeformer", "restoreformer", "restoreformerpp", "gfpgan"])
def test_a_backend_takes_one_face_at_a_time(make: str, crops: Crops) -> None:
    x = crops(3, side=64)
    if make == "gfpgan":
        network: Any = fill_randomly(gfpgan.GFPGAN(out_size=64, narrow=0.25, style_features=32, mlp_layers=2), seed=45).eval()
        usual: Backend = GFPGAN(network, seed=6)
        lean: Backend = GFPGAN(network, seed=6, memory_efficient=True)
    else:
        network = random_network(make, places=4)
        kind: Any = {"codeformer": CodeFormer, "restoreformer": RestoreFormer, "restoreformerpp": RestoreFormerPP}[make]
        usual, lean = kind(network), kind(network, memory_efficient=True)
    alone = torch.cat([usual.restore(row) for row in x.split(1)])
    watched = Watched(network)
    assert torch.equal(lean.restore(x), alone)
    assert watched.batches == [1, 1, 1]
    usual.restore(x)
    assert watched.batches[3:] == [3]


def test_load_hands_the_wish_on(tmp_path: Path) -> None:
    network = random_network("restoreformer")
    path = tmp_path / "rf.pth"
    torch.save({"params": network.state_dict()}, path)
    spec = BackendSpec("restoreformer", checkpoints={"backend": path}, memory_efficient=True)
    lean = RestoreFormer.load(spec)
    chunks = {m.query_chunk for m in lean._network.modules() if isinstance(m, ChunkedQueries)}
    assert chunks == {QUERY_CHUNK} and lean._one_by_one
