"""Checkpoint files, read without running what is in them."""

from __future__ import annotations

import codecs
import io
import pickletools
import re
import struct
import threading
import warnings
import zipfile
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from gfpup.core.errors import CheckpointError

# Entries under which trainers save the state dict, in order of preference: the averaged weights first.
STATE_DICT_KEYS = ("params_ema", "params", "state_dict", "model")
# Wrappers that put a prefix before every key: DataParallel and torch.compile.
WRAPPER_PREFIXES = ("module.", "_orig_mod.")
# RestoreFormer++ is published as a whole Lightning module: its network lies under this prefix, beside its losses.
LIGHTNING_PREFIX = "vqvae."
# So is AdaFace, under another prefix and beside the head of its training. The entry tells it from other files with this prefix.
ADAFACE_PREFIX, ADAFACE_ENTRY = "model.", "model.input_layer.0.weight"
# RestoreFormer++ saved how often each code was used in training; its network does not have that entry.
TRAINING_ONLY = frozenset({"quantize.utility_counter"})
# PMRF is published with the networks of its training metrics.
METRIC_PREFIXES = ("fid.", "inception_score.")
# torch_ema keeps the averages of a module's parameters as a list, in the module's own order.
AVERAGED, AVERAGED_MODULE = "ema", "model."

# Classes that Lightning names in a checkpoint beside the weights (callbacks, loggers' scores, hyper-parameters). They become
# `_Inert`, which keeps nothing; the dictionaries become plain ones. Every other global is refused.
_CALLBACKS = ("model_checkpoint.ModelCheckpoint", "early_stopping.EarlyStopping", "lr_monitor.LearningRateMonitor")
INERT_GLOBALS = (
    *(f"{package}.callbacks.{name}" for package in ("pytorch_lightning", "lightning.pytorch") for name in _CALLBACKS),
    *("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype"),
    *("argparse.Namespace", "pathlib.PosixPath", "pathlib.WindowsPath"),
)
ARRAY_GLOBALS = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
DICT_GLOBALS = (
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict",
)

# What torch.load raises for a damaged file, as fuzzing shows; it does not have an error class for that.
_DAMAGE = (
    *(RuntimeError, UnpicklingError, EOFError, LookupError, ValueError, TypeError, AttributeError, AssertionError),
    *(OverflowError, MemoryError, OSError, struct.error, zipfile.BadZipFile),
)

ZIP_MAGIC = b"PK\x03\x04"
# Files up to here are read whole (0.1 s for GFPGAN's 349 MB; mapping and copying takes two to six times that). A larger one
# is a training checkpoint with its optimiser's state, of which only the weights are wanted.
MAP_BYTES = 1 << 30

# Bounds of what is parsed, so that a crafted file is refused at once. The pickle of a checkpoint takes about 150 bytes a tensor
# (GFPGAN with its optimiser: 0.5 MB), weights hardly compress, and safetensors itself allows a header of 100 MB.
PICKLE_BYTES = 4 << 20
UNPACKED_RATIO = 4
HEADER_BYTES = 100_000_000
# Arrays lie inside the pickle, so its length is not bounded apart: a covariance of 2048 numbers takes 34 to 50 MB.
ARRAY_BYTES = 256 << 20
STATE_BYTES = 4 << 30

_allow_list_lock = threading.Lock()


class _Inert:
    """Stands where a checkpoint names a class that is not needed: takes anything, keeps nothing, does nothing."""

    def __new__(cls, *_args: object, **_kwargs: object) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        pass

    def __setstate__(self, _state: object) -> None:
        pass


