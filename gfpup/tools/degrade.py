"""Write a set of degraded faces, made from references by a named protocol, with a record that reproduces it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any, Final

from gfpup.core.errors import GfpupError, OutputError
from gfpup.core.files import natural_key, write_atomic
from gfpup.core.types import Metadata
from gfpup.core.versions import __version__
from gfpup.ops import degrade
from gfpup.photos import read_photo, sources, write_photo
from gfpup.photos.opening import photo_sha256
from gfpup.photos.pairs import synthesise
from gfpup.photos.sources import SourcePhoto

RECORD: Final = "degradation.json"
SCHEMA_VERSION: Final = 1
DECIDING: Final = ("numpy", "opencv-python-headless", "pillow")
"""The libraries whose versions can change a pixel."""


def write_set(
    photos: Sequence[SourcePhoto],
    output: Path,
    *,
    protocol: str,
    seed: int,
    references: Path | None = None,
    overwrite: bool = False,
    limit: int | None = None,
    done: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """Degrade each reference by `protocol` and write it as PNG, with the record `degradation.json`, which is returned.

    With `references`, the references of the results (short side 512) are written there under the same names. The same
    references, protocol, seed and versions of numpy, OpenCV and Pillow give the same bytes. A reference that fails is listed
    under "refused" and the rest go on; `done` is called after each.

    Raises:
        GfpupError: unknown protocol, a folder that holds another set or the user's own files, names that cannot be written.
        OutputError: a folder cannot be written.
    """
    if protocol not in degrade.PROTOCOLS:
        raise GfpupError(f"unknown degradation protocol {protocol!r}: choose one of {', '.join(degrade.PROTOCOLS)}")
    names = [path.relative_to(output) for path in sources.plan_outputs(photos, output=output, ext="png")]
    chosen = list(zip(photos, names, strict=True))[:limit]
    header = _header(protocol, seed)
    lines = _earlier(output, header, overwrite=overwrite)
    if references is not None:
        if references.resolve() == output.resolve():
            remedy = "give another, because the names are the same"
            raise GfpupError(f"--references {references} is also the output folder: {remedy}")
        sources.plan_outputs(photos, output=references, ext="png")
    if not overwrite and not (output / RECORD).exists():
        _refuse_taken(folder / name for _, name in chosen for folder in (output, references) if folder is not None)
    refused: dict[str, str] = {}
    _write_record(output, header, lines, refused)
    for photo, name in chosen:
        lines.pop(name.as_posix(), None)
        try:
            lines[name.as_posix()] = _write(photo, name, output, references, protocol=protocol, seed=seed)
        except OutputError:
            raise
        except GfpupError as error:
            refused[photo.relative.as_posix()] = str(error)
        done()
    return _write_record(output, header, lines, refused)


def _refuse_taken(files: Iterable[Path]) -> None:
    if taken := next((path for path in files if path.exists()), None):
        raise GfpupError(f"{taken} already exists and gfpup degrade did not write it: give another folder, or --overwrite")


def _write(
    photo: SourcePhoto, name: Path, output: Path, references: Path | None, *, protocol: str, seed: int
) -> dict[str, Any]:
    read = read_photo(photo.path)
    degraded, reference, facts = synthesise(read.rgb8, protocol=protocol, seed=seed, name=photo.path.name)
    # The profile says what the numbers mean; EXIF and resolution describe the file they came from.
    metadata = Metadata("PNG", icc_profile=read.metadata.icc_profile)
    for folder, pixels in ((output, degraded), (references, reference)):
        if folder is not None:
            write_photo(folder / name, pixels, alpha=None, metadata=metadata)
    digest, size_hw = photo_sha256(photo.path), list(degraded.shape[:2])
    about = {"name": name.as_posix(), "reference": photo.relative.as_posix(), "reference_sha256": digest, "size_hw": size_hw}
    return about | {key: value for key, value in facts.items() if key not in ("name", "protocol", "seed")}


def _header(protocol: str, seed: int) -> dict[str, Any]:
    """What identifies the set, without a time or a path: the same set has the same record."""
    versions = {"gfpup": __version__, **{name: version(name) for name in DECIDING}}
    ranges = _as_json(asdict(degrade.PROTOCOLS[protocol]))
    return {"schema_version": SCHEMA_VERSION, "protocol": protocol, "seed": seed, "ranges": ranges, "versions": versions}


def _as_json(facts: Mapping[str, Any]) -> Any:
    """The facts as they come back from a JSON file: tuples are lists."""
    return json.loads(json.dumps(facts))


def _earlier(output: Path, header: Mapping[str, Any], *, overwrite: bool) -> dict[str, dict[str, Any]]:
    """The lines of the set that the folder already holds, if it is the same set; with `overwrite` its files are removed."""
    if output.exists() and not output.is_dir():
        raise GfpupError(f"--output {output} is a file: give a folder")
    path = output / RECORD
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        lines = {line["name"]: line for line in document["photos"]}
        if any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in lines):
            raise ValueError("a name points outside the folder")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GfpupError(f"{path} is damaged: delete that folder, or give another --output") from error
    if overwrite:
        for name in lines:
            (output / name).unlink(missing_ok=True)
        return {}
    defaults = {field.name: field.default for field in fields(degrade.Protocol) if field.default is not MISSING}
    # Records of before 2026-11 lack what their protocols did not have.
    then = {**document.get("versions", {}), **document, "ranges": _as_json({**defaults, **document.get("ranges", {})})}
    now = {**header["versions"], **header}
    changed = [key for key in ("protocol", "seed", *DECIDING, "ranges") if then.get(key) != now[key]]
    if changed:
        said = "; ".join(f"{key} was {then.get(key)} and is now {now[key]}" for key in changed if key != "ranges")
        said = said or "the protocol's ranges have changed"
        raise GfpupError(f"{output} holds another set ({said}): give another --output, or --overwrite to replace it")
    return {name: line for name, line in lines.items() if (output / name).is_file()}


def _write_record(
    output: Path, header: Mapping[str, Any], lines: Mapping[str, Mapping[str, Any]], refused: Mapping[str, str]
) -> dict[str, Any]:
    photos = [lines[name] for name in sorted(lines, key=lambda name: (natural_key(name), name))]
    failures = [{"reference": name, "reason": reason} for name, reason in refused.items()]
    document = {**header, "photos": photos, "refused": failures}
    write_atomic(output / RECORD, (json.dumps(document, indent=1) + "\n").encode())
    return document
