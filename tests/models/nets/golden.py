"""Fill a network with the shared weights and hold it to the official outputs (`shared/parity`, see its README).

Not a test file: pytest puts this folder on the path, so a test beside it says `from golden import Golden, difference`.
"""

from __future__ import annotations

import importlib.util
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from session import session_files
from torch import nn

from gfpup.models.nets import swinir


def difference(mine: Any, golden: Any) -> float:
    """The largest |mine - golden| / (std + |golden|) in float64, std being that of the golden; NaN counts as infinite."""
    a, b = _float64(mine), _float64(golden)
    if a.shape != b.shape:
        raise AssertionError(f"shape {a.shape} where the golden has {b.shape}")
    if not np.isfinite(a).all():
        return float("inf")
    return float(np.max(np.abs(a - b) / (b.std() + np.abs(b))))


def _float64(values: Any) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().to("cpu", torch.float64).numpy()
    return np.asarray(values, np.float64)


LARGE = 20_000_000
"""Values from which a network's random weights are drawn once a session: that takes seconds."""


def fill_randomly(network: nn.Module, *, seed: int = 0) -> nn.Module:
    """Fill `network` with random weights that keep activations near unit variance, without the shared folder; in eval mode."""
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    if sum(shape.numel() for shape in shapes.values()) < LARGE:
        state = _random_state(shapes, seed)
    else:
        key = zlib.crc32(repr(shapes).encode())
        state = session_files.tensors(f"{type(network).__name__}-{key:08x}-{seed}", lambda: _random_state(shapes, seed))
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval()


def _random_state(shapes: dict[str, torch.Size], seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator, device="cpu")
        if name.endswith("num_batches_tracked"):
            state[name] = torch.zeros((), dtype=torch.int64)
        elif name.endswith("relative_position_index"):
            state[name] = swinir.relative_positions()
        elif name.endswith(("running_var", ".scale")) or (name.endswith("weight") and len(shape) == 1):
            state[name] = 1.0 + 0.1 * values.tanh()
        elif name.endswith("weight") and len(shape) > 1:
            state[name] = values / values[0].numel() ** 0.5
        elif ".noises." in name:
            state[name] = values
        else:
            state[name] = 0.1 * values
    return state


def load_fill(shared: Path) -> Callable[..., np.ndarray]:
    """`fill` of the shared deterministic_weights.py, which is no package and so is loaded by path."""
    spec = importlib.util.spec_from_file_location("deterministic_weights", shared / "parity" / "deterministic_weights.py")
    assert spec is not None and spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.fill


@dataclass(frozen=True)
class Golden:
    """One NET.json and its NET.npz: `facts` the JSON, `arrays` the outputs and the input (512, 512, 3) uint8 RGB."""

    name: str
    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]
    fill: Callable[..., np.ndarray]

    @classmethod
    def load(cls, shared: Path, name: str) -> Golden:
        folder = shared / "parity"
        with np.load(folder / f"{name}.npz") as stored:
            arrays = {key: stored[key] for key in stored.files}
        return cls(name, json.loads((folder / f"{name}.json").read_text()), arrays, load_fill(shared))

    @property
    def rgb8(self) -> np.ndarray:
        return self.arrays["input_rgb_uint8"]

    def rgb(self, *, low: float = -1.0) -> torch.Tensor:
        """The input as (1, 3, 512, 512) float32, scaled to [low, 1]: `low` is -1 or 0."""
        unit = torch.from_numpy(self.rgb8).permute(2, 0, 1)[None].to(torch.float32) / 255.0
        return unit if low == 0.0 else unit * 2.0 - 1.0

    def state(self) -> dict[str, torch.Tensor]:
        """The official state dict: each of its entries, filled with this golden's salt and gain, once a session."""
        return session_files.tensors(f"golden-{self.name}", self._filled)

    def _filled(self) -> dict[str, torch.Tensor]:
        salt, gain = self.facts["salt"], self.facts["gain"]
        tensors = self.facts["tensors"]
        initial = self._initial()
        state = {
            name: initial.get(name, torch.from_numpy(self.fill(name, tuple(shape), salt=salt, gain=gain)))
            for name, shape in tensors.items()
        }
        blur = torch.outer(torch.tensor([1.0, 3.0, 3.0, 1.0]), torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64
        for name in state:
            if name in self.facts.get("zeroed", ()):
                state[name] = torch.zeros_like(state[name])
            elif name.endswith(".kernel"):
                state[name] = blur * (4 if "upsample" in name or "blur" in name else 1)
        return state

    def _initial(self) -> dict[str, torch.Tensor]:
        """What of PMRF's official state dict kept the values it was built with: from its own modules, which are small."""
        if not (kept := self.facts.get("kept_names")):
            return {}
        mask, index = swinir.shifted_mask(64, 64), swinir.relative_positions()
        made = {name: torch.from_numpy(self.arrays[f"kept:{name}"]) for name in kept if f"kept:{name}" in self.arrays}
        for name in set(kept) - set(made):
            last = name.rpartition(".")[2]
            shape, value = self.facts["tensors"][name], 10.0 if "self_attn" in name else 1.0
            made[name] = {"attn_mask": mask, "relative_position_index": index}.get(last, torch.full(shape, value))
        return made

    def load_into(self, network: nn.Module) -> nn.Module:
        """Check keys and shapes, load the filled state strictly (a network on the meta device too); returns it in eval mode."""
        self.check_keys(network)
        network.load_state_dict(self.state(), strict=True, assign=True)
        return network.eval()

    def check_keys(self, network: nn.Module) -> None:
        """Fail with the first layer group (all but the last part of a key) that differs from the official state dict."""
        expected = {name: tuple(shape) for name, shape in self.facts["tensors"].items()}
        found = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        for name in [*expected, *(name for name in found if name not in expected)]:
            if expected.get(name) != found.get(name):
                group = name.rpartition(".")[0] or name
                mine = {key: shape for key, shape in found.items() if (key.rpartition(".")[0] or key) == group}
                theirs = {key: shape for key, shape in expected.items() if (key.rpartition(".")[0] or key) == group}
                raise AssertionError(f"{self.name}: first group that differs is {group!r}: found {mine}, expected {theirs}")
        count = sum(parameter.numel() for parameter in network.parameters())
        official = self.facts["parameters"]
        official = sum(official.values()) if isinstance(official, dict) else official
        assert count == official, f"{self.name}: {count} parameters, expected {official}"

    def check_output(self, output: torch.Tensor, tolerance: float, *, key: str = "output") -> float:
        """Hold `output` (whole, not strided) to the golden `key`; returns the measured difference."""
        facts = self.facts["outputs"][key]
        assert list(output.shape) == facts["shape"], f"{self.name}.{key}: shape {list(output.shape)}, expected {facts['shape']}"
        stride = facts["stride"]
        strided = output[..., ::stride, ::stride] if output.ndim == 4 else output[:, ::stride]
        measured = difference(strided, self.arrays[key])
        assert measured <= tolerance, f"{self.name}.{key}: difference {measured:.3g} is over {tolerance:.3g}"
        return measured
