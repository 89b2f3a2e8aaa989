"""Plain folders of pictures in the form of runs' records, so that whatever looks at finished runs also takes folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from gfpup.core.errors import GfpupError
from gfpup.core.versions import __version__
from gfpup.photos import pairs
from gfpup.photos.matching import Match, match
from gfpup.photos.sources import SourcePhoto, pictures_in, some
from gfpup.records.items import Item
from gfpup.records.run_record import RunRecord, called

_NAMES: Final = "names must be equal but for their extensions"


@dataclass(frozen=True, eq=False)
class PictureFolder:
    """A folder of pictures: a record as a run's, without plan, faces or scores, and an item for each of its lines."""

    record: RunRecord
    items: tuple[Item, ...]


def read_folders(
    folders: Sequence[Path],
    *,
    reference: Path | None = None,
    degraded: Path | None = None,
    beside: Sequence[RunRecord] = (),
    argv: Sequence[str] = (),
) -> tuple[list[PictureFolder], list[str]]:
    """Read folders of pictures that show the same photos, and say what has no partner, in notes.

    Pictures are matched by their path relative to their folder, without the extension (see `photos.matching`), and with the
    photos of the runs `beside` them. In every folder a photo has the same name: that of the run's result, of the input in
    `degraded`, or of the picture in the first folder that has one. A photo without a picture in a folder has an error there.
    `argv` is the command that is recorded.

    Raises: GfpupError: a folder is missing, empty or given twice, two pictures in it have one name, or nothing is shared.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise GfpupError("one folder is given twice: give different folders.")
    given = {folder: _pictures(folder) for folder in folders}
    places = {"input": degraded, "reference": reference}
    others = {what: _pictures(place) for what, place in places.items() if place is not None}
    of_runs = _of_runs(beside)
    photos = _united([of_runs, others.get("input", []), *given.values()], fixed=len(of_runs))
    found = {folder: _partners(photos, pictures) for folder, pictures in given.items()}
    shown = [photo for photo in photos if photo in of_runs or any(each[photo].partner for each in found.values())]
    _refuse_unrelated(found, shown, of_runs)
    originals = {what: _partners(shown, pictures, what) for what, pictures in others.items()}
    _refuse_strangers(originals, places, folders)
    notes = [f"{what}s are missing: {absent}" for what, matches in originals.items() if (absent := _absent(matches))]
    if alone := [str(photo.relative) for photo in photos if photo not in shown]:
        notes.append(f"photos without a picture in any folder are not shown: {len(alone)} of {len(photos)} ({some(alone)})")
    read = []
    for folder, matches in found.items():
        items = tuple(_item(matches[photo], folder, originals, degraded) for photo in shown)
        document = folder_document(items, folder, argv=argv) | {"cwd": str(Path.cwd())}
        read.append(PictureFolder(RunRecord(folder, document, name=called(folder)), items))
        if absent := _absent({photo: matches[photo] for photo in shown}):
            notes.append(f"{called(folder)} lacks pictures: {absent}")
    return read, notes


def folder_document(items: Sequence[Item], folder: Path, *, argv: Sequence[str], started: str = "") -> dict[str, Any]:
    """What a manifest would say of the pictures in a folder, which nothing is known of but their names."""
    nothing: dict[str, Any] = {"seconds": {}, "warnings": [], "notes": []}
    return {
        "status": "done",
        "title": f"the pictures in {folder}",
        "started": started,
        "finished": started,
        "argv": list(argv),
        "versions": {"gfpup": __version__},
        "commit": None,
        "hardware": {},
        "plan": {"pixels": {}, "reasons": [], "warnings": []},
        "checkpoints": {},
        "licences": {},
        "photos": [{"name": item.name, "error": None if item.restored else item.refusal, **nothing} for item in items],
    }


def _pictures(folder: Path) -> list[SourcePhoto]:
    if not folder.is_dir():
        raise GfpupError(f"there is no folder {folder}: give a folder of pictures.")
    if not (found := pictures_in(folder)):
        raise GfpupError(f"the folder {folder} holds no pictures: give a folder of pictures.")
    return list(pairs.by_name(found, what=str(folder)).values())


def _of_runs(runs: Sequence[RunRecord]) -> list[SourcePhoto]:
    """The results of runs, each photo once, under the name that it has in the first run."""
    first = {
        key: SourcePhoto(run.folder / name, PurePosixPath(name)) for run in reversed(runs) for name, key in run.matches.items()
    }
    return list(first.values())


def _united(lists: Sequence[Sequence[SourcePhoto]], *, fixed: int) -> list[SourcePhoto]:
    """Every photo once, under the name without a suffix that a list has for it; the first `fixed` keep theirs."""
    photos: list[SourcePhoto] = []
    for pictures in lists:
        taken = {each.partner for each in match(photos, pictures, what="picture")}
        new = [picture for picture in pictures if picture not in taken]
        # "anna_out.png" came first, and here is "anna.jpg".
        shorter = {each.partner: each.photo for each in match(new, photos[fixed:], what="picture") if each.partner is not None}
        photos = [shorter.get(photo, photo) for photo in photos]
        photos += [picture for picture in new if picture not in shorter.values()]
    return photos


def _partners(
    photos: Sequence[SourcePhoto], pictures: Sequence[SourcePhoto], what: str = "picture"
) -> dict[SourcePhoto, Match]:
    return {each.photo: each for each in match(photos, pictures, what=what)}


def _refuse_unrelated(
    found: Mapping[Path, Mapping[SourcePhoto, Match]], shown: Sequence[SourcePhoto], of_runs: Sequence[SourcePhoto]
) -> None:
    """Refuse, with a GfpupError, a folder that has no photo in common with another folder or a run."""
    if len(found) + bool(of_runs) < 2:
        return
    for folder, matches in found.items():
        others = [each for other, each in found.items() if other != folder]
        own = [photo for photo in shown if matches[photo].partner]
        if not any(photo in of_runs or any(each[photo].partner for each in others) for photo in own):
            raise GfpupError(f"no picture in {folder} has the name of one in the other folders: {_NAMES}.")


def _refuse_strangers(
    originals: Mapping[str, Mapping[SourcePhoto, Match]], places: Mapping[str, Path | None], folders: Sequence[Path]
) -> None:
    """Refuse, with a GfpupError, inputs or references none of which belongs to a photo."""
    for what, matches in originals.items():
        if not any(each.partner for each in matches.values()):
            raise GfpupError(f"no picture in {places[what]} has the name of one in {some(list(map(str, folders)))}: {_NAMES}.")


def _absent(matches: Mapping[SourcePhoto, Match]) -> str:
    """Which photos lack a picture, and why; empty where none does."""
    reasons = [f"{photo.relative} {each.reason}" for photo, each in matches.items() if each.partner is None]
    return f"{len(reasons)} of {len(matches)} photos ({some(reasons)})" if reasons else ""


def _item(found: Match, folder: Path, originals: Mapping[str, Mapping[SourcePhoto, Match]], degraded: Path | None) -> Item:
    partner = {what: matches[found.photo].partner for what, matches in originals.items()}
    paths = {what: None if picture is None else picture.path for what, picture in partner.items()}
    no_input = f"there is no picture of this name in {degraded}" if degraded else "no folder of inputs was given"
    return Item(
        str(found.photo.relative),
        restored=None if found.partner is None else found.partner.path,
        degraded=paths.get("input"),
        reference=paths.get("reference"),
        refusal=None if found.partner else f"this photo {found.reason} in {folder}",
        no_input=no_input,
    )
