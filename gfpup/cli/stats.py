"""`gfpup stats`: the statistics of a reference set, computed once, for the metrics of whole sets."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError

PARSER = Parser(
    "gfpup stats",
    text="""\
usage: gfpup stats --input DIR --output FILE.npz [flags]

Compute the features of a folder of reference faces once, and keep their mean and covariance, to score many runs against.

{flags}

Pictures are taken whole, one face each; sub-folders are included. gfpup score --stats FILE.npz then measures against the file
in place of reference faces: a file of fid serves the metric fid_reference, one of fid_fidelity or precision that metric.

  gfpup stats --input references/ --output ref.npz
  gfpup stats --input references/ --output manifold.npz --protocol precision
  gfpup score out/ --metrics fid_reference --stats ref.npz
""",
)
PROTOCOLS = ("fid", "fid_fidelity", "precision")
PARSER.add("--input DIR", "the reference faces, aligned as the results are", type=Path)
PARSER.add("--output FILE", "write the statistics here, as an .npz file", type=Path)
PARSER.one_of("--protocol NAME", "compute the features of fid|fid_fidelity|precision (default: fid)", PROTOCOLS, default="fid")
PARSER.add("--device NAME", "compute on auto|cpu|cuda|cuda:N|mps (default: auto)", default="auto")
PARSER.weights()
PARSER.add("--quiet", "print errors only")
HELP = PARSER.help_text


def run(words: Sequence[str]) -> int:
    """`gfpup stats`: returns 0."""
    request = PARSER.read(words)
    _check(request)
    import numpy as np
    from rich.console import Console
    from rich.progress import Progress

    from gfpup.evaluation.metrics.statistics import statistics_of, write_statistics
    from gfpup.photos import read_photo, sources

    photos = sources.expand([str(request.input)], recursive=True)
    if len(photos) < 2:
        raise GfpupError(f"{request.input} holds {len(photos)} pictures, and a covariance needs two: give a folder of faces")
    network = _network(request)
    hidden = request.quiet or not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), disable=hidden, transient=True) as bar:
        rows = [network.features(read_photo(photo.path).rgb8) for photo in bar.track(photos, description="computing")]
    found = statistics_of(np.stack(rows), protocol=network.protocol, keep=request.protocol == "precision")
    write_statistics(request.output, found)
    print(f"{request.output}  {len(rows)} pictures, features of {network.protocol}")
    return 0


def _check(request: argparse.Namespace) -> None:
    for flag, value in (("--input DIR", request.input), ("--output FILE", request.output)):
        if value is None:
            raise GfpupError(f"gfpup stats needs {flag}; gfpup stats --help explains.")
    if request.output.suffix != ".npz":
        raise GfpupError(f"invalid value {str(request.output)!r} for --output: expected a name that ends in .npz")
    if not request.input.is_dir():
        raise GfpupError(f"there is no folder {request.input}: --input takes a folder of pictures")


def _network(request: argparse.Namespace) -> Any:
    from gfpup.evaluation.metrics.features import EXTRACTORS
    from gfpup.machine import hardware
    from gfpup.weights.resolver import open_store
    from gfpup.weights.store import locate

    store = open_store(request.weights_dir, accept=request.accept_licence, trust_first_download=request.trust_first_download)
    make, weights = EXTRACTORS[request.protocol]
    device = str(hardware.choose_device(request.device, hardware.probe()).value)
    return make.load({name: locate(name, store) for name in weights}, device=device)
