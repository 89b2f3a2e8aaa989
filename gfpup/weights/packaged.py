"""Checkpoints that an installed package carries: found without importing it, checked, and read by gfpup's own reader."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gfpup.core.errors import CheckpointError
from gfpup.core.files import sha256_of

if TYPE_CHECKING:
    import torch

MTCNN_PACKAGE: Final = "facenet-pytorch"
MTCNN_INSTALL: Final = "pip install --no-deps facenet-pytorch"
"""Without its dependencies: it asks for torch<2.3 and numpy<2, but its files are read here and none of its code runs."""

MTCNN_SHA256: Final = {
    "pnet": "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
    "rnet": "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
    "onet": "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
}
"""The SHA-256 of the three networks' files. Source: facenet-pytorch 2.6.0 (MIT licence), facenet_pytorch/data."""


def mtcnn_folder() -> Path | None:
    """The folder of the package that holds MTCNN's files, or None where the package is not installed or lacks one of them."""
    spec = importlib.util.find_spec("facenet_pytorch")  # a package at the top is found without running it
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / "data"
        if all((folder / f"{name}.pt").is_file() for name in MTCNN_SHA256):
            return folder
    return None


def mtcnn_fault() -> str | None:
    """Why MTCNN cannot be used and what to do about it, or None where its files are here and the published ones."""
    folder = mtcnn_folder()
    if folder is None:
        return f"the package {MTCNN_PACKAGE}, which carries its networks, is not installed: {MTCNN_INSTALL}"
    for name, expected in MTCNN_SHA256.items():
        path = folder / f"{name}.pt"
        try:
            found = sha256_of(path)
        except OSError as error:
            return f"{path} cannot be read ({error.strerror}): check its permissions"
        if found != expected:
            what = f"{path} is damaged or of another version (its SHA-256 begins with {found[:8]}, not {expected[:8]})"
            return f"{what}: {MTCNN_INSTALL} --force-reinstall"
    return None


def read_mtcnn() -> dict[str, dict[str, torch.Tensor]]:
    """The three networks' tensors by the keys of `MTCNN_SHA256`.

    Raises: CheckpointError where the package is not installed, or a file of it is not the published one.
    """
    from gfpup.weights.checkpoint import read_state_dict

    folder = mtcnn_folder()
    if folder is None or (fault := mtcnn_fault()) is not None:
        raise CheckpointError(f"the detector mtcnn is not available: {mtcnn_fault() if folder is None else fault}")
    return {name: read_state_dict(folder / f"{name}.pt") for name in MTCNN_SHA256}
