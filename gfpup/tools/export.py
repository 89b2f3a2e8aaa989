"""TODO gfpup/tools/export.py."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gfpup.core.errors import OutputError

if TYPE_CHECKING:
    import torch

    from gfpup.weights.catalogue import Checkpoint
    from gfpup.weights.resolver import Supply


ENGINE_OF = {"onnx": "onnxruntime", "openvino": "openvino"}

SUFFIX_OF = {"onnx": ".onnx", "openvino": ".xml"}

EXPORTABLE = ("gfpgan", "codeformer", "restoreformer", "restoreformerpp")

SIDE_PX = 512

FIDELITIES = (0.3, 0.8)
"""What a graph that takes a fidelity is checked at: neither is a default."""


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

    from gfpup.models.engines import graphs

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

    from gfpup.models.backends import codeformer, gfpgan
    from gfpup.models.nets.loading import load_network
    from gfpup.models.networks import NETWORKS

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
    from gfpup.tools.verify.goldens import difference

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
    from gfpup.core.versions import __version__
    from gfpup.models import engines

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
