"""The results of any other tool, taken into the same scoring, sweeps and reports."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from gfpup import photos
from gfpup.core.errors import GfpupError, PhotoError
from gfpup.core.types import Photo
from gfpup.photos import sources
from gfpup.photos.matching import Match, match, match_listed
from gfpup.photos.sources import SourcePhoto


class Precomputed:
    """Finds the finished photo (or face) of another tool for each input, by its path or by a mapping file.

    Without a mapping file, a result belongs to the photo with the same path inside its folder, whatever the extension, or with
    one of `matching.SUFFIXES` added.

    Raises: GfpupError: the folder holds no pictures, or the mapping file cannot be read.
    """

    def __init__(self, folder: Path, mapping: Path | None = None) -> None:
        if not folder.is_dir():
            raise GfpupError(f"the folder of results {folder} does not exist: give another one with --restored.")
        self.folder = folder
        self._files = sources.pictures_in(folder)
        if not self._files:
            raise GfpupError(f"{folder} holds no pictures: give the folder of the other tool's results with --restored.")
        self._mapping = None if mapping is None else _read_mapping(mapping)

    def match(self, inputs: Sequence[SourcePhoto]) -> list[Match]:
        """The result of each of a run's `inputs`, or the reason why it has none; give all of them at once."""
        if self._mapping is not None:
            return match_listed(inputs, self._mapping, self.folder)
        return match(inputs, self._files, what="result")

    def photo(self, photo: Photo) -> Photo:
        """Read the result of `photo`: the one that the run found for it, or for a photo on its own the one of its name.

        Raises: PhotoError: it has none, or it cannot be read.
        """
        path = photo.delivered
        if path is None:
            (found,) = self.match([SourcePhoto(photo.path, PurePosixPath(photo.path.name))])
            if found.partner is None:
                raise PhotoError(self.refusal(found))
            path = found.partner.path
        return photos.read_photo(path)

    def refusal(self, found: Match) -> str:
        """Why a photo has no result, in a sentence."""
        where = f" in {self.folder}; name its result in a --mapping file" if self._mapping is None else ""
        return f"{found.photo.path} {found.reason}{where}."


def _read_mapping(path: Path) -> list[tuple[str, str]]:
    """A CSV file of two columns: the input's path or name (with or without extension), and its result's path in the folder."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise GfpupError(f"the mapping file {path} cannot be read: {error.strerror}; give a CSV file with --mapping.") from None
    rows = list(csv.reader(text.splitlines()))
    pairs = [[cell.strip() for cell in row] for row in rows if row and any(cell.strip() for cell in row)]
    if pairs and [cell.lower() for cell in pairs[0]] == ["input", "restored"]:
        pairs = pairs[1:]
    for number, pair in enumerate(pairs, 1):
        if len(pair) != 2 or not all(pair):
            raise GfpupError(f"line {number} of {path} is {','.join(pair)!r}: each line must hold an input and its result.")
    names = [pair[0] for pair in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise GfpupError(f"{path} maps {twice} twice: keep one line.")
    return [(pair[0], pair[1]) for pair in pairs]
