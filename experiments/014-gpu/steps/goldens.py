"""Every network's golden on the device: float32 with TF32 off and on, and bfloat16."""

from __future__ import annotations

import time

import kit

SMALL = ("arcface-resnet18",)


def main() -> None:
    """Tell each check of each network."""
    from gfpup.models.networks import NETWORKS
    from gfpup.tools.verify.checks import Arithmetic, golden_checks
    from gfpup.tools.verify.goldens import load_golden

    kit.prepare()
    arithmetics = (Arithmetic(), Arithmetic(tf32=True), Arithmetic("bfloat16"))
    for name, network in NETWORKS.items():
        if network.golden is None or (kit.SMALL and name not in SMALL):
            continue
        golden = load_golden(kit.SHARED / "parity", network.golden)
        if golden is None:
            kit.tell(network=name, check="golden", result="skipped", detail=f"{kit.SHARED} does not have {network.golden}")
            continue
        began = time.monotonic()
        try:
            for check in golden_checks(name, golden, device=kit.DEVICE, arithmetics=arithmetics):
                numbers = {"difference": check.difference, "tolerance": check.tolerance}
                kit.tell(network=name, check=check.name, result=check.status, detail=check.found, **numbers)
        except RuntimeError as error:  # one network must not hide the others
            kit.tell(network=name, check="error", result="failed", detail=str(error)[:300])
        kit.tell(network=name, check="seconds", result="ok", detail=f"{time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
