"""In which order of colours a recognition network tells people apart better: measured on the user's own faces.

The published IR-SE50 was trained on BGR; facexlib and most of its users feed RGB. Both work, so only a measurement says which
is better: cosines between faces of one person against cosines between faces of different people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from gfpup.core.errors import GfpupError
from gfpup.core.types import Float64, UInt8
from gfpup.models.nets.arcface import arcface_crop, rgb_112
from gfpup.photos import read_photo, sources
from gfpup.tools.check import Check

ORDERS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {"identity": lambda x: x, "identity_bgr": lambda x: x.flip(1)}
"""The metric that feeds each order of colours, and how the order is made from RGB."""
ARCHITECTURE = "arcface-ir-se50"


class Separation(NamedTuple):
    """Cosines of pairs of one person and of two, and how often the former is the higher (0.5: by chance, 1: always)."""

    same: Float64
    different: Float64
    area: float


def channel_checks(network: nn.Module | None, faces: Path | None) -> Iterator[Check]:
    """A row for each order of colours; skipped without weights or faces.

    Raises: GfpupError: the folder is not one of people.
    """
    lacks = "give --faces DIR, a folder with a subfolder of aligned faces for each person" if faces is None else ""
    lacks = "there are no weights to measure with" if network is None else lacks
    if lacks or network is None or faces is None:
        yield Check("channels", "order of colours", "skipped", lacks)
        return
    people = read_people(faces)
    found = {metric: separate(network.eval(), people, order) for metric, order in ORDERS.items()}
    best = max(found, key=lambda metric: found[metric].area)
    for metric, it in found.items():
        said = f"one person {it.same.mean():.3f} ({len(it.same)} pairs), two {it.different.mean():.3f} ({len(it.different)}), "
        ending = ", the better one here" if metric == best and len({x.area for x in found.values()}) > 1 else ""
        yield Check("channels", f"{metric}: one person or two", "ok", f"{said}told apart {it.area:.1%}{ending}")


def read_people(folder: Path) -> dict[str, list[UInt8]]:
    """The aligned faces of each subfolder, (s, s, 3) uint8 RGB.

    Raises: GfpupError: there are not two people, none has two faces, or a face is not square.
    """
    people: dict[str, list[UInt8]] = {}
    if not folder.is_dir():
        raise GfpupError(f"there is no folder {folder}: --faces takes a folder with a subfolder for each person")
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        for photo in sources.expand([str(place)], recursive=True):
            rgb = read_photo(photo.path).rgb8
            if rgb.shape[0] != rgb.shape[1]:
                raise GfpupError(f"{photo.path} has {rgb.shape[1]}x{rgb.shape[0]} pixels: --faces takes aligned, square faces")
            people.setdefault(place.name, []).append(rgb)
    if len(people) < 2 or all(len(faces) < 2 for faces in people.values()):
        raise GfpupError(f"{folder} needs subfolders of at least two people, one of them with two faces: it has {len(people)}")
    return people


@torch.inference_mode()
def separate(
    network: nn.Module, people: Mapping[str, list[UInt8]], order: Callable[[torch.Tensor], torch.Tensor]
) -> Separation:
    """How well the network tells `people` apart when it is fed in this order of colours."""
    embedded = [
        (person, network(order(rgb_112(arcface_crop(face))))[0].double().numpy())
        for person, faces in people.items()
        for face in faces
    ]
    cosines: dict[bool, list[float]] = {True: [], False: []}
    for (one, a), (other, b) in combinations(embedded, 2):
        cosines[one == other].append(float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))))
    same, different = np.array(cosines[True]), np.array(cosines[False])
    higher = (same[:, None] > different).mean() + (same[:, None] == different).mean() / 2
    return Separation(same, different, float(higher))
