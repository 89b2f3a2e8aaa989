"""A folder of 200 small photos through `gfpup run`: faces a second, and where the time goes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import kit


def photos(folder: Path, count: int) -> None:
    """Small photos with faces, no two alike: the shared ones, moved and reduced."""
    import cv2
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    found = sorted((kit.SHARED / "data" / "photos").glob("one_face*" if kit.SMALL else "*.[jp][pn]g"))
    if not found:
        raise SystemExit(f"there are no photos in {kit.SHARED / 'data' / 'photos'}")
    for number in range(count):
        picture = cv2.imread(str(found[number % len(found)]))
        assert picture is not None
        factor = min(1.0, 640 / max(picture.shape[:2]))
        small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        moved = np.roll(small, (number // len(found)) % 16, axis=1)
        cv2.imwrite(str(folder / f"{number:03}.jpg"), moved, [cv2.IMWRITE_JPEG_QUALITY, 92])


def main() -> None:
    """Tell the wall seconds and those of the stages, the first photos apart: they also load kernels."""
    from gfpup.cli.main import main as gfpup

    count = 2 if kit.SMALL else 200
    photos(kit.OUT / "photos", count)
    side = kit.side("gfpgan")
    detector = kit.SHARED / "weights" / "retinaface_mobilenet0.25.pth"
    words = ["run", "--input", str(kit.OUT / "photos"), "--backend", "gfpgan", "--model-path", str(side.checkpoints["backend"])]
    words += ["--detector-path", str(detector), "--mask", "feather", "--background", "none", "--tracking", "none"]
    words += ["--device", kit.DEVICE, "--quiet", "--overwrite"]
    for ext in ("jpg",) if kit.SMALL else ("jpg", "png"):
        out = kit.OUT / f"restored-{ext}"
        began = time.perf_counter()
        status = gfpup([*words, "--ext", ext, "--output", str(out)])
        wall = time.perf_counter() - began
        document = json.loads((out / "manifest.json").read_text("utf-8"))
        lines = document["photos"]
        faces = sum(len(line["faces"]) for line in lines)
        stages: dict[str, float] = {}
        for line in lines:
            for stage, seconds in line["seconds"].items():
                stages[stage] = stages.get(stage, 0.0) + seconds
        plan = {key: document["plan"].get(key) for key in ("device", "face_batch", "photo_batch", "workers", "threads")}
        facts = {"status": status, "ext": ext, "photos": len(lines), "faces": faces, "wall": wall}
        kit.tell(**facts, faces_a_second=faces / wall, stages=stages, plan=plan, started=document.get("started"))


if __name__ == "__main__":
    main()
