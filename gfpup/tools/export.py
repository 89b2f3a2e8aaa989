"""Write a method's network as a graph for other programs, and keep it only if it computes what the network computes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gfpup.core.errors import OutputError
from gfpup.core.types import CROP_PX
from gfpup.core.versions import __version__

if TYPE_CHECKING:
    import torch

    from gfpup.weights.catalogue import Checkpoint
    from gfpup.weights.resolver import Resolver

ENGINE_OF = {"onnx": "onnxruntime", "openvino": "openvino"}
SUFFIX_OF = {"onnx": ".onnx", "openvino": ".xml"}
EXPORTABLE = ("gfpgan", "codeformer", "restoreformer", "restoreformerpp", "gpen", "elir")
BY_STEPS = ("pmrf",)
SIDE_PX = CROP_PX
"""The side of a face, for a network that does not say its own."""

FIDELITIES = (0.3, 0.8)
"""What a graph that takes a fidelity is checked at: neither is a default."""


@dataclass(frozen=True, eq=False)
class _Subject:
    """What is exported: `compute` takes the graph's inputs, named `names`; `probes` are two sets of them."""

    compute: Any
    names: tuple[str, ...]
    probes: tuple[tuple[torch.Tensor, ...], ...]
    tolerance: float


def export(
    name: str, checkpoint: Checkpoint, resolver: Resolver, *, form: str, output: Path, fidelity: float | None, published: bool
) -> dict[str, Any]:
    """Write the network of backend `name` to `output` in the format `form`, check it, and keep it if it is right.

    The weights are `resolver`'s for the role "backend", under the licence of `checkpoint`, and its file if `published`.
    `fidelity` fixes CodeFormer's; None leaves it an input. Returns the record, which is also written beside the graph.

    Raises: OutputError: the output cannot be written.
    """
    import torch

    from gfpup.models.engines import graphs

    onnx, openvino = (graphs.write_onnx, graphs.load_onnx), (graphs.write_openvino, graphs.load_openvino)
    write, load = onnx if form == "onnx" else openvino
    subject = _subject(checkpoint.architecture, resolver.paths["backend"], fidelity=fidelity)
    try:
        with tempfile.TemporaryDirectory(dir=output.absolute().parent, prefix=f".{output.name}.") as folder:
            fresh = Path(folder) / output.name
            write(subject.compute, subject.probes[0], fresh, names=(subject.names, ("restored",)))
            with torch.inference_mode():
                largest, levels = _compare(load(fresh), subject)
            found = {"largest": largest, "tolerance": subject.tolerance, "levels": levels, "pictures": 2}
            what = {"file": output.name, "format": form, "backend": name, "fidelity": fidelity}
            kept = largest <= subject.tolerance and levels <= 1
            made_from = _facts(checkpoint, resolver, subject, form, published=published)
            record = {"kept": kept, "difference": found, **what, **made_from}
            if kept:
                fresh.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
                # The graph comes last: if it is there, its weights and its record are too.
                for part in sorted(Path(folder).iterdir(), key=lambda path: path == fresh):
                    part.replace(output.absolute().parent / part.name)
    except OSError as error:
        raise OutputError(f"{output} cannot be written ({error.strerror or error}): choose another --output.") from error
    return record


def _subject(name: str, path: Path, *, fidelity: float | None) -> _Subject:
    import torch

    from gfpup.models.backends import codeformer, elir, gfpgan
    from gfpup.models.backends.network import Whole
    from gfpup.models.nets.loading import load_network
    from gfpup.models.networks import NETWORKS

    facts = NETWORKS[name]
    network = load_network(facts.make, path, name=name)
    side_px = getattr(network, "size", SIDE_PX)
    faces = [_picture(seed, side_px) for seed in (1, 2)]
    tolerance = facts.tolerance.reordered
    if name == "codeformer":
        dials = [torch.tensor(w if fidelity is None else codeformer.checked_fidelity(fidelity)) for w in FIDELITIES]
        module: Any = Whole(network, ("fidelity",))
        if fidelity is None:
            return _Subject(module, ("face", "fidelity"), tuple(zip(faces, dials, strict=True)), tolerance)
        module = _fixed(module, dials[0])
    else:
        wrap: dict[str, Callable[[Any], Any]] = {"gfpgan": gfpgan.Flat, "elir": elir.ELIR.signed}
        module = wrap[name](network) if name in wrap else network
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


def _picture(seed: int, side_px: int) -> torch.Tensor:
    """Noise with a picture's spectrum, the same at every call: (1, 3, side, side) in [-1, 1]."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    picture = torch.zeros(1, 3, side_px, side_px)
    for side in (4, 16, 64, 256):
        noise = torch.randn(1, 3, side, side, generator=generator) * (2.0 / side) ** 0.5
        picture += torch.nn.functional.interpolate(noise, size=side_px, mode="bilinear", align_corners=False)
    return picture.clamp(-1, 1).contiguous()


def _compare(graph: Callable[..., tuple[torch.Tensor, ...]], subject: _Subject) -> tuple[float, int]:
    """The largest difference over the probes, as `gfpup verify` measures it, and in levels of 255."""
    from gfpup.tools.verify.goldens import difference

    largest, levels = 0.0, 0
    for probe in subject.probes:
        expected, found = subject.compute(*probe), graph(*probe)[0]
        largest = max(largest, difference(found, expected))
        mine, theirs = (((picture.double() + 1) * 127.5).clamp(0, 255).round() for picture in (found, expected))
        off = (mine - theirs).abs().max()
        levels = max(levels, int(off)) if off == off else 255
    return largest, levels


def _facts(checkpoint: Checkpoint, resolver: Resolver, subject: _Subject, form: str, *, published: bool) -> dict[str, Any]:
    """What the graph was made from, its licence, and its inputs."""
    from gfpup.models import engines

    file = {"file": resolver.paths["backend"].name, "sha256": resolver.digests["backend"]}
    return {
        "checkpoint": {**file, "published_as": checkpoint.name if published else None},
        "licence": {"id": checkpoint.licence_id, "name": checkpoint.licence, "commercial_use": checkpoint.commercial_use},
        "consent": dict(resolver.consents),
        "inputs": {name: list(probe.shape) for name, probe in zip(subject.names, subject.probes[0], strict=True)},
        "range": [-1, 1],
        "colour": "RGB",
        "precision": "float32",
        "advice": "set INFERENCE_PRECISION_HINT to f32" if form == "openvino" else None,
        "versions": {"gfpup": __version__, **{p: version_of(p) for p in ("torch", *engines.of(ENGINE_OF[form]).packages)}},
    }
