"""The options of the Python API: the flags of `gfpup run` as keywords, and how they become settings or a command.

Keywords, keys and kinds come from the schema; the dictionaries are for type checkers, which cannot read one. A test compares.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from os import PathLike, fspath
from typing import Any, Final, TypedDict

from gfpup.core import registry
from gfpup.core.errors import GfpupError
from gfpup.models import backends
from gfpup.planning.option import Flag, Option
from gfpup.planning.schema import FLAGS, Settings
from gfpup.planning.settings import invalid, read_settings

File = str | PathLike[str]
Box = Sequence[float]
"""(x0, y0, x1, y1) in photo pixels."""


# ruff: noqa: UP013 (a row for a few keys each)
# fmt: off
WeightOptions = TypedDict("WeightOptions", {
    "device": str | None, "weights_dir": File | None, "weights_file": Mapping[str, File] | None, "no_download": bool,
    "trust_first_download": bool, "accept_licence": str | Sequence[str] | None,
}, total=False)
"""Where networks come from and where they run; None and False mean "not given", here and below."""
_RestoreOptions = TypedDict("_RestoreOptions", {
    "version": str | float | None, "fidelity": float | None, "steps": int | None, "strength": float | None,
    "match_color": bool, "keep_tone": bool, "upscale": float | None, "aligned": bool, "background": str | None,
    "background_path": File | None, "tile": int | None,
    "tile_overlap": int | None, "high_quality": bool, "memory_efficient": bool, "ensemble_backends": Sequence[str] | None,
    "ensemble_weights": Sequence[float] | None, "restored": File | None, "mapping": File | None, "seed": int | None,
    "detector": str | None, "detector_path": File | None, "detection_threshold": float | None, "detect_size": int | None,
    "turn": str | None, "only_center_face": bool, "faces": str | int | None, "min_face": float | None,
    "min_eye_distance": float | None, "min_score": float | None, "leave_alone": Sequence[Box] | None, "keep_large_faces": bool,
    "pick_faces": str | Sequence[str] | None, "person": str | Sequence[str] | None, "people": File | None,
    "false_match": float | None,
    "identity_min": float | None, "identity_path": File | None, "mask": str | None, "mask_path": File | None,
    "model_path": File | None, "precision": str | None, "engine": str | None,
    "compile": bool, "threads": int | None, "face_batch": int | None,
}, total=False)
_RunOptions = TypedDict("_RunOptions", {
    "recursive": bool, "source": str | None, "reference": File | None, "limit": int | None, "experiment": str | None,
    "resume": bool, "overwrite": bool, "ext": str | None, "suffix": str | None, "strip_metadata": bool, "save_faces": bool,
    "no_mark": bool, "metrics": str | Sequence[str] | None, "require_metrics": bool, "tracking": str | None,
    "tracking_uri": str | None, "no_report": bool, "devices": int | str | None, "num_nodes": int | None,
    "cache": bool, "no_cache": bool,
}, total=False)
# fmt: on


class Options(WeightOptions, _RestoreOptions, total=False):
    """How photos are restored. `gfpup run --help` says of each what it does."""


class RunOptions(Options, _RunOptions, total=False):
    """How a run goes through a folder: what it takes, measures, writes and logs."""


SCOPES: Final[Mapping[type, str]] = {WeightOptions: "weights", Options: "weights restore", RunOptions: "weights restore run"}


@cache
def table(options: type) -> Mapping[str, tuple[Flag, Option]]:
    """The keywords of one of the dictionaries above, each with the flag of that name and its option."""
    allowed = SCOPES[options].split()
    return {row[0].keyword: row for row in FLAGS.values() if (row[0].scope or row[1].scope) in allowed}


def settings_of(backend: str, options: Mapping[str, Any], allowed: type = Options, *, dry_run: bool = False) -> Settings:
    """The settings that `gfpup run --backend BACKEND` has with the flags of the same names.

    Raises: GfpupError: an unknown option, with the nearest one, or an invalid value.
    """
    given, rows = checked(options, allowed), table(allowed)
    names = {rows[name][1].key: name for name in given}
    groups = [f"backend={backends.canonical(backend)}"]
    for name in [name for name in given if rows[name][1].kind == "group"]:
        value, key = given.pop(name), rows[name][1].key
        if not re.fullmatch(r"[\w.-]+", str(value)):
            raise invalid(key, value, "a name", names=names)
        groups.append(f"{key}={value}")
    config = compose(groups)
    config["source"]["paths"] = ["."]  # photos come one by one, from the caller
    config["dry_run"] = dry_run
    for name, value in given.items():
        node, _, last = rows[name][1].key.rpartition(".")
        (config[node] if node else config)[last] = _plain(value, *rows[name])
    return read_settings(config, names=names)


def words_of(options: Mapping[str, Any], *, sweeping: bool = False) -> list[str]:
    """The flags that mean the same on the command line; in a sweep an option with one value may have several.

    Raises: GfpupError: an unknown option, or several values where one is expected.
    """
    words: list[str] = []
    for name, value in checked(options, RunOptions, sweeping=sweeping).items():
        flag, wanted = table(RunOptions)[name]
        if flag.is_switch:
            words.append(flag.name)
            continue
        values = [value]
        if wanted.kind == "list":
            values = _plain(value, flag, wanted)
        elif wanted.kind == "boxes":
            values = [",".join(f"{number:.9g}" for number in box) for box in value]
        elif wanted.kind in ("names", "metrics") or _is_several(value):
            values = [",".join(str(_one(item)) for item in ([value] if isinstance(value, str) else value))]
        words += [word for item in values for word in (flag.name, str(_one(item)))]
    return words


def checked(options: Mapping[str, Any], allowed: type, *, sweeping: bool = False) -> dict[str, Any]:
    """The options that were given: known ones, with one value each where one is expected, that do not exclude each other.

    Raises: GfpupError: one of these does not hold.
    """
    rows, seen, given = table(allowed), dict[str, str](), dict[str, Any]()
    for name, value in options.items():
        if name not in rows:
            raise GfpupError(_unknown(name, rows))
        flag, wanted = rows[name]
        if flag.is_switch and not isinstance(value, bool):
            raise GfpupError(f"invalid value {value!r} for {name}: expected True or False.")
        if value is None or value is False:
            continue
        if not flag.is_switch and wanted.kind in ("value", "text", "group") and _is_several(value) and not sweeping:
            raise GfpupError(f"invalid value {value!r} for {name}: expected one value; gfpup.sweep tries several.")
        if (other := seen.setdefault(wanted.key, name)) != name:
            raise GfpupError(f"{other} and {name} exclude each other: give one of them.")
        given[name] = value
    return given


def _unknown(name: str, rows: Mapping[str, Any]) -> str:
    if name == "auto":
        return 'auto is a backend in Python: gfpup.load("auto"), gfpup.run(..., backend="auto").'
    if name in table(Options):
        return f"the option {name!r} belongs to restoring: give it to gfpup.load."
    if name in table(RunOptions) or name in ("input", "output", "quiet", "verbose"):
        return f"the option {name!r} belongs to a whole run: give it to gfpup.run."
    return registry.unknown("option", name, rows)


def _plain(value: Any, flag: Flag, wanted: Option) -> Any:
    """A value as the configuration holds it: plain numbers, texts and lists."""
    if flag.is_switch:
        return flag.sets
    if wanted.kind == "list":
        pairs = [f"{name}={fspath(file)}" for name, file in value.items()] if isinstance(value, Mapping) else value
        return [pairs] if isinstance(pairs, str) else [str(item) for item in pairs]
    if wanted.kind == "names":
        return value.split(",") if isinstance(value, str) else [_one(item) for item in value]
    if wanted.kind == "boxes":
        return [[_one(number) for number in box] for box in value]
    return str(_one(value)) if wanted.base is str and not isinstance(value, bool) else _one(value)


def _one(value: Any) -> Any:
    if isinstance(value, PathLike):
        return fspath(value)
    return value.item() if hasattr(value, "item") else value  # the settings know no numbers of numpy


def _is_several(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


_ONE_AT_A_TIME: Final = threading.Lock()


def compose(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The configuration with these overrides, resolved to plain containers.

    Raises: GfpupError: Hydra refuses one of them.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    from gfpup.planning.structured import register

    register()
    with _ONE_AT_A_TIME, _hydra_set_aside(), hydra.initialize_config_module("gfpup.conf", version_base="1.3"):
        try:
            config = OmegaConf.to_container(hydra.compose("run", overrides=list(overrides)), resolve=True)
        except HydraException as error:
            text = " ".join(str(error).split())
            if found := re.search(r"Could not find '([\w/-]+)/([^'/]+)' Available options in '\S+': ([\w. -]+) Config ", text):
                raise GfpupError(registry.unknown(found[1], found[2], found[3].split())) from None
            raise GfpupError(text) from error
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}


@contextmanager
def _hydra_set_aside() -> Iterator[None]:
    """Let the block begin with a fresh Hydra, and give back the one of the application or notebook around it."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.singleton import Singleton
    from hydra.version import VersionBase

    singletons: dict[type, Any] = Singleton._instances
    kept: dict[type, Any] = {kind: singletons.pop(kind) for kind in (GlobalHydra, VersionBase) if kind in singletons}
    try:
        yield
    finally:
        for kind in (GlobalHydra, VersionBase):
            singletons.pop(kind, None)
        singletons.update(kept)
