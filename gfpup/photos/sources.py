"""Which photos a run takes, and what their results are called. Lists names only; no file is opened."""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Final

from gfpup.core.errors import GfpupError
from gfpup.core.files import natural_key
from gfpup.photos.formats import FOREIGN_EXTENSIONS, PICTURE_EXTENSIONS, output_extension

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

    Raises: GfpupError (an input does not exist, cannot be listed, or holds no photo).
    """
    photos: dict[Path, SourcePhoto] = {}
    barred = _real(exclude) if exclude is not None else None
    for given in inputs:
        for photo in _photos_of(given, recursive=recursive, barred=barred):
            photos.setdefault(_real(photo.path), photo)
    return list(photos.values())


def left_out(inputs: Sequence[str], *, recursive: bool, exclude: Path | None = None) -> tuple[str, ...]:
    """What `expand` leaves out of the folders among `inputs`, in sentences; hidden files and the output folder do not count."""
    barred = _real(exclude) if exclude is not None else None
    folders: list[str] = []
    files: list[str] = []
    for given in inputs:
        todo, seen = [Path(given)] if Path(given).is_dir() else [], {barred}
        while todo:
            folder = todo.pop(0)
            if (real := _real(folder)) in seen:
                continue
            seen.add(real)
            for path in sorted(folder.iterdir()):
                if path.name.startswith(".") or (barred is not None and _real(path) == barred):
                    continue
                if path.is_dir() and recursive:
                    todo.append(path)
                elif path.is_dir():
                    folders.append(path.name)
                elif not _is_taken(path):
                    files.append(path.name)
    said = [f"{_counted(folders, 'sub-folder')} skipped ({some(folders, 5)}): add --recursive to take them"] if folders else []
    said += [f"{_counted(files, 'file')} skipped, not a photo by the extension ({some(files, 5)})"] if files else []
    return tuple(said)


def _counted(names: Sequence[str], what: str) -> str:
    return f"1 {what} was" if len(names) == 1 else f"{len(names)} {what}s were"


def some(names: Sequence[str], most: int = 3) -> str:
    """The first of `names`, for a message, with dots where there are more."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def pictures_in(folder: Path) -> list[SourcePhoto]:
    """List every picture of a folder and its sub-folders, each under every name it has, in a natural, fixed order.

    Raises: GfpupError (a folder cannot be listed).
    """
    return _ordered(_walk(folder, deep=True, barred=None))


def plan_outputs(
    photos: Sequence[SourcePhoto], *, output: Path, ext: str, suffix: str = "", recorded: Mapping[str, str] | None = None
) -> list[Path]:
    """Name the result of each photo: `output`, its sub-folders, `<stem><suffix>.<ext>`, no two alike on any file system.

    Names that would meet (`a.jpg` and `a.png` both as PNG, `A.jpg` beside `a.jpg`) get `_2`, `_3`, ... from the second on, in
    the order of the list; plan over the whole list, so that names do not depend on a limit. `recorded` maps absolute inputs to
    the names inside `output` that an earlier run gave; they stay.

    Raises: GfpupError (the suffix or extension is not usable, or a result would overwrite one of the photos).
    """
    if re.search(r"[/\\\x00-\x1f]", suffix):
        raise GfpupError(f"cannot name results with the suffix {suffix!r}: it must hold no slash and no control character")
    wanted = [p.relative.with_name(f"{p.relative.stem}{suffix}.{output_extension(p.relative, ext)}") for p in photos]
    kept = [(recorded or {}).get(str(photo.path.absolute())) for photo in photos]
    reserved = {_key(name) for name in wanted}
    used = {_key(folder) for name in wanted for folder in name.parents}
    used |= {_key(PurePosixPath(name)) for name in kept if name is not None}
    planned: list[Path] = []
    for name, before in zip(wanted, kept, strict=True):
        choice, number = name, 1
        while before is None and (_key(choice) in used or (number > 1 and _key(choice) in reserved)):
            number += 1
            choice = name.with_name(f"{name.stem}_{number}{name.suffix}")
        if before is None:
            used.add(_key(choice))
        planned.append(output / (before or choice))
    _refuse_overwriting(photos, planned)
    return planned


