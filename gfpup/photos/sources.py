"""Which photos a run takes, and what their results are called. Lists names only; no file is opened."""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Final

from gfpup.core.errors import GfpupError
from gfpup.core.files import natural_key
from gfpup.photos.formats import FOREIGN_EXTENSIONS, PICTURE_EXTENSIONS, output_extension

_NAMED: Final = 5
_TAKEN: Final = PICTURE_EXTENSIONS | FOREIGN_EXTENSIONS


@dataclass(frozen=True)
class SourcePhoto:
    """One photo to restore: where it is, and its path relative to the input it came from (its bare name for a file)."""

    path: Path
    relative: PurePosixPath


def expand(inputs: Sequence[str], *, recursive: bool, exclude: Path | None = None) -> list[SourcePhoto]:
    """List the photos of files, folders and globs (`**` goes into sub-folders), each file once, in a natural, fixed order.

    A file is taken whatever its extension. Of folders and globs, files with a picture's extension are taken and hidden ones are
    not. An input is a glob only if no file of that very name exists. What lies below `exclude` (the output folder) inside an
    input folder is left out, so that results are not taken for photos in the next run.

    Raises:
        GfpupError: an input does not exist, cannot be listed, or holds no photo.
    """
    photos: list[SourcePhoto] = []
    seen: set[Path] = set()
    barred = _real(exclude) if exclude is not None else None
    for given in inputs:
        for photo in _photos_of(given, recursive=recursive, barred=barred):
            real = _real(photo.path)
            if real not in seen:
                seen.add(real)
                photos.append(photo)
    return photos


@dataclass(frozen=True)
class LeftOut:
    """What input folders hold beside the photos that are taken: sub-folders without --recursive, and files of other kinds."""

    folders: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()

    def sentences(self) -> tuple[str, ...]:
        """What was left out, counted and named, for the screen."""
        said = []
        if self.folders:
            said.append(
                f"{_counted(self.folders, 'sub-folder')} skipped ({_named(self.folders)}): add --recursive to take them"
            )
        if self.files:
            said.append(f"{_counted(self.files, 'file')} skipped, not a photo by the extension ({_named(self.files)})")
        return tuple(said)


def left_out(inputs: Sequence[str], *, recursive: bool, exclude: Path | None = None) -> LeftOut:
    """What the folders among `inputs` hold that `expand` does not take; hidden files and the output folder do not count."""
    barred = _real(exclude) if exclude is not None else None
    folders: list[Path] = []
    files: list[Path] = []
    for given in inputs:
        todo, seen = [Path(given)] if Path(given).is_dir() else [], set()
        while todo:
            folder = todo.pop(0)
            if (real := _real(folder)) == barred or real in seen:
                continue
            seen.add(real)
            for path in sorted(folder.iterdir()):
                if path.name.startswith(".") or (barred is not None and _real(path) == barred):
                    continue
                if path.is_dir():
                    (todo if recursive else folders).append(path)
                elif not _is_taken(path):
                    files.append(path)
    return LeftOut(tuple(folders), tuple(files))


def _counted(paths: Sequence[Path], what: str) -> str:
    return f"1 {what} was" if len(paths) == 1 else f"{len(paths)} {what}s were"


def _named(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths[:_NAMED]) + (", ..." if len(paths) > _NAMED else "")


def pictures_in(folder: Path) -> list[SourcePhoto]:
    """List every picture of a folder and its sub-folders, each under every name it has, in a natural, fixed order.

    Raises:
        GfpupError: a folder cannot be listed.
    """
    return _ordered(_walk(folder, PurePosixPath(), deep=True, barred=None, seen=set()))


def plan_outputs(
    photos: Sequence[SourcePhoto],
    *,
    output: Path,
    ext: str,
    suffix: str = "",
    recorded: Mapping[str, str] | None = None,
) -> list[Path]:
    """Name the result of each photo: `output`, its sub-folders, `<stem><suffix>.<ext>`, no two alike on any file system.

    Names that would meet (`a.jpg` and `a.png` both as PNG, `A.jpg` beside `a.jpg`) get `_2`, `_3`, ... from the second on, in
    the order of the list. With `ext` "auto" a file's extension stands for its format. Plan over the whole list before limiting
    it, so that names do not depend on the limit. What an earlier run called the result of a file stays: `recorded` maps
    absolute inputs to names inside `output`.

    Raises:
        GfpupError: the suffix or extension is not usable, or a result would overwrite one of the photos.
    """
    if re.search(r"[/\\\x00-\x1f]", suffix):
        raise GfpupError(f"cannot name results with the suffix {suffix!r}: it must hold no slash and no control character")
    recorded = recorded or {}
    wanted = []
    for photo in photos:
        extension = output_extension(photo.relative, ext)
        wanted.append(photo.relative.with_name(f"{photo.relative.stem}{suffix}.{extension}"))
    reserved = {_key(name) for name in wanted}
    used = {_key(folder) for name in wanted for folder in name.parents}
    kept = [PurePosixPath(recorded[str(p.path.absolute())]) if str(p.path.absolute()) in recorded else None for p in photos]
    used |= {_key(name) for name in kept if name is not None}
    planned: list[Path] = []
    for name, before in zip(wanted, kept, strict=True):
        if before is not None:
            planned.append(output / before)
            continue
        choice, number = name, 1
        while _key(choice) in used or (number > 1 and _key(choice) in reserved):
            number += 1
            choice = name.with_name(f"{name.stem}_{number}{name.suffix}")
        used.add(_key(choice))
        planned.append(output / choice)
    _refuse_overwriting(photos, planned)
    return planned


