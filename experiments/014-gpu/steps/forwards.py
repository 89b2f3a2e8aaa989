"""Forward passes at batches of 1 to 32: official order, channels last, CUDA graphs; `compiled` does the rest."""

from __future__ import annotations

import kit

MODES = (("gfpup", "eager"), ("gfpup", "cudagraphs"), ("plain", "eager"))
"""Plain is the official order of operations in torch's own memory layout; gfpup's eager has its rewrites and channels last."""


def measure(modes: tuple[tuple[str, str], ...], methods: tuple[str, ...]) -> None:
    """Tell a row for each method, precision, mode and batch."""
    from gfpup.core.errors import GfpupError
    from gfpup.models import engines
    from gfpup.tools.bench.batches import sweep

    kit.prepare()
    batches = (1, 2) if kit.SMALL else (1, 2, 4, 8, 16, 32)
    for name in methods:
        for dtype in reversed(kit.DTYPES):  # bfloat16 first: what a GPU computes in
            for who, engine in modes:
                if kit.left() < 3:
                    return
                facts = {"backend": name, "side": who, "engine": engine, "precision": dtype}
                if who == "plain" and dtype != "float32":
                    continue
                if lacks := engines.available(engine, device=kit.DEVICE, dtype=dtype):
                    kit.tell(**facts, error=lacks)
                    continue
                try:
                    side = kit.side(name, name=who, engine=engine, precision=dtype)
                    rounds = {"repeat": 1, "warmup": 0} if kit.SMALL else {"repeat": 7, "warmup": 1}
                    for row in sweep(side, batches, **rounds, until=kit.UNTIL - 1):
                        kit.tell(**row)
                except (RuntimeError, GfpupError) as error:
                    kit.tell(**facts, error=f"{type(error).__name__}: {str(error)[:300]}")


if __name__ == "__main__":
    measure(MODES, tuple(kit.METHODS))
