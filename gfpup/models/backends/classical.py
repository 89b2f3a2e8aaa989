"""The baseline without weights: measure a crop's blur and noise in its spectrum, and undo them as far as the noise allows.

Denoising, deconvolution and sharpening are one linear step here, a Wiener filter: what stands above the noise is sharpened, the
rest is smoothed. JPEG's blocks at ordinary quality count as noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Self, cast

import cv2
import numpy as np

from gfpup.core.types import BackendSpec, Float32, Float64

if TYPE_CHECKING:
    import torch

SIDE_PX = 512

# The power of an undamaged face falls with the third power of frequency, within 4 dB on ten sharp faces from 4 to 96 periods a
# crop (experiments/001-baselines). 2.8 and 3.2 restore no better.
SPECTRUM_SLOPE = 3.0
# Coefficients 6 to 20 (3 to 10 periods a crop) fix the face's contrast: lower ones are composition, higher ones may be noise.
CONTRAST_BAND = (6.0, 20.0)
# A photo in focus measures up to 1.1 px of blur by its own softness; that much (1 px) is left in.
OWN_BLUR_PX = 1.0
# Mild by choice: factors on the measured noise power and on a frequency, which cost little PSNR, win SSIM and avoid rings.
NOISE_MARGIN, LARGEST_GAIN = 3.0, 2.0
# Noise is everywhere, texture is not: if the calmest tenth of the crop has less than the first share of the noise that the
# spectrum suggests, it was texture; from the second share on it is noise.
TEXTURE_SHARE, NOISE_SHARE = 0.2, 0.5
# The energy of the calmest tenth of 32 px blocks of plain Gaussian noise, over the mean.
CALM_NOISE = 0.8
# Power that rounding to 8 bits leaves in each coefficient (1/12), in squared levels.
ROUNDING_POWER = 0.1
# Differences between measured and modelled log power beyond this count alike: a misfit far off is not made worse.
LARGEST_MISFIT = 1.5

BLURS_PX = np.concatenate([[0.0], np.geomspace(0.4, 6.5, 22)])
NOISES = np.concatenate([[0.0], np.geomspace(0.2, 45.0, 30)])
RESIZES = [("none", 1.0)] + [(kind, float(s)) for kind in ("lanczos", "linear") for s in np.geomspace(1.15, 4.2, 10)]


class Classical:
    """Denoises and sharpens by a Wiener filter fitted to each crop; needs no weights and invents nothing."""

    @classmethod
    def load(cls, spec: BackendSpec) -> Self:
        """Nothing is loaded: there are no weights and no parameters."""
        return cls()

    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        """Restore aligned crops: float32 (n, 3, 512, 512) RGB in [0, 1], to about the same; each crop by itself, on the CPU.

        Raises: ValueError: crops of another shape.
        """
        import torch

        if crops.ndim != 4 or crops.shape[1:] != (3, SIDE_PX, SIDE_PX):
            raise ValueError(f"crops of shape {tuple(crops.shape)}; the classical backend takes (n, 3, {SIDE_PX}, {SIDE_PX})")
        arrays = crops.detach().permute(0, 2, 3, 1).cpu().float().numpy()
        restored = [torch.from_numpy(restore_crop(array)) for array in arrays]
        return torch.stack(restored).permute(0, 3, 1, 2).contiguous().to(crops) if restored else crops.clone()


def restore_crop(rgb: Float32) -> Float32:
    """Restore one crop: (512, 512, 3) float32 RGB in [0, 1], to the same. Brightness and colour are restored apart."""
    planes = cv2.cvtColor(np.ascontiguousarray(rgb) * np.float32(255), cv2.COLOR_RGB2YCrCb)
    restored = np.dstack([_restore_plane(np.ascontiguousarray(planes[:, :, channel])) for channel in range(3)])
    return cast(Float32, cv2.cvtColor(restored, cv2.COLOR_YCrCb2RGB) / np.float32(255))


@dataclass(frozen=True)
class Damage:
    """What the spectrum says: `contrast` of the face (power at coefficient 1), blur, noise (levels), index of the resize."""

    contrast: float
    blur_px: float
    noise: float
    resize: int


def _restore_plane(plane: Float32) -> Float32:
    # The cosine transform continues the picture by its mirror image: no seam, and every symmetric filter is a plain product.
    coefficients = cast(Float32, cv2.dct(plane))
    power = _over_rings(coefficients.astype(np.float64) ** 2)
    if not power[_contrast_rings()].min() > ROUNDING_POWER:
        return plane  # A flat plane (the colour of a gray photo) has nothing to restore.
    return cast(Float32, cv2.idct(coefficients * _gain(estimate(power), coefficients)))


def estimate(power: Float64) -> Damage:
    """Find the blur, noise and resize under which a face's usual spectrum would look most like `power` (one value a ring).

    The model: power(f) = contrast · f^-3 · blur²(f) · resize²(f) + noise² · resize²(f) + rounding, compared in logarithms.
    """
    band = _contrast_rings()
    spectrum = _ring_radius() ** -SPECTRUM_SLOPE
    blur2 = _blur(BLURS_PX[:, None], _ring_radius()[None]) ** 2
    contrast = np.exp(np.mean(np.log(power[band] / spectrum[band]) - np.log(blur2[:, band]), axis=1))
    face = contrast[:, None] * spectrum * blur2
    best, least = Damage(0.0, 0.0, 0.0, 0), np.inf
    for index, resize2 in enumerate(_resize_rings()):
        model = (face[:, None] + (NOISES**2)[None, :, None]) * resize2 + ROUNDING_POWER
        misfit = np.minimum(np.abs(np.log(model / power)), LARGEST_MISFIT).mean(axis=-1)
        b, n = np.unravel_index(np.argmin(misfit), misfit.shape)
        if misfit[b, n] < least:
            least = misfit[b, n]
            best = Damage(float(contrast[b]), float(BLURS_PX[b]), float(NOISES[n]), index)
    return best


def _gain(damage: Damage, coefficients: Float32) -> Float32:
    """The factor for each coefficient. Source: Wiener's filter, H·S / (H²·S + N)."""
    radius = _radius()
    resize2 = np.outer(*[_resize2(*RESIZES[damage.resize])] * 2)
    spectrum = damage.contrast * np.maximum(radius, 1.0) ** -SPECTRUM_SLOPE
    noise = damage.noise**2 * resize2
    if damage.noise > 0:
        measured = _blur(damage.blur_px, radius) ** 2 * resize2 * spectrum
        noise = noise * _share_of_noise(coefficients, noise, noise / (measured + noise + ROUNDING_POWER))
    blur_px = np.sqrt(max(0.0, damage.blur_px**2 - OWN_BLUR_PX**2))
    transfer = _blur(blur_px, radius)  # Without the resize: undoing that too brings the small picture's pixel grid out.
    gain = transfer * spectrum / (transfer**2 * spectrum + NOISE_MARGIN * noise + ROUNDING_POWER)
    gain = np.minimum(gain, LARGEST_GAIN if blur_px > 0 else 1.0)
    gain[radius < 4] = 1.0  # Brightness and broad shading stay.
    return cast(Float32, gain.astype(np.float32))


