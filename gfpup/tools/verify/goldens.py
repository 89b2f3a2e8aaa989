"""A parity folder: what the official implementations computed from weights that every machine can make.

`NET.json` names the tensors of a network, `NET.npz` has an input and the outputs. Both are read as data; the Python file beside
them is not run: `fill` implements its description.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gfpup.core.errors import GfpupError
from gfpup.core.types import Float64, UInt8

Array = npt.NDArray[Any]

SIDE = 512
CACHED = 2**15
"""Numbers made at a time, so that they stay in the processor's cache: three times as fast."""
MOST_THREADS = 8
EMPTY: Mapping[str, Any] = MappingProxyType({})


@cache
def face_crop() -> UInt8:
    """A face that comes with scikit-image, (512, 512, 3) uint8 RGB; without that package a smooth pattern."""
    import cv2

    # The file is read without importing the package, which imports SciPy: that would count in the memory of a measurement.
    package = find_spec("skimage")
    if package is None or not package.submodule_search_locations:  # a machine that only measures speed may lack it
        coarse = ((uniform(0, 16 * 16 * 3) + 1) * 127.5).reshape(16, 16, 3).astype(np.uint8)
        return np.asarray(cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)
    portrait = cv2.imread(str(Path(package.submodule_search_locations[0], "data", "astronaut.png")))
    assert portrait is not None
    return np.asarray(cv2.resize(portrait[:256, 96:352, ::-1], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)


@dataclass(frozen=True, eq=False)
class Golden:
    """One network's official results: `facts` the JSON, `arrays` the outputs, strided as the facts say, and the input."""

    network: str
    facts: Mapping[str, Any]
    arrays: Mapping[str, Array]

    @property
    def rgb(self) -> UInt8:
        """The input, (512, 512, 3) uint8 RGB."""
        return np.asarray(self.arrays["input_rgb_uint8"], np.uint8)

    @property
    def parameters(self) -> int:
        """The official count of parameters, of all parts."""
        count = self.facts["parameters"]
        return sum(count.values()) if isinstance(count, Mapping) else int(count)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The official state dict: name to shape."""
        return {name: tuple(shape) for name, shape in self.facts["tensors"].items()}

    def state(self, initial: Mapping[str, torch.Tensor] = EMPTY) -> dict[str, torch.Tensor]:
        """The official state dict, filled with this golden's salt and gain.

        Entries that it names as kept have their `initial` values, and those that it names as zeroed are zero.
        """
        kept = {name: initial[name].clone() for name in self.facts.get("kept_names", ())}
        shapes = {name: shape for name, shape in self.shapes.items() if name not in kept}
        made = filled(shapes, salt=self.facts["salt"], gain=self.facts["gain"]) | kept
        for name in self.facts.get("zeroed", ()):
            made[name].zero_()
        return {name: made[name] for name in self.shapes}

    def file_content(self, state: dict[str, torch.Tensor]) -> dict[str, Any]:
        """A filled `state` dict arranged as the official checkpoint arranges it."""
        if self.facts["checkpoint_key"] is None:  # one flat state dict
            return state
        key, _, remark = str(self.facts["checkpoint_key"]).partition(" ")
        if key == "(top":  # "(top level; keys carry module.)"
            return {f"module.{name}": tensor for name, tensor in state.items()} if "module." in remark else state
        if "vqvae." in remark:
            state = {f"vqvae.{name}": tensor for name, tensor in state.items()}
        if "'model.'" in remark:
            state = {f"model.{name}": tensor for name, tensor in state.items()}
        return {key: state}

    def difference(self, key: str, output: torch.Tensor) -> float:
        """The `difference` of a whole output from the golden `key`; infinite if its shape differs."""
        facts = self.facts["outputs"][key]
        if list(output.shape) != list(facts["shape"]):
            return math.inf
        stride = int(facts["stride"])
        return difference(output[..., ::stride, ::stride] if output.ndim == 4 else output[:, ::stride], self.arrays[key])

    def first_other_group(self, found: Mapping[str, tuple[int, ...]]) -> str | None:
        """The first layer group (a key without its last part) whose names or shapes differ in `found`, in words; or None."""
        expected = self.shapes
        for name in (*expected, *(name for name in found if name not in expected)):
            if expected.get(name) != found.get(name):
                group, both = _group(name), (found, expected)
                here, there = ({key: its[key] for key in its if _group(key) == group} or "nothing" for its in both)
                return f"the first layer group that differs is {group!r}: {here} here, {there} in the official network"
        return None


def load_golden(folder: Path, network: str) -> Golden | None:
    """Read the golden `network` of a parity folder; None if the folder has none.

    Raises: GfpupError: the folder does not exist, or its files are damaged.
    """
    if not folder.is_dir():
        raise GfpupError(f"there is no parity folder at {folder}: give the folder with NET.json and NET.npz.")
    texts, pictures = folder / f"{network}.json", folder / f"{network}.npz"
    if not texts.is_file() or not pictures.is_file():
        return None
    try:
        facts = json.loads(texts.read_text(encoding="utf-8"))
        if not isinstance(facts, dict):
            raise ValueError("no JSON object")
        with np.load(pictures, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
        wanted = {"tensors", "salt", "gain", "outputs", "checkpoint_key", "parameters"} - set(facts)
        wanted |= {"input_rgb_uint8", *facts.get("outputs", ())} - set(arrays)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise GfpupError(f"the golden {network} in {folder} is damaged ({error}): copy its .json and .npz again.") from error
    if wanted:
        lacks = ", ".join(sorted(wanted))
        raise GfpupError(f"the golden {network} in {folder} does not have {lacks}: copy its .json and .npz again.")
    return Golden(network, facts, arrays)


def difference(mine: torch.Tensor | Array, golden: torch.Tensor | Array) -> float:
    """The largest |mine - golden| / (std + |golden|), std being the golden's, in float64; infinite for NaN or another shape.

    Source: the parity folder's README.
    """
    a, b = (np.asarray(v.detach().double().cpu() if isinstance(v, torch.Tensor) else v, np.float64) for v in (mine, golden))
    if a.shape != b.shape or not np.isfinite(a).all():
        return math.inf
    return float(np.max(np.abs(a - b) / (b.std() + np.abs(b))))


def filled(shapes: Mapping[str, tuple[int, ...]], *, salt: int, gain: Mapping[str, float]) -> dict[str, torch.Tensor]:
    """A whole state dict made by `fill`, but for StyleGAN2's blur kernels, which are the same in every checkpoint."""

    def made(name: str, shape: tuple[int, ...]) -> torch.Tensor:
        return blur_kernel(name) if name.endswith(".kernel") else torch.from_numpy(fill(name, shape, salt=salt, gain=gain))

    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as threads:  # NumPy computes outside Python's lock
        return dict(zip(shapes, threads.map(made, shapes.keys(), shapes.values()), strict=True))


def blur_kernel(name: str) -> torch.Tensor:
    """The (4, 4) kernel of entry `name`: 1 3 3 1 in both directions, times 4 where it follows an upsampling.

    Source: StyleGAN2's official code; the parity folder's README.
    """
    taps = torch.tensor((1.0, 3.0, 3.0, 1.0))
    return torch.outer(taps, taps) / (16 if name.endswith((".blur.kernel", ".upsample.kernel")) else 64)


def fill(name: str, shape: tuple[int, ...], *, salt: int = 0, gain: Mapping[str, float] | None = None) -> Array:
    """The deterministic tensor of state-dict entry `name`: float32, or int64 zeros for a batch norm's counter.

    Uniform numbers, scaled so that activations keep about unit variance through the layer that the name and the shape indicate.
    `salt` selects another set; `gain` maps a prefix of names to a factor for the weights below it.

    Source: deterministic_weights.py of the parity folder, bit for bit.
    """
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    u = uniform(zlib.crc32(name.encode()) + (salt << 33), math.prod(shape)).reshape(shape)
    values = (_spread(name, shape) * u + _centre(name, shape)).astype(np.float32)
    if name.endswith("weight"):
        for prefix, factor in (gain or {}).items():
            if name.startswith(prefix):
                values = (values * np.float32(factor)).astype(np.float32)
    return values


def uniform(seed: int, count: int) -> Float64:
    """`count` numbers in [-1, 1), by splitmix64 over seed and index.

    Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014), for the constants.
    """
    numbers = np.empty(count, np.float64)
    for start in range(0, count, CACHED):
        stop = min(start + CACHED, count)
        with np.errstate(over="ignore"):
            z = np.arange(start + 1, stop + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            z += np.uint64(seed) * np.uint64(0xD1B54A32D192ED03)
            for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
                z ^= z >> np.uint64(shift)
                z *= np.uint64(factor)
            z ^= z >> np.uint64(31)
        # 53 bits are what a float64 holds.
        np.multiply(z >> np.uint64(11), 2.0**-52, out=numbers[start:stop])
    numbers -= 1.0
    return numbers


def _spread(name: str, shape: tuple[int, ...]) -> float:
    if name.endswith("running_var"):
        return 0.25
    if name.endswith("running_mean"):
        return 0.1
    if ".noises." in name or name.startswith("noises.") or ("constant_input" in name and len(shape) == 4):
        return math.sqrt(3.0)
    if len(shape) >= 2:  # StyleGAN2's modulated weights have a leading 1
        return math.sqrt(3.0 / math.prod(shape[2:] if len(shape) == 5 else shape[1:]))
    return 0.1 if name.endswith("weight") else 0.05


def _centre(name: str, shape: tuple[int, ...]) -> float:
    scale = name.endswith("weight") and len(shape) < 2 and math.prod(shape) > 1  # of a normalisation
    return 1.0 if name.endswith("running_var") or scale else 0.0


def _group(name: str) -> str:
    return name.rpartition(".")[0] or name
