"""Results on disk: photos of a finished run by its record, or of a folder by name, with what they are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from gfpup.core.errors import GfpupError, PhotoError
from gfpup.core.files import natural_key
from gfpup.core.types import Float64
from gfpup.photos import pairs, sources
from gfpup.photos.matching import key_of, match
from gfpup.photos.opening import photo_sha256
from gfpup.photos.sources import SourcePhoto
from gfpup.records import layout
from gfpup.records.photo_record import PhotoRecord
from gfpup.records.run_record import RunRecord

_NO_FACES: Final = "a folder records no faces: only an aligned picture of 512x512 pixels is taken for a face"
_NO_PARTNER: Final = "there is no picture to compare with: give --input or --reference"
NOT_TIMED: Final = "the results were made by another tool, which did not record its time"


@dataclass(frozen=True, eq=False)
class Item:
    """One photo to score, by its files. `refusal` says why there is no result, the `no_` fields why other things are missing.

    `referenced` says that it is to be compared with a reference, whether there is one or not. With `affines` None an aligned
    picture of 512 pixels is its own face. With a `damage` (protocol, seed) the file `degraded` is the reference, and the
    degraded photo is made from it. `posterior_mean` is the prediction that IndRMSE compares the result with. The result is
    `turned` by so many degrees clockwise from the other files.
    """

    name: str
    restored: Path | None = None
    degraded: Path | None = None
    reference: Path | None = None
    referenced: bool = False
    refusal: str | None = None
    posterior_mean: Path | None = None
    affines: Mapping[int, Float64] | None = None
    stages: Mapping[str, float] | None = None
    damage: tuple[str, int] | None = None
    turned: int = 0
    no_input: str = _NO_PARTNER
    no_faces: str | None = None
    no_seconds: str | None = None


def items_of_run(
    record: RunRecord, *, reference: Path | None = None, degraded: Path | None = None, posterior_mean: Path | None = None
) -> tuple[list[Item], list[str]]:
    """The photos of a run, and notes for the user; references and inputs are the run's own, or from other folders.

    Raises: GfpupError: the run is still going on, or no photo has a reference in `reference`.
    """
    folder = record.ended().folder
    said = []
    if reference is None and (recorded := record.configuration.get("source", {}).get("reference")) is not None:
        reference = Path(recorded)
        if not reference.is_dir():
            said.append(f"the references of {folder} are not at {reference}: give them with --reference")
            reference = None
    gfpgan = record.configuration.get("write", {}).get("layout") == "gfpgan"
    photos = [_source(photo, gfpgan=gfpgan) for photo in record.photos]
    references = _partners(reference, "reference", photos)
    inputs = _partners(degraded, "input", photos)
    means = _partners(posterior_mean, "posterior mean", photos)
    damage = record.pixels.get("damage")
    untimed = record.made_elsewhere
    items = []
    for photo, source in zip(record.photos, photos, strict=True):
        path, no_input = _input(photo) if inputs is None else inputs[source]
        partner, no_reference = (None, "") if references is None else references[source]
        restored = folder / photo.name
        lost = None if restored.is_file() else f"{restored} is not there"
        items.append(
            Item(
                photo.name,
                restored=restored,
                degraded=path,
                reference=partner,
                referenced=references is not None or damage is not None,
                posterior_mean=None if means is None else means[source][0],
                refusal=photo.error or lost or no_reference or None,
                affines={} if path is None else photo.affines,
                stages=None if untimed else photo.unshared_seconds,
                no_seconds=NOT_TIMED if untimed else None,
                damage=None if damage is None else (damage[0], damage[1]),
                turned=photo.turned,
                no_input=no_input,
                no_faces=None if path is not None else f"faces are cut out where they were found in the input, and {no_input}",
            )
        )
    if references is not None and not any(item.reference for item in items):
        raise GfpupError(f"no photo of {folder} has a reference in {reference}: names must be equal but for the extension")
    return items, said


def items_of_folder(
    folder: Path, *, reference: Path | None = None, degraded: Path | None = None, posterior_mean: Path | None = None
) -> tuple[list[Item], list[str]]:
    """The pictures of a folder with their references and inputs by name, and notes for the user (none).

    Where references or inputs are given, one without a result is an item too, and one without a partner is refused by name.

    Raises: GfpupError: a folder holds no pictures, two pictures have one name, or nothing has a partner.
    """
    restored = _pictures_in(folder, "restored")
    places = (("reference", reference), ("input", degraded), ("posterior mean", posterior_mean))
    given = {what: place for what, place in places if place is not None}
    matches = {what: match(_pictures_in(place, what), restored, what="result") for what, place in given.items()}
    partners = {what: {each.partner: each.photo.path for each in found if each.partner} for what, found in matches.items()}
    referenced = reference is not None
    items = []
    for result in restored:
        paths = {what: found.get(result) for what, found in partners.items()}
        lacking = next((f"it has no {what} in {given[what]}" for what, path in paths.items() if path is None), None)
        partner, path = paths.get("reference"), paths.get("input")
        name = str(result.relative)
        mean = paths.get("posterior mean")
        said: dict[str, Any] = {"refusal": lacking, "no_faces": _NO_FACES, "posterior_mean": mean}
        items.append(Item(name, result.path, path, partner, referenced, **said))
    without_result: dict[str, Item] = {}  # each name once, of references and inputs
    for each in (each for found in matches.values() for each in found if each.partner is None):
        plain = each.reason == "has no result"
        refusal = f"there is no result of it in {folder}" if plain else f"it {each.reason} in {folder}"
        name = str(each.photo.relative)
        item = Item(name, referenced=referenced, refusal=refusal, no_faces=_NO_FACES)
        without_result.setdefault(key_of(each.photo), item)
    items += without_result.values()
    if all(item.refusal for item in items):
        raise GfpupError(f"no picture of {folder} has its partners: names must be equal but for the extension")
    return sorted(items, key=lambda item: (natural_key(item.name), item.name)), []


def _source(photo: PhotoRecord, *, gfpgan: bool) -> SourcePhoto:
    """A photo of a record with the path it had in its input folder: its result may have a suffix or a number."""
    path, name = Path(photo.input), PurePosixPath(photo.name)
    if gfpgan and name.is_relative_to(layout.RESTORED):
        name = name.relative_to(layout.RESTORED)
    return SourcePhoto(path, name.with_name(path.name))


def _input(photo: PhotoRecord) -> tuple[Path | None, str]:
    path = Path(photo.input)
    try:
        same = photo_sha256(path) == photo.input_sha256
    except PhotoError:
        return None, f"its input {path} is not there: give --input"
    return (path, "") if same else (None, f"its input {path} has changed since the run: give --input")


def _partners(
    folder: Path | None, what: str, photos: Sequence[SourcePhoto]
) -> dict[SourcePhoto, tuple[Path | None, str]] | None:
    """The picture in `folder` that belongs to each of `photos`, or the reason why none does; None where no folder is given."""
    if folder is None:
        return None
    found = match(photos, _pictures_in(folder, what), what=what)
    return {each.photo: (each.partner.path, "") if each.partner else (None, f"it {each.reason} in {folder}") for each in found}


def _pictures_in(folder: Path, what: str) -> list[SourcePhoto]:
    if not folder.is_dir():
        raise GfpupError(f"there is no folder {folder}: --{what} takes a folder of pictures")
    return list(pairs.by_name(sources.expand([str(folder)], recursive=True), what=what).values())
