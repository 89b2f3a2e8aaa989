"""Checkpoint files: read without running what is in them, and put into a network whole or not at all."""

from __future__ import annotations

import io
import pickletools
import re
import struct
import threading
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from gfpup.core.errors import CheckpointError

if TYPE_CHECKING:
    import torch

__all__ = ["load_strictly", "read_state_dict", "recognise"]

# Where the known trainers keep the state dict, in the order in which it is looked for: the averaged weights first.
STATE_DICT_KEYS = ("params_ema", "params", "state_dict", "model")
# Wrappers that put a prefix before every key: DataParallel and torch.compile.
WRAPPER_PREFIXES = ("module.", "_orig_mod.")
# RestoreFormer++ is published as a whole Lightning module: its network lies under this prefix, beside its losses.
LIGHTNING_PREFIX = "vqvae."
# RestoreFormer++ counts how often each code was used while it trained; its network has no place for the count.
TRAINING_ONLY = frozenset({"quantize.utility_counter"})

# Classes that Lightning names in a checkpoint beside the weights (callbacks, loggers' scores, hyper-parameters). They become
# `_Inert`, which keeps nothing; the dictionaries become plain ones. Every other global is refused.
INERT_GLOBALS = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
    "pytorch_lightning.callbacks.lr_monitor.LearningRateMonitor",
    "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint",
    "lightning.pytorch.callbacks.early_stopping.EarlyStopping",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "argparse.Namespace",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
)
DICT_GLOBALS = (
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict",
)

# What torch.load raises for a damaged file, as fuzzing its restricted unpickler shows; it has no error of its own.
_DAMAGE = (
    RuntimeError,
    UnpicklingError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    OSError,
    struct.error,
    zipfile.BadZipFile,
)

ZIP_MAGIC = b"PK\x03\x04"
# Files up to here are read whole (0.1 s for GFPGAN's 349 MB; mapping and copying takes two to six times that). A larger one
# is a training checkpoint with its optimiser's state, of which only the weights are wanted.
MAP_BYTES = 1 << 30

_allow_list_lock = threading.Lock()


class _Inert:
    """Stands where a checkpoint names a class that nothing here needs: takes anything, keeps nothing, does nothing."""

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

    Raises:
        CheckpointError: the file is missing, empty, damaged, no checkpoint, carries code, or has no such entry.
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
    if _is_safetensors(head, size):
        return _strip(_read_safetensors(path), mapped=True)
    is_zip = head[:4] == ZIP_MAGIC
    mapped = is_zip and size > MAP_BYTES
    return _strip(_pick(_load_pickle(path, is_zip=is_zip, mapped=mapped), key, path), mapped=mapped)


def load_strictly(
    network: torch.nn.Module,
    state: Mapping[str, torch.Tensor],
    *,
    name: str,
    path: Path,
    ignore: frozenset[str] = frozenset(),
) -> None:
    """Put every tensor of `state` into `network`, in float32, or refuse with what was found and what was expected.

    The network may have been built on the meta device: it then takes the state's own tensors. `name` is its
    name as `recognise` gives it; `ignore` lists entries of the file for which the network has no place.

    Raises:
        CheckpointError: a tensor is missing, unexpected or of another shape; the message names the first.
    """
    expected = network.state_dict()
    # BatchNorm's counter came with PyTorch 0.4.1; older checkpoints lack it and nothing at inference reads it.
    given = {k: v for k, v in state.items() if k in expected or k not in ignore}
    for entry, tensor in expected.items():
        if entry not in given and entry.endswith("num_batches_tracked"):
            given[entry] = torch.zeros(tensor.shape, dtype=tensor.dtype)
    fault = _first_fault(given, expected)
    if fault is not None:
        kind = recognise(state)
        if kind is None:
            looks = "of no network that is known here"
        elif kind == name:
            looks = f"of a {kind} of another size or version"
        else:
            looks = f"of {kind}"
        raise CheckpointError(
            f"{path} does not hold the weights of {name}: its {len(state)} tensors look like those {looks}, "
            f"where {len(expected)} were expected, and {fault}; give a checkpoint of {name}"
        )
    owned = {k: v.detach().to(dtype=expected[k].dtype).contiguous() for k, v in given.items()}
    network.load_state_dict(owned, strict=True, assign=any(tensor.is_meta for tensor in expected.values()))
    left = [k for k, v in (*network.named_parameters(), *network.named_buffers()) if v.is_meta]
    if left:
        raise RuntimeError(f"{name} keeps {left[0]!r} outside its state dict, so it cannot be built on the meta device")


def _first_fault(given: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> str | None:
    missing = next((k for k in expected if k not in given), None)
    if missing is not None:
        return f"{missing!r} is missing"
    unexpected = next((k for k in given if k not in expected), None)
    if unexpected is not None:
        return f"{unexpected!r} is one too many"
    for entry, tensor in expected.items():
        found = tuple(given[entry].shape)
        if found != tuple(tensor.shape):
            return f"{entry!r} has shape {found} instead of {tuple(tensor.shape)}"
    return None


def _refuse_other_files(path: Path, head: bytes) -> None:
    if not head:
        raise CheckpointError(f"{path} is empty, so no checkpoint: download it again")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise CheckpointError(f"{path} is a web page and no checkpoint (a failed download, perhaps): download it again")
    if text.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is a Git LFS pointer and no checkpoint: fetch the file it points to with git lfs pull")


def _is_safetensors(head: bytes, size: int) -> bool:
    # The format starts with the length of its JSON header in eight little-endian bytes.
    return len(head) > 8 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] <= size


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path} is a damaged safetensors file ({reason}): get it again") from error


