"""Compiled and exported graphs on disk, made once for a network, its versions and this machine."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import nn

from gfpup.core import disk_cache
from gfpup.core.errors import OutputError
from gfpup.core.files import sha256_of
from gfpup.core.versions import versions
from gfpup.machine.cpu import processor

RECORD = "entry.json"
"""What an entry was made from, and the SHA-256 of each of its files."""

KEPT_BYTES = 8 * 2**30
"""Entries used longest ago are deleted beyond this: about twenty networks, at their weights' 200 to 400 MB each."""


def default_folder() -> Path:
    """The folder of graphs: `engines` in GFPUP_CACHE_DIR or in the user's cache."""
    return disk_cache.cache_folder("engines")


def facts(
    network: nn.Module, inputs: Sequence[torch.Tensor], *, engine: str, dtype: str, packages: Sequence[str]
) -> dict[str, Any]:
    """Everything that a graph depends on, as JSON can hold it: two networks with equal facts may share one.

    `dtype` is that of the graph, and `packages` are those that make and compute it.
    """
    return {
        "network": fingerprint(network),
        "inputs": [[str(each.dtype), list(each.shape)] for each in inputs],
        "engine": engine,
        "dtype": dtype,
        "versions": versions(("torch", *packages)),
        "machine": _machine(),
        # The compiler writes the number of threads into its loops.
        "threads": torch.get_num_threads() if engine == "compile" else None,
    }


def fingerprint(network: nn.Module) -> str:
    """The SHA-256 of a network: its weights to the bit, its modules' settings, and the source code that computes them."""
    digest = hashlib.sha256()
    sources = set()
    for name, module in network.named_modules():
        settings = {key: value for key, value in vars(module).items() if isinstance(value, bool | int | float | str | tuple)}
        digest.update(f"{name} {type(module).__module__}.{type(module).__qualname__} {sorted(settings.items())}\n".encode())
        if not type(module).__module__.startswith("torch."):
            sources.add(type(module).__module__)
    for source in sorted(sources):
        digest.update(inspect.getsource(sys.modules[source]).encode())
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


@contextmanager
def entry(key: Mapping[str, Any], *, make: Callable[[Path], None], folder: Path) -> Iterator[Path]:
    """Give the folder of the entry for `key`; where it is missing or damaged, `make(empty folder)` fills it first.

    Other processes that want the same entry wait meanwhile; it stays where it is inside the `with`.

    Raises: OutputError: the folder cannot be written.
    """
    home = folder / disk_cache.key_of(key)[:32]
    with contextlib.ExitStack() as held:
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # it holds code that is loaded again
            held.enter_context(_lock(home))
        if not _intact(home):
            with _writing(folder), disk_cache.replacing(home) as fresh:
                fresh.mkdir()
                make(fresh)
                files = {path.name: sha256_of(path) for path in sorted(fresh.iterdir())}
                (fresh / RECORD).write_text(json.dumps({"files": files, "key": key}, indent=1) + "\n", encoding="utf-8")
            disk_cache.evict(_entries(folder), KEPT_BYTES, drop=lambda path: path != home and _drop_unused(path))
        disk_cache.mark_used(home / RECORD)
        yield home


def _intact(home: Path) -> bool:
    """Whether every file of an entry is there with the bytes that were written."""
    try:
        files = json.loads((home / RECORD).read_text(encoding="utf-8"))["files"]
        return bool(files) and all((home / name).is_file() and sha256_of(home / name) == sha for name, sha in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _entries(folder: Path) -> Iterator[disk_cache.Entry]:
    for record in folder.glob(f"*/{RECORD}"):
        size = sum(path.stat().st_size for path in record.parent.iterdir())
        yield disk_cache.Entry(record.stat().st_mtime, size, record.parent)


def _drop_unused(home: Path) -> bool:
    """Remove an entry, unless another process is loading it."""
    with contextlib.suppress(Timeout, OSError), _lock(home).acquire(timeout=0):
        return disk_cache.remove(home)
    return False


def _lock(home: Path) -> FileLock:
    return FileLock(home.parent / f".{home.name}.lock")


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"the folder of compiled graphs {folder} cannot be written ({error.strerror or error}): "
            f"make room, choose another with {disk_cache.FOLDER_VARIABLE}, or use engine eager"
        ) from error


def _machine() -> str:
    """The processor and what it can do; a graph may hold instructions that another one lacks."""
    own = processor()
    words = (platform.system(), platform.machine(), own.name, own.part, *sorted(own.flags))
    return hashlib.sha256("\n".join(words).encode()).hexdigest()