def _photos_of(given: str, *, recursive: bool, barred: Path | None) -> list[SourcePhoto]:
    path = Path(given)
    if not path.exists() and given.startswith("~"):
        try:
            path = path.expanduser()
        except RuntimeError:
            raise GfpupError(f"{given} names the home of a user who is not there; write the folder's whole path") from None
    if path.is_dir():
        return _photos_of_folder(path, recursive=recursive, barred=barred)
    if path.exists():
        return [SourcePhoto(path, PurePosixPath(path.name))]
    if glob.has_magic(str(path)):
        return _photos_of_glob(path, barred=barred)
    raise GfpupError(f"input {given!r} does not exist: give a file, a folder or a glob in quotes")


def _photos_of_folder(folder: Path, *, recursive: bool, barred: Path | None) -> list[SourcePhoto]:
    if _real(folder) == barred:
        raise GfpupError(f"input {str(folder)!r} is the output folder too: choose another --output, so that no photo is lost")
    found = _ordered(_walk(folder, PurePosixPath(), deep=recursive, barred=barred, seen=set()))
    if not found:
        deeper = not recursive and next(_walk(folder, PurePosixPath(), deep=True, barred=barred, seen=set()), None)
        hint = "its sub-folders do, so add --recursive" if deeper else f"extensions that are taken: {', '.join(_readable())}"
        raise GfpupError(f"input folder {str(folder)!r} holds no photo: {hint}")
    return found


def _walk(folder: Path, relative: PurePosixPath, *, deep: bool, barred: Path | None, seen: set[Path]) -> Iterator[SourcePhoto]:
    real = _real(folder)
    if real == barred or real in seen:
        return  # the output folder, or a link to a folder that is listed already
    seen.add(real)
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise GfpupError(f"input folder {str(folder)!r} cannot be listed: {error.strerror or error}") from error
    for path in paths:
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if deep:
                yield from _walk(path, relative / path.name, deep=True, barred=barred, seen=seen)
        elif _is_taken(path):
            yield SourcePhoto(path, relative / path.name)


def _photos_of_glob(pattern: Path, *, barred: Path | None) -> list[SourcePhoto]:
    parts = list(pattern.parts)
    root = Path(pattern.anchor)
    parts = parts[1:] if pattern.anchor else parts
    # What exists by its very name is a folder and no pattern: "family [1990]/*.jpg" is looked for where it says.
    while parts and (not glob.has_magic(parts[0]) or (root / parts[0]).exists()):
        root /= parts.pop(0)
    try:
        matches = sorted(root.glob(str(Path(*parts)))) if parts else []
    except (OSError, ValueError, IndexError, NotImplementedError) as error:
        raise GfpupError(f"input {str(pattern)!r} is no glob that can be followed: {error}") from error
    found = []
    for path in matches:
        relative = PurePosixPath(path.relative_to(root).as_posix())
        hidden = any(part.startswith(".") for part in relative.parts)
        below = barred is not None and _real(root) != barred and barred in _real(path).parents
        if not hidden and not below and _is_taken(path) and path.is_file():
            found.append(SourcePhoto(path, relative))
    if not found:
        raise GfpupError(
            f"input {str(pattern)!r} matches no photo: check the pattern, and quote it so that the shell leaves it"
        )
    return _ordered(found)


def _real(path: Path) -> Path:
    """The path without links; where they lead in a circle, as far as that goes (`Path.resolve` raises RuntimeError)."""
    return Path(os.path.realpath(path))


def _ordered(photos: Iterator[SourcePhoto] | list[SourcePhoto]) -> list[SourcePhoto]:
    return sorted(photos, key=lambda photo: ([natural_key(part) for part in photo.relative.parts], str(photo.relative)))


def _is_taken(path: Path) -> bool:
    return path.suffix.lower().removeprefix(".") in _TAKEN


def _readable() -> list[str]:
    """The extensions to offer: those of HEIC only where the package that reads them is installed."""
    heic = FOREIGN_EXTENSIONS - {"jxl"} if find_spec("pillow_heif") else frozenset()
    return sorted(PICTURE_EXTENSIONS | heic)


def _key(name: PurePosixPath) -> str:
    # macOS and Windows take names for one that differ in case or in how an accent is composed.
    return unicodedata.normalize("NFC", str(name)).casefold()


def _refuse_overwriting(photos: Sequence[SourcePhoto], planned: Sequence[Path]) -> None:
    # By file and not by name: links and file systems that ignore case give one file many names.
    inputs = {identity: photo.path for photo in photos if (identity := _identity(photo.path)) is not None}
    for path in planned:
        identity = _identity(path)
        if identity in inputs:
            original = str(inputs[identity])
            raise GfpupError(
                f"the result {str(path)!r} would overwrite the photo {original!r}: choose another --output or --suffix"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None  # nothing is there, or nothing that could be overwritten
    return status.st_dev, status.st_ino
