"""Results on disk: photos of a finished run by its record, or of a folder by name, with what they are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from gfpup.core.errors import GfpupError, PhotoError
from gfpup.core.files import natural_key
from gfpup.core.types import Float64
from gfpup.evaluation.metrics.cost import unshared
from gfpup.evaluation.scorer import affines_of_line
from gfpup.photos import pairs, sources
from gfpup.photos.matching import Match, key_of, match
from gfpup.photos.opening import photo_sha256
from gfpup.photos.sources import SourcePhoto
from gfpup.records import layout
from gfpup.records.run_record import RunRecord

_NO_FACES: Final = "a folder records no faces: only an aligned picture of 512x512 pixels is taken for a face"
_NO_PARTNER: Final = "there is no picture to compare with: give --input or --reference"
NOT_TIMED: Final = "the results were made by another tool, which did not record its time"


@dataclass(frozen=True, eq=False)
class Item:
    """One photo to score, by its files. `refusal` says why there is no result, the `no_` fields why other things are missing.

    `referenced` says that it is to be compared with a reference, whether there is one or not. With `affines` None an aligned
    picture of 512 pixels is its own face. With a `damage` (protocol, seed) the file `degraded` is the reference, and the
    degraded photo is made from it.
    """

    name: str
    restored: Path | None = None
    degraded: Path | None = None
    reference: Path | None = None
    referenced: bool = False
    refusal: str | None = None
    affines: Mapping[int, Float64] | None = None
    stages: Mapping[str, float] | None = None
    damage: tuple[str, int] | None = None
    no_input: str = _NO_PARTNER
    no_faces: str | None = None
    no_seconds: str | None = None


def items_of_run(
    record: RunRecord, *, reference: Path | None = None, degraded: Path | None = None
) -> tuple[list[Item], list[str]]:
    """The photos of a run, and notes for the user; references and inputs are the run's own, or from other folders.

    Raises:
        GfpupError: the run is still going on, or no photo has a reference in `reference`.
    """
    folder = record.ended().folder
    said = []
    if reference is None:
        recorded = record.configuration.get("source", {}).get("reference")
        reference = None if recorded is None else Path(recorded)
        if reference is not None and not reference.is_dir():
            said.append(f"the references of {folder} are not at {reference}: give them with --reference")
            reference = None
    lines = record.photos
    gfpgan = record.configuration.get("write", {}).get("layout") == "gfpgan"
    photos = [_source(line, gfpgan=gfpgan) for line in lines]
    references = _partners(reference, "reference", photos)
    inputs = _partners(degraded, "input", photos)
    damage = record.pixels.get("damage")
    untimed = record.pixels.get("backend") == "precomputed"
    items = []
    for line, source in zip(lines, photos, strict=True):
        path, no_input = _input(line) if inputs is None else _found_in(inputs[source], degraded)
        partner, no_reference = (None, None) if references is None else _found_in(references[source], reference)
        restored = folder / line["name"]
        refusal = line["error"] if line["error"] is not None else None if restored.is_file() else f"{restored} is not there"
        if references is not None and partner is None:
            refusal = refusal or no_reference
        items.append(
            Item(
                line["name"],
                restored=restored,
                degraded=path,
                reference=partner,
                referenced=references is not None or damage is not None,
                refusal=refusal,
                affines={} if path is None else affines_of_line(line),
                stages=None if untimed else unshared(line["seconds"], line.get("reused", {})),
                no_seconds=NOT_TIMED if untimed else None,
                damage=None if damage is None else (damage[0], damage[1]),
                no_input=no_input,
                no_faces=None if path is not None else f"faces are cut out where they were found in the input, and {no_input}",
            )
        )
    if references is not None and not any(item.reference for item in items):
        raise GfpupError(f"no photo of {folder} has a reference in {reference}: names must be equal but for the extension")
    return items, said


def items_of_folder(
    folder: Path, *, reference: Path | None = None, degraded: Path | None = None
) -> tuple[list[Item], list[str]]:
    """The pictures of a folder with their references and inputs by name, and what has to be said.

    Where references or inputs are given, one without a result is an item too, and one without a partner is refused by name.

    Raises:
        GfpupError: a folder holds no pictures, two pictures have one name, or nothing has a partner.
    """
    restored = _pictures_in(folder, "restored")
    given = {"reference": reference, "input": degraded}
    matches = {
        what: match(_pictures_in(place, what), restored, what="result") for what, place in given.items() if place is not None
    }
    partners = {
        what: {each.partner: each.photo.path for each in found if each.partner is not None} for what, found in matches.items()
    }
    items = []
    for result in restored:
        paths = {what: found.get(result) for what, found in partners.items()}
        lacking = next((what for what, path in paths.items() if path is None), None)
        items.append(
            Item(
                str(result.relative),
                restored=result.path,
                reference=paths.get("reference"),
                referenced=reference is not None,
                degraded=paths.get("input"),
                refusal=None if lacking is None else f"it has no {lacking} in {given[lacking]}",
                no_faces=_NO_FACES,
            )
        )
    items += _without_result(matches, folder, referenced=reference is not None)
    if all(item.refusal for item in items):
        raise GfpupError(f"no picture of {folder} has its partners: names must be equal but for the extension")
    items.sort(key=lambda item: (natural_key(item.name), item.name))
    return items, []


def _without_result(matches: Mapping[str, Sequence[Match]], folder: Path, *, referenced: bool) -> list[Item]:
    """References and inputs that no result belongs to, each name once."""
    items: dict[str, Item] = {}
    for found in matches.values():
        for each in found:
            if each.partner is None:
                plain = each.reason == "has no result"
                refusal = f"there is no result of it in {folder}" if plain else f"it {each.reason} in {folder}"
                name = str(each.photo.relative)
                items.setdefault(key_of(each.photo), Item(name, referenced=referenced, refusal=refusal, no_faces=_NO_FACES))
    return list(items.values())


def _source(line: Mapping[str, Any], *, gfpgan: bool) -> SourcePhoto:
    """A photo of a record with the path it had in its input folder: its result may have a suffix or a number."""
    path = Path(line["input"])
    name = PurePosixPath(line["name"])
    if gfpgan and name.is_relative_to(layout.RESTORED):
        name = name.relative_to(layout.RESTORED)
    return SourcePhoto(path, name.with_name(path.name))


def _input(line: Mapping[str, Any]) -> tuple[Path | None, str]:
    path = Path(line["input"])
    try:
        same = photo_sha256(path) == line["input_sha256"]
    except PhotoError:
        return None, f"its input {path} is not there: give --input"
    return (path, "") if same else (None, f"its input {path} has changed since the run: give --input")


def _partners(folder: Path | None, what: str, photos: Sequence[SourcePhoto]) -> dict[SourcePhoto, Match] | None:
    """The picture in `folder` that belongs to each of `photos`; None where no folder is given."""
    if folder is None:
        return None
    return {each.photo: each for each in match(photos, _pictures_in(folder, what), what=what)}


def _found_in(each: Match, folder: Path | None) -> tuple[Path | None, str]:
    """The path of a photo's partner, or None and the reason."""
    return (None, f"it {each.reason} in {folder}") if each.partner is None else (each.partner.path, "")


def _pictures_in(folder: Path, what: str) -> list[SourcePhoto]:
    if not folder.is_dir():
        raise GfpupError(f"there is no folder {folder}: --{what} takes a folder of pictures")
    return list(pairs.by_name(sources.expand([str(folder)], recursive=True), what=what).values())
