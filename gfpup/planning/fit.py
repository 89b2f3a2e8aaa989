"""What is tried where a plan does not fit the memory: smaller tiles, fewer faces, then Lanczos, each with its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gfpup.core.errors import GfpupError
from gfpup.planning.memory_model import TYPICAL_PHOTO_WIDTH_PX
from gfpup.planning.resources import gb, need_of
from gfpup.planning.settings import Settings

if TYPE_CHECKING:
    from gfpup.planning.resources import Placement

SMALL_TILE_PX = 128
"""Side of the smallest tiles, and of those of --memory-efficient: a quarter of the memory of 256."""

TILE_SIDES_PX = (512, 256, SMALL_TILE_PX)


def ladder(settings: Settings, start: Placement) -> list[Placement]:
    """The placements to try, best first: the largest tiles with the most faces, then Lanczos. What the user asked for stays.

    The numbers are predictions, and a run halves its batch where they were wrong; so the steps are coarse.
    """
    faces, tiles = [start.face_batch.value], [start.tile_px.value]
    while settings.hardware.face_batch is None and faces[-1] > 1:
        faces.append(faces[-1] // 2)
    if settings.background.tile_px is None and settings.background.name != "spandrel" and start.upsampler.value:
        tiles += [side for side in TILE_SIDES_PX if side < (start.tile_px.value or TYPICAL_PHOTO_WIDTH_PX)]
    steps = [_changed(start, tile_px=side, face_batch=count) for side in tiles for count in faces]
    if settings.background.name == "auto" and start.upsampler.value:
        steps += [_changed(start, upsampler=False, face_batch=count) for count in faces]
    return steps


def _changed(placement: Placement, **values: Any) -> Placement:
    return replace(placement, **{name: replace(getattr(placement, name), value=value) for name, value in values.items()})


def first_that_fits(settings: Settings, steps: list[Placement], budget: int) -> Placement | None:
    """The best of `steps` that is predicted to take at most `budget` bytes; None where none does."""
    return next((step for step in steps if need_of(settings, step).total <= budget), None)


def explain(settings: Settings, steps: list[Placement], chosen: Placement, budget: int) -> Placement:
    """Give what differs from the first of `steps` its reason: what that would have taken, all else as chosen."""
    start = steps[0]

    def too_much(**kept: Any) -> str:
        need = gb(need_of(settings, replace(chosen, **kept)))
        return f"would need {need} in all, and {start.device.value} has {gb(budget)} for it"

    reasons: dict[str, str] = {}
    if chosen.face_batch != start.face_batch:
        reasons["face_batch"] = f"{start.face_batch.value} faces a forward {too_much(face_batch=start.face_batch)}"
    if chosen.tile_px != start.tile_px:
        first = f"tiles of {start.tile_px.value} px" if start.tile_px.value else "a photo of 12 megapixels in one piece"
        reasons["tile_px"] = f"{first} {too_much(tile_px=start.tile_px)}"
    if chosen.upsampler != start.upsampler:
        least = [step for step in steps if step.upsampler.value][-1]
        smallest = too_much(upsampler=least.upsampler, face_batch=least.face_batch, tile_px=least.tile_px)
        reasons["upsampler"] = f"Lanczos: Real-ESRGAN beside the faces, both at their least, {smallest}"
    return replace(chosen, **{name: replace(getattr(chosen, name), why=why) for name, why in reasons.items()})


def refuse_flag(settings: Settings, start: Placement, budget: int) -> None:
    """Name the flag that is in the way, where a smaller value of it would fit.

    Raises:
        GfpupError: there is one.
    """
    for flag, asked, less in (
        ("--face-batch", settings.hardware.face_batch, {"face_batch": 1}),
        ("--tile", settings.background.tile_px, {"tile_px": SMALL_TILE_PX}),
        ("--face-batch", settings.hardware.face_batch, {"face_batch": 1, "tile_px": SMALL_TILE_PX}),
    ):
        if asked is not None and first_that_fits(settings, [_changed(start, **less)], budget) is not None:
            need = gb(need_of(settings, start))
            raise GfpupError(
                f"{flag} {asked} needs {need} in all, and {start.device.value} has {gb(budget)} for it; give a smaller one."
            )


def shortage(settings: Settings, least: Placement, budget: int) -> str:
    """Say that not even the last step fits, with the flags that kept it from being smaller."""
    background, batch = settings.background, settings.hardware.face_batch
    flags = []
    if background.name == "realesrgan":
        flags = ["--background realesrgan", *([] if background.tile_px is None else [f"--tile {background.tile_px}"])]
    flags += [f"--face-batch {batch}"] if (batch or 1) > 1 else []
    asked = f" with {' and '.join(flags)}, as asked for," if flags else ""
    need = gb(need_of(settings, least))
    return f"{settings.backend.name}{asked} needs {need} even at its least, and {least.device.value} has {gb(budget)} for it"