def _share_of_noise(coefficients: Float32, noise: Float64, weight2: Float64) -> float:
    """How much of the noise that the spectrum suggests is noise and not texture, 0 to 1."""
    weight = np.sqrt(weight2)
    weight[_radius() < 24] = 0.0
    expected = float((noise * weight**2).mean())
    if expected <= 0:
        return 0.0
    rest = cv2.idct((coefficients * weight).astype(np.float32))
    blocks = cv2.resize(rest * rest, (SIDE_PX // 32, SIDE_PX // 32), interpolation=cv2.INTER_AREA)
    found = float(np.percentile(blocks, 10)) / (CALM_NOISE * expected)
    return float(np.clip((found - TEXTURE_SHARE) / (NOISE_SHARE - TEXTURE_SHARE), 0.0, 1.0))


def _blur(sigma_px: Float64 | float, radius: Float64) -> Float64:
    """Transfer of a Gaussian blur. Cosine coefficient k holds k / 1024 periods a pixel."""
    return cast(Float64, np.exp(-2.0 * (np.pi * sigma_px * radius / (2 * SIDE_PX)) ** 2))


def _resize2(kind: str, scale: float) -> Float64:
    """Power transfer of enlarging by `scale` along one axis: the squared spectrum of the interpolation kernel."""
    frequency = np.arange(SIDE_PX) / (2 * SIDE_PX) * scale
    if kind == "none":
        return np.ones(SIDE_PX)
    if kind == "linear":
        return np.sinc(frequency) ** 4
    x = np.arange(-4.0, 4.0, 1 / 64)
    lanczos = np.sinc(x) * np.sinc(x / 4)  # Four lobes: OpenCV's INTER_LANCZOS4.
    return cast(Float64, (np.cos(2 * np.pi * frequency[:, None] * x) @ lanczos / 64) ** 2)


@cache
def _radius() -> Float64:
    k = np.arange(SIDE_PX, dtype=np.float64)
    return cast(Float64, np.hypot(k[:, None], k))


@cache
def _rings() -> tuple[np.ndarray, np.ndarray]:
    """For each coefficient the ring it counts to (the last one is for those that count to none), and the rings' sizes."""
    edges = np.unique(np.round(np.geomspace(4, SIDE_PX, 34)))
    ring = np.digitize(_radius(), edges) - 1
    ring[ring < 0] = len(edges) - 1
    return ring.ravel(), np.bincount(ring.ravel())[:-1]


def _over_rings(values: Float64) -> Float64:
    ring, size = _rings()
    return cast(Float64, np.bincount(ring, weights=values.ravel())[:-1] / size)


@cache
def _ring_radius() -> Float64:
    return cast(Float64, np.exp(_over_rings(np.log(np.maximum(_radius(), 1.0)))))


@cache
def _contrast_rings() -> np.ndarray:
    return (_ring_radius() > CONTRAST_BAND[0]) & (_ring_radius() < CONTRAST_BAND[1])


@cache
def _resize_rings() -> list[Float64]:
    return [_over_rings(np.outer(t, t)) + 1e-7 for t in (_resize2(*resize) for resize in RESIZES)]
