"""Compare Lanczos, bilinear (identity) and the classical backend on damaged references; print a Markdown table.

    python experiments/001-baselines/run.py REFERENCES... [--seeds 0:8] [--protocol mild]

A reference is a picture file, a folder of them, or the word `astronaut` (scikit-image's, its face).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from gfpup.models.backends.classical import restore_crop
from gfpup.ops.color import to_float, to_uint8
from gfpup.ops.degrade import PROTOCOLS, apply, draw

EXTENSIONS = {".png", ".jpg", ".jpeg", ".webp"}
METHODS = ("lanczos", "identity (bilinear)", "classical from bilinear", "classical from lanczos")


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("references", nargs="+", metavar="REFERENCES")
    parser.add_argument("--seeds", default="0:8", help="first:end (0:8)")
    parser.add_argument("--protocol", default="mild", choices=PROTOCOLS)
    arguments = parser.parse_args()
    first, end = map(int, arguments.seeds.split(":"))
    faces = [face for reference in arguments.references for face in read_faces(reference)]
    cv2.setNumThreads(1)
    rows, clean, seconds = [], [], []
    for name, face in faces:
        clean.append(peak_signal_noise_ratio(face, restore(face)))
        for seed in range(first, end):
            small = apply(face, draw(arguments.protocol, seed=seed, name=name), resize_back=False)
            lanczos, linear = (cv2.resize(small, (512, 512), interpolation=i) for i in (cv2.INTER_LANCZOS4, cv2.INTER_LINEAR))
            start = time.perf_counter()
            pictures = (lanczos, linear, restore(linear), restore(lanczos))
            seconds.append((time.perf_counter() - start) / 2)
            rows.append([score(face, picture) for picture in pictures])
    print_table(np.array(rows), faces=len(faces))
    print(f"\nUndamaged references through classical: {np.mean(clean):.1f} dB, worst {min(clean):.1f} dB.")
    print(f"Classical takes {np.median(seconds):.3f} s a face on one core.")


def read_faces(reference: str) -> list[tuple[str, np.ndarray]]:
    """Name and (512, 512, 3) uint8 of each picture: the middle square, reduced or enlarged."""
    if reference == "astronaut":
        return [("astronaut", fit(skimage.data.astronaut()[:256, 96:352]))]
    path = Path(reference)
    files = sorted(f for f in path.iterdir() if f.suffix.lower() in EXTENSIONS) if path.is_dir() else [path]
    return [(file.name, fit(np.asarray(Image.open(file).convert("RGB")))) for file in files]


def fit(rgb: np.ndarray) -> np.ndarray:
    """The middle square at 512 px."""
    side = min(rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    how = cv2.INTER_AREA if side > 512 else cv2.INTER_CUBIC
    return cv2.resize(rgb[top : top + side, left : left + side], (512, 512), interpolation=how)


def restore(rgb: np.ndarray) -> np.ndarray:
    """One crop through the classical backend, uint8 to uint8."""
    return to_uint8(restore_crop(to_float(rgb)))


def score(reference: np.ndarray, picture: np.ndarray) -> tuple[float, float, float]:
    """PSNR, SSIM (7x7 box) and SSIM with Gaussian weights."""
    return (
        peak_signal_noise_ratio(reference, picture),
        structural_similarity(reference, picture, channel_axis=2, data_range=255),
        structural_similarity(reference, picture, channel_axis=2, data_range=255, gaussian_weights=True),
    )


def print_table(rows: np.ndarray, *, faces: int) -> None:
    """`rows`: (n, method, metric). The win rate is the share of damaged pictures that score higher than Lanczos."""
    print(f"{faces} faces, {len(rows)} damaged pictures\n")
    print("| method | PSNR | SSIM | SSIM (Gaussian) | wins in PSNR | wins in SSIM |\n|---|---|---|---|---|---|")
    for m, method in enumerate(METHODS):
        psnr, ssim, gaussian = rows[:, m].mean(0)
        wins = (rows[:, m] > rows[:, 0]).mean(0)
        share = f"{wins[0]:.0%} | {wins[1]:.0%}" if m else "- | -"
        print(f"| {method} | {psnr:.2f} | {ssim:.4f} | {gaussian:.4f} | {share} |")


if __name__ == "__main__":
    main()
