"""`gfpup bench`: measure how fast methods are on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError
from gfpup.models.engines import ENGINES
from gfpup.tools.bench import request as known
from gfpup.tools.bench.request import Request, Tile, Workload, checked

PARSER = Parser(
    "gfpup bench",
    text="""\
usage: gfpup bench [flags]

Measure how fast a method is here, compared with another implementation and with the most this machine can compute.

The two sides take turns (A B A B), each in its own process, with the same threads and the same weights: the published files if
they are here, else deterministic ones, because speed does not depend on them. Reported are the median and quartiles of wall and
CPU seconds, the ratio of each round, GFLOP/s, peak memory, the difference of the pictures, how many codes changed, the smallest
margin of a code, and how much other programs used the machine during the measurement.

{flags}

Exit status: 0 measured, 2 not measured.

  gfpup bench --backend gfpgan --against plain
  gfpup bench --backend codeformer,restoreformerpp --precision bf16 --json
  gfpup bench --background realesrgan --against plain
  gfpup bench --backend gfpgan --batch 1,2,4,8 --device cuda --engine cudagraphs
  gfpup bench --pipeline --size 512x512 --faces 1 --background realesrgan --backend gfpgan --against none
""",
)
PHOTO_FLAGS = ("size", "faces", "upscale", "background", "mask", "detector", "detect_size")


def _size(text: str) -> tuple[int, int]:
    w, _, h = text.lower().partition("x")
    if not (w.isdecimal() and h.isdecimal() and 64 <= int(w) <= 20000 and 64 <= int(h) <= 20000):
        raise GfpupError(f"invalid value {text!r} for --size: expected WxH, each from 64 to 20000, such as 2000x1500")
    return int(w), int(h)


def _detect_size(text: str) -> int:
    if not text.isdecimal() or 0 < int(text) < 32:
        raise GfpupError(f"invalid value {text!r} for --detect-size: expected 32 or more, or 0 for the whole photo")
    return int(text)


def _batches(text: str) -> tuple[int, ...]:
    counts = text.split(",")
    if not all(count.isdecimal() and 1 <= int(count) <= 1000 for count in counts):
        raise GfpupError(f"invalid value {text!r} for --batch: expected whole numbers from 1 to 1000, such as 8 or 1,2,4")
    return tuple(map(int, counts))


_AGAINST = (
    "upstream: the official packages; plain: the same network without its rewrites; none; "
    "auto: upstream if it is installed and has the network, else plain (default: auto)"
)
_ENGINES = f"{', '.join(ENGINES)} (default: eager); the other side is always eager"
_PRECISION = "auto, fp32 or bf16 (default: auto, which is fp32); the other side is always fp32"
_SEEN = "short side of the first look, 0 for the whole photo (default: 640 to 960; upstream: the whole photo)"
_DETECTORS = f"{', '.join(known.DETECTORS[:-1])} or {known.DETECTORS[-1]} (default: {known.DETECTORS[0]})"
_BACKGROUND = "none or realesrgan (default: none, which is Lanczos); without --pipeline, the network of realesrgan alone"
_THREADS = "threads of each side (default: the available cores, or OMP_NUM_THREADS if that is fewer)"
_SCALING = "measure photos of 1 to 32 faces and of 0.25 to 50 megapixels, and fit a straight line to each"
PARSER.section("what")
PARSER.add(
    "--backend NAME[,NAME]", "measure these methods, a row each (default: gfpgan; with --scaling identity)", action="append"
)
PARSER.one_of("--against SIDE", _AGAINST, known.AGAINST, default="auto")
PARSER.one_of("--engine NAME", _ENGINES, tuple(ENGINES), default="eager")
PARSER.one_of("--precision NAME", _PRECISION, tuple(known.PRECISIONS), default="auto")
PARSER.add("--batch N[,N]", "faces in one forward pass; of several numbers gfpup's side alone (default: 1)", type=_batches)
PARSER.add("--model-path FILE", "measure with this checkpoint", type=Path)
PARSER.weights_dir()
PARSER.section("a whole photo")
PARSER.add("--pipeline", "detect, align, restore, enlarge and paste, with the seconds of each stage")
PARSER.add("--size WxH", "size of the photo, in px (default: 2000x1500; of the background alone: 256x256)", type=_size)
PARSER.number("--faces N", "faces in the photo, 0 to 200 (default: 2)", 0, 200)
PARSER.number("--upscale X", "make the result this many times larger, 0.1 to 8 (default: 2)", 0.1, 8, whole=False)
PARSER.one_of("--background NAME", _BACKGROUND, known.BACKGROUNDS)
PARSER.add("--background-path FILE", "measure with these weights of Real-ESRGAN", type=Path)
PARSER.one_of("--mask NAME", "bisenet, parsenet or feather (default: bisenet; upstream has parsenet)", known.MASKS)
PARSER.one_of("--detector NAME", _DETECTORS, known.DETECTORS)
PARSER.add("--detect-size PX", _SEEN, type=_detect_size)
PARSER.one_of("--paste NAME", "where gfpup pastes: cpu, or device for the networks' (default: cpu)", ("cpu", "device"))
PARSER.add("--scaling", _SCALING)
PARSER.add("--output DIR", "with --scaling: write scaling.svg and scaling.md here", type=Path)
PARSER.section("how")
PARSER.number("--repeat N", "rounds that count (default: 5; with --scaling 3)", 1, 1000)
PARSER.number("--warmup N", "rounds before them (default: 1)", 0, 1000, default=1)
PARSER.number("--threads N", _THREADS, 1, 1000)
PARSER.add("--device NAME", "cpu, cuda, cuda:N, mps or auto (default: auto)", default="auto")
PARSER.add("--json", "print one JSON object, on one line, and nothing else")
HELP = PARSER.help_text


def run(words: Sequence[str]) -> int:
    """`gfpup bench`: measure, and print tables or one JSON object; returns 0."""
    asked = PARSER.read(words)
    request = _request(asked)
    from gfpup.tools.bench import batches, measure, scaling, table

    say = partial(print, file=sys.stderr, flush=True)  # at once: a whole photo in float32 takes half a minute on two cores
    output = asked.output if asked.scaling else None
    if output is not None:
        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GfpupError(f"--output {output} cannot be created ({error.strerror}): choose another folder.") from None
    if len(asked.batch or ()) > 1:
        if asked.against not in ("auto", "none") or asked.scaling:
            raise GfpupError("--batch with several numbers measures gfpup's side alone: leave out --against and --scaling.")
        found = batches.batches(request, asked.batch, say=say)
        text = table.batches_table(found)
    elif asked.scaling:
        found = scaling.scaling(request, say=say)
        text = table.scaling_table(found)
    else:
        found = measure.bench(request, say=say)
        text = table.tables(found)
    if output is not None:
        (output / "scaling.svg").write_text(table.svg(found), encoding="utf-8")
        (output / "scaling.md").write_text(f"{text}\n\n![seconds a photo](scaling.svg)\n", encoding="utf-8")
    print(json.dumps(found, allow_nan=False) if asked.json else text)
    return 0


def _request(asked: argparse.Namespace) -> Request:
    names = tuple(name for given in asked.backend or [] for name in given.split(",") if name)
    names = names or ("identity" if asked.scaling else "gfpgan",)
    repeat = asked.repeat or (3 if asked.scaling else 5)
    same = {
        name: getattr(asked, name) for name in ("against", "engine", "warmup", "weights_dir", "model_path", "background_path")
    }
    if asked.paste is not None and not asked.pipeline:
        raise GfpupError("--paste is for a whole photo: add --pipeline.")
    tile = _tile(asked)
    request = Request(
        names, precision=known.PRECISIONS[asked.precision], repeat=repeat, batch=(asked.batch or (1,))[0], tile=tile,
        workload=_workload(asked) if tile is None else None, **same,
    )  # fmt: skip
    request = checked(request)  # before the machine is probed, which loads torch
    from gfpup.machine import hardware

    machine = hardware.probe()
    device = hardware.choose_device(asked.device, machine).value
    # As a run: no more than OMP_NUM_THREADS.
    threads = asked.threads or min(machine.cores, machine.omp_threads or machine.cores)
    return checked(replace(request, device=device, threads=threads, paste_on=device if asked.paste == "device" else "cpu"))


def _tile(asked: argparse.Namespace) -> Tile | None:
    """What `--background realesrgan` asks for without a photo around it."""
    if asked.background_path is not None and asked.background != "realesrgan":
        raise GfpupError("--background-path gives weights to --background realesrgan: add that flag.")
    if asked.background_path is not None and not asked.background_path.is_file():
        raise GfpupError(f"--background-path {asked.background_path} is not a file: check the path.")
    if asked.background != "realesrgan" or asked.pipeline or asked.scaling:
        return None
    unused = [name for name in ("backend", "model_path", *PHOTO_FLAGS[1:2], *PHOTO_FLAGS[4:]) if getattr(asked, name)]
    if unused or asked.batch:
        flag = f"--{unused[0].replace('_', '-')}" if unused else "--batch"
        raise GfpupError(f"{flag} does not apply to the background alone: leave it out, or add --pipeline.")
    scale = 2 if (asked.upscale or 2) <= 2 else 4
    if asked.background_path is not None:
        from gfpup.restoration.background import RealESRGAN

        scale = RealESRGAN.network(asked.background_path).scale
    size = {"size_wh": asked.size} if asked.size else {}
    return Tile(f"realesrgan-x{scale}plus", **size)


def _workload(asked: argparse.Namespace) -> Workload | None:
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
