"""The process that restores for the page: `gfpup run` again and again in one process, whose networks stay loaded.

It is a process of its own so that a run has a main thread for its signals, as it has on the command line, and so that one that
takes too much memory does not take the page along. It reads a request a line on stdin, as JSON, and answers with a line each.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from gfpup.core.errors import GfpupError
from gfpup.core.files import one_line

COMMAND: Final = "gfpup.cli.main"
"""The module of the command line, by name, as the command line names its own: the two stand on one floor."""
KEPT_SHARE: Final = 0.25
"""The share of the machine's memory that networks may occupy between jobs."""
_PROBE_GFLOP: Final = 4.83
"""A 3x3 convolution of 64 to 64 channels over 256x256 pixels: 2 * 9 * 64 * 64 * 256^2 operations."""


def main() -> None:
    """Answer requests until stdin closes."""
    from gfpup.running.process import leave_with_parent

    leave_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # between jobs there is nothing to interrupt; a run installs its own handler
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    _prepare()
    for line in sys.stdin:
        print(json.dumps(_answered(json.loads(line))), file=answers, flush=True)


def _prepare() -> None:
    """Import what every job needs, and keep networks from now on."""
    from gfpup.machine import hardware
    from gfpup.running import kept
    from gfpup.running.process import uncollected

    with uncollected():
        for module in ("gfpup.running.hydra_app", "gfpup.running.components", "gfpup.running.predict"):
            import_module(module)
    kept.keep(int(hardware.probe().memory_bytes * KEPT_SHARE))


def _answered(request: Mapping[str, Any]) -> dict[str, Any]:
    printed, output = io.StringIO(), io.StringIO()
    all_work: dict[str, Callable[..., dict[str, Any]]] = {"run": run, "look": look, "speed": speed}
    work = all_work[request["do"]]
    try:
        with redirect_stderr(printed), redirect_stdout(output):
            found = work(**{key: value for key, value in request.items() if key != "do"})
    except GfpupError as error:
        return {"status": 2, "said": [one_line(str(error))]}
    except Exception as error:  # a bug or a lack of memory ends one job and not the page
        traceback.print_exc()
        return {"status": 1, "said": [f"{type(error).__name__}: {one_line(str(error))}"], "bug": True}
    lines = [line.removeprefix("gfpup: ") for line in printed.getvalue().splitlines() if line.startswith("gfpup: ")]
    return {"status": 0, "said": lines, **found}


def run(*, words: Sequence[str]) -> dict[str, Any]:
    """`gfpup run` with these words; its exit status."""
    return {"status": import_module(COMMAND).run(list(words))}


def look(*, photo: str, words: Sequence[str]) -> dict[str, Any]:
    """The faces that a run with these words would find in a photo, in the order of its record, and why it would skip one."""
    import torch

    from gfpup.machine import hardware
    from gfpup.photos import read_photo
    from gfpup.planning.missing import plan_or_name_missing
    from gfpup.planning.options import compose
    from gfpup.planning.planner import open_resolver
    from gfpup.planning.settings import read_settings
    from gfpup.running import components

    overrides = import_module("gfpup.cli.overrides").to_overrides(["--input", photo, *words])
    settings = read_settings(compose(overrides)).changed(
        {"backend.name": "identity", "background.name": "none", "restore.upscale": 1.0, "restore.parameters": {}}
    )
    resolver = open_resolver(settings)
    plan, method = plan_or_name_missing(settings, hardware.probe(), resolver)
    restorer = components.load(settings, plan, method, resolver)
    with torch.inference_mode():
        (found,) = restorer([read_photo(Path(photo))])
    faces = [
        {"box": list(map(float, face.face.box_xyxy)), "reason": None if face.restored else face.reason} for face in found.faces
    ]
    return {"size_hw": list(found.photo.size_hw), "faces": faces, "warnings": list(found.photo.warnings)}


def speed() -> dict[str, Any]:
    """How many 10^9 operations a second this machine's device does in a convolution."""
    import torch

    from gfpup.machine import hardware

    device = str(hardware.choose_device("auto", hardware.probe()).value)
    layer, picture = torch.nn.Conv2d(64, 64, 3, padding=1).to(device), torch.zeros(1, 64, 256, 256, device=device)
    best = float("inf")
    with torch.inference_mode():
        for _ in range(3):
            began = time.perf_counter()
            layer(picture).sum().item()
            best = min(best, time.perf_counter() - began)
    return {"gflops": _PROBE_GFLOP / best, "device": device}


if __name__ == "__main__":
    main()
