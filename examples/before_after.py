"""Put each photo and its restored version side by side: before_after.png in the output folder of a run.

python examples/before_after.py out/
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np

HEIGHT_PX = 512


def row(before: Path, after: Path) -> np.ndarray:
    """Before and after at one height, with a white line between."""
    pictures = []
    for path in (before, after):
        picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            sys.exit(f"before_after.py: {path} cannot be read.")
        width = round(picture.shape[1] * HEIGHT_PX / picture.shape[0])
        pictures.append(cv2.resize(picture, (width, HEIGHT_PX), interpolation=cv2.INTER_CUBIC))
    return np.hstack([pictures[0], np.full((HEIGHT_PX, 8, 3), 255, np.uint8), pictures[1]])


def main(folder: Path) -> None:
    """Read the manifest of a run and write `before_after.png` beside it."""
    photos = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["photos"]
    rows = [row(Path(photo["input"]), Path(photo["output"])) for photo in photos if photo["output"]]
    if not rows:
        sys.exit(f"before_after.py: {folder} holds no restored photo.")
    width = max(picture.shape[1] for picture in rows)
    padded = [cv2.copyMakeBorder(r, 0, 8, 0, width - r.shape[1], cv2.BORDER_CONSTANT, value=(255, 255, 255)) for r in rows]
    target = folder / "before_after.png"
    _, data = cv2.imencode(".png", np.vstack(padded))
    target.write_bytes(data.tobytes())
    print(f"open {target}: before on the left, after on the right")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
