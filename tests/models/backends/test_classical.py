from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from gfpup.models.backends.classical import Classical
from gfpup.ops.color import to_float, to_uint8
from gfpup.ops.degrade import apply, draw


def restore(rgb: np.ndarray) -> np.ndarray:
    crops = torch.from_numpy(to_float(rgb)).permute(2, 0, 1)[None]
    return to_uint8(Classical().restore(crops)[0].permute(1, 2, 0).numpy())


def astronaut_face() -> np.ndarray:
    face = skimage.data.astronaut()[:256, 96:352]
    return cv2.resize(face, (512, 512), interpolation=cv2.INTER_CUBIC)


def measure(references: dict[str, np.ndarray], seeds: range) -> dict[str, np.ndarray]:
    """Mean PSNR, SSIM and Gaussian SSIM over references and seeds, for Lanczos and for classical from both enlargements."""
    rows: dict[str, list[tuple[float, ...]]] = {"lanczos": [], "from lanczos": [], "from linear": []}
    for name, reference in references.items():
        for seed in seeds:
            small = apply(reference, draw("mild", seed=seed, name=name), resize_back=False)
            lanczos = cv2.resize(small, (512, 512), interpolation=cv2.INTER_LANCZOS4)
            linear = cv2.resize(small, (512, 512), interpolation=cv2.INTER_LINEAR)
            for key, picture in (("lanczos", lanczos), ("from lanczos", restore(lanczos)), ("from linear", restore(linear))):
                rows[key].append(
                    (
                        peak_signal_noise_ratio(reference, picture),
                        structural_similarity(reference, picture, channel_axis=2, data_range=255),
                        structural_similarity(reference, picture, channel_axis=2, data_range=255, gaussian_weights=True),
                    )
                )
    return {key: np.mean(values, axis=0) for key, values in rows.items()}


def test_classical_beats_lanczos_on_a_mildly_damaged_face() -> None:
    means = measure({"astronaut": astronaut_face()}, range(300, 306))
    for key in ("from lanczos", "from linear"):
        assert np.all(means[key] > means["lanczos"] + (0.3, 0.02, 0.02)), means


def test_classical_beats_lanczos_over_the_reference_faces(shared: Path) -> None:
    references = {}
    for path in sorted((shared / "data" / "reference_faces").iterdir()):
        rgb = cv2.imread(str(path))[:, :, ::-1]
        side = min(rgb.shape[:2])
        left = (rgb.shape[1] - side) // 2
        references[path.name] = cv2.resize(rgb[:side, left : left + side], (512, 512), interpolation=cv2.INTER_AREA)
    assert references
    means = measure(references, range(400, 402))
    for key in ("from lanczos", "from linear"):
        assert np.all(means[key] > means["lanczos"] + (0.2, 0.01, 0.01)), means


@pytest.mark.parametrize("enlarged", [True, False])
def test_an_undamaged_picture_stays_nearly_as_it_is(enlarged: bool) -> None:
    clean = astronaut_face() if enlarged else skimage.data.astronaut()
    assert peak_signal_noise_ratio(clean, restore(clean)) > 40


def test_blur_is_taken_back_and_noise_taken_off() -> None:
    clean = astronaut_face()
    blurred = cv2.GaussianBlur(clean, (0, 0), 4.0)
    assert peak_signal_noise_ratio(clean, restore(blurred)) > peak_signal_noise_ratio(clean, blurred) + 1
    noise = np.random.default_rng(5).normal(0, 8, clean.shape)
    noisy = np.clip(np.rint(cv2.GaussianBlur(clean, (0, 0), 1.5) + noise), 0, 255).astype(np.uint8)
    assert peak_signal_noise_ratio(clean, restore(noisy)) > peak_signal_noise_ratio(clean, noisy) + 3


def test_an_edge_gets_no_halo_beyond_a_tenth_of_its_height() -> None:
    edge = np.full((512, 512, 3), 70, dtype=np.uint8)
    edge[:, 256:] = 180
    restored = restore(cv2.GaussianBlur(edge, (0, 0), 3.0)).astype(int)
    assert restored.min() >= 70 - 11 and restored.max() <= 180 + 11


def test_each_crop_is_restored_by_itself_and_the_same_every_time() -> None:
    rng = np.random.default_rng(2)
    crops = torch.from_numpy(
        np.stack([to_float(apply(astronaut_face(), draw("mild", seed=int(rng.integers(999)), name="x"))) for _ in range(3)])
    ).permute(0, 3, 1, 2)
    together = Classical().restore(crops)
    assert together.shape == crops.shape and together.dtype == torch.float32
    for i in (2, 0, 1):
        assert torch.equal(Classical().restore(crops[i : i + 1])[0], together[i])


def test_flat_gray_and_noisy_extremes_stay_finite() -> None:
    flat = torch.full((1, 3, 512, 512), 0.4)
    assert torch.allclose(Classical().restore(flat), flat, atol=2e-3)
    assert torch.allclose(Classical().restore(flat * 0), flat * 0, atol=1e-6)
    noise = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(1))
    assert torch.isfinite(Classical().restore(noise)).all()
    gray = np.repeat(apply(astronaut_face(), draw("mild", seed=3, name="g"))[:, :, :1], 3, axis=2)
    assert np.ptp(restore(gray).astype(int), axis=2).max() <= 1
    assert Classical().restore(flat[:0]).shape == (0, 3, 512, 512)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="512"):
        Classical().restore(torch.zeros(1, 3, 256, 256))
