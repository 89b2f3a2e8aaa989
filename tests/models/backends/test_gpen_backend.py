"""GPEN from an official file: the official picture, the size and the template of its crops, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden import Golden, difference, fill_randomly

from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.core.types import BackendSpec
from gfpup.models import backends
from gfpup.models.backends.ensemble import Ensemble, FlipEnsemble
from gfpup.models.backends.gpen import GPEN
from gfpup.models.nets import gpen
from gfpup.models.nets.rewrites import rewrite
from gfpup.ops.geometry import TEMPLATE_512_XY, TEMPLATES

REORDERED_TOLERANCE = 1e-4
Crops = Callable[..., torch.Tensor]


def network(*, size: int = 32, seed: int = 3) -> gpen.GPEN:
    made = gpen.GPEN(size, narrow=1 / 16, style_features=24, mlp_layers=2)
    kernels = {name: each.clone() for name, each in made.state_dict().items() if name.endswith(".kernel")}
    fill_randomly(made, seed=seed).load_state_dict(kernels, strict=False)
    for name, each in made.named_parameters():
        if name.endswith("weight") and each.ndim > 1:
            each.data.mul_(each[0].numel() ** 0.5)
    return made.requires_grad_(False)


def small(**options: Any) -> GPEN:
    return GPEN(rewrite(network()), **options)


@pytest.mark.parametrize("official", ["gpen512"], indirect=True)
def test_an_official_file_gives_the_official_picture(
    official: tuple[Golden, Path], check_restored: Callable[..., None]
) -> None:
    golden, path = official
    backend = GPEN.load(BackendSpec("gpen", checkpoints={"backend": path}))
    crops = golden.rgb(low=0.0)
    check_restored(backend.restore(crops), golden, REORDERED_TOLERANCE)
    assert torch.equal(crops, golden.rgb(low=0.0))


def test_each_version_is_its_own_network_and_refuses_the_others_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert GPEN.architecture_of(BackendSpec("gpen")) == "gpen"
    larger = BackendSpec("gpen", checkpoints={"backend": Path("a.pth")}, parameters={"version": "1024"})
    assert GPEN.architecture_of(larger) == "gpen-1024"
    with torch.device("meta"):
        shapes = {name: each.shape for name, each in gpen.GPEN(512, narrow=1.0).state_dict().items()}
    state = {name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}
    monkeypatch.setattr("gfpup.models.nets.loading.read_state_dict", lambda path: state)
    with pytest.raises(CheckpointError, match=r"does not hold the weights of gpen-1024: .* look like those of gpen,"):
        GPEN.load(larger)


def test_range_is_zero_to_one_inside_and_out(crops: Crops) -> None:
    x = crops(1, side=32)
    torch.testing.assert_close(small().restore(x), network()(x * 2 - 1) / 2 + 0.5)


def test_row_i_depends_on_crop_i_alone_and_bytes_repeat(crops: Crops) -> None:
    backend, x = small(), crops(3, side=32)
    together = backend.restore(x)
    for row in range(3):
        assert difference(together[row : row + 1], backend.restore(x[row : row + 1])) < 1e-4
    assert torch.equal(backend.restore(x), together)


def test_bfloat16_comes_back_as_float32(crops: Crops) -> None:
    x = crops(2, side=32)
    low, exact = small(dtype=torch.bfloat16).restore(x), small().restore(x)
    assert low.dtype == torch.float32 and not torch.equal(low, exact)
    assert difference(low, exact) < 0.1


def test_crops_have_the_networks_side_and_the_official_template_or_the_usual_one() -> None:
    assert backends.crop_px(small()) == 32
    assert backends.template_xy(small()) is TEMPLATES["gpen"]
    assert backends.template_xy(small(template="ffhq")) is TEMPLATE_512_XY
    assert backends.smooth_below_px(small()) == 100 and backends.smooth_below_px(small(smooth_small=False)) == 0
    mirrored = FlipEnsemble(small())
    assert backends.template_xy(mirrored) is TEMPLATES["gpen"] and backends.smooth_below_px(mirrored) == 100
    # What is blended with other methods has to be cut as theirs is.
    assert backends.template_xy(Ensemble([(small(), 1.0)])) is TEMPLATE_512_XY


def test_the_official_template_lies_where_the_official_script_puts_it() -> None:
    """Source: get_reference_facial_points((512, 512), 0.25, (0, 0), True) of yangxy/GPEN, worked by hand for the left eye."""
    x, y = TEMPLATES["gpen"][0]
    assert (x, y) == pytest.approx(((30.2946 + 8 + 28) * 512 / 168, (51.6963 + 28) * 512 / 168))
    eyes = [float(np.hypot(*(points[1] - points[0]))) for points in (TEMPLATES["gpen"], TEMPLATE_512_XY)]
    assert eyes[0] / eyes[1] == pytest.approx(0.853, abs=1e-3)


@pytest.mark.parametrize(
    ("parameters", "says"), [({"template": "own"}, "choose ffhq or gpen"), ({"smooth_small": "often"}, "true or false")]
)
def test_other_values_are_refused_before_a_file_is_opened(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(GfpupError, match=says):
        GPEN.load(BackendSpec("gpen", checkpoints={"backend": Path("nowhere.pth")}, parameters=parameters))
