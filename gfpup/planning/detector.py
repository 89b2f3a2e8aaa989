"""What finds the faces, and how it looks at a photo."""

from __future__ import annotations

from typing import Any

from gfpup.core.errors import CheckpointError, GfpupError
from gfpup.core.plan import Decision
from gfpup.planning.settings import Settings
from gfpup.restoration import detect
from gfpup.weights import packaged
from gfpup.weights.resolver import Resolver


def plan_looks(settings: Settings, detector: str) -> tuple[Decision[Any], ...]:
    """How a RetinaFace looks at a photo; the official path has its own way."""
    if detector not in detect.BACKBONES or settings.backend.name == "upstream":
        return ()
    size = settings.detect.size
    if size == 0:
        return (Decision("detect.size", size, "one look at the whole photo, as the official code"),)
    how = f"a copy with a short side of {size} px" if size else "a copy reduced 5 times, its short side 640 to 960 px,"
    crowd = "" if size else " (in a crowd, of a copy three times as large)"
    why = f"{how} proposes faces down to 6 of its pixels{crowd}; each is then decided in the photo's own pixels"
    return (Decision("detect.size", size, why),)


def plan_detector(settings: Settings, resolver: Resolver) -> Decision[str]:
    """Which detector finds the faces; a warning where it is not the most exact one.

    Raises: GfpupError: the one asked for does not fit its checkpoint, or is not available.
    """
    if settings.restore.aligned:
        return Decision("detector", "none", "the photos are aligned faces")
    name, path = settings.detect.name, settings.detect.path
    if path is not None:
        if name in detect.WITHOUT_CHECKPOINT:
            raise GfpupError(f"the {name} takes no checkpoint; leave out --detector-path or name a RetinaFace detector.")
        found = detect.architecture_of(path)
        if name not in ("auto", found):
            raise GfpupError(f"{path} holds a {found}, not the {name} that was asked for; give the other file or name.")
        resolver.use_file("detector", path)
        return Decision("detector", found, f"the file {path.name} was given")
    if settings.backend.name == "upstream" and name == "auto":
        name = "retinaface-resnet50"  # the official path knows no other
    if name == "cascade":
        return Decision("detector", name, "asked for; it finds upright frontal faces")
    if name == "mtcnn":
        if (fault := packaged.mtcnn_fault()) is not None:
            raise CheckpointError(f"the detector mtcnn is not available: {fault}")
        return Decision("detector", name, "asked for; its networks come with facenet-pytorch (MIT licence)")
    if name != "auto":
        resolver.use_published("detector", name)
        return Decision("detector", name, "asked for")
    unavailable = resolver.try_published("detector", "retinaface-resnet50")
    if unavailable is None:
        return Decision("detector", "retinaface-resnet50", "the most exact one")
    if (fault := packaged.mtcnn_fault()) is None:
        resolver.warnings.append(f"no RetinaFace checkpoint, so MTCNN finds the faces, its landmarks less exact. {unavailable}")
        return Decision("detector", "mtcnn", f"finds fewer small faces than RetinaFace, landmarks less exactly; {unavailable}")
    resolver.warnings.append(
        "no RetinaFace checkpoint, so the cascade finds the faces: upright frontal ones only, landmarks roughly. "
        f"{unavailable}; "
        f"MTCNN, which is better than the cascade, is not available either: {fault}"
    )
    return Decision("detector", "cascade", f"finds upright frontal faces only, landmarks roughly; {unavailable}")
