"""One forward of a method over aligned faces: gfpup's own, the same network without its rewrites, or the official one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gfpup import backends
from gfpup.bench.photo import face_crop
from gfpup.bench.request import Side, architecture
from gfpup.errors import GfpupError
from gfpup.nets.loading import load_network
from gfpup.types import Backend, BackendSpec
from gfpup.verify.networks import NETWORKS

Outcome = tuple[torch.Tensor, Mapping[str, float]]
"""What came out, (n, 3, h, w) in about [0, 1] or (h, w, 3) uint8, and the seconds of its stages."""

FIDELITY = 0.5
"""CodeFormer's, on either side. Source: the official inference script."""


def faces(side: Side) -> torch.Tensor:
    """The aligned faces that `side` restores: (batch, 3, 512, 512) float32 in [0, 1] on its device, no two alike."""
    rgb = face_crop()
    rows = np.stack([np.roll(rgb, 8 * i, axis=1) for i in range(side.batch)])
    return torch.from_numpy(rows).to(side.device).permute(0, 3, 1, 2).float().div(255).contiguous()


def forward_of(side: Side) -> Callable[[], Outcome]:
    """Load `side` and return what runs it once.

    Raises:
        GfpupError: it cannot be loaded as asked for.
    """
    x = faces(side)
    backend: Backend = _official(side) if side.name == "upstream" else backend_of(side)
    return lambda: (backend.restore(x), {})


def backend_of(side: Side) -> Backend:
    """The method as gfpup runs it, or, for the side "plain", its network alone."""
    if side.name == "plain":
        name = _architecture(side)
        return PlainBackend(plain_network(name, Path(side.checkpoints["backend"]), device=side.device))
    spec = BackendSpec(
        side.backend,
        checkpoints={role: Path(path) for role, path in side.checkpoints.items() if role == "backend"},
        device=side.device,
        dtype=side.dtype,
        engine=side.engine,
    )
    return backends.load(spec)


class PlainBackend:
    """A network of gfpup's in its plain form, fed as the official scripts feed theirs."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._options = {"fidelity": FIDELITY} if type(network).__name__ == "CodeFormer" else {}

    @torch.no_grad()  # as the official scripts, which know no inference mode
    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        """Restore (n, 3, 512, 512) float32 RGB in [0, 1] to the same."""
        out: torch.Tensor = self._network(crops * 2 - 1, **self._options)
        return (out + 1) / 2


def plain_network(name: str, path: Path, *, device: str) -> nn.Module:
    """The network `name` of `NETWORKS` without its rewrites and in torch's own memory layout, from the checkpoint at `path`."""
    return load_network(NETWORKS[name].built, path, name=name, device=device, plain=True)


class _OfficialBackend:
    def __init__(self, network: nn.Module, read: Callable[[Any, torch.Tensor], Mapping[str, torch.Tensor]]) -> None:
        self._network, self._read = network, read

    @torch.no_grad()
    def restore(self, crops: torch.Tensor) -> torch.Tensor:
        return (self._read(self._network, crops * 2 - 1)["output"] + 1) / 2


def _official(side: Side) -> Backend:
    """The official network, with the noise that is stored in the checkpoint: no other makes the same picture twice."""
    from gfpup.backends.upstream_imports import restoration_network
    from gfpup.verify.independent import OFFICIAL

    network = restoration_network(Path(side.checkpoints["backend"]), device=side.device)
    return _OfficialBackend(network, OFFICIAL[_architecture(side)].read)


def _architecture(side: Side) -> str:
    name = architecture(side.backend)
    if name is None:
        raise GfpupError(f"backend {side.backend!r} has no network of its own; measure it without --against.")
    return name
