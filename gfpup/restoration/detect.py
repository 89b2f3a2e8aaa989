"""The detectors by name: RetinaFace with an official checkpoint, or MTCNN and the cascade, which come with a package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.core.types import Detector
from gfpup.restoration.cascade import CASCADE_SIZE_PX, CascadeDetector
from gfpup.restoration.mtcnn import load_mtcnn
from gfpup.restoration.retinaface import THRESHOLD, RetinaFaceDetector

if TYPE_CHECKING:
    import torch

    from gfpup.models.nets.retinaface import Backbone

BACKBONES: dict[str, Backbone] = {"retinaface-resnet50": "resnet50", "retinaface-mobilenet0.25": "mobilenet0.25"}
WITHOUT_CHECKPOINT = ("mtcnn", "cascade")
DETECTORS = (*BACKBONES, *WITHOUT_CHECKPOINT)


def architecture_of(path: Path) -> str:
    """Tell which detector of `BACKBONES` the checkpoint at `path` belongs to.

    Raises: CheckpointError for a file that cannot be read or holds another network.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[str, dict[str, torch.Tensor]]:
    from gfpup.models.nets.loading import recognise
    from gfpup.weights.checkpoint import read_state_dict

    state = read_state_dict(path)
    found = recognise(state)
    if found not in BACKBONES:
        what = f"{path} holds {found or 'an unknown network'}, not a face detector"
        raise CheckpointError(f"{what}: give a checkpoint of {' or '.join(BACKBONES)}")
    return found, state


def load_detector(
    name: str,
    *,
    path: Path | None = None,
    threshold: float = THRESHOLD,
    detect_size: int | None = None,
    device: str | torch.device = "cpu",
) -> Detector:
    """Make the detector called `name` (one of `DETECTORS`), with the checkpoint at `path` where it needs one.

    `detect_size` is the short side in px of the first look; None chooses it by the photo, 0 is the photo's own. The cascade,
    which is slow, stays at `CASCADE_SIZE_PX` or below. It and MTCNN ignore the threshold, which is on RetinaFace's scale, and
    the device.

    Raises: GfpupError for an invalid setting; CheckpointError for a checkpoint that is damaged, of another network or missing.
    """
    if name not in DETECTORS:
        raise GfpupError(f"there is no detector called {name!r}: choose one of {', '.join(DETECTORS)}")
    if not 0 <= threshold < 1:
        raise GfpupError(f"invalid detection threshold of {threshold:g}: expected a number from 0 to 0.99")
    if detect_size and detect_size < 32:
        raise GfpupError(f"a detection size of {detect_size} px shows no face: give 32 or more, or 0 for full resolution")
    if name in WITHOUT_CHECKPOINT and path is not None:
        raise GfpupError(f"the detector {name} takes no checkpoint, but {path} was given: leave out one of the two")
    if name == "mtcnn":
        return load_mtcnn(detect_size=detect_size)
    if name == "cascade":
        return CascadeDetector(detect_size=min(detect_size or CASCADE_SIZE_PX, CASCADE_SIZE_PX))
    if path is None:
        raise GfpupError(f"the detector {name} needs its checkpoint: give the file, or choose cascade, which needs none")
    from gfpup.models.nets.loading import load_network
    from gfpup.models.nets.retinaface import RetinaFace

    found, state = _read(path)
    if found != name:
        raise CheckpointError(f"{path} holds {found}, but the detector {name} was asked for: ask for {found}, or give its file")
    network = load_network(lambda: RetinaFace(BACKBONES[name]), path, name=name, device=str(device), state=state)
    return RetinaFaceDetector(network, threshold=threshold, detect_size=detect_size, device=device)
