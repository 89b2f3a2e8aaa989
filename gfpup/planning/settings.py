"""The composed configuration, checked once against the schema and turned into `Settings`."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gfpup.core import registry
from gfpup.core.errors import GfpupError
from gfpup.models import backends
from gfpup.planning.option import Option, expected
from gfpup.planning.schema import OPTIONS, PRECISIONS, Settings
from gfpup.weights import catalogue

__all__ = ["ARGV_VARIABLE", "PRECISIONS", "Settings", "invalid", "read_settings", "typed"]

ARGV_VARIABLE: Final = "GFPUP_ARGV"
"""Carries the command line as typed into the manifest and into refusals, also of jobs in other processes."""


def typed(key: str) -> str:
    """What the user wrote for a key of the configuration: the flag that stands in the command line, else the key itself."""
    words = [word.partition("=")[0] for word in json.loads(os.environ.get(ARGV_VARIABLE, "[]"))]
    for wanted in filter(None, (OPTIONS.get(key), OPTIONS.get(key.partition(".")[0]))):
        for flag in wanted.flags:
            if found := {flag.name, flag.short} & set(words) - {""}:
                return found.pop()
    return key


def invalid(key: str, value: Any, wanted: str = "", *, names: Mapping[str, str] | None = None) -> GfpupError:
    """The refusal of a value, under the flag that was typed, else the key; `names` are those of keywords in Python."""
    shown = value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else json.dumps(value, default=str)
    wanted = wanted or expected(OPTIONS[key])
    return GfpupError(f"invalid value '{shown}' for {(names or {}).get(key) or typed(key)}: expected {wanted}.")


def read_settings(config: Mapping[str, Any], *, names: Mapping[str, str] | None = None) -> Settings:
    """Check the resolved configuration (plain containers) and return it as `Settings`; a key that is absent has its default.

    `names` are the keywords that stood for keys, for refusals in Python.

    Raises: GfpupError: an invalid value, with what was typed, the value and what is expected.
    """
    settings = Settings(resolved=config)
    nodes: dict[str, dict[str, Any]] = {}
    for key, wanted in OPTIONS.items():
        if wanted.kind == "group" or key == "metrics":
            continue
        name, _, inside = key.partition(".")
        held = config.get(name, {} if inside else wanted.default)
        if inside and not isinstance(held, Mapping):
            raise GfpupError(
                f"{name} must hold keys such as {key}, but the configuration has {held!r}; remove what replaced it."
            )
        try:
            value = _read(wanted, held.get(inside, wanted.default) if inside else held)
        except _RefusedError as refused:
            raise invalid(key, refused.args[0], refused.args[1], names=names) from None
        nodes.setdefault(name, {}).update({inside: value})
    nodes["restore"]["parameters"] = _parameters(
        config.get("restore", {}), nodes["restore"], str(config.get("backend", {}).get("name"))
    )
    nodes["write"]["faces"] |= nodes["write"]["layout"] == "gfpgan"
    made = {name: held[""] if "" in held else replace(getattr(settings, name), **held) for name, held in nodes.items()}
    return replace(settings, **made)


class _RefusedError(ValueError):
    """A value and what was expected instead ("" for the option's own words)."""

    def __init__(self, value: Any, wanted: str = "") -> None:
        super().__init__(value, wanted)


def _read(wanted: Option, value: Any) -> Any:
    """The value in the type that the code reads; raises `_RefusedError` where it has another."""
    if wanted.key in _OWN_READERS:
        return _OWN_READERS[wanted.key](value)
    if value is None and wanted.optional:
        return None
    if wanted.choices and value not in wanted.choices:
        raise _RefusedError(value)
    if wanted.kind in ("list", "names", "metrics"):
        kind: type = float if "float" in str(wanted.type) else str
        if not isinstance(value, list | tuple) or not all(_is(kind, item) for item in value):
            raise _RefusedError(value)
        return tuple(kind(item) for item in value)
    if wanted.base in (bool, int, float):
        low, high = (-math.inf if wanted.low is None else wanted.low), (math.inf if wanted.high is None else wanted.high)
        if not _is(wanted.base, value) or not low <= value <= high:
            raise _RefusedError(value)
        return wanted.base(value)
    if isinstance(value, bool | Mapping | list) or value is None or (str(value) == "" and wanted.default != ""):
        raise _RefusedError(value)
    return Path(str(value)) if wanted.base is Path else str(value)


def _is(kind: type, value: Any) -> bool:
    """Whether a value is of this type; true and false are no numbers, and whole numbers may stand for others."""
    return isinstance(value, (int, float) if kind is float else kind) and (kind is bool or not isinstance(value, bool))


def _paths(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple) or not value or any(v is None or isinstance(v, dict | list) for v in value):
        raise GfpupError("there is nothing to restore: name a photo, a folder or a pattern with --input.")
    return tuple(str(v) for v in value)


def _files(value: Any) -> dict[str, Path]:
    files = {}
    for pair in value if isinstance(value, list | tuple) else [value]:
        name, _, path = str(pair).partition("=")
        if not name or not path:
            raise _RefusedError(pair, "NAME=FILE, a checkpoint's name and your file for it")
        files[catalogue.find(name).name] = Path(path)
    return files


def _picked(value: Any) -> dict[str, tuple[int, ...]]:
    found = {}
    for text in value if isinstance(value, list | tuple) else [value]:
        photo, _, numbers = str(text).rpartition("=")
        listed = [] if numbers == "none" else numbers.split(",")
        if not photo or not all(number.isdecimal() for number in listed):
            raise _RefusedError(text, "PHOTO=N,N, a photo's file name and the numbers of its faces from 0, or PHOTO=none")
        found[photo] = tuple(sorted({int(number) for number in listed}))
    return found


def _which(value: Any) -> str | int:
    if value in ("all", "largest", "center") or (_is(int, value) and value > 0):
        return value  # type: ignore[no-any-return]
    raise _RefusedError(value, "all, largest, center or a number of faces")


def _devices(value: Any) -> int | None:
    if value == "auto" or (_is(int, value) and value >= 1):
        return None if value == "auto" else value
    raise _RefusedError(value, "auto or a whole number of 1 or more")


def _boxes(value: Any) -> tuple[tuple[float, ...], ...]:
    for box in value or []:
        numbers = isinstance(box, list | tuple) and all(_is(float, v) for v in box)
        if not numbers or len(box) != 4 or not (box[0] < box[2] and box[1] < box[3]):
            raise _RefusedError(value, "boxes [x0,y0,x1,y1] in photo pixels with x0 < x1 and y0 < y1")
    return tuple(tuple(float(v) for v in box) for box in value or [])


# fmt: off
_OWN_READERS: Final[Mapping[str, Any]] = {
    "source.paths": _paths, "weights.files": _files,
    "faces.which": _which, "faces.leave_alone": _boxes, "faces.picked": _picked, "hardware.devices": _devices,
}
# fmt: on


def _parameters(given: Mapping[str, Any], read: Mapping[str, Any], backend: str) -> dict[str, Any]:
    """The method's own parameters that were given: those of the schema, and others that some method declares."""
    own = {key: read[key] for key in ("version", "fidelity", "steps") if read[key] is not None}
    others = {str(key): value for key, value in given.items() if f"restore.{key}" not in OPTIONS and value is not None}
    if others:
        known = set(_declared(backend))
        for key in sorted(others.keys() - known):
            options = {name.partition(".")[2] for name in OPTIONS if name.startswith("restore.")}
            raise GfpupError(registry.unknown("key of restore", key, options | known))
    return own | others


def _declared(backend: str) -> Iterator[str]:
    """The parameters of every method; a package that cannot be imported is left out, unless it is the one asked for."""
    for name in {**backends.TABLE, **registry.plugins("backend")}:
        with suppress(*(() if name == backend else (GfpupError,))):
            yield from backends.facts(name).parameters
