"""The files that metrics measure with: other people's classifiers, published apart from the restoration networks.

The libraries that define these metrics fetch them by themselves, and some wait most of a minute for a network that is not
there. gfpup builds the networks empty and fills them from these files, so nothing is fetched and nothing waits.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from gfpup.errors import CheckpointError
from gfpup.weights import licences
from gfpup.weights.catalogue import Checkpoint
from gfpup.weights.store import Store

_TORCHVISION: Final = "https://download.pytorch.org/models"
_PYIQA: Final = "https://huggingface.co/chaofengc/IQA-PyTorch-Weights/resolve/main"
_POLYFORM: Final = "polyform-noncommercial-1.0.0"


def _torchvision(name: str, file: str, sha256: str) -> Checkpoint:
    licence = "BSD-3-Clause (torchvision; trained on ImageNet)"
    return Checkpoint(name, file, f"{_TORCHVISION}/{file}", sha256, None, None, licence, "bsd-3-clause", "yes", name)


def _pyiqa(name: str, file: str) -> Checkpoint:
    # The publisher states no licence for the files of its own; they come with pyiqa and under its gate.
    return Checkpoint(name, file, f"{_PYIQA}/{file}", None, None, None, "PolyForm Noncommercial 1.0.0", _POLYFORM, "no", name)


# Source of names: torchvision/models/{alexnet,vgg}.py, torch_fidelity/feature_extractor_inceptionv3.py, pyiqa/archs (0.1.16).
METRIC_FILES: Final = (
    _torchvision("alexnet", "alexnet-owt-7be5be79.pth", "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02"),
    _torchvision("vgg16", "vgg16-397923af.pth", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"),
    Checkpoint(
        name="inception-fid",
        file="weights-inception-2015-12-05-6726825d.pth",
        url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        sha256=None,
        size_bytes=None,
        checkpoint_key=None,
        licence="Apache-2.0",
        licence_id="apache-2.0",
        commercial_use="yes",
        architecture="inception-fid",
    ),
    Checkpoint(
        name="clip-rn50",
        file="RN50.pt",
        url=(
            "https://openaipublic.azureedge.net/clip/models/"
            "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762/RN50.pt"
        ),
        sha256="afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762",
        size_bytes=None,
        checkpoint_key=None,
        licence="MIT",
        licence_id="mit",
        commercial_use="yes",
        architecture="clip-rn50",
    ),
    _pyiqa("musiq-koniq", "musiq_koniq_ckpt-e95806b9.pth"),
    _pyiqa("maniqa-koniq", "ckpt_koniq10k.pt"),
    _pyiqa("topiq-nr-koniq", "cfanet_nr_koniq_res50-9a73138b.pth"),
)
"""Rows of the catalogue, used by metrics only."""


def locate(name: str, store: Store) -> Path:
    """The verified file of a metric's weights: one of these, which must lie in the store's folder, or one of the catalogue.

    Raises:
        LicenceError: the licence needs a consent that was not given.
        CheckpointError: the file is not there, or is not what its publisher's hash says.
    """
    row = next((row for row in METRIC_FILES if row.name == name), None)
    if row is None:
        return store.ensure(name)
    licences.require(row, store.accepted)
    path = store.folder / row.file
    if not path.is_file():
        raise CheckpointError(f"{row.file}, the weights of {name}, is not there: get it from {row.url} and put it at {path}")
    found, expected = store.digest(path), row.sha256 or published_digits(row.file)
    if not found.startswith(expected):
        raise CheckpointError(f"{path} is not {name}: its SHA-256 is {found} and should begin with {expected}; fetch it again")
    return path


def published_digits(file: str) -> str:
    """The first digits of the SHA-256 that torch's hub puts into file names, "" where there are none."""
    found = re.search(r"-([0-9a-f]{8,})\.\w+$", file)
    return found.group(1) if found else ""
