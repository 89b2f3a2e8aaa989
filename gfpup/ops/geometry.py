"""Similarity transforms between photo and crop, the warp, and the rectangle of a photo that a crop touches.

Convention: points are (x, y); a pixel's centre lies at integer coordinates (OpenCV's), so a picture of width w covers
[-0.5, w - 0.5). An affine is a (2, 3) float64 array [A | t] and maps p to A p + t. `affine` goes from photo to crop, `inverse
affine` from crop to photo.
"""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from gfpup.core.types import CROP_PX as CROP_PX
from gfpup.core.types import AlignedCrop, Float32, Float64, Pixels

P = TypeVar("P", bound=npt.NDArray[Any])

TEMPLATE_512_XY: Float64 = np.array(
    [[192.98138, 239.94708], [318.90277, 240.1936], [256.63416, 314.01935], [201.26117, 371.41043], [313.08905, 371.15118]]
)
"""Where the five landmarks lie in an aligned crop. Source: the mean FFHQ face, facexlib's FaceRestoreHelper (1024, halved)."""
TEMPLATES: dict[str, Float64] = {
    "ffhq": TEMPLATE_512_XY,
    "gpen": (
        np.array([[30.2946, 51.6963], [65.5318, 51.5014], [48.0252, 71.7366], [33.5493, 92.3655], [62.7299, 92.2041]])
        + np.array([8.0 + 28.0, 28.0])
    )
    * (512 / 168),
}
"""By name. GPEN's is that of a face recogniser, 96x112 px, made square, with a quarter of its side added at each edge: a face
is about a tenth smaller in it. Source: align_faces.py of yangxy/GPEN, with an inner padding of 0.25."""
UNFILTERED = 2.0
"""Reductions up to this are sampled without a filter, which would take what a turned grid holds in its corners: there and back
at 1x, the sharpest of the shared photos keeps 28 dB with a filter, 54 dB without."""


def fit_similarity(points_xy: Float64, template_xy: Float64 = TEMPLATE_512_XY) -> Float64 | None:
    """Fit the (2, 3) affine of rotation, scale and shift that carries `points_xy` to `template_xy`, both (n, 2) float64.

    None where none exists (all points equal, not finite). The fit is least-median-of-squares: a least-squares fit follows a
    single bad landmark by up to 25 px.

    Source: facexlib's FaceRestoreHelper.align_warp_face (cv2.estimateAffinePartial2D, LMEDS).
    """
    points = np.asarray(points_xy, np.float64)
    if not np.isfinite(points).all() or np.ptp(points, axis=0).max() < 1e-6:
        return None
    # The random sampling inside OpenCV starts from its own fixed state, so that equal points give an equal fit.
    found, _ = cv2.estimateAffinePartial2D(points, template_xy, method=cv2.LMEDS)
    if found is None:
        return None
    affine = np.asarray(found, np.float64)
    return affine if np.isfinite(affine).all() and scale_of(affine) > 1e-6 else None


def least_squares_similarity(points_xy: Float64, template_xy: Float64 = TEMPLATE_512_XY) -> Float64 | None:
    """The (2, 3) affine of rotation, scale and shift that carries `points_xy` nearest to `template_xy`, both (n, 2) float64.

    None where the points are equal or not finite. Every point counts, so it is steadier than `fit_similarity` where all are
    about right, and worse where one is not.

    Source: Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (1991), in the plane.
    """
    points = np.asarray(points_xy, np.float64)
    if not np.isfinite(points).all() or np.ptp(points, axis=0).max() < 1e-6:
        return None
    middle, target = points.mean(axis=0), template_xy.mean(axis=0)
    p, q = points - middle, template_xy - target
    # As complex numbers a rotation and scale is one factor: the sum of conj(p) q over that of |p|^2.
    a, b = (p * q).sum() / (p * p).sum(), (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum() / (p * p).sum()
    linear = np.array([[a, -b], [b, a]])
    return np.hstack([linear, (target - linear @ middle)[:, None]]) if np.hypot(a, b) > 1e-6 else None


def roll_degrees(points_xy: Float64) -> float:
    """How far five landmarks (5, 2) are turned clockwise, as seen, from an upright face: degrees in (-180, 180]."""
    affine = least_squares_similarity(points_xy)
    return 0.0 if affine is None else float(np.degrees(np.arctan2(-affine[1, 0], affine[0, 0])))


def scale_of(affine: Float64) -> float:
    """The factor by which lengths grow under a similarity: above 1, the crop enlarges the photo."""
    return float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))


def invert(affine: Float64) -> Float64:
    """The affine that undoes `affine`."""
    linear = np.linalg.inv(affine[:, :2])
    return np.hstack([linear, -linear @ affine[:, 2:]])


def compose(outer: Float64, inner: Float64) -> Float64:
    """The affine that applies `inner` first and `outer` second."""
    return np.hstack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2:] + outer[:, 2:]])


def resize_affine(from_hw: tuple[int, int], to_hw: tuple[int, int]) -> Float64:
    """The affine from a picture of size `from_hw` to its resized copy of size `to_hw`.

    Resizing keeps outer edges in place, not the first pixel's centre: x maps to (x + 0.5) s - 0.5. Leaving out the half
    pixel is what shifts the official paste at 2x.
    """
    sy, sx = to_hw[0] / from_hw[0], to_hw[1] / from_hw[1]
    return np.array([[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5]])


