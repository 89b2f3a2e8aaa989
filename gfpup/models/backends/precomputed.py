"""The results of any other tool, taken into the same scoring, sweeps and reports."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from gfpup import photos
from gfpup.core.errors import GfpupError, PhotoError
from gfpup.core.types import Photo


class Precomputed:
    """Finds the finished photo (or face) of another tool by the input's name or by a mapping.

    Without a mapping, a result belongs to the photo with the same name, whatever the extension, or to the only one whose name
    begins with the photo's and an underscore (`a_restored.png` to `a.jpg`).
    """

    def __init__(self, folder: Path, mapping: Path | None = None) -> None:
        if not folder.is_dir():
            raise GfpupError(f"the folder of results {folder} is not there; give one with --restored.")
        self.folder = folder
        self._files = sorted(f for f in folder.rglob("*") if f.suffix.lower().lstrip(".") in _EXTENSIONS and f.is_file())
        if not self._files:
            raise GfpupError(f"{folder} holds no pictures; give the folder of the other tool's results with --restored.")
        self._mapping = None if mapping is None else _read_mapping(mapping)

    def find(self, photo: Path) -> Path:
        """The result that belongs to `photo`.

        Raises:
            PhotoError: none does, or several do.
        """
        if self._mapping is not None:
            named = self._mapping.get(photo.name, self._mapping.get(photo.stem))
            if named is None:
                raise PhotoError(f"{photo} is not in the mapping file; add a line for it.")
            if not (self.folder / named).is_file():
                raise PhotoError(f"{photo} is mapped to {self.folder / named}, which is not there.")
            return self.folder / named
        same = [file for file in self._files if file.stem == photo.stem]
        near = same or [file for file in self._files if file.stem.startswith(f"{photo.stem}_")]
        if len(near) != 1:
            found = f"{len(near)} results could be its own ({', '.join(f.name for f in near[:3])})" if near else "no result"
            raise PhotoError(f"{photo} has {found} in {self.folder}; name each one's result in a --mapping file.")
        return near[0]

    def photo(self, photo: Photo) -> Photo:
        """Read the result that belongs to `photo`."""
        return photos.read_photo(self.find(photo.path))


_EXTENSIONS = frozenset(extension.lstrip(".").lower() for extension in photos.PICTURE_EXTENSIONS)


def _read_mapping(path: Path) -> Mapping[str, str]:
    """A CSV file of two columns: the input's name (with or without extension), and its result's path in the folder."""
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise GfpupError(f"the mapping file {path} cannot be read: {error}; give a CSV file with --mapping.") from None
    pairs = [[cell.strip() for cell in row] for row in rows if row and any(cell.strip() for cell in row)]
    if pairs and [cell.lower() for cell in pairs[0]] == ["input", "restored"]:
        pairs = pairs[1:]
    for number, pair in enumerate(pairs, 1):
        if len(pair) != 2 or not all(pair):
            raise GfpupError(f"line {number} of {path} is {','.join(pair)!r}; each line holds an input and its result.")
    names = [pair[0] for pair in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise GfpupError(f"{path} maps {twice} twice; keep one line.")
    return {pair[0]: pair[1] for pair in pairs}
