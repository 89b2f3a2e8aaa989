"""The official loop beside gfpup: a whole photo, in turns, with the same weights."""

from __future__ import annotations

from dataclasses import replace

import kit


def main() -> None:
    """Tell what `gfpup bench --against upstream` finds, or why the official packages cannot be used here."""
    from gfpup.core.errors import GfpupError
    from gfpup.tools.bench import measure
    from gfpup.tools.bench.request import Workload

    if kit.SMALL:
        loads = [Workload((512, 512), 1, detector="retinaface-mobilenet0.25", upscale=1.0)]
    else:
        loads = [Workload(faces=8), None]
    for load in loads:
        for precision in reversed(kit.DTYPES):
            what = "forward" if load is None else "photo"
            if kit.left() < 10:
                return
            batch = 8 if kit.ON_GPU and load is not None else 1
            facts = {"against": "upstream", "workload": load, "precision": precision, "batch": batch}
            rounds = {"repeat": 1 if kit.SMALL else 3, "warmup": 0 if kit.SMALL else 1}
            asked = replace(kit.request(backends=("gfpgan",), **facts), **rounds)
            try:
                (kit.OUT / "weights").mkdir(exist_ok=True)
                found = measure.bench(asked, say=lambda line: print(line, flush=True), weights_in=kit.OUT / "weights")
            except GfpupError as error:
                kit.tell(what=what, precision=precision, error=str(error))
                continue
            (row,) = found["backends"]
            sides = {each["side"]: {"wall": each["wall"], "stages": each["stages"]} for each in found["sides"]}
            kit.tell(what=what, precision=precision, speedup=row["speedup"], quartiles=row["speedup_quartiles"], sides=sides)


if __name__ == "__main__":
    main()
