"""Which picture of another folder belongs to a photo: the one matcher for results, references and inputs.

Photos are matched by their path relative to the folder they came from, without the extension, so that `album1/1.jpg` and
`album2/1.jpg` are never confused. Only where no picture has that path is a documented suffix accepted, and only where one
candidate is left. Whatever remains unclear is refused with a reason: a wrong match is another person's face.
"""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Final

from gfpup.photos.sources import SourcePhoto, some

SUFFIXES: Final = ("_out", "_output", "_restored", "_result", "_enhanced", "_final", "_gfpgan", "_codeformer")
"""What tools add to a photo's name: `anna_out.png` is a result of `anna.jpg`, `anna_smith.png` is not."""


@dataclass(frozen=True)
class Match:
    """A photo and the picture that belongs to it, or the `reason` why none does (one of the two is None)."""

    photo: SourcePhoto
    partner: SourcePhoto | None
    reason: str | None = None


def key_of(photo: SourcePhoto) -> str:
    """The name a photo is matched by: its relative path without the extension, accents composed (NFC)."""
    return _key(photo.relative.with_suffix(""))


def match(photos: Sequence[SourcePhoto], candidates: Sequence[SourcePhoto], *, what: str) -> list[Match]:
    """Find the picture among `candidates` that belongs to each of `photos`, in their order; `what` names one ("result").

    A candidate belongs to at most one photo. A reason is a clause that follows the photo's name: "has no result".
    """
    by_key: dict[str, list[SourcePhoto]] = defaultdict(list)
    for candidate in candidates:
        by_key[key_of(candidate)].append(candidate)
    exact = {key_of(photo) for photo in photos} & by_key.keys()
    claims: dict[str, list[SourcePhoto]] = defaultdict(list)
    chosen: list[list[str]] = []
    for photo in photos:
        key = key_of(photo)
        chosen.append([key] if key in exact else [near for s in SUFFIXES if (near := key + s) in by_key and near not in exact])
        for each in chosen[-1]:
            claims[each].append(photo)
    return [
        _decided(photo, [c for key in keys for c in by_key[key]], [p for key in keys for p in claims[key]], candidates, what)
        for photo, keys in zip(photos, chosen, strict=True)
    ]


def match_listed(photos: Sequence[SourcePhoto], listed: Sequence[tuple[str, str]], folder: Path) -> list[Match]:
    """Find each photo's picture by a mapping file's lines (photo, picture inside `folder`), in the order of `photos`.

    A line names a photo by its absolute path, its path from the input folder or the current one, or its bare name, each with or
    without the extension; the most exact line counts. A line that fits several photos alike is refused.
    """
    lines = {_key(PurePosixPath(Path(name).as_posix())): picture for name, picture in listed}
    named = [next(((level, name) for level, name in enumerate(_spellings(p)) if name in lines), None) for p in photos]
    claims: dict[str, list[tuple[int, SourcePhoto]]] = defaultdict(list)
    for photo, line in zip(photos, named, strict=True):
        if line is not None:
            claims[line[1]].append((line[0], photo))
    found = []
    for photo, line in zip(photos, named, strict=True):
        if line is None:
            found.append(Match(photo, None, "is not in the mapping file: add a line for it"))
            continue
        level, name = line
        rivals = [other for claimed, other in claims[name] if other is not photo and claimed <= level]
        picture = folder / lines[name]
        if rivals:
            reason = f"shares the line {name!r} of the mapping file with {rivals[0].path}: name each one by its whole path"
            found.append(Match(photo, None, reason))
        elif not picture.is_file():
            found.append(Match(photo, None, f"is mapped to {picture}, which does not exist"))
        else:
            found.append(Match(photo, SourcePhoto(picture, PurePosixPath(lines[name]))))
    return found


def _decided(
    photo: SourcePhoto, own: list[SourcePhoto], claimed_by: list[SourcePhoto], every: Sequence[SourcePhoto], what: str
) -> Match:
    if not own:
        elsewhere = [str(c.relative) for c in every if _key(c.relative.stem) == _key(photo.relative.stem)]
        hint = f" ({some(elsewhere)} lies in another folder)" if elsewhere else ""
        return Match(photo, None, f"has no {what}{hint}")
    if len(own) > 1:
        return Match(photo, None, f"has more than one possible {what}: {some([str(each.relative) for each in own])}")
    rival = next((other for other in claimed_by if other is not photo), None)
    if rival is not None:
        return Match(photo, None, f"cannot be given the {what} {own[0].relative}, which also fits {rival.path}")
    return Match(photo, own[0])


def _spellings(photo: SourcePhoto) -> list[str]:
    """The keys under which a mapping file may name a photo, the most exact first."""
    absolute = PurePosixPath(Path(os.path.normpath(photo.path.absolute())).as_posix())
    here = PurePosixPath(Path(os.path.relpath(absolute)).as_posix())
    names = [absolute, photo.relative, here, PurePosixPath(photo.relative.name)]
    return [_key(form) for name in names for form in (name, name.with_suffix(""))]


def _key(name: PurePath | str) -> str:
    return unicodedata.normalize("NFC", str(name))
