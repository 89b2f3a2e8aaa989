"""A face in a batch against the same face alone, and the same batch twice."""

from __future__ import annotations

import kit


def main() -> None:
    """Tell the largest difference of each method in each precision, in levels of 255."""
    import torch

    from gfpup.tools.bench import sides

    kit.prepare()
    count = 2 if kit.SMALL else 8
    for name in kit.METHODS:
        for dtype in kit.DTYPES:
            side = kit.side(name, precision=dtype, batch=count)
            backend, x = sides.backend_of(side), sides.faces(side)
            together = backend.restore(x)
            again = together if kit.SMALL else backend.restore(x)
            alone = torch.cat([backend.restore(face[None]) for face in x])
            levels = [out.clamp(0, 1).mul(255).round() for out in (together, alone)]
            apart, most = (levels[0] - levels[1]).abs(), (together - alone).abs().max().item()
            found = {"levels": int(apart.max()), "changed": float((apart > 0).float().mean()), "difference": most}
            kit.tell(backend=name, precision=dtype, batch=count, **found, repeats=bool(torch.equal(together, again)))


if __name__ == "__main__":
    main()