def read_state_dict(path: Path, *, key: str | None = None) -> dict[str, torch.Tensor]:
    """Read the state dict of a .pth, .pt, .ckpt or .safetensors file: name to CPU tensor, with wrappers' prefixes removed.

    `key` names the entry of the file that holds it; without it the usual entries are tried, then the file's top level.
    Nothing in the file is run: pickles go through torch's restricted unpickler, with inert stand-ins for a short list
    of classes that Lightning names. The tensors own their memory: the file may change or go.

    Raises CheckpointError where the file is missing, damaged, not a checkpoint or too large, carries code or lacks that entry.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint at {path}{' (it is a folder)' if path.is_dir() else ''}: check the path")
    try:
        with path.open("rb") as file:
            head = file.read(512)
        size = path.stat().st_size
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}): check its permissions") from error
    _refuse_other_files(path, head)
    if path.suffix == ".safetensors" or (head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size):
        tensors, mapped = _strip(_read_safetensors(path, head, size)), True
    else:
        is_zip = head.startswith(ZIP_MAGIC)
        mapped = is_zip and size > MAP_BYTES
        (_refuse_zip_bomb if is_zip else _refuse_pickle_bomb)(path, size)
        tensors = _strip(_pick(_load_pickle(path, is_zip=is_zip, mapped=mapped), key, path))
    # A tensor whose strides are 0 repeats a few stored bytes without end.
    _refuse_unpacking(path, size, sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()))
    return {name: tensor.clone() for name, tensor in tensors.items()} if mapped else tensors


def _refuse_other_files(path: Path, head: bytes) -> None:
    if not head:
        raise CheckpointError(f"{path} is empty: download it again")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise CheckpointError(f"{path} is a web page, not a checkpoint (a failed download, perhaps): download it again")
    if text.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is a Git LFS pointer, not a checkpoint: fetch the file it points to with git lfs pull")


def _read_safetensors(path: Path, head: bytes, size: int) -> dict[str, torch.Tensor]:
    # The format starts with the length of its JSON header, in eight little-endian bytes.
    length = int.from_bytes(head[:8], "little")
    reason = f"its header claims {length} bytes" if len(head) < 8 or length > min(size - 8, HEADER_BYTES) else ""
    if not reason and size > STATE_BYTES:
        raise CheckpointError(
            f"{path} has {size / 1e9:.1f} GB; networks of up to {STATE_BYTES / 1e9:.1f} GB are read: give the weights alone"
        )
    try:
        if not reason:
            return load_file(path, device="cpu")
    except (SafetensorError, OSError, MemoryError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
    raise CheckpointError(f"{path} is a damaged safetensors file ({reason}): download it again")


def _refuse_zip_bomb(path: Path, size: int) -> None:
    """Refuse an archive that unpacks to far more than it is, or whose pickle is too long to parse, before any of it is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except _DAMAGE:
        return  # torch says what is wrong with it
    _refuse_long_pickle(path, max((member.file_size for member in members if member.filename.endswith(".pkl")), default=0))
    _refuse_unpacking(path, size, sum(member.file_size for member in members))


def _refuse_pickle_bomb(path: Path, size: int) -> None:
    """The same of torch's older format, whose five pickles stand before the weights: parsed, a byte takes up to 70."""
    with path.open("rb") as file:
        pickles = io.BytesIO(file.read(PICKLE_BYTES + 1))
    with suppress(*_DAMAGE):  # torch says what is wrong with it
        for _ in range(5):
            deque(pickletools.genops(pickles), maxlen=0)
    _refuse_long_pickle(path, size if pickles.tell() > PICKLE_BYTES else 0)


def _refuse_long_pickle(path: Path, length: int) -> None:
    if length > PICKLE_BYTES:
        raise CheckpointError(
            f"{path} holds a pickle of {length} bytes, where a checkpoint's has at most {PICKLE_BYTES}: "
            "get the file from its publisher"
        )


def _refuse_unpacking(path: Path, size: int, unpacked: int) -> None:
    if unpacked > UNPACKED_RATIO * size:
        raise CheckpointError(
            f"{path} has {size} bytes and would unpack to {unpacked}, which no checkpoint does: get the file from its publisher"
        )


def read_arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Read the arrays of a .pth file that holds numbers in place of weights, such as a mean and a covariance: name to array.

    Nothing in the file is run: besides tensors, the restricted unpickler takes numpy's arrays of plain numbers.

    Raises CheckpointError where the file is missing, damaged, carries code or holds no arrays.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no file at {path}: check the path")
    with path.open("rb") as file:
        head = file.read(512)
    _refuse_other_files(path, head)
    if (size := path.stat().st_size) > ARRAY_BYTES:
        raise CheckpointError(f"{path} has {size / 1e6:.0f} MB, where statistics have at most {ARRAY_BYTES / 1e6:.0f} MB")
    loaded = _load_pickle(path, is_zip=head.startswith(ZIP_MAGIC), mapped=False, arrays=True)
    entries = loaded.items() if isinstance(loaded, Mapping) else ()
    found = {str(k): v.numpy() if isinstance(v, torch.Tensor) else v for k, v in entries}
    return {k: v for k, v in found.items() if isinstance(v, np.ndarray) and v.dtype.kind in "fiu"}


