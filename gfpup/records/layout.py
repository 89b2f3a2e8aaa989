"""Where the files of a run are in its folder: its record, photos by their names, and the pictures of their faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Final

import numpy as np

from gfpup.core.errors import GfpupError
from gfpup.core.types import RestoredPhoto, UInt8

DOCUMENT: Final = "manifest.json"
LINES: Final = "manifest.jsonl"
LOCK: Final = ".manifest.lock"
PARTS: Final = ".ranks"
"""Below the output folder: a folder for each rank that shares the work (`gfpup.records.shards`), until they are merged."""
RESTORED: Final = "restored_imgs"
FacePictures = Callable[[str, RestoredPhoto], Iterator[tuple[str, UInt8]]]
"""The pictures to write of a restored photo's faces, by their names in the folder, from the name of its result."""


def flat(name: str, restored: RestoredPhoto) -> Iterator[tuple[str, UInt8]]:
    """Each face as aligned and as restored, in a folder of its photo's name below `faces`."""
    for i, face in enumerate(restored.faces):
        if face.crop is not None:
            yield f"faces/{name}/{i:02d}_aligned.png", face.crop.pixels
        if face.output is not None:
            yield f"faces/{name}/{i:02d}_restored.png", face.output


def as_gfpgan(*, suffix: str, compare: bool) -> FacePictures:
    """As the official script lays faces out: cropped_faces, restored_faces and, with `compare`, both side by side in cmp.

    Source: inference_gfpgan.py of github.com/TencentARC/GFPGAN.
    """

    def pictures(name: str, restored: RestoredPhoto) -> Iterator[tuple[str, UInt8]]:
        base = _base_of(name, suffix=suffix)
        # The official detector orders faces by their score, and the script numbers those it cuts out.
        cut = [face for face in restored.faces if face.crop is not None or face.output is not None]
        for i, face in enumerate(sorted(cut, key=lambda face: -face.face.score)):
            if face.crop is not None:
                yield f"cropped_faces/{base}_{i:02d}.png", face.crop.pixels
            if face.output is not None:
                yield f"restored_faces/{base}_{i:02d}{suffix}.png", face.output
            if compare and face.crop is not None and face.output is not None:
                yield f"cmp/{base}_{i:02d}.png", np.hstack((face.crop.pixels, face.output))

    return pictures


def _base_of(name: str, *, suffix: str) -> str:
    return str(PurePosixPath(name).relative_to(RESTORED).with_suffix("")).removesuffix(suffix)


def refuse_shared_bases(names: Sequence[str], *, suffix: str) -> None:
    """Refuse photos whose faces would get the same names in the old layout, with a GfpupError that names both."""
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(_base_of(name, suffix=suffix), name)
        if first != name:
            same = f"the faces of {first} and {name} would get the same names"
            raise GfpupError(f"{same}; give --ext png, which tells them apart.")
