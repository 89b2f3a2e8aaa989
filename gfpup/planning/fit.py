"""What falls back where a plan does not fit: faces, then tiles, then Real-ESRGAN, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gfpup.core.errors import GfpupError
from gfpup.core.types import Reason
from gfpup.planning.memory_model import TYPICAL_PHOTO_WIDTH_PX
from gfpup.planning.resources import gb, need_of
from gfpup.planning.settings import Settings

if TYPE_CHECKING:
    from gfpup.planning.resources import Footing

SMALL_TILE_PX = 128
"""Side of the smallest tiles, and of those of --memory-efficient: a quarter of the memory of 256."""

TILE_SIDES_PX = (512, 256, SMALL_TILE_PX)
"""What tiles fall back to, one after another."""


def smaller(settings: Settings, footing: Footing) -> Iterator[Footing]:
    """Ever smaller plans: each time half of what takes most, faces or tile, then no Real-ESRGAN; nothing that was asked for."""
    candidate = footing
    while True:
        need = need_of(settings, candidate)
        faces = candidate.face_batch.value if settings.hardware.face_batch is None else 1
        tile_px = _smaller_tile(settings, candidate)
        if faces > 1 and (tile_px is None or need.faces >= need.background + need.photos):
            candidate = replace(candidate, face_batch=replace(candidate.face_batch, value=faces // 2))
        elif tile_px is not None:
            candidate = replace(candidate, tile_px=replace(candidate.tile_px, value=tile_px))
        else:
            break
        yield candidate
    if settings.background.name == "auto" and candidate.upsampler.value:
        yield replace(candidate, upsampler=replace(candidate.upsampler, value=False))


def _smaller_tile(settings: Settings, footing: Footing) -> int | None:
    """The next size below, or None; what another architecture takes for a tile is its own affair."""
    if settings.background.tile_px is not None or settings.background.name == "spandrel" or not footing.upsampler.value:
        return None
    now = _side(footing)
    return next((size for size in TILE_SIDES_PX if size < now), None)


def grown(settings: Settings, wish: Footing, chosen: Footing, budget: int) -> Footing:
    """Give back what halving by turns took too much: the most faces, then the largest tile, that fit with all the rest."""
    faces = wish.face_batch.value
    while faces > chosen.face_batch.value:
        more = replace(chosen, face_batch=replace(chosen.face_batch, value=faces))
        if need_of(settings, more).total <= budget:
            chosen = more
        faces //= 2
    for size in (wish.tile_px.value, *TILE_SIDES_PX):
        larger = replace(chosen, tile_px=replace(chosen.tile_px, value=size))
        if _side(wish) >= _side(larger) > _side(chosen) and need_of(settings, larger).total <= budget:
            chosen = larger
    return chosen


def _side(footing: Footing) -> int:
    return footing.tile_px.value or TYPICAL_PHOTO_WIDTH_PX


def explain(settings: Settings, wish: Footing, chosen: Footing, budget: int) -> Footing:
    """Give each step back its reason: what the first wish would have taken, with all the other steps made."""

    def lacks(**unmade: Any) -> str:
        need = gb(need_of(settings, replace(chosen, **unmade)))
        return f"would need {need} in all, and {wish.device.value} has {gb(budget)} for it"

    changes: dict[str, Any] = {}
    if chosen.face_batch != wish.face_batch:
        why = f"{wish.face_batch.value} faces a forward {lacks(face_batch=wish.face_batch)}"
        changes["face_batch"] = replace(chosen.face_batch, why=why)
    if chosen.tile_px != wish.tile_px:
        first = f"tiles of {wish.tile_px.value} px" if wish.tile_px.value else "a photo of 12 megapixels in one piece"
        changes["tile_px"] = replace(chosen.tile_px, why=f"{first} {lacks(tile_px=wish.tile_px)}")
    if chosen.upsampler != wish.upsampler:
        # It went last, when nothing else could be made smaller; what it left may have gone to the faces since.
        least = [wish, *smaller(settings, wish)][-2]
        smallest = lacks(upsampler=wish.upsampler, face_batch=least.face_batch, tile_px=least.tile_px)
        why = f"Lanczos: Real-ESRGAN beside the faces, both at their least, {smallest}"
        changes["upsampler"] = replace(chosen.upsampler, why=why)
    return replace(chosen, **changes)


def broken_promise(settings: Settings, chosen: Footing) -> tuple[str, ...]:
    """A warning where --high-quality cannot keep its promise to enlarge a photo in one piece."""
    if settings.mode != "high-quality" or not chosen.upsampler.value or not chosen.tile_px.value or settings.background.tile_px:
        return ()
    return (f"--high-quality has to enlarge the background in tiles of {chosen.tile_px.value} px: {chosen.tile_px.why}.",)


def with_what_was_asked(settings: Settings) -> str:
    """Name what was asked for and would otherwise be made smaller."""
    asked = {
        "--background realesrgan": settings.background.name == "realesrgan",
        f"--tile {settings.background.tile_px}": settings.background.name == "realesrgan"
        and settings.background.tile_px is not None,
        f"--face-batch {settings.hardware.face_batch}": (settings.hardware.face_batch or 1) > 1,
    }
    flags = [flag for flag, given in asked.items() if given]
    return f" with {' and '.join(flags)}, as asked for," if flags else ""


def refuse_what_was_asked(settings: Settings, footing: Footing, budget: int) -> None:
    """Name the flag that stands in the way, where a smaller value of it would fit."""
    one = Reason("face_batch", 1, "")
    small = Reason("tiles", SMALL_TILE_PX, "")
    for flag, asked, less in (
        ("--face-batch", settings.hardware.face_batch, replace(footing, face_batch=one)),
        ("--tile", settings.background.tile_px, replace(footing, tile_px=small)),
        ("--face-batch", settings.hardware.face_batch, replace(footing, face_batch=one, tile_px=small)),
    ):
        if asked is None or need_of(settings, less).total > budget:
            continue
        need = gb(need_of(settings, footing))
        raise GfpupError(
            f"{flag} {asked} needs {need} in all, and {footing.device.value} has {gb(budget)} for it; give a smaller one."
        )