def _load_pickle(path: Path, *, is_zip: bool, mapped: bool) -> object:
    allowed: list[Any] = [(_Inert, name) for name in INERT_GLOBALS] + [(dict, name) for name in DICT_GLOBALS]
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
    return f"{path} is damaged, cut short or no checkpoint at all ({size} bytes): download it again and compare its hash"


def _globals_named(path: Path, *, is_zip: bool) -> Iterable[str]:
    """The globals that a pickle names and that hold code, as far as it can be disassembled."""
    try:
        if is_zip:
            with zipfile.ZipFile(path) as archive:
                data = b"".join(archive.read(n) for n in archive.namelist() if n.endswith("data.pkl"))
        else:
            with path.open("rb") as file:
                data = file.read(1 << 24)
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
    if key is not None:
        if _holds_tensors(loaded.get(key)):
            return loaded[key]  # type: ignore[no-any-return]
        entries = ", ".join(repr(k) for k in list(loaded)[:5]) or "none"
        raise CheckpointError(f"{path} has no state dict under {key!r}: its entries are {entries}")
    for name in STATE_DICT_KEYS:
        if _holds_tensors(loaded.get(name)):
            return loaded[name]  # type: ignore[no-any-return]
    if _holds_tensors(loaded):
        return loaded
    entries = ", ".join(repr(k) for k in list(loaded)[:5]) or "none"
    raise CheckpointError(f"{path} holds no state dict: its entries are {entries}, and none of them is a set of tensors")


def _holds_tensors(value: object) -> bool:
    return isinstance(value, Mapping) and any(isinstance(v, torch.Tensor) for v in value.values())


def _strip(state: Mapping[Any, Any], *, mapped: bool) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for entry, value in state.items():
        if not (isinstance(entry, str) and isinstance(value, torch.Tensor)):
            continue
        for prefix in WRAPPER_PREFIXES:
            entry = entry.removeprefix(prefix)
        tensors[entry] = value.detach()
    if any(entry.startswith(LIGHTNING_PREFIX) for entry in tensors):
        tensors = {k.removeprefix(LIGHTNING_PREFIX): v for k, v in tensors.items() if k.startswith(LIGHTNING_PREFIX)}
    return {k: v.clone() if mapped else v for k, v in tensors.items() if k not in TRAINING_ONLY}


# name, entries that must be there, entries that must not. A shape of None means any shape. The first match wins, so the
# narrower signature of two similar networks stands first. Entries that exist in every variant of a network are used, so
# that a fine-tuned checkpoint is recognised too.
_Signature = tuple[str, Mapping[str, tuple[int, ...] | None], tuple[str, ...]]

SIGNATURES: tuple[_Signature, ...] = (
    ("gfpgan", {"conv_body_first.weight": None, "stylegan_decoder.constant_input.weight": None}, ()),
    ("gfpgan-original", {"conv_body_first.0.weight": None, "stylegan_decoder.constant_input.weight": None}, ()),
    ("codeformer", {"position_emb": None, "idx_pred_layer.1.weight": None, "feat_emb.weight": None}, ()),
    ("restoreformerpp", {"quantize.embedding.weight": None, "decoder.up.4.attn.0.q.weight": None}, ()),
    (
        "restoreformer",
        {"quantize.embedding.weight": None, "post_quant_conv.weight": None, "encoder.down.0.block.0.norm1.weight": None},
        ("decoder.up.4.attn.0.q.weight",),
    ),
    ("rrdbnet-x2", {"conv_first.weight": (64, 12, 3, 3), "body.0.rdb1.conv1.weight": None}, ()),
    ("rrdbnet-x4", {"conv_first.weight": (64, 3, 3, 3), "body.0.rdb1.conv1.weight": None}, ()),
    ("retinaface-resnet50", {"ClassHead.0.conv1x1.weight": None, "body.layer1.0.conv1.weight": None}, ()),
    ("retinaface-mobilenet0.25", {"ClassHead.0.conv1x1.weight": None, "body.stage1.0.0.weight": None}, ()),
    ("bisenet", {"cp.resnet.conv1.weight": None, "ffm.convblk.conv.weight": None, "conv_out.conv.conv.weight": None}, ()),
    ("parsenet", {"encoder.0.conv2d.weight": None, "out_mask_conv.conv2d.weight": None}, ()),
    ("arcface-ir-se50", {"input_layer.0.weight": None, "body.23.res_layer.5.fc1.weight": None}, ()),
    ("arcface-resnet18", {"conv1.weight": (64, 1, 3, 3), "layer4.1.conv2.weight": None, "fc5.weight": None}, ()),
    ("alignment-wflw-4hg", {"conv1.conv.weight": None, "m0.b1_4.bn1.weight": None}, ()),
)


def recognise(state: Mapping[str, torch.Tensor]) -> str | None:
    """Name the network that a state dict belongs to, or None where no signature fits.

    The names are those of `Checkpoint.architecture` in the catalogue, and "gfpgan-original" for the GFPGAN with custom
    CUDA operators, which no backend of gfpup runs.
    """
    for name, present, absent in SIGNATURES:
        fits = all(key in state and (shape is None or tuple(state[key].shape) == shape) for key, shape in present.items())
        if fits and not any(key in state for key in absent):
            return name
    return None
