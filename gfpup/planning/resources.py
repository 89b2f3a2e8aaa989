"""What a run needs of memory: which networks the settings name, and what `gfpup.planning.memory_model` predicts of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gfpup.core.plan import Decision, Device
from gfpup.models import backends
from gfpup.planning import memory_model
from gfpup.planning.memory_model import Need, Network
from gfpup.planning.precision import methods_of
from gfpup.planning.settings import Settings
from gfpup.planning.tiers import GB
from gfpup.restoration import detect


def need_of(settings: Settings, placement: Placement) -> Need:
    """Predict the memory that a run of `settings` in `placement` needs, in bytes."""
    return memory_model.predict(
        [_network(name, settings) for name in methods_of(settings)],
        dtype=placement.dtype.value,
        face_batch=placement.face_batch.value,
        aids=tuple(_aids(settings)),
        background_scale=(2 if settings.restore.upscale <= 2 else 4) if placement.upsampler.value else None,
        tile_px=placement.tile_px.value,
        upscale=settings.restore.upscale,
        on_cpu=placement.on_cpu,
        redo=placement.dtype.value != "float32",
        engine=placement.engine.value,
    )


def _network(name: str, settings: Settings) -> Network:
    if name == "upstream":
        version = "restoreformer" if settings.restore.parameters.get("version") == "restoreformer" else "gfpgan"
        return memory_model.METHODS[version].plain()
    if name in memory_model.METHODS:
        return memory_model.METHODS[name]
    if name in backends.TABLE and not backends.facts(name).own_file:
        return memory_model.NOTHING
    file = settings.weights.model
    if file is None or not file.is_file():
        return memory_model.UNKNOWN
    return replace(memory_model.UNKNOWN, weights=dict.fromkeys(memory_model.UNKNOWN.weights, file.stat().st_size))


def _aids(settings: Settings) -> Iterator[Network]:
    """The networks beside the method; which of the usual ones are available is not known yet, so the best ones are assumed."""
    official, mask = settings.backend.name == "upstream", settings.paste.mask
    if not settings.restore.aligned:
        detector = memory_model.AIDS.get("retinaface-resnet50" if settings.detect.name == "auto" else settings.detect.name)
        if detector is not None:
            # The official path reduces no photo before it looks for faces.
            yield detector.seeing(_seen_px(0 if official else settings.detect.size))
        if mask == "auto":
            mask = "parsenet" if official else "bisenet"
        if mask in memory_model.AIDS and (official or not backends.facts(settings.backend.name).whole_photos):
            yield memory_model.AIDS[mask].plain() if official else memory_model.AIDS[mask]
    if settings.guard.identity_min is not None:
        yield memory_model.AIDS["arcface-ir-se50"]


def _seen_px(detect_size: int | None) -> int:
    """Pixels that the detector sees of a photo at most: 0 is all of a typical one, None the usual reduction."""
    side = detect.DETECT_SIZE_PX if detect_size is None else detect_size
    longest = detect.LONGEST_TO_SHORTEST * side**2
    return min(longest, memory_model.TYPICAL_PHOTO_PX) if side else memory_model.TYPICAL_PHOTO_PX


def gb(size: int | Need) -> str:
    """Bytes in words: "1.5 GB"."""
    return f"{(size if isinstance(size, int) else size.total) / GB:.1f} GB"


@dataclass(frozen=True)
class Placement:
    """The decisions, each with its reason; `upsampler.value` says whether an automatic background may be Real-ESRGAN."""

    tier: Decision[str]
    device: Decision[Device]
    dtype: Decision[str]
    engine: Decision[str]
    face_batch: Decision[int]
    tile_px: Decision[int]
    upsampler: Decision[bool]
    memory: Decision[str]
    warnings: tuple[str, ...] = ()

    @property
    def on_cpu(self) -> bool:
        """Whether the networks compute on the processor."""
        return self.device.value == "cpu"
