"""The photos of persons: a folder that holds a folder for each of them, named after the person."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from gfpup.core.errors import GfpupError, PhotoError
from gfpup.core.files import natural_key
from gfpup.photos.opening import photo_sha256
from gfpup.photos.sources import pictures_in

Listing = Mapping[str, tuple[Path, ...]]
"""The photos of each person, by name, in a natural order."""


def find_people(folder: Path) -> Listing:
    """List the photos of the persons in `folder`: those of a person lie in the folder of that name, or in folders below it.

    Hidden folders do not count, nor do photos that lie in `folder` itself (`nobodys`). No file is opened.

    Raises: GfpupError: there is no such folder, it holds no folder, or one of them holds no photo.
    """
    if not folder.is_dir():
        raise GfpupError(f"invalid value '{folder}' for --people: expected a folder with a folder of photos for each person.")
    try:
        inside = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: natural_key(path.name))
    except OSError as error:
        raise GfpupError(f"the folder {folder} of --people cannot be listed: {error.strerror or error}.") from None
    people = {path.name: path for path in inside if not path.name.startswith(".")}
    if not people:
        raise GfpupError(f"the folder {folder} of --people holds no folders: make one for each person and name it after them.")
    found = {name: tuple(photo.path for photo in pictures_in(path)) for name, path in people.items()}
    for name, photos in found.items():
        if not photos:
            raise GfpupError(f"the folder {people[name]} of --people holds no photo: put photos of {name} there, or remove it.")
    return found


def nobodys(folder: Path, people: Listing) -> list[Path]:
    """The photos that lie in `folder` and in none of the persons' folders."""
    theirs = {path for photos in people.values() for path in photos}
    return [photo.path for photo in pictures_in(folder) if photo.path not in theirs]


def digest_of(people: Listing) -> str:
    """The SHA-256 of who is there and of their photos' bytes, whatever these are called; an unreadable one counts as absent."""
    facts = {name: sorted(filter(None, map(_digest, photos))) for name, photos in people.items()}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def also_among(people: Listing, photos: Iterable[Path]) -> list[Path]:
    """The photos of `people` that are, byte for byte, also among `photos`."""
    sizes: dict[int, list[Path]] = {}
    for path in photos:
        with suppress(OSError):
            sizes.setdefault(path.stat().st_size, []).append(path)
    found = []
    for path in (path for theirs in people.values() for path in theirs):
        with suppress(OSError):
            alike = sizes.get(path.stat().st_size, [])
            if alike and _digest(path) in set(filter(None, map(_digest, alike))):
                found.append(path)
    return found


def _digest(path: Path) -> str | None:
    try:
        return photo_sha256(path)
    except PhotoError:
        return None
