"""What a run needs of memory: which networks the settings name, and what `gfpup.memory` predicts of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from gfpup import backends, memory
from gfpup.arithmetic import methods_of
from gfpup.faces import detect
from gfpup.memory import Need, Network
from gfpup.settings import Settings
from gfpup.tiers import GB

if TYPE_CHECKING:
    from gfpup.footing import Footing


def need_of(settings: Settings, footing: Footing) -> Need:
    """Predict what a run of `settings` on `footing` needs, in bytes."""
    return memory.predict(
        [_network(name, settings) for name in methods_of(settings)],
        dtype=footing.dtype.value,
        face_batch=footing.face_batch.value,
        aids=tuple(_aids(settings)),
        background_scale=(2 if settings.upscale <= 2 else 4) if footing.upsampler.value else None,
        tile_px=footing.tile_px.value,
        upscale=settings.upscale,
        on_cpu=footing.on_cpu,
        redo=footing.dtype.value != "float32",
        engine=footing.engine.value,
    )


def _network(name: str, settings: Settings) -> Network:
    if name == "upstream":
        found = memory.METHODS["restoreformer" if settings.parameters.get("version") == "restoreformer" else "gfpgan"]
        return found.plain()
    if name in memory.METHODS:
        return memory.METHODS[name]
    if name in backends.TABLE and not backends.facts(name).own_file:
        return memory.NOTHING
    file = settings.model_path
    if file is None or not file.is_file():
        return memory.UNKNOWN
    return replace(memory.UNKNOWN, weights=dict.fromkeys(memory.UNKNOWN.weights, file.stat().st_size))


def _aids(settings: Settings) -> Iterator[Network]:
    """The networks beside the method; which of the usual ones can be had is not known yet, so the best ones are taken."""
    official = settings.backend == "upstream"
    if not settings.aligned:
        detector = memory.AIDS.get("retinaface-resnet50" if settings.detector == "auto" else settings.detector)
        if detector is not None:
            # The official path reduces no photo before it looks for faces.
            yield detector.seeing(_seen_px(0 if official else settings.detect_size))
        mask = memory.AIDS.get(_mask(settings))
        if mask is not None:
            yield mask.plain() if official else mask
    if settings.identity_min is not None:
        yield memory.AIDS["arcface-ir-se50"]


def _seen_px(detect_size: int | None) -> int:
    """Pixels that the detector sees of a photo at most: 0 is all of a typical one, None the usual reduction."""
    side = detect.DETECT_SIZE_PX if detect_size is None else detect_size
    longest = detect.LONGEST_TO_SHORTEST * side**2
    return min(longest, memory.TYPICAL_PHOTO_PX) if side else memory.TYPICAL_PHOTO_PX


def _mask(settings: Settings) -> str:
    if settings.backend == "upstream":
        return "parsenet" if settings.mask == "auto" else settings.mask
    if backends.facts(settings.backend).whole_photos:
        return "none"
    return "bisenet" if settings.mask == "auto" else settings.mask


def gb(size: int | Need) -> str:
    """Bytes in words: "1.5 GB"."""
    return f"{(size if isinstance(size, int) else size.total) / GB:.1f} GB"
