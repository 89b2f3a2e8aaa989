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
from gfpup.tools import export as tool

if TYPE_CHECKING:
    from gfpup.weights.catalogue import Checkpoint
    from gfpup.weights.resolver import Resolver

PARSER = Parser(
    "gfpup export",
    text="""\
usage: gfpup export --backend NAME --format onnx|openvino [flags]

Write a method's network as one graph that ONNX Runtime or OpenVINO computes without gfpup.

The graph is loaded again and compared with the network on two pictures; it is kept only if rounding explains the difference.
Its input is one aligned face, "face": float32 (1, 3, 512, 512) RGB in [-1, 1], of 1024 px for GPEN 1024; its output is
"restored", the same. CodeFormer's also takes the fidelity, a scalar, unless --fidelity fixes it. A .json beside it says what it
was made from; its licence is that of the weights.

{flags}

Exit status: 0 kept, 1 the graph differs and was not kept, 2 not possible.

  gfpup export --backend gfpgan --format onnx
  gfpup export --backend codeformer --format openvino --output codeformer.xml --accept-licence s-lab-1.0
  gfpup export --backend gfpgan --version 1.3 --format onnx --json
""",
)
_PRECISION = "the numbers in the graph (default and only one; a runtime can lower the precision itself)"
PARSER.add("--backend NAME", ", ".join(tool.EXPORTABLE), required=True)
PARSER.add("--format FORMAT", "onnx, or openvino (an .xml and a .bin)", required=True, choices=tuple(tool.ENGINE_OF))
PARSER.add("--output FILE", "write here (default: METHOD-VERSION.onnx or .xml in the current folder)", type=Path)
PARSER.add("--overwrite", "replace an existing file")
PARSER.add("--version V", "the published version (default: the method's)")
PARSER.number("--fidelity W", "fix CodeFormer's fidelity, 0 to 1", 0, 1, whole=False)
PARSER.add("--precision fp32", _PRECISION, choices=("fp32", "bf16"), default="fp32")
PARSER.add("--model-path FILE", "export this checkpoint instead of the published one", type=Path)
PARSER.weights()
PARSER.add("--no-download", "never download")
PARSER.add("--json", "print the record as JSON")
HELP = PARSER.help_text


def run(words: Sequence[str]) -> int:
    """`gfpup export`: returns 0 if the graph was kept, 1 if it differs too much."""
    request = PARSER.read(words)
    name, version, output = _checked(request)
    checkpoint, resolver = _supplied(name, version, request)
    for warning in resolver.warnings:
        print(f"gfpup: {warning}", file=sys.stderr)
    resolver.mark_warnings_shown()
    given = {"form": request.format, "fidelity": request.fidelity, "published": request.model_path is None}
    record = tool.export(name, checkpoint, resolver, output=output, **given)
    found, kept = record["difference"], record["kept"]
    if request.json:
        print(json.dumps(record, indent=1))
    else:
        text = f"largest difference {found['largest']:.2g} of {found['tolerance']:g} allowed, {found['levels']} of 255 levels"
        print(f"{output}: {text}; {'kept' if kept else 'not kept'}")
    if not kept:
        print(f"gfpup: the graph differs from the network by more than rounding, so {output} was not written.", file=sys.stderr)
    return 0 if kept else 1


def _checked(request: argparse.Namespace) -> tuple[str, str, Path]:
    """The backend's canonical name, the version, and the file to write."""
    from gfpup.models import backends, engines

    name, form = backends.canonical(request.backend), request.format
    if name in tool.BY_STEPS:
        raise GfpupError(f"backend {name!r} is not exported, as its network is run once for each step of its flow.")
    if name not in tool.EXPORTABLE:
        raise GfpupError(f"backend {name!r} has no network to export: choose one of {', '.join(tool.EXPORTABLE)}.")
    if request.precision != "fp32":
        remedy = "leave it out, and ask the runtime for bfloat16 (OpenVINO: INFERENCE_PRECISION_HINT)."
        raise GfpupError(f"invalid value {request.precision!r} for --precision: an exported graph holds float32; {remedy}")
    if request.fidelity is not None and name != "codeformer":
        raise GfpupError(f"backend {name!r} has no fidelity: leave out --fidelity.")
    facts = backends.facts(name)
    version = (request.version or facts.default_version).lower().removeprefix("v")
    if version not in facts.versions:
        known = ", ".join(filter(None, facts.versions)) or "its only one: leave out --version"
        raise GfpupError(f"there is no version {version!r} of {name}: choose one of {known}.")
    reason = engines.available(tool.ENGINE_OF[form])
    if reason is not None:
        raise GfpupError(f"--format {form} is not available, because {reason}.")
    suffix = tool.SUFFIX_OF[form]
    output = request.output or Path(f"{'-'.join(filter(None, (name, version)))}{suffix}")
    if output.suffix != suffix:
        raise GfpupError(f"invalid value {str(output)!r} for --output: a file of format {form} ends in {suffix}.")
    if output.exists() and not request.overwrite:
        raise GfpupError(f"{output} already exists: give another --output, or add --overwrite.")
    return name, version, output


def _supplied(name: str, version: str, request: argparse.Namespace) -> tuple[Checkpoint, Resolver]:
    """The weights as a run gets them: with consent, verified or downloaded, or the user's own file."""
    from gfpup.models import backends
    from gfpup.weights import catalogue
    from gfpup.weights.resolver import Resolver, open_store

    accept, trust = request.accept_licence, request.trust_first_download
    store = open_store(request.weights_dir, accept=accept, offline=request.no_download, trust_first_download=trust)
    resolver = Resolver(store, accepted=accept)
    checkpoint = catalogue.find(backends.facts(name).versions[version])
    if request.model_path is not None:
        resolver.consent(checkpoint)  # weights trained further from published ones are under their licence
        resolver.warnings.append(f"{request.model_path.name} is unverified: nothing says that it holds {checkpoint.name}.")
    resolver.use("backend", checkpoint.name, request.model_path)
    return checkpoint, resolver
