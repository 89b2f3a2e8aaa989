"""A network as a graph: captured once, written in an engine's own format, loaded again as a function of tensors."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gfpup.core.errors import GfpupError

Tensors = tuple[torch.Tensor, ...]

WARM_UP = 3
"""Calls before a CUDA graph is recorded. Source: torch's notes on CUDA graphs."""
ONNX_OPSET = 18
"""The oldest that torch's exporter writes without converting back: read by every ONNX Runtime since 1.14."""


def as_tuple(output: Any) -> Tensors:
    """What a network returned, a tensor or several, as a tuple."""
    return tuple(output) if isinstance(output, tuple | list) else (output,)


def write_openvino(
    network: nn.Module, inputs: Sequence[torch.Tensor], path: Path, *, names: tuple[Sequence[str], Sequence[str]] | None = None
) -> None:
    """Write `path` (.xml) and its weights (.bin) in float32; `names` are those of the inputs and of the outputs."""
    import openvino

    with _making("openvino", openvino.frontend.OpConversionFailure):
        model = openvino.convert_model(_captured(network, inputs))
    for ports, given in zip((model.inputs, model.outputs), names or ((), ()), strict=True):
        for port, name in zip(ports, given, strict=True) if given else ():
            port.get_tensor().set_names({name})
    openvino.save_model(model, path, compress_to_fp16=False)


def load_openvino(path: Path, *, dtype: str = "float32") -> Callable[..., Tensors]:
    """Compile an OpenVINO graph for this CPU, for as many threads as torch has, in `dtype` and nothing else.

    Raises: GfpupError: the processor cannot compute in `dtype`.
    """
    import openvino

    core = openvino.Core()
    if dtype == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise GfpupError("this processor does not support bfloat16 with engine 'openvino': use --precision fp32.")
    settings = {
        # Without a hint it computes float32 graphs in bfloat16 wherever the processor can.
        "INFERENCE_PRECISION_HINT": "bf16" if dtype == "bfloat16" else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        # The threads that torch counts are processors as the system shows them, and other stages use the same ones.
        "ENABLE_HYPER_THREADING": True,
        "ENABLE_CPU_PINNING": False,
    }
    request = core.compile_model(core.read_model(path), "CPU", settings).create_infer_request()
    outputs = range(len(request.model_outputs))

    def run(*given: torch.Tensor) -> Tensors:
        request.infer([_array(each) for each in given], share_inputs=True)
        # The request writes its next results over these.
        return tuple(torch.from_numpy(request.get_output_tensor(i).data.copy()) for i in outputs)

    return run


def write_onnx(
    network: nn.Module, inputs: Sequence[torch.Tensor], path: Path, *, names: tuple[Sequence[str], Sequence[str]] | None = None
) -> None:
    """Write one ONNX file in float32; `names` are those of the inputs and of the outputs."""
    named: dict[str, Any] = {} if names is None else {"input_names": list(names[0]), "output_names": list(names[1])}
    with _making("onnxruntime", torch.onnx.errors.OnnxExporterError):
        graph = _captured(network, inputs)
        program = torch.onnx.export(graph, tuple(inputs), dynamo=True, verbose=False, opset_version=ONNX_OPSET, **named)
        assert program is not None
        program.save(path, external_data=False)


def load_onnx(path: Path) -> Callable[..., Tensors]:
    """Open an ONNX graph with ONNX Runtime on this CPU, for as many threads as torch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads are other stages' threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(*given: torch.Tensor) -> Tensors:
        arrays = {name: _array(each) for name, each in zip(names, given, strict=True)}
        return tuple(torch.from_numpy(each) for each in session.run(None, arrays))

    return run


def compiled_on_the_fly(network: nn.Module, folder: Path) -> Callable[..., Tensors]:
    """Compile for a GPU when first called: batches of any size share a graph, and torch keeps its kernels in `folder`."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "inductor"))
    compiled: Callable[..., Any] = torch.compile(network)
    return lambda *given: as_tuple(compiled(*given))


def replayed(network: nn.Module) -> Callable[..., Tensors]:
    """Record the kernels of a network on a GPU when it first gets tensors of some shapes, and replay them from then on.

    A replay starts all kernels at once, which saves the time that Python takes to start each. The batches' graphs share their
    memory, because one is done before the next begins.
    """
    graphs: dict[Any, tuple[torch.cuda.CUDAGraph, Tensors, Tensors]] = {}
    pool: list[Any] = []

    def run(*given: torch.Tensor) -> Tensors:
        key = tuple((each.shape, each.stride(), each.dtype) for each in given)
        with torch.cuda.device(given[0].device):
            if key not in graphs:
                pool[:] = pool or [torch.cuda.graph_pool_handle()]
                graphs[key] = _recorded(network, given, pool[0])
            graph, inputs, outputs = graphs[key]
            for own, each in zip(inputs, given, strict=True):
                own.copy_(each)
            graph.replay()
            return tuple(each.clone() for each in outputs)  # the next replay writes over them

    return run


def _recorded(network: nn.Module, given: Sequence[torch.Tensor], pool: Any) -> tuple[torch.cuda.CUDAGraph, Tensors, Tensors]:
    """The graph for tensors like `given`, with the inputs that it reads and the outputs that it writes."""
    inputs = tuple(each.clone() for each in given)
    # Libraries choose their algorithms and take their workspaces in the first calls, which a recording must not see.
    # Source: torch's notes on CUDA graphs: warm up on another stream.
    beside, here = torch.cuda.Stream(), torch.cuda.current_stream()
    beside.wait_stream(here)
    with torch.cuda.stream(beside):
        for _ in range(WARM_UP):
            network(*inputs)
    here.wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        outputs = as_tuple(network(*inputs))
    return graph, inputs, outputs


def _write_compiled(network: nn.Module, inputs: Sequence[torch.Tensor], path: Path) -> None:
    from torch import _inductor as inductor

    with _making("compile"):
        inductor.aoti_compile_and_package(_captured(network, inputs), package_path=str(path))


def _load_compiled(path: Path) -> Callable[..., Tensors]:
    from torch import _inductor as inductor

    compiled = inductor.aoti_load_package(str(path))
    return lambda *given: as_tuple(compiled(*(each.contiguous() for each in given)))


@dataclass(frozen=True)
class Format:
    """How an engine's graph is written and loaded, and the name of its file."""

    file: str
    write: Callable[[nn.Module, Sequence[torch.Tensor], Path], None]
    load: Callable[[Path, str], Callable[..., Tensors]]


FORMATS: dict[str, Format] = {
    "compile": Format("graph.pt2", _write_compiled, lambda path, dtype: _load_compiled(path)),
    # Its weights lie beside it, in graph.bin.
    "openvino": Format("graph.xml", write_openvino, lambda path, dtype: load_openvino(path, dtype=dtype)),
    "onnxruntime": Format("graph.onnx", write_onnx, lambda path, dtype: load_onnx(path)),
}


def _captured(network: nn.Module, inputs: Sequence[torch.Tensor]) -> torch.export.ExportedProgram:
    with torch.no_grad():
        return torch.export.export(network, tuple(inputs), strict=False)


def _array(tensor: torch.Tensor) -> Any:
    return tensor.detach().contiguous().numpy()


@contextmanager
def _making(engine: str, *failures: type[Exception]) -> Iterator[None]:
    """Keep the exporters' deprecation notes from the user, who can do nothing about them, and name a failure's first line."""
    caught: tuple[type[Exception], ...] = (RuntimeError, *failures)
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except caught as error:
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        raise GfpupError(f"engine {engine!r} cannot make a graph of this network ({first}): use engine eager.") from error
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
