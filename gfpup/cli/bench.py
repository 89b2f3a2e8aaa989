"""`gfpup bench`: measure how fast methods are on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError
from gfpup.models.engines import ENGINES

if TYPE_CHECKING:
    from gfpup.tools.bench import Request

HELP = f"""\
usage: gfpup bench [flags]

Measure how fast a method is here, beside what it is measured against and beside what the machine can do at most.

The two sides take turns (A B A B), each in a process of its own, with the same threads and the same weights: those at hand,
else deterministic ones, as speed does not depend on them. Told are median and quartiles of wall and CPU seconds, the ratio of
each round, GFLOP/s, peak memory, how far the pictures lie apart, how many codes changed, how close the closest came to it, and
how much others used the machine meanwhile.

what:
  --backend NAME[,NAME]   methods to measure, a row each (default: gfpgan; with --scaling identity)
  --against SIDE          upstream: the official packages; plain: the same network without its rewrites; none;
                          auto: upstream where it is installed and has the network, else plain (default: auto)
  --engine NAME           {", ".join(ENGINES)} (default: eager); the other side is always eager
  --precision NAME        auto, fp32 or bf16 (default: auto, which is fp32); the other side is always fp32
  --batch N               faces a forward (default: 1)
  --model-path FILE       this checkpoint
  --weights-dir DIR       look for checkpoints here (default: GFPUP_WEIGHTS_DIR, or the user's cache)

a whole photo:
  --pipeline              detect, align, restore, enlarge and paste, with the seconds of each stage
  --size WxH              of the photo, in px (default: 2000x1500)
  --faces N               in the photo, 0 to 200 (default: 2)
  --upscale X             how much larger the result is, 0.1 to 8 (default: 2)
  --background NAME       none or realesrgan (default: none, which is Lanczos)
  --mask NAME             bisenet, parsenet or feather (default: bisenet; upstream has parsenet)
  --detector NAME         retinaface-resnet50, retinaface-mobilenet0.25 or cascade (default: retinaface-resnet50)
  --detect-size PX        short side that the detector sees, 0 for the whole photo (default: 640; upstream sees the whole)
  --scaling               seconds over 1 to 32 faces and 0.25 to 50 megapixels, with a straight line through them
  --output DIR            with --scaling: write scaling.svg and scaling.md here

how:
  --repeat N              rounds that count (default: 5; with --scaling 3)
  --warmup N              rounds before them (default: 1)
  --threads N             of each side (default: the cores at hand, or fewer by OMP_NUM_THREADS)
  --device NAME           cpu, cuda, cuda:N, mps or auto (default: auto)
  --json                  print one JSON object, on one line, and nothing else

Exit status: 0 measured, 2 refused.

  gfpup bench --backend gfpgan --against plain
  gfpup bench --backend codeformer,restoreformerpp --precision bf16 --json
  gfpup bench --pipeline --size 512x512 --faces 1 --background realesrgan --backend gfpgan --against none
"""

MOST = 1000


def run(words: Sequence[str]) -> int:
    """`gfpup bench`: measure, and print tables or one JSON object; returns 0."""
    if {"-h", "--help"} & set(words):
        print(HELP, end="")
        return 0
    asked = _parse(words)
    request = _request(asked)
    from gfpup.tools.bench import bench

    if asked.scaling:
        return _scaling(request, asked)
    found = bench(request, say=_say)
    if asked.json:
        print(json.dumps(found, allow_nan=False))
    else:
        from gfpup.tools.bench.table import tables

        print(tables(found))
    return 0


def _scaling(request: Request, asked: argparse.Namespace) -> int:
    from gfpup.tools.bench.scaling import scaling, svg
    from gfpup.tools.bench.table import scaling_table

    if asked.output is not None:
        try:
            asked.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GfpupError(f"--output {asked.output} cannot be made ({error.strerror}); choose another folder.") from None
    found = scaling(request, say=_say)
    text = scaling_table(found)
    if asked.output is not None:
        (asked.output / "scaling.svg").write_text(svg(found), encoding="utf-8")
        (asked.output / "scaling.md").write_text(f"{text}\n\n![seconds a photo](scaling.svg)\n", encoding="utf-8")
    print(json.dumps(found, allow_nan=False) if asked.json else text)
    return 0


def _request(asked: argparse.Namespace) -> Request:
    from gfpup.tools.bench import Request
    from gfpup.tools.bench import request as known

    _one_of("--against", asked.against, known.AGAINST)
    _one_of("--engine", asked.engine, tuple(ENGINES))
    if asked.precision == "fp16":
        raise GfpupError("gfpup bench: --precision fp16 is of no method with a network here; use bf16 or fp32.")
    _one_of("--precision", asked.precision, tuple(known.PRECISIONS))
    names = [name for given in asked.backend or [] for name in given.split(",") if name]
    request = Request(
        backends=tuple(names) or (("identity",) if asked.scaling else ("gfpgan",)),
        against=asked.against,
        engine=asked.engine,
        precision=known.PRECISIONS[asked.precision],
        batch=_number("--batch", asked.batch, 1),
        repeat=(3 if asked.scaling else 5) if asked.repeat is None else _number("--repeat", asked.repeat, 1),
        warmup=_number("--warmup", asked.warmup, 0),
        workload=_workload(asked),
        weights_dir=asked.weights_dir,
        model_path=asked.model_path,
    )
    request = known.checked(request)
    from gfpup.machine import hardware

    machine = hardware.probe()
    device = hardware.choose_device(asked.device, machine).value
    # As a run does: no more than OMP_NUM_THREADS says.
    usual = min(machine.cores, machine.omp_threads or machine.cores)
    threads = usual if asked.threads is None else _number("--threads", asked.threads, 1)
    # Again, as what a device can do is known only now.
    return known.checked(replace(request, device=device, threads=threads))


def _workload(asked: argparse.Namespace) -> Any:
    from gfpup.tools.bench import Workload
    from gfpup.tools.bench import request as known

    given = {
        "--size": asked.size,
        "--faces": asked.faces,
        "--upscale": asked.upscale,
        "--background": asked.background,
        "--mask": asked.mask,
        "--detector": asked.detector,
        "--detect-size": asked.detect_size,
    }
    if not (asked.pipeline or asked.scaling):
        stray = [flag for flag, value in given.items() if value is not None]
        if stray:
            raise GfpupError(f"{stray[0]} is of a whole photo; add --pipeline.")
        if asked.output is not None:
            raise GfpupError("--output is where --scaling writes its plot; add --scaling, or print with --json.")
        return None
    usual = Workload()
    return Workload(
        size_wh=usual.size_wh if asked.size is None else _size(asked.size),
        faces=usual.faces if asked.faces is None else _number("--faces", asked.faces, 0, 200),
        upscale=usual.upscale if asked.upscale is None else _upscale(asked.upscale),
        background=_one_of("--background", asked.background or usual.background, known.BACKGROUNDS),
        mask=_one_of("--mask", asked.mask or usual.mask, known.MASKS),
        detector=_one_of("--detector", asked.detector or usual.detector, known.DETECTORS),
        detect_size=usual.detect_size if asked.detect_size is None else _detect_size(asked.detect_size),
    )


def _size(text: str) -> tuple[int, int]:
    w, _, h = text.lower().partition("x")
    if not (w.isdecimal() and h.isdecimal() and 64 <= int(w) <= 20000 and 64 <= int(h) <= 20000):
        raise GfpupError(f"--size {text!r} is no size; give width and height in px, 64 to 20000 each, such as 2000x1500.")
    return int(w), int(h)


def _upscale(value: float) -> float:
    if not 0.1 <= value <= 8:
        raise GfpupError(f"--upscale {value:g} is out of range; give 0.1 to 8.")
    return value


def _detect_size(value: int) -> int:
    if value != 0 and value < 32:
        raise GfpupError(f"--detect-size {value} shows no face; give 32 or more, or 0 for the whole photo.")
    return value


def _number(flag: str, value: int, least: int, most: int = MOST) -> int:
    if not least <= value <= most:
        raise GfpupError(f"{flag} {value} is out of range; give {least} to {most}.")
    return value


def _one_of(flag: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        from gfpup.core.registry import unknown

        raise GfpupError(f"gfpup bench: {unknown(flag, value, known)}")
    return value


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser("gfpup bench")
    parser.add_argument("--backend", action="append")
    parser.add_argument("--against", default="auto")
    parser.add_argument("--engine", default="eager")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--model-path", type=Path)
    parser.add_argument("--weights-dir", type=Path)
    parser.add_argument("--pipeline", action="store_true")
    parser.add_argument("--size")
    parser.add_argument("--faces", type=int)
    parser.add_argument("--upscale", type=float)
    parser.add_argument("--background")
    parser.add_argument("--mask")
    parser.add_argument("--detector")
    parser.add_argument("--detect-size", type=int)
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--repeat", type=int)
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(list(words))


def _say(line: str) -> None:
    """Tell what was just measured: a whole photo in float32 takes half a minute on two cores."""
    print(line, file=sys.stderr, flush=True)
