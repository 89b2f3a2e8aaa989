"""`gfpup export`: write a method's network as a graph for other programs, checked against the network before it is kept."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gfpup.cli.parser import Parser
from gfpup.errors import GfpupError, OutputError

if TYPE_CHECKING:
    import torch

    from gfpup.supply import Supply
    from gfpup.weights.catalogue import Checkpoint

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

ENGINE_OF = {"onnx": "onnxruntime", "openvino": "openvino"}
SUFFIX_OF = {"onnx": ".onnx", "openvino": ".xml"}
EXPORTABLE = ("gfpgan", "codeformer", "restoreformer", "restoreformerpp")
SIDE_PX = 512

FIDELITIES = (0.3, 0.8)
"""What a graph that takes a fidelity is checked at: neither is a default."""


def run(words: Sequence[str]) -> int:
    """`gfpup export`: returns 0 where the graph was kept, 1 where it differs too much."""
    if not words or {"-h", "--help"} & set(words):
        print(HELP, end="")
        return 0
    request = _parse(words)
    from gfpup import backends, engines

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


@dataclass(frozen=True, eq=False)
class _Subject:
    """What is exported: `compute` takes the graph's inputs, which are called `names`; `probes` are two sets of them."""

    module: Any
    names: tuple[str, ...]
    probes: tuple[tuple[torch.Tensor, ...], ...]
    tolerance: float


def _export(name: str, checkpoint: Checkpoint, supply: Supply, *, request: argparse.Namespace, output: Path) -> dict[str, Any]:
    """Write, check and, where it is right, keep; returns the record."""
    import torch

    from gfpup.engines import graphs

    subject = _subject(name, supply.paths["backend"], fidelity=request.fidelity)
    names = (subject.names, ("restored",))
    write, load = {
        "onnx": (graphs.write_onnx, graphs.load_onnx),
        "openvino": (graphs.write_openvino, graphs.load_openvino),
    }[request.format]
    try:
        with tempfile.TemporaryDirectory(dir=output.absolute().parent, prefix=f".{output.name}.") as folder:
            fresh = Path(folder) / output.name
            write(subject.module, subject.probes[0], fresh, names=names)
            with torch.inference_mode():
                largest, levels = _compare(load(fresh), subject)
            record = {
                "kept": largest <= subject.tolerance and levels <= 1,
                "file": output.name,
                "format": request.format,
                "backend": name,
                "difference": {"largest": largest, "tolerance": subject.tolerance, "levels": levels, "pictures": 2},
                **_facts(checkpoint, supply, subject, request=request),
            }
            if record["kept"]:
                fresh.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
                # The graph comes last: where it is, its weights and its record are too.
                for part in sorted(Path(folder).iterdir(), key=lambda path: path == fresh):
                    part.replace(output.absolute().parent / part.name)
    except OSError as error:
        raise OutputError(f"{output} cannot be written ({error.strerror or error}): choose another --output.") from error
    return record


def _subject(name: str, path: Path, *, fidelity: float | None) -> _Subject:
    import torch

    from gfpup.backends import codeformer, gfpgan
    from gfpup.nets.loading import load_network
    from gfpup.verify.networks import NETWORKS

    facts = NETWORKS[name]
    network = load_network(facts.make, path, name=name)
    faces = [_picture(seed) for seed in (1, 2)]
    tolerance = facts.tolerance.reordered
    if name == "codeformer":
        dials = [torch.tensor(w if fidelity is None else codeformer.checked_fidelity(fidelity)) for w in FIDELITIES]
        whole = codeformer.Whole(network)  # type: ignore[arg-type]
        if fidelity is None:
            return _Subject(whole, ("face", "fidelity"), tuple(zip(faces, dials, strict=True)), tolerance)
        return _Subject(_fixed(whole, dials[0]), ("face",), tuple((face,) for face in faces), tolerance)
    module = gfpgan.Flat(network) if name == "gfpgan" else network  # type: ignore[arg-type]
    return _Subject(module, ("face",), tuple((face,) for face in faces), tolerance)


def _fixed(module: Any, dial: torch.Tensor) -> Any:
    from torch import nn

    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module
            self.register_buffer("dial", dial)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            restored: torch.Tensor = self.module(x, self.dial)
            return restored

    return Fixed().eval()


def _picture(seed: int) -> torch.Tensor:
    """Something with a picture's spectrum, the same at every call: (1, 3, 512, 512) in [-1, 1]."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    picture = torch.zeros(1, 3, SIDE_PX, SIDE_PX)
    for side in (4, 16, 64, 256):
        noise = torch.randn(1, 3, side, side, generator=generator) * (2.0 / side) ** 0.5
        picture += torch.nn.functional.interpolate(noise, size=SIDE_PX, mode="bilinear", align_corners=False)
    return picture.clamp(-1, 1).contiguous()


def _compare(graph: Callable[..., tuple[torch.Tensor, ...]], subject: _Subject) -> tuple[float, int]:
    """The largest difference over the probes, as `gfpup verify` measures it, and in levels of 255."""
    from gfpup.verify.goldens import difference

    largest, levels = 0.0, 0
    for probe in subject.probes:
        expected, found = subject.module(*probe), graph(*probe)[0]
        largest = max(largest, difference(found, expected))
        off = (_levels(found) - _levels(expected)).abs().max()
        levels = max(levels, int(off)) if off == off else 255
    return largest, levels


def _levels(picture: torch.Tensor) -> torch.Tensor:
    return ((picture.double() + 1) * 127.5).clamp(0, 255).round()


def _facts(checkpoint: Checkpoint, supply: Supply, subject: _Subject, *, request: argparse.Namespace) -> dict[str, Any]:
    """What it was made of, under which licence it comes, and how it is fed."""
    from gfpup import __version__, engines

    packages = ("torch", *engines.of(ENGINE_OF[request.format]).packages)
    return {
        "checkpoint": {
            "file": supply.paths["backend"].name,
            "sha256": supply.digests["backend"],
            "published_as": None if request.model_path else checkpoint.name,
        },
        "licence": {"id": checkpoint.licence_id, "name": checkpoint.licence, "commercial_use": checkpoint.commercial_use},
        "consent": dict(supply.consents),
        "inputs": {name: list(probe.shape) for name, probe in zip(subject.names, subject.probes[0], strict=True)},
        "range": [-1, 1],
        "colour": "RGB",
        "fidelity": request.fidelity,
        "precision": "float32",
        "advice": "set INFERENCE_PRECISION_HINT to f32" if request.format == "openvino" else None,
        "versions": {"gfpup": __version__, **{name: version_of(name) for name in packages}},
    }


def _version(name: str, asked: str | None) -> str:
    from gfpup import backends

    facts = backends.facts(name)
    version = (asked or facts.default_version).lower().removeprefix("v")
    if version not in facts.versions:
        known = ", ".join(filter(None, facts.versions)) or "its only one: leave out --version"
        raise GfpupError(f"there is no version {version!r} of {name}; choose one of {known}.")
    return version


def _supplied(name: str, version: str, request: argparse.Namespace) -> tuple[Checkpoint, Supply]:
    """The weights as a run gets them: by consent, verified or downloaded, or the user's own file."""
    from gfpup import backends
    from gfpup.supply import Supply, open_store
    from gfpup.weights import catalogue

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
