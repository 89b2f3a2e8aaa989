"""ELIR against the official outputs, and its parts against independent arithmetic."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from golden import Golden, difference, fill_randomly

from gfpup.models.nets.elir import ELIR, NOISE_SCALE, time_features
from gfpup.models.nets.rewrites import rewrite

PLAIN_TOLERANCE, REORDERED_TOLERANCE = 1e-4, 5e-4
"""Of the parity folder's README, second column."""


def noise_of(golden: Golden) -> torch.Tensor:
    return torch.from_numpy(golden.fill("noises.0", (1, 16, 64, 64), salt=golden.facts["salt"]))


def official(shared: Path) -> tuple[Golden, ELIR]:
    golden = Golden.load(shared, "elir")
    with torch.device("meta"):
        network = ELIR()
    return golden, golden.load_into(network)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def small() -> ELIR:
    """The whole network with random weights; it takes faces of 64 pixels too."""
    with torch.device("meta"):
        network = ELIR()
    return fill_randomly(network, seed=23)  # type: ignore[return-value]


def face(*, side: int = 64, count: int = 1) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(8))


def latent_noise(*, side: int = 8, count: int = 1) -> torch.Tensor:
    return torch.randn(count, 16, side, side, generator=torch.Generator().manual_seed(9))


@pytest.mark.slow
@pytest.mark.timeout(600)
@torch.inference_mode()
def test_meets_the_official_outputs_at_every_stage(shared: Path) -> None:
    golden, network = official(shared)
    latent = network.encode(golden.rgb(low=0.0))
    golden.check_output(latent, PLAIN_TOLERANCE, key="latent")
    estimate = network.estimate(latent)
    golden.check_output(estimate, PLAIN_TOLERANCE, key="mmse")
    output = network.decode(network.follow(estimate + NOISE_SCALE * noise_of(golden)))
    golden.check_output(output, PLAIN_TOLERANCE)
    x = golden.rgb(low=0.0).contiguous(memory_format=torch.channels_last)
    golden.check_output(rewrite(network)(x, noise_of(golden)), REORDERED_TOLERANCE)


@pytest.mark.timeout(240)
@torch.inference_mode()
def test_meets_the_official_latent_of_a_corner_and_the_official_estimate(shared: Path) -> None:
    """A place of the latent sees about 18 places around it, so a corner of 32 x 32 places has 12 x 12 as in the whole face."""
    golden, network = official(shared)
    corner = network.encode(golden.rgb(low=0.0)[:, :, :256, :256])[:, :, :12, :12]
    assert difference(corner, golden.arrays["latent"][:, :, :12, :12]) < PLAIN_TOLERANCE
    golden.check_output(network.estimate(torch.from_numpy(golden.arrays["latent"])), PLAIN_TOLERANCE, key="mmse")


def test_builds_on_the_meta_device_with_the_official_keys(shared: Path) -> None:
    with torch.device("meta"):
        network = ELIR()
    Golden.load(shared, "elir").check_keys(network)
    assert sum(parameter.numel() for parameter in network.parameters()) == 37_518_771


@torch.inference_mode()
def test_the_rewritten_network_differs_by_rounding(small: ELIR) -> None:
    x, noise = face(), latent_noise()
    plain = small(x, noise)
    with torch.device("meta"):
        other = ELIR()
    rewritten = rewrite(fill_randomly(other, seed=23))
    assert difference(rewritten(x.contiguous(memory_format=torch.channels_last), noise), plain) < REORDERED_TOLERANCE


@torch.inference_mode()
def test_the_flow_is_eulers_method(small: ELIR) -> None:
    start = latent_noise(side=4)
    half = start + 0.5 * small.fmir(start, time_features(0.0, like=start))
    end = half + 0.5 * small.fmir(half, time_features(0.5, like=start))
    torch.testing.assert_close(small.follow(start, steps=2), end)
    assert torch.equal(small.follow(start, steps=0), start)


@torch.inference_mode()
def test_without_steps_or_noise_it_paints_the_estimate(small: ELIR) -> None:
    x = face()
    painted = small.decode(small.estimate(small.encode(x)))
    assert torch.equal(small(x, steps=0), painted)
    assert not torch.allclose(small(x, latent_noise(), steps=0), painted)


@torch.inference_mode()
def test_each_row_depends_on_its_own_face_and_noise(small: ELIR) -> None:
    pair, noise = face(count=2), latent_noise(count=2)
    together = small(pair, noise)
    for row in range(2):
        assert difference(together[row : row + 1], small(pair[row : row + 1], noise[row : row + 1])) < REORDERED_TOLERANCE


def test_a_time_is_embedded_as_cosines_and_sines() -> None:
    features = time_features(0.25, like=torch.zeros(1))[0]
    assert features.shape == (160,)
    slowest = 250 / 10000
    assert features[0] == pytest.approx(math.cos(250), abs=1e-4) and features[80] == pytest.approx(math.sin(250), abs=1e-4)
    assert features[79] == pytest.approx(math.cos(slowest), abs=1e-6)
    assert features[159] == pytest.approx(math.sin(slowest), abs=1e-6)
    assert time_features(0.0, like=torch.zeros(1)).sum() == 80
