"""Which machine this is; gfpup restores a photo here without MLflow; and the most that the device computes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import kit


def main() -> None:
    """Tell the machine's facts."""
    import torch

    from gfpup.machine import hardware
    from gfpup.tools.bench import machine

    unpacked = Path(os.environ.get("GFPUP_KIT_UNPACKED", ""))
    packages = unpacked.read_text("utf-8").splitlines() if unpacked.is_file() else []
    kit.tell(what="python", python=sys.version.split()[0], torch=torch.__version__, cuda=torch.version.cuda, packages=packages)
    here = hardware.probe()
    facts = machine.facts(threads=here.cores, device=hardware.choose_device(kit.DEVICE, here).value)
    facts["commit"] = os.environ.get("GFPUP_KIT_COMMIT") or facts["commit"]
    kit.tell(what="machine", **facts, gpus=[vars(gpu) for gpu in here.gpus])
    if kit.ON_GPU:
        properties = torch.cuda.get_device_properties(kit.DEVICE)
        kit.tell(what="gpu", name=properties.name, memory=properties.total_memory, cudnn=torch.backends.cudnn.version())
    kit.prepare()
    kit.tell(what="ceiling", gflop_a_second=machine.ceiling(kit.DEVICE, bfloat16=kit.ON_GPU, seconds=0.5)["wall"])
    assert not [name for name in sys.modules if name.partition(".")[0] == "mlflow"]


if __name__ == "__main__":
    main()
