"""Make the photos of examples/photos from scikit-image's astronaut, by the project's own damage; run it to make them again.

python examples/make_photos.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

from gfpup.ops.degrade import Damage, apply

# Chosen by eye within the `mild` protocol's ranges, so that the difference shows and the face can still be found.
SOFT = Damage(sigma_xy=(1.6, 1.6), angle=0.0, scale=1.5, noise=4.0, noise_seed=11, jpeg=85)
OLD = Damage(sigma_xy=(2.2, 1.2), angle=0.6, scale=1.3, noise=9.0, noise_seed=12, jpeg=90)
SMALL = Damage(sigma_xy=(1.0, 1.0), angle=0.0, scale=1.25, noise=2.0, noise_seed=13, jpeg=80)


def main(folder: Path) -> None:
    """Write the three photos into `folder`."""
    astronaut = skimage.data.astronaut()
    folder.mkdir(parents=True, exist_ok=True)
    # The damage has a JPEG of its own; the files are saved at 92 so that theirs adds little.
    for name, rgb in {
        "astronaut_soft.jpg": apply(astronaut, SOFT),
        "astronaut_old.jpg": sepia(apply(astronaut, OLD)),
        "astronaut_small.jpg": apply(astronaut, SMALL, resize_back=False),
    }.items():
        Image.fromarray(rgb).save(folder / name, quality=92)


def sepia(rgb: np.ndarray) -> np.ndarray:
    """Tone a picture as an old print: its brightness laid between dark brown and cream."""
    luma = rgb @ np.array([0.299, 0.587, 0.114]) / 255.0
    dark, light = np.array([45.0, 33.0, 22.0]), np.array([240.0, 226.0, 198.0])
    return np.rint(dark + (light - dark) * luma[:, :, None]).astype(np.uint8)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "photos")
