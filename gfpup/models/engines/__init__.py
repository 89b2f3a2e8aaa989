"""What computes a network: torch as it stands (eager), or a graph that is compiled or exported once and kept on disk.

A graph is made for one network with its weights, one precision, one shape of input and one machine; see `cache`. It differs
from eager by rounding alone, because sums are taken in another order: `difference` says how far, as measured.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gfpup.core.errors import GfpupError
from gfpup.core.registry import unknown

if TYPE_CHECKING:
    import torch
    from torch import nn

Graph = Callable[..., "tuple[torch.Tensor, ...]"]


@dataclass(frozen=True)
class Engine:
    """What is known of an engine before it is loaded.

    `packages` is what it needs installed, under the extra of `remedy`. `lowers` says that the graph holds float32 and the
    engine itself computes it in bfloat16 where that is asked for; the others compute a network as it stands.
    """

    float32: str
    bfloat16: str | None
    packages: tuple[str, ...] = ()
    remedy: str = ""
    devices: tuple[str, ...] = ("cpu",)
    lowers: bool = False


# Differences: the largest of a face, of the four networks with the weights of the parity folder on its photo.
# fmt: off
ENGINES: dict[str, Engine] = {
    "eager": Engine("the reference", "the reference", devices=("cpu", "cuda", "mps")),
    "compile": Engine(
        "within 1 level of 255 (GFPGAN 1e-6 of the deviation)",
        "other roundings than eager bfloat16 (GFPGAN 65 dB from float32, 3 levels)",
        remedy="install a C++ compiler (g++ or clang++) and Python's headers (python3-dev)", devices=("cpu", "cuda"),
    ),
    "cudagraphs": Engine(
        "within 1 level of 255 expected, as the kernels are eager's; no GPU was measured",
        "as eager's bfloat16 within 1 level of 255 expected; no GPU was measured", devices=("cuda",),
    ),
    "openvino": Engine(
        "within 1 level of 255, no code changed (GFPGAN 1e-6 of the deviation, RestoreFormer++ 8e-5, CodeFormer 9e-4)",
        "other roundings than eager bfloat16 (GFPGAN 62 dB from float32, 2 levels)",
        packages=("openvino",), remedy="pip install 'gfpup[openvino]'", lowers=True,
    ),
    "onnxruntime": Engine(
        "within 1 level of 255 (GFPGAN 2e-6 of the deviation)", None,
        packages=("onnxruntime", "onnx", "onnxscript"), remedy="pip install 'gfpup[onnxruntime]'",
    ),
}
# fmt: on


def available(engine: str, *, device: str = "cpu", dtype: str = "float32") -> str | None:
    """Why `engine` cannot be used here, as a clause with what to do, or None where it can; packages are not imported.

    `device` is "cpu", "cuda:N" or "mps"; `dtype` "float32" or "bfloat16".

    Raises: GfpupError: there is no such engine.
    """
    facts = of(engine)
    if device.partition(":")[0] not in facts.devices:
        return f"{engine} does not compute on {device}, but on {' and '.join(facts.devices)}"
    if dtype == "bfloat16" and facts.bfloat16 is None:
        return f"{engine} has no kernels for bfloat16 on a CPU: use --precision fp32"
    absent = [name for name in facts.packages if importlib.util.find_spec(name) is None]
    lacking = lacking_to_compile() if engine == "compile" else absent
    return f"{engine} needs {' and '.join(lacking)}: {facts.remedy}" if lacking else None


def difference(engine: str, *, dtype: str = "float32") -> str:
    """How far faces of `engine` are from eager ones in the same precision, before they are written; for the manifest.

    Raises: GfpupError: there is no such engine.
    """
    facts = of(engine)
    said = facts.float32 if dtype == "float32" else facts.bfloat16
    if said is None:
        return f"{engine} has no {dtype}"
    return (
        said
        if engine == "eager"
        else f"against eager, of a face before it is written: {said}; the photo as a JPEG may differ by 2"
    )


def prepare(network: nn.Module, inputs: Sequence[torch.Tensor], *, engine: str, dtype: str = "float32") -> Graph:
    """Return what computes `network(*inputs)` with `engine`: a function of tensors like `inputs` to a tuple, for one thread.

    `network` is in eval mode, in `dtype` as eager would be, but in float32 for an engine that `lowers`. Of `inputs`, shapes,
    dtypes and the device matter; on a GPU the first dimension is free. Graphs are kept in `cache.default_folder()`.

    Raises:
        GfpupError: the engine cannot be used here, or cannot make a graph of this network.
        OutputError: the folder of graphs cannot be written.
    """
    from gfpup.models.engines import cache, graphs

    if engine == "eager":
        return lambda *given: graphs.as_tuple(network(*given))
    device = str(inputs[0].device)
    require(engine, device=device, dtype=dtype)
    folder = cache.default_folder()
    if device != "cpu":
        return graphs.replayed(network) if engine == "cudagraphs" else graphs.compiled_on_the_fly(network, folder)
    known = of(engine)
    of_graph = "float32" if known.lowers else dtype
    key = cache.facts(network, inputs, engine=engine, dtype=of_graph, packages=known.packages)

    graph = graphs.FORMATS[engine]

    def make(entry: Path) -> None:
        require(engine, device=device, dtype=dtype, compiles=True)
        logging.getLogger(__name__).info("making a graph for engine %s; later runs find it on disk", engine)
        graph.write(network, inputs, entry / graph.file)

    with cache.entry(key, make=make, folder=folder) as made:
        return graph.load(made / graph.file, dtype)


def require(engine: str, *, device: str = "cpu", dtype: str = "float32", compiles: bool = False) -> None:
    """Refuse `engine` before anything is loaded; unless it `compiles` now, a compiler may be missing: the graph may be on disk.

    Raises: GfpupError: there is no such engine, or it cannot be used here.
    """
    reason = available(engine, device=device, dtype=dtype)
    if reason is not None and (compiles or engine != "compile" or device != "cpu"):
        raise GfpupError(f"engine {engine!r} cannot be used here, as {reason}, or leave it out for eager.")


def of(engine: str) -> Engine:
    """The facts of `engine`.

    Raises: GfpupError: there is none of this name.
    """
    if engine not in ENGINES:
        raise GfpupError(unknown("engine", engine, ENGINES))
    return ENGINES[engine]


def lacking_to_compile() -> list[str]:
    """What a compiled engine needs on this machine and does not find, in words."""
    # Inductor takes CXX, or else these, in its order.
    given = os.environ.get("CXX")
    compilers = [given] if given else ["g++", "clang++", "c++"]
    lacking = [] if any(shutil.which(name) for name in compilers) else [f"a C++ compiler ({compilers[0]})"]
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        lacking.append("Python's headers (Python.h)")
    return lacking