def of_another_side(affine: Float64, side_px: int, to_px: int = CROP_PX) -> Float64:
    """The affine to a crop of `to_px`, where `affine` is the one to the same crop of `side_px`."""
    return affine if side_px == to_px else compose(resize_affine((side_px, side_px), (to_px, to_px)), affine)


def to_standard_crop(crop: AlignedCrop) -> Float64:
    """The affine from the photo to the crop of 512 px that most methods take, whatever side and template `crop` has."""
    return of_another_side(crop.affine, crop.side_px) if crop.standard is None else crop.standard


def shift(affine: Float64, by_xy: tuple[float, float]) -> Float64:
    """`affine` with its results moved by `by_xy`: into a rectangle that starts at -by_xy."""
    moved = affine.copy()
    moved[:, 2] += by_xy
    return moved


def apply(affine: Float64, points_xy: Float64) -> Float64:
    """Map (n, 2) points."""
    return points_xy @ affine[:, :2].T + affine[:, 2]


def _corners(first_yx: tuple[float, float], last_yx: tuple[float, float]) -> Float64:
    (y0, x0), (y1, x1) = first_yx, last_yx
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64)


def touched_rectangle(
    inverse_affine: Float64, crop_hw: tuple[int, int], photo_hw: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """The smallest rectangle (x0, y0, x1, y1), ends excluded, of photo pixels whose centres a crop covers.

    None where the crop lies outside the photo. A crop covers [-0.5, side - 0.5) in its own coordinates.
    """
    mapped = apply(inverse_affine, _corners((-0.5, -0.5), (crop_hw[0] - 0.5, crop_hw[1] - 0.5)))
    x0, y0 = np.ceil(mapped.min(axis=0)).astype(int)
    x1, y1 = np.floor(mapped.max(axis=0)).astype(int) + 1
    x0, y0 = max(x0, 0), max(y0, 0)
    x1, y1 = min(x1, photo_hw[1]), min(y1, photo_hw[0])
    return (int(x0), int(y0), int(x1), int(y1)) if x0 < x1 and y0 < y1 else None


def warp(
    pixels: Pixels | Float32, affine: Float64, size_hw: tuple[int, int], *, border: tuple[float, ...] | None = None
) -> Pixels | Float32:
    """Resample `pixels` (h, w) or (h, w, c) into a picture of `size_hw` whose pixel p shows `affine`^-1 p; same dtype.

    Lanczos over 8x8 pixels; what is reduced more than `UNFILTERED` times is filtered first, so that it does not alias. Beyond
    the edge lies the colour `border`, or the edge's own pixels when None. Only the part of `pixels` that the result shows is
    touched.
    """
    back = invert(affine)
    reduction = scale_of(back)
    margin = int(np.ceil(4 * max(reduction, 1.0))) + 4
    h, w = pixels.shape[:2]
    mapped = apply(back, _corners((0, 0), size_hw))
    x0, y0 = np.clip(np.floor(mapped.min(axis=0)).astype(int) - margin, 0, (w - 1, h - 1))
    x1, y1 = np.clip(np.ceil(mapped.max(axis=0)).astype(int) + margin, (x0 + 1, y0 + 1), (w, h))
    part = pixels[y0:y1, x0:x1]
    into = compose(affine, shift(np.eye(2, 3), (float(x0), float(y0))))
    if reduction > UNFILTERED:
        small = reduce(part, reduction / UNFILTERED)
        into = compose(into, resize_affine((small.shape[0], small.shape[1]), (part.shape[0], part.shape[1])))
        part = small
    beyond = cv2.BORDER_REPLICATE if border is None else cv2.BORDER_CONSTANT
    size_wh = (size_hw[1], size_hw[0])
    return cv2.warpAffine(part, into, size_wh, None, cv2.INTER_LANCZOS4, beyond, border or (0.0,))  # type: ignore[return-value]


def reduce(pixels: Pixels | Float32, factor: float) -> Pixels | Float32:
    """Make a picture, (h, w) or (h, w, c), `factor` times smaller (at least 1 px) by a Lanczos filter as wide; same dtype."""
    size_wh = max(1, round(pixels.shape[1] / factor)), max(1, round(pixels.shape[0] / factor))
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size_wh, Image.Resampling.LANCZOS))
    planes = np.moveaxis(np.atleast_3d(pixels).astype(np.float32), -1, 0)
    images = [Image.fromarray(np.ascontiguousarray(plane)) for plane in planes]
    resized = [np.asarray(image.resize(size_wh, Image.Resampling.LANCZOS)) for image in images]
    joined = np.stack(resized, axis=-1) if pixels.ndim == 3 else resized[0]
    if pixels.dtype == np.float32:
        return joined
    return np.asarray(np.clip(np.rint(joined), 0, np.iinfo(np.uint16).max), np.uint16)


def turned_pixels(pixels: P, turn: int) -> P:
    """A picture, (h, w) or (h, w, c), turned clockwise by `turn` degrees, a multiple of 90."""
    return pixels if turn % 360 == 0 else np.ascontiguousarray(np.rot90(pixels, -(turn // 90)))  # type: ignore[return-value]
