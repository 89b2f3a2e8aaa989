"""Memory predicted for each method against what the device's allocator held; on a CPU the prediction alone."""

from __future__ import annotations

import kit


def main() -> None:
    """Tell bytes of weights and of a forward, for one face and for several."""
    from gfpup.planning import memory_model
    from gfpup.tools.bench.batches import sweep

    kit.prepare()
    methods = kit.METHODS if kit.SMALL else (*kit.METHODS, "pmrf")
    for name in methods:
        network = memory_model.METHODS[name]
        for dtype in kit.DTYPES:
            side = kit.side(name, precision=dtype)
            counts = (1,) if kit.SMALL or name == "pmrf" else (1, 8)
            for row in sweep(side, counts, repeat=1, warmup=0, until=kit.UNTIL):
                held, peak = row["held"], row["device_peak"]
                predicted = memory_model.predict([network], dtype=dtype, face_batch=row["batch"])
                kit.tell(
                    backend=name,
                    precision=dtype,
                    batch=row["batch"],
                    error=row["error"],
                    predicted_weights=predicted.weights,
                    weights=held,
                    predicted_forward=predicted.faces,
                    forward=None if peak is None or held is None else peak - held,
                )


if __name__ == "__main__":
    main()
