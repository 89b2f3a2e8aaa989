"""Results that lie on disk: photos of a finished run by its record, or of a folder by name, with what they are held against."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from gfpup.core.errors import GfpupError
from gfpup.core.files import natural_key
from gfpup.core.types import Float64
from gfpup.evaluation.metrics.cost import unshared
from gfpup.evaluation.scorer import affines_of_line
from gfpup.photos import pairs, sources
from gfpup.photos.sources import SourcePhoto
from gfpup.records.manifest import DOCUMENT

_NO_FACES: Final = "a folder records no faces: metrics of faces are given where a picture is an aligned face, 512x512 pixels"
_NO_PARTNER: Final = "there is no picture to compare with: give --input or --reference"


@dataclass(frozen=True, eq=False)
class Item:
    """One photo to score, by files. `refusal` says why there is no result, `no_input` and `no_faces` why those are not there.

    `referenced` says that it is to be held against a reference, there or not. `affines` None means that an aligned 512-pixel
    picture is its own face; with a `damage` (protocol, seed) the file `degraded` is the reference, and what was restored is
    made from it.
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


def items_of_run(folder: Path, *, reference: Path | None = None, degraded: Path | None = None) -> tuple[list[Item], list[str]]:
    """The photos of a run by its record, and what has to be said; references and inputs are its own, or from other folders.

    Raises:
        GfpupError: the record cannot be read, the run goes on still, or no photo has a reference in `reference`.
    """
    document = _document(folder)
    said = []
    if reference is None:
        recorded = document.get("configuration", {}).get("source", {}).get("reference")
        reference = None if recorded is None else Path(recorded)
        if reference is not None and not reference.is_dir():
            said.append(f"the references of {folder} are not at {reference}: give them with --reference")
            reference = None
    references = _by_name(reference, "reference")
    inputs = _by_name(degraded, "input")
    damage = document.get("plan", {}).get("pixels", {}).get("damage")
    items = []
    for line in document["photos"]:
        source = _source(line)
        path, no_input = _input(line) if inputs is None else _named(source, inputs, degraded)
        partner = None if references is None else pairs.find_reference(source, references)
        restored = folder / line["name"]
        refusal = line["error"] if line["error"] is not None else None if restored.is_file() else f"{restored} is not there"
        if references is not None and partner is None:
            refusal = refusal or f"it has no reference in {reference}"
        items.append(
            Item(
                line["name"],
                restored=restored,
                degraded=path,
                reference=None if partner is None else partner.path,
                referenced=references is not None or damage is not None,
                refusal=refusal,
                affines={} if path is None else affines_of_line(line),
                stages=unshared(line["seconds"], line.get("reused", {})),
                damage=None if damage is None else (damage[0], damage[1]),
                no_input=no_input,
                no_faces=None if path is not None else f"faces are cut along what was found in the input, and {no_input}",
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
    restored = _by_name(folder, "restored")
    assert restored is not None
    partners = {"reference": _by_name(reference, "reference"), "input": _by_name(degraded, "input")}
    wanted = dict(restored)
    for group in partners.values():
        for key, photo in (group or {}).items():
            wanted.setdefault(key, photo)
    items = []
    for key, photo in wanted.items():
        found = {what: None if group is None else group.get(key) for what, group in partners.items()}
        lacking = [what for what, group in partners.items() if group is not None and found[what] is None]
        result = restored.get(key)
        refusal = f"there is no result of it in {folder}" if result is None else None
        if lacking:
            refusal = refusal or f"it has no {lacking[0]} in {reference if lacking[0] == 'reference' else degraded}"
        paths = {what: None if partner is None else partner.path for what, partner in found.items()}
        items.append(
            Item(
                str((result or photo).relative),
                restored=None if result is None else result.path,
                reference=paths["reference"],
                referenced=reference is not None,
                degraded=paths["input"],
                refusal=refusal,
                no_faces=_NO_FACES,
            )
        )
    if all(item.refusal for item in items):
        raise GfpupError(f"no picture of {folder} has its partners: names must be equal but for the extension")
    items.sort(key=lambda item: (natural_key(item.name), item.name))
    return items, []


def _document(folder: Path) -> dict[str, Any]:
    path = folder / DOCUMENT
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("photos"), list):
        raise GfpupError(f"{path} is no record of a run: give pictures of another tool with --restored")
    if document.get("status") == "running":
        raise GfpupError(f"the run in {folder} has not ended: wait for it, or give its command again, which resumes it")
    return document


def _source(line: Mapping[str, Any]) -> SourcePhoto:
    """A photo of a record with the path it had in its input folder: its result may have a suffix or a number."""
    path = Path(line["input"])
    return SourcePhoto(path, PurePosixPath(line["name"]).with_name(path.name))


def _input(line: Mapping[str, Any]) -> tuple[Path | None, str]:
    path = Path(line["input"])
    try:
        with path.open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == line["input_sha256"]
    except OSError:
        return None, f"its input {path} is not there: give --input"
    return (path, "") if same else (None, f"its input {path} has changed since the run: give --input")


def _named(photo: SourcePhoto, inputs: Mapping[str, SourcePhoto], folder: Path | None) -> tuple[Path | None, str]:
    found = pairs.find_reference(photo, inputs)
    return (None, f"its input {photo.relative} is not in {folder}") if found is None else (found.path, "")


def _by_name(folder: Path | None, what: str) -> dict[str, SourcePhoto] | None:
    if folder is None:
        return None
    if not folder.is_dir():
        raise GfpupError(f"there is no folder {folder}: --{what} takes a folder of pictures")
    return pairs.by_name(sources.expand([str(folder)], recursive=True), what=what)