def _load_pickle(path: Path, *, is_zip: bool, mapped: bool, arrays: bool = False) -> object:
    inert = [name for name in INERT_GLOBALS if not (arrays and name.startswith("numpy"))]
    allowed: list[Any] = [(_Inert, name) for name in inert] + [(dict, name) for name in DICT_GLOBALS]
    if arrays:
        allowed += [(np.zeros(0).__reduce__()[0], name) for name in ARRAY_GLOBALS]
        allowed += [np.ndarray, np.dtype, *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64"))]
        allowed += [(codecs.encode, "_codecs.encode")]  # how a pickle of protocol 2 keeps bytes
    # The allow-list is one per process: the lock keeps a second thread from ending it under the first.
    with _allow_list_lock, torch.serialization.safe_globals(allowed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        except _DAMAGE as error:
            raise CheckpointError(_what_is_wrong(path, error, is_zip=is_zip)) from error


def _what_is_wrong(path: Path, error: BaseException, *, is_zip: bool) -> str:
    text = str(error)
    if "TorchScript" in text:
        return f"{path} is a TorchScript program, which carries code: give the checkpoint that holds its state dict"
    # Torch names the global in the first way where it met one that it does not allow; an opcode that it does not know (newer
    # pickle protocols) stops it before, so the pickle is then disassembled, which runs nothing.
    named = re.search(r"GLOBAL (\S+) (?:was not|whose)", text)
    found = named.group(1) if named else next(iter(_globals_named(path, is_zip=is_zip)), None)
    if found is not None:
        return (
            f"{path} is a pickle that carries code ({found}), which is never run: "
            "expected tensors only; get the file from its publisher, or save it again as safetensors"
        )
    size = path.stat().st_size
    return f"{path} is damaged, cut short or not a checkpoint ({size} bytes): download it again and compare its hash"


def _globals_named(path: Path, *, is_zip: bool) -> Iterable[str]:
    """The globals that a pickle names and that hold code, as far as it can be disassembled."""
    try:
        if is_zip:
            with zipfile.ZipFile(path) as archive:
                data = b"".join(archive.read(n) for n in archive.namelist() if n.endswith("data.pkl"))
        else:
            with path.open("rb") as file:
                data = file.read(PICKLE_BYTES)
    except _DAMAGE:
        return
    harmless = {"collections.OrderedDict", *INERT_GLOBALS, *DICT_GLOBALS}
    strings: list[str] = [""]
    memo: list[str] = []
    stream = io.BytesIO(data)
    try:
        while stream.tell() < len(data):  # the older format holds several pickles, one behind the other
            for opcode, argument, _ in pickletools.genops(stream):
                name = None
                if opcode.name in ("GLOBAL", "INST"):
                    name = str(argument).replace(" ", ".", 1)
                elif opcode.name == "STACK_GLOBAL":
                    name = ".".join(strings[-2:])
                elif opcode.name == "MEMOIZE":
                    memo.append(strings[-1])
                elif opcode.name in ("BINGET", "LONG_BINGET") and isinstance(argument, int) and argument < len(memo):
                    strings.append(memo[argument])
                elif isinstance(argument, str):
                    strings.append(argument)
                if name is not None and name not in harmless and not name.startswith("torch."):
                    yield name
            memo.clear()
    except _DAMAGE:
        return


def _pick(loaded: object, key: str | None, path: Path) -> Mapping[str, Any]:
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{path} holds a {type(loaded).__name__} instead of named tensors: expected a state dict")
    for name in STATE_DICT_KEYS if key is None else (key,):
        if _holds_tensors(loaded.get(name)):
            return _averaged(loaded[name], loaded.get(AVERAGED), path)
    if key is None and _holds_tensors(loaded):
        return loaded
    entries = ", ".join(repr(k) for k in list(loaded)[:5]) or "none"
    if key is not None:
        raise CheckpointError(f"{path} has no state dict under {key!r}: its entries are {entries}")
    raise CheckpointError(f"{path} holds no state dict: its entries are {entries}, and none of them is a set of tensors")


def _averaged(state: Mapping[str, Any], averages: object, path: Path) -> Mapping[str, Any]:
    """Put a training checkpoint's averages in the place of the parameters that they belong to, buffers being left out."""
    if not isinstance(averages, Mapping) or not isinstance(values := averages.get("shadow_params"), list | tuple):
        return state
    left, merged = deque(values), dict(state)
    for entry, tensor in state.items():
        own = entry.startswith(AVERAGED_MODULE) and isinstance(tensor, torch.Tensor)
        if own and left and isinstance(left[0], torch.Tensor) and left[0].shape == tensor.shape:
            merged[entry] = left.popleft()
    if left:
        raise CheckpointError(
            f"{path} holds {len(values)} averaged weights, which do not fit its network: give the weights alone"
        )
    return merged


def _holds_tensors(value: object) -> bool:
    return isinstance(value, Mapping) and any(isinstance(v, torch.Tensor) for v in value.values())


def _strip(state: Mapping[Any, Any]) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for entry, value in state.items():
        if not (isinstance(entry, str) and isinstance(value, torch.Tensor)):
            continue
        for prefix in WRAPPER_PREFIXES:
            entry = entry.removeprefix(prefix)
        tensors[entry] = value.detach()
    lightning = LIGHTNING_PREFIX if any(entry.startswith(LIGHTNING_PREFIX) for entry in tensors) else ""
    prefix = ADAFACE_PREFIX if ADAFACE_ENTRY in tensors else lightning
    tensors = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    if any(entry.startswith("mmse_model.") for entry in tensors):
        tensors = {k: v for k, v in tensors.items() if not k.startswith(METRIC_PREFIXES)}
    return {k: v for k, v in tensors.items() if k not in TRAINING_ONLY}
