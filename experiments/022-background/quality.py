"""What Real-ESRGAN does to real photos: seams of its tiles, bfloat16, gain over Lanczos, and colour.

python experiments/022-background/quality.py WEIGHTS PHOTO [PHOTO ...] [--side 160] [--only seams bfloat16 gain]

WEIGHTS is a RealESRGAN_x4plus file. A square is cut from the middle of each photo. Lines are added to quality.csv as they come.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from gfpup.core.types import UInt8
from gfpup.evaluation.metrics.full_reference import psnr, ssim
from gfpup.ops.resize import resize
from gfpup.photos import read_photo
from gfpup.restoration.background import RealESRGAN

COLUMNS = ("question", "photo", "variant", "measure", "value")
TABLE = Path(__file__).with_name("quality.csv")
OVERLAPS = (8, 16, 32)


def middle(rgb: UInt8, side: int) -> UInt8:
    """The square of `side` px in the middle of a photo, or what there is of it, in multiples of 4 px."""
    h, w = (min(side, size) // 4 * 4 for size in rgb.shape[:2])
    top, left = (rgb.shape[0] - h) // 2, (rgb.shape[1] - w) // 2
    return np.ascontiguousarray(rgb[top : top + h, left : left + w])


def enlarged(upsampler: RealESRGAN, rgb: UInt8) -> UInt8:
    """Enlarge a photo four times."""
    return np.asarray(upsampler(rgb, (4 * rgb.shape[0], 4 * rgb.shape[1])), np.uint8)


def seams(weights: Path, rgb: UInt8) -> dict[tuple[str, str], float]:
    """Tiles of half the square against the whole: PSNR over all, and the largest difference in levels."""
    whole = enlarged(RealESRGAN.load(weights, tile_px=0), rgb)
    found = {}
    for overlap in OVERLAPS:
        tiled = enlarged(RealESRGAN.load(weights, tile_px=max(96, rgb.shape[0] // 2), tile_overlap_px=overlap), rgb)
        difference = np.abs(tiled.astype(int) - whole)
        found[f"overlap {overlap}", "PSNR, dB"] = psnr(tiled, whole)
        found[f"overlap {overlap}", "largest, levels"] = float(difference.max())
        found[f"overlap {overlap}", "differ by over 2 levels, %"] = 100 * float((difference > 2).mean())
    return found


def bfloat16(weights: Path, rgb: UInt8) -> dict[tuple[str, str], float]:
    """bfloat16 against float32."""
    exact, rounded = (enlarged(RealESRGAN.load(weights, tile_px=0, dtype=dtype), rgb) for dtype in ("float32", "bfloat16"))
    difference = np.abs(exact.astype(int) - rounded)
    return {
        ("bfloat16", "PSNR, dB"): psnr(rounded, exact),
        ("bfloat16", "largest, levels"): float(difference.max()),
        ("bfloat16", "differ by over 2 levels, %"): 100 * float((difference > 2).mean()),
        ("bfloat16", "mean shift, levels"): float(np.abs((rounded.astype(float) - exact).mean((0, 1))).max()),
    }


def gain(weights: Path, rgb: UInt8) -> dict[tuple[str, str], float]:
    """Reduce by 4, enlarge by Real-ESRGAN and by Lanczos, compare with the photo; colours after reducing the result again."""
    small = np.asarray(resize(rgb, (rgb.shape[0] // 4, rgb.shape[1] // 4)), np.uint8)
    found = {}
    for name, big in (
        ("Real-ESRGAN", enlarged(RealESRGAN.load(weights), small)),
        ("Lanczos", np.asarray(resize(small, rgb.shape[:2]), np.uint8)),
    ):
        again = np.asarray(resize(big, small.shape[:2]), np.uint8)
        a, b = (cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for picture in (again, small))
        found |= {
            (name, "PSNR, dB"): psnr(big, rgb),
            (name, "SSIM"): ssim(big, rgb),
            (name, "GMSD"): gmsd(big, rgb),
            (name, "colour, mean of Lab"): float(np.linalg.norm((a - b).mean((0, 1)))),
            (name, "colour, 95th percentile of Delta E"): float(np.percentile(np.linalg.norm(a - b, axis=2), 95)),
        }
    return found


def gmsd(a: UInt8, b: UInt8) -> float:
    """Gradient magnitude similarity deviation, 0 for equal pictures: sees blur and false texture, which PSNR does not.

    Source: Xue et al., "Gradient Magnitude Similarity Deviation" (2014): Prewitt on grey halved by a mean of 2x2, c = 170.
    """
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float64) for picture in (a, b)]
    half = [cv2.blur(picture, (2, 2))[::2, ::2] for picture in grey]
    prewitt = np.array([[1, 0, -1]] * 3) / 3
    x, y = (np.hypot(cv2.filter2D(p, -1, prewitt), cv2.filter2D(p, -1, prewitt.T)) for p in half)
    return float(((2 * x * y + 170) / (x**2 + y**2 + 170)).std())


def main() -> None:
    """Answer each question for each photo."""
    parser = argparse.ArgumentParser()
    parser.add_argument("weights", type=Path)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--only", nargs="+", default=["gain", "seams", "bfloat16"], choices=["gain", "seams", "bfloat16"])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    new = not TABLE.exists()
    with TABLE.open("a", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        if new:
            lines.writerow(COLUMNS)
        for question in asked.only:
            for path in asked.photos:
                began = time.perf_counter()
                side = asked.side if question != "gain" else 4 * asked.side
                found = globals()[question](asked.weights, middle(read_photo(path).rgb8, side))
                for (variant, measure), value in found.items():
                    lines.writerow([question, path.name, variant, measure, f"{value:.5g}"])
                    print(question, path.name, variant, measure, f"{value:.5g}", flush=True)
                file.flush()
                print(f"{time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
