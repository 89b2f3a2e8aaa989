"""`gfpup export`: write a method's network as a graph for other programs, checked against the network before it is kept."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError
from gfpup.tools.export import ENGINE_OF, EXPORTABLE, SUFFIX_OF, _export

if TYPE_CHECKING:
    from gfpup.weights.catalogue import Checkpoint
    from gfpup.weights.resolver import Supply

HELP = """\
usage: gfpup export --backend NAME --format onnx|openvino [flags]

Write a method's network as one graph that ONNX Runtime or OpenVINO computes without gfpup.

The graph is loaded again and compared with the network on two pictures; it is kept only where rounding explains the difference.
It takes one aligned face, "face": float32 (1, 3, 512, 512) RGB in [-1, 1], and gives "restored", the same. CodeFormer's takes
the fidelity too, a scalar, unless --fidelity fixes it. A .json beside it says what it was made of; its licence is the weights'.

  --backend NAME            gfpgan, codeformer, restoreformer or restoreformerpp
  --format FORMAT           onnx, or openvino (an .xml and a .bin)
  --output FILE             write here (default: METHOD-VERSION.onnx or .xml in the current folder)
  --overwrite               replace a file that is there
  --version V               the published version (default: the method's)
  --fidelity W              fix CodeFormer's fidelity, 0 to 1
  --precision fp32          the numbers in the graph (default and only one: a runtime lowers them itself when asked)
  --model-path FILE         export this checkpoint instead of the published one
  --weights-dir DIR         look for checkpoints here (default: GFPUP_WEIGHTS_DIR, or the user's cache)
  --no-download             never download
  --accept-licence ID       consent to a licence, once; repeat for more
  --trust-first-download    accept checkpoints without a published hash
  --json                    print the record as JSON

Exit status: 0 kept, 1 the graph differs and was not kept, 2 refused.

  gfpup export --backend gfpgan --format onnx
  gfpup export --backend codeformer --format openvino --output codeformer.xml --accept-licence s-lab-1.0
  gfpup export --backend gfpgan --version 1.3 --format onnx --json
"""


def run(words: Sequence[str]) -> int:
    """`gfpup export`: returns 0 where the graph was kept, 1 where it differs too much."""
    if not words or {"-h", "--help"} & set(words):
        print(HELP, end="")
        return 0
    request = _parse(words)
    from gfpup.models import backends, engines

    name = backends.canonical(request.backend)
    if name not in EXPORTABLE:
        raise GfpupError(f"backend {name!r} has no network to export; choose one of {', '.join(EXPORTABLE)}.")
    if request.precision != "fp32":
        raise GfpupError(
            f"an exported graph holds float32, and --precision {request.precision} cannot be exported: leave it out, and ask "
            "the runtime for bfloat16 (OpenVINO: INFERENCE_PRECISION_HINT)."
        )
    if request.fidelity is not None and name != "codeformer":
        raise GfpupError(f"--fidelity means nothing to backend {name!r}; leave it out.")
    version = _version(name, request.version)
    lack = engines.available(ENGINE_OF[request.format])
    if lack is not None:
        raise GfpupError(f"--format {request.format} cannot be written, as {lack}.")
    output = request.output or Path(f"{'-'.join(filter(None, (name, version)))}{SUFFIX_OF[request.format]}")
    if output.suffix != SUFFIX_OF[request.format]:
        raise GfpupError(f"--output {output} is no name for {request.format}: end it in {SUFFIX_OF[request.format]}.")
    if output.exists() and not request.overwrite:
        raise GfpupError(f"{output} is there already: give another --output, or add --overwrite.")
    checkpoint, supply = _supplied(name, version, request)
    for warning in supply.warnings:
        print(f"gfpup: {warning}", file=sys.stderr)
    supply.said()
    record = _export(name, checkpoint, supply, request=request, output=output)
    found = record["difference"]
    if request.json:
        print(json.dumps(record, indent=1))
    else:
        said = f"largest difference {found['largest']:.2g} of {found['tolerance']:g} allowed, {found['levels']} of 255 levels"
        print(f"{output}: {said}; {'kept' if record['kept'] else 'not kept'}")
    if not record["kept"]:
        print(f"gfpup: the graph differs from the network by more than rounding, so {output} was not written.", file=sys.stderr)
    return 0 if record["kept"] else 1


def _version(name: str, asked: str | None) -> str:
    from gfpup.models import backends

    facts = backends.facts(name)
    version = (asked or facts.default_version).lower().removeprefix("v")
    if version not in facts.versions:
        known = ", ".join(filter(None, facts.versions)) or "its only one: leave out --version"
        raise GfpupError(f"there is no version {version!r} of {name}; choose one of {known}.")
    return version


def _supplied(name: str, version: str, request: argparse.Namespace) -> tuple[Checkpoint, Supply]:
    """The weights as a run gets them: by consent, verified or downloaded, or the user's own file."""
    from gfpup.models import backends
    from gfpup.weights import catalogue
    from gfpup.weights.resolver import Supply, open_store

    store = open_store(
        request.weights_dir,
        accept=request.accept_licence,
        offline=request.no_download,
        trust_first_download=request.trust_first_download,
    )
    supply = Supply(store, accepted=request.accept_licence)
    checkpoint = catalogue.find(backends.facts(name).versions[version])
    if request.model_path is not None:
        supply.consent(checkpoint)  # what is trained on from published weights comes under their licence
        supply.warnings.append(f"{request.model_path.name} is unverified: nothing says that it holds {checkpoint.name}.")
    supply.take("backend", checkpoint.name, request.model_path)
    return checkpoint, supply


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser("gfpup export")
    parser.add_argument("--backend", required=True)
    parser.add_argument("--format", required=True, choices=tuple(ENGINE_OF))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--overwrite", action="store_true")
    parser.add_argument("--version")
    parser.add_argument("--fidelity", type=float)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--model-path", type=Path)
    parser.add_argument("--weights-dir", type=Path)
    parser.add_argument("--no-download", action="store_true")
    parser.add_argument("--accept-licence", action="append", default=[])
    parser.add_argument("--trust-first-download", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(list(words))
