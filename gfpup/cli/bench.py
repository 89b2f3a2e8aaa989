"""`gfpup bench`: measure how fast methods are on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError
from gfpup.models.engines import ENGINES

if TYPE_CHECKING:
    from gfpup.tools.bench.request import Request, Workload

HELP = f"""\
usage: gfpup bench [flags]

Measure how fast a method is here, compared with another implementation and with the most this machine can compute.

The two sides take turns (A B A B), each in its own process, with the same threads and the same weights: the published files if
they are here, else deterministic ones, because speed does not depend on them. Reported are the median and quartiles of wall and
CPU seconds, the ratio of each round, GFLOP/s, peak memory, the difference of the pictures, how many codes changed, the smallest
margin of a code, and how much other programs used the machine during the measurement.

what:
  --backend NAME[,NAME]   measure these methods, a row each (default: gfpgan; with --scaling identity)
  --against SIDE          upstream: the official packages; plain: the same network without its rewrites; none;
                          auto: upstream if it is installed and has the network, else plain (default: auto)
  --engine NAME           {", ".join(ENGINES)} (default: eager); the other side is always eager
  --precision NAME        auto, fp32 or bf16 (default: auto, which is fp32); the other side is always fp32
  --batch N               faces in one forward pass (default: 1)
  --model-path FILE       measure with this checkpoint
  --weights-dir DIR       look for checkpoints here (default: GFPUP_WEIGHTS_DIR, or the user's cache)

a whole photo:
  --pipeline              detect, align, restore, enlarge and paste, with the seconds of each stage
  --size WxH              size of the photo, in px (default: 2000x1500)
  --faces N               faces in the photo, 0 to 200 (default: 2)
  --upscale X             make the result this many times larger, 0.1 to 8 (default: 2)
  --background NAME       none or realesrgan (default: none, which is Lanczos)
  --mask NAME             bisenet, parsenet or feather (default: bisenet; upstream has parsenet)
  --detector NAME         retinaface-resnet50, retinaface-mobilenet0.25, mtcnn or cascade (default: retinaface-resnet50)
  --detect-size PX        short side of the first look, 0 for the whole photo (default: 640 to 960; upstream: the whole photo)
  --scaling               measure photos of 1 to 32 faces and of 0.25 to 50 megapixels, and fit a straight line to each
  --output DIR            with --scaling: write scaling.svg and scaling.md here

how:
  --repeat N              rounds that count (default: 5; with --scaling 3)
  --warmup N              rounds before them (default: 1)
  --threads N             threads of each side (default: the available cores, or OMP_NUM_THREADS if that is fewer)
  --device NAME           cpu, cuda, cuda:N, mps or auto (default: auto)
  --json                  print one JSON object, on one line, and nothing else

Exit status: 0 measured, 2 not measured.

  gfpup bench --backend gfpgan --against plain
  gfpup bench --backend codeformer,restoreformerpp --precision bf16 --json
  gfpup bench --pipeline --size 512x512 --faces 1 --background realesrgan --backend gfpgan --against none
"""

PHOTO_FLAGS = ("size", "faces", "upscale", "background", "mask", "detector", "detect_size")


def run(words: Sequence[str]) -> int:
    """`gfpup bench`: measure, and print tables or one JSON object; returns 0."""
    if {"-h", "--help"} & set(words):
        print(HELP, end="")
        return 0
    asked = _parse(words)
    request = _request(asked)
    from gfpup.tools.bench import measure, scaling, table

    say = partial(print, file=sys.stderr, flush=True)  # at once: a whole photo in float32 takes half a minute on two cores
    output = asked.output if asked.scaling else None
    if output is not None:
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GfpupError(f"--output {output} cannot be created ({error.strerror}): choose another folder.") from None
    found = scaling.scaling(request, say=say) if asked.scaling else measure.bench(request, say=say)
    text = table.scaling_table(found) if asked.scaling else table.tables(found)
    if output is not None:
        (output / "scaling.svg").write_text(table.svg(found), encoding="utf-8")
        (output / "scaling.md").write_text(f"{text}\n\n![seconds a photo](scaling.svg)\n", encoding="utf-8")
    print(json.dumps(found, allow_nan=False) if asked.json else text)
    return 0


def _request(asked: argparse.Namespace) -> Request:
    from gfpup.tools.bench.request import PRECISIONS, Request, checked

    names = tuple(name for given in asked.backend or [] for name in given.split(",") if name)
    names = names or ("identity" if asked.scaling else "gfpgan",)
    repeat = asked.repeat or (3 if asked.scaling else 5)
    same = {name: getattr(asked, name) for name in ("against", "engine", "batch", "warmup", "weights_dir", "model_path")}
    request = Request(names, precision=PRECISIONS[asked.precision], repeat=repeat, workload=_workload(asked), **same)
    request = checked(request)  # before the machine is probed, which loads torch
    from gfpup.machine import hardware

    machine = hardware.probe()
    device = hardware.choose_device(asked.device, machine).value
    # As a run: no more than OMP_NUM_THREADS.
    threads = asked.threads or min(machine.cores, machine.omp_threads or machine.cores)
    return checked(replace(request, device=device, threads=threads))


def _workload(asked: argparse.Namespace) -> Workload | None:
    from gfpup.tools.bench.request import Workload

    given = {name: value for name in PHOTO_FLAGS if (value := getattr(asked, name)) is not None}
    if asked.pipeline or asked.scaling:
        if "size" in given:
            given["size_wh"] = given.pop("size")
        return Workload(**given)
    if given:
        raise GfpupError(f"--{next(iter(given)).replace('_', '-')} describes a whole photo: add --pipeline.")
    if asked.output is not None:
        raise GfpupError("--output is for the plot of --scaling: add --scaling, or use --json.")
    return None


def _size(text: str) -> tuple[int, int]:
    w, _, h = text.lower().partition("x")
    if not (w.isdecimal() and h.isdecimal() and 64 <= int(w) <= 20000 and 64 <= int(h) <= 20000):
        raise GfpupError(f"invalid value {text!r} for --size: expected WxH, each from 64 to 20000, such as 2000x1500")
    return int(w), int(h)


def _detect_size(text: str) -> int:
    if not text.isdecimal() or 0 < int(text) < 32:
        raise GfpupError(f"invalid value {text!r} for --detect-size: expected 32 or more, or 0 for the whole photo")
    return int(text)


def _parse(words: Sequence[str]) -> argparse.Namespace:
    from gfpup.tools.bench import request as known

    parser = Parser("gfpup bench")
    parser.add_argument("--backend", action="append")
    parser.one_of("--against", known.AGAINST, default="auto")
    parser.one_of("--engine", tuple(ENGINES), default="eager")
    parser.one_of("--precision", tuple(known.PRECISIONS), default="auto")
    for flag in ("--model-path", "--weights-dir", "--output"):
        parser.add_argument(flag, type=Path)
    parser.add_argument("--size", type=_size)
    parser.number("--faces", 0, 200)
    parser.number("--upscale", 0.1, 8, whole=False)
    parser.one_of("--background", known.BACKGROUNDS)
    parser.one_of("--mask", known.MASKS)
    parser.one_of("--detector", known.DETECTORS)
    parser.add_argument("--detect-size", type=_detect_size)
    parser.number("--batch", 1, 1000, default=1)
    parser.number("--repeat", 1, 1000)
    parser.number("--warmup", 0, 1000, default=1)
    parser.number("--threads", 1, 1000)
    parser.add_argument("--device", default="auto")
    parser.switches("--pipeline", "--scaling", "--json")
    return parser.parse_args(list(words))