def _photos_of(given: str, *, recursive: bool, barred: Path | None) -> list[SourcePhoto]:
    path = Path(given)
    if not path.exists() and given.startswith("~"):
        try:
            path = path.expanduser()
        except RuntimeError:
            raise GfpupError(f"{given} names the home of an unknown user: give the folder's whole path") from None
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
    found = _ordered(_walk(folder, deep=recursive, barred=barred))
    if not found:
        deeper = not recursive and next(_walk(folder, deep=True, barred=barred), None)
        taken = sorted(PICTURE_EXTENSIONS | (FOREIGN_EXTENSIONS - {"jxl"} if find_spec("pillow_heif") else frozenset()))
        hint = "its sub-folders do, so add --recursive" if deeper else f"extensions that are taken: {', '.join(taken)}"
        raise GfpupError(f"input folder {str(folder)!r} holds no photo: {hint}")
    return found


def _walk(
    folder: Path, relative: PurePosixPath | str = "", *, deep: bool, barred: Path | None, seen: set[Path] | None = None
) -> Iterator[SourcePhoto]:
    real, seen = _real(folder), set() if seen is None else seen
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
        if path.is_dir() and deep:
            yield from _walk(path, PurePosixPath(relative, path.name), deep=True, barred=barred, seen=seen)
        elif not path.is_dir() and _is_taken(path):
            yield SourcePhoto(path, PurePosixPath(relative, path.name))


def _photos_of_glob(pattern: Path, *, barred: Path | None) -> list[SourcePhoto]:
    root = Path(pattern.anchor)
    parts = list(pattern.parts[1:] if pattern.anchor else pattern.parts)
    # What exists by its very name is a folder and no pattern: "family [1990]/*.jpg" is looked for where it says.
    while parts and (not glob.has_magic(parts[0]) or (root / parts[0]).exists()):
        root /= parts.pop(0)
    try:
        matches = sorted(root.glob(str(Path(*parts)))) if parts else []
    except (OSError, ValueError, IndexError, NotImplementedError) as error:
        raise GfpupError(f"input {str(pattern)!r} is not a valid glob: {error}") from error
    found = []
    for path in matches:
        relative = PurePosixPath(path.relative_to(root).as_posix())
        hidden = any(part.startswith(".") for part in relative.parts)
        below = barred is not None and _real(root) != barred and barred in _real(path).parents
        if not hidden and not below and _is_taken(path) and path.is_file():
            found.append(SourcePhoto(path, relative))
    if not found:
        raise GfpupError(f"input {str(pattern)!r} matches no photo: check the pattern, and quote it against the shell")
    return _ordered(found)


def _real(path: Path) -> Path:
    """The path without links; where they lead in a circle, as far as that goes (`Path.resolve` raises RuntimeError)."""
    return Path(os.path.realpath(path))


def _ordered(photos: Iterable[SourcePhoto]) -> list[SourcePhoto]:
    return sorted(photos, key=lambda photo: ([natural_key(part) for part in photo.relative.parts], str(photo.relative)))


def _is_taken(path: Path) -> bool:
    return path.suffix.lower().removeprefix(".") in _TAKEN


def _key(name: PurePosixPath) -> str:
    # macOS and Windows take names for one that differ in case or in how an accent is composed.
    return unicodedata.normalize("NFC", str(name)).casefold()


def _refuse_overwriting(photos: Sequence[SourcePhoto], planned: Sequence[Path]) -> None:
    # By file and not by name: links and file systems that ignore case give one file many names.
    inputs = {identity: str(photo.path) for photo in photos if (identity := _identity(photo.path)) is not None}
    for path in planned:
        if (identity := _identity(path)) in inputs:
            clash = f"the result {str(path)!r} would overwrite the photo {inputs[identity]!r}"
            raise GfpupError(f"{clash}: choose another --output or --suffix")


def _identity(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):  # nothing is there, or nothing that could be overwritten
        status = path.stat()
        return status.st_dev, status.st_ino
    return None
