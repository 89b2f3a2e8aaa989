"""Damage references as `gfpup degrade` does, but resize back by Lanczos: the method that every other one is held against.

    python experiments/004-synthetic-baseline/lanczos.py REFERENCES DEGRADED LANCZOS

REFERENCES and DEGRADED are what `gfpup degrade --references` wrote; its record says what to do again. Shifts of colour and
grey come after the resize, so they are done to both.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from gfpup import photos
from gfpup.core.types import Metadata, UInt8
from gfpup.ops.degrade import Damage, apply
from gfpup.ops.resize import resize


def main(references: Path, degraded: Path, output: Path) -> None:
    """Write a picture for every line of every record below `degraded`."""
    for record in sorted(degraded.rglob("degradation.json")):
        folder = record.parent.relative_to(degraded)
        for line in json.loads(record.read_text())["photos"]:
            drawn = {key: tuple(value) if isinstance(value, list) else value for key, value in line.items()}
            damage = Damage(**{key: drawn[key] for key in Damage.__dataclass_fields__})
            reference = photos.read_photo(references / folder / line["name"]).rgb8
            photos.write_photo(output / folder / line["name"], lanczos(reference, damage), alpha=None, metadata=Metadata("PNG"))


def lanczos(reference: UInt8, damage: Damage) -> UInt8:
    """The damage of `apply`, resized back by Lanczos."""
    small = apply(reference, damage, resize_back=False)
    picture = np.asarray(resize(small, reference.shape[:2]), np.float64)
    picture = np.clip(picture + np.array(damage.colour_shift), 0, 255)
    if damage.gray:
        picture = np.repeat((picture @ np.array([0.299, 0.587, 0.114]))[:, :, None], 3, axis=2)
    return np.asarray(np.rint(picture), np.uint8)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
