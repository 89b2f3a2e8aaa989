"""A whole photo, with the paste on the CPU and on the device, and the seconds of each stage."""

from __future__ import annotations

import time
from dataclasses import replace

import kit


def main() -> None:
    """Tell the medians of each stage, and how far the two pastes are apart."""
    from gfpup.tools.bench import measure, sides
    from gfpup.tools.bench.request import Workload

    kit.prepare()
    if kit.SMALL:
        loads = [Workload((512, 512), 1, detector="retinaface-mobilenet0.25", upscale=1.0)]
    else:
        loads = [Workload(faces=2), Workload((4000, 3000), 16), Workload(faces=2, background="realesrgan")]
    for load in loads:
        outputs = []
        for paste_on in ("cpu", "device"):
            if kit.left() < 2:
                return
            where = kit.DEVICE if paste_on == "device" else "cpu"
            batch = 8 if kit.ON_GPU else 1
            side = kit.side("gfpgan", workload=load, batch=batch, precision="bfloat16" if kit.ON_GPU else "float32")
            # On a CPU the device's paste is called too: "cpu:0" is the same processor by another name.
            run = sides.run_of(replace(side, paste_on="cpu:0" if paste_on == "device" and where == "cpu" else where))
            if not kit.SMALL:
                run()
            samples = []
            for _ in range(1 if kit.SMALL else 5):
                began = time.perf_counter()
                output, stages = run()
                samples.append({"wall": time.perf_counter() - began, "stages": dict(stages)})
            outputs.append(output.cpu().numpy())
            wall = measure.spread([sample["wall"] for sample in samples])
            photo = {"size": list(load.size_wh), "faces": load.faces, "background": load.background, "upscale": load.upscale}
            kit.tell(**photo, paste=paste_on, wall=wall, stages=measure.stage_medians(samples))
        kit.tell(**photo, paste="difference", **(measure.difference(*outputs) or {}))


if __name__ == "__main__":
    main()
