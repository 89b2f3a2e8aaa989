"""RetinaFace against the official outputs, and its decoding against loops written from the definition."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import Golden, difference, fill_randomly

from gfpup.models.nets.loading import load_strictly
from gfpup.models.nets.retinaface import RetinaFace, decode, prepare, prior_boxes
from gfpup.restoration.retinaface import suppressed
from gfpup.weights.checkpoint import read_state_dict

PLAIN_TOLERANCE = 1e-4


def test_resnet50_gives_the_official_outputs(shared: Path) -> None:
    golden = Golden.load(shared, "retinaface_r50")
    with torch.device("meta"):
        network = RetinaFace("resnet50")
    golden.load_into(network)
    pixels = torch.from_numpy(golden.rgb8).permute(2, 0, 1)[None]
    with torch.inference_mode():
        outputs = network(prepare(pixels))
    for key, output in zip(("loc", "conf", "landmarks"), outputs, strict=True):
        golden.check_output(output, PLAIN_TOLERANCE, key=key)


def test_mobilenet_checkpoint_loads_strictly(shared: Path) -> None:
    path = shared / "weights" / "retinaface_mobilenet0.25.pth"
    network = RetinaFace("mobilenet0.25")
    load_strictly(network, read_state_dict(path), name="retinaface-mobilenet0.25", path=path)
    raw = torch.load(path, map_location="cpu", weights_only=True)
    assert torch.equal(network.body.stage1[0][0].weight, raw["body.stage1.0.0.weight"])


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(ValueError, match="resnet18"):
        RetinaFace("resnet18")  # type: ignore[arg-type]


@pytest.mark.parametrize("backbone", ["resnet50", "mobilenet0.25"])
def test_there_is_one_output_row_for_each_anchor_at_any_size(backbone: str) -> None:
    with torch.device("meta"):
        network = RetinaFace(backbone)  # type: ignore[arg-type]
    fill_randomly(network, seed=3)
    for size_hw in ((1, 1), (33, 70), (97, 64)):
        with torch.inference_mode():
            loc, conf, landmarks = network(torch.zeros(2, 3, *size_hw))
        anchors = len(prior_boxes(size_hw))
        assert loc.shape == (2, anchors, 4) and conf.shape == (2, anchors, 2) and landmarks.shape == (2, anchors, 10)
        torch.testing.assert_close(conf.sum(dim=-1), torch.ones(2, anchors))


def test_a_batch_and_other_threads_change_no_more_than_rounding() -> None:
    network = fill_randomly(RetinaFace("mobilenet0.25"), seed=5)
    x = torch.rand(3, 3, 96, 130, generator=torch.Generator().manual_seed(1)) * 255 - 110
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with torch.inference_mode():
                results.append(network(x))
                results.append(tuple(torch.cat(rows) for rows in zip(*(network(one[None]) for one in x), strict=True)))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(difference(mine, theirs) < PLAIN_TOLERANCE for mine, theirs in zip(other, results[0], strict=True))


def test_prepare_swaps_to_bgr_and_subtracts_the_mean() -> None:
    rgb = torch.tensor([200, 100, 50], dtype=torch.uint8).view(1, 3, 1, 1)
    assert prepare(rgb).flatten().tolist() == [50 - 104, 100 - 117, 200 - 123]


def naive_priors(h: int, w: int) -> list[list[float]]:
    rows = []
    for step, sizes in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512))):
        for i in range(math.ceil(h / step)):
            for j in range(math.ceil(w / step)):
                for size in sizes:
                    rows.append([(j + 0.5) * step / w, (i + 0.5) * step / h, size / w, size / h])
    return rows


@pytest.mark.parametrize("size_hw", [(1, 1), (48, 31), (65, 100)])
def test_anchors_equal_the_loop(size_hw: tuple[int, int]) -> None:
    assert torch.equal(prior_boxes(size_hw), torch.tensor(naive_priors(*size_hw), dtype=torch.float32))


def test_decoding_equals_the_loop() -> None:
    h, w = 48, 80
    rng = np.random.default_rng(11)
    priors = naive_priors(h, w)
    loc, points = rng.normal(size=(len(priors), 4)), rng.normal(size=(len(priors), 10))
    face = rng.uniform(size=len(priors))
    conf = np.stack([1 - face, face], axis=1)
    found = decode(*(torch.tensor(a, dtype=torch.float32) for a in (loc, conf, points)), (h, w), threshold=0.6)
    expected_boxes, expected_points = [], []
    for (cx, cy, pw, ph), offset, point, score in zip(priors, loc, points, face, strict=True):
        if score > 0.6:
            x, y = cx + offset[0] * 0.1 * pw, cy + offset[1] * 0.1 * ph
            bw, bh = pw * math.exp(offset[2] * 0.2), ph * math.exp(offset[3] * 0.2)
            expected_boxes.append([(x - bw / 2) * w, (y - bh / 2) * h, (x + bw / 2) * w, (y + bh / 2) * h])
            expected_points.append(
                [[(cx + point[2 * k] * 0.1 * pw) * w, (cy + point[2 * k + 1] * 0.1 * ph) * h] for k in range(5)]
            )
    np.testing.assert_allclose(found.boxes_xyxy.numpy(), expected_boxes, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.landmarks_xy.numpy(), expected_points, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.scores.numpy(), face[face > 0.6], rtol=1e-6)


def overlap(a: list[float], b: list[float]) -> float:
    """Intersection over union of two boxes whose end pixels both count."""
    iw = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
    ih = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
    union = sum((c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)) - iw * ih
    return iw * ih / union


@pytest.mark.parametrize("seed", range(5))
def test_suppression_equals_the_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 60, size=(80, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 50, size=(80, 2))], axis=1)
    # Few different scores, so that ties are met.
    scores = rng.integers(0, 12, size=80) / 12
    expected: list[int] = []
    for i in sorted(range(80), key=lambda i: (-scores[i], i)):
        if all(overlap(boxes[i].tolist(), boxes[k].tolist()) <= 0.4 for k in expected):
            expected.append(i)
    assert list(suppressed(boxes, scores)) == expected


def test_suppression_of_nothing_is_nothing() -> None:
    assert list(suppressed(np.zeros((0, 4)), np.zeros(0))) == []
