"""The options of the Python API: the words of `gfpup run`'s flags with their types, and how they become settings or a command.

Each row of a table below is a keyword, its type, and the key of the configuration that it sets; a test holds the tables equal
to the flags.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from os import PathLike, fspath
from typing import Annotated, Any, Final, Literal, TypedDict, get_type_hints

from gfpup.core import registry
from gfpup.core.errors import GfpupError
from gfpup.models import backends
from gfpup.planning.settings import Settings, read_settings

Kind = Literal["value", "switch", "list", "boxes", "names", "group"]
File = str | PathLike[str]
Box = Sequence[float]
"""(x0, y0, x1, y1) in photo pixels."""


@dataclass(frozen=True)
class At:
    """Where an option goes: the key it sets, and to what where it is a switch."""

    key: str
    kind: Kind = "value"
    value: Any = True


class WeightOptions(TypedDict, total=False):
    """Where networks come from and where they run; None and False stand for "not given", here as below."""

    device: Annotated[str | None, At("hardware.device")]
    weights_dir: Annotated[File | None, At("weights.dir")]
    weights_file: Annotated[Mapping[str, File] | None, At("weights.files", "list")]
    no_download: Annotated[bool, At("weights.download", "switch", False)]
    trust_first_download: Annotated[bool, At("weights.trust_first_download", "switch")]
    accept_licence: Annotated[str | Sequence[str] | None, At("weights.accept_licences", "list")]


class Options(WeightOptions, total=False):
    """How photos are restored. `gfpup run --help` says of each what it does."""

    version: Annotated[str | float | None, At("restore.version")]
    fidelity: Annotated[float | None, At("restore.fidelity")]
    strength: Annotated[float | None, At("restore.strength")]
    match_color: Annotated[bool, At("restore.match_color", "switch")]
    upscale: Annotated[float | None, At("restore.upscale")]
    aligned: Annotated[bool, At("restore.aligned", "switch")]
    background: Annotated[str | None, At("background", "group")]
    background_path: Annotated[File | None, At("background.path")]
    tile: Annotated[int | None, At("background.tile_px")]
    tile_overlap: Annotated[int | None, At("background.tile_overlap_px")]
    high_quality: Annotated[bool, At("mode", "switch", "high-quality")]
    memory_efficient: Annotated[bool, At("mode", "switch", "memory-efficient")]
    ensemble_backends: Annotated[Sequence[str] | None, At("ensemble.backends", "names")]
    ensemble_weights: Annotated[Sequence[float] | None, At("ensemble.weights", "names")]
    restored: Annotated[File | None, At("precomputed.folder")]
    mapping: Annotated[File | None, At("precomputed.mapping")]
    seed: Annotated[int | None, At("seed")]
    detector: Annotated[str | None, At("detect.name")]
    detector_path: Annotated[File | None, At("detect.path")]
    detection_threshold: Annotated[float | None, At("detect.threshold")]
    detect_size: Annotated[int | None, At("detect.size")]
    only_center_face: Annotated[bool, At("faces.which", "switch", "center")]
    faces: Annotated[str | int | None, At("faces.which")]
    min_face: Annotated[float | None, At("faces.min_px")]
    min_eye_distance: Annotated[float | None, At("faces.min_eye_distance_px")]
    min_score: Annotated[float | None, At("faces.min_score")]
    leave_alone: Annotated[Sequence[Box] | None, At("faces.leave_alone", "boxes")]
    identity_min: Annotated[float | None, At("guard.identity_min")]
    identity_path: Annotated[File | None, At("guard.path")]
    mask: Annotated[str | None, At("paste.mask")]
    mask_path: Annotated[File | None, At("paste.mask_path")]
    model_path: Annotated[File | None, At("weights.model")]
    precision: Annotated[str | None, At("hardware.precision")]
    engine: Annotated[str | None, At("hardware.engine")]
    compile: Annotated[bool, At("hardware.compile", "switch")]
    threads: Annotated[int | None, At("hardware.threads")]
    face_batch: Annotated[int | None, At("hardware.face_batch")]


class RunOptions(Options, total=False):
    """How a run goes through a folder: what it takes, measures, writes and logs."""

    recursive: Annotated[bool, At("source.recursive", "switch")]
    source: Annotated[str | None, At("source", "group")]
    reference: Annotated[File | None, At("source.reference")]
    limit: Annotated[int | None, At("source.limit")]
    experiment: Annotated[str | None, At("experiment", "group")]
    resume: Annotated[bool, At("existing", "switch", "resume")]
    overwrite: Annotated[bool, At("existing", "switch", "overwrite")]
    ext: Annotated[str | None, At("write.ext")]
    suffix: Annotated[str | None, At("write.suffix")]
    strip_metadata: Annotated[bool, At("write.metadata", "switch", False)]
    save_faces: Annotated[bool, At("write.faces", "switch")]
    metrics: Annotated[str | Sequence[str] | None, At("metrics", "names")]
    require_metrics: Annotated[bool, At("metrics.require", "switch")]
    tracking: Annotated[str | None, At("tracking", "group")]
    tracking_uri: Annotated[str | None, At("tracking.uri")]
    no_report: Annotated[bool, At("report", "switch", False)]
    devices: Annotated[int | str | None, At("hardware.devices")]
    num_nodes: Annotated[int | None, At("hardware.num_nodes")]
    cache: Annotated[bool, At("cache.enabled", "switch")]
    no_cache: Annotated[bool, At("cache.enabled", "switch", False)]


@cache
def table(options: type) -> Mapping[str, At]:
    """The rows of one of the tables above, by their keyword."""
    return {name: hint.__metadata__[0] for name, hint in get_type_hints(options, include_extras=True).items()}


def settings_of(backend: str, options: Mapping[str, Any], allowed: type = Options, *, dry_run: bool = False) -> Settings:
    """The settings that `gfpup run --backend BACKEND` has with the flags of the same words.

    Raises:
        GfpupError: an unknown option, with the nearest one, or a value that means nothing.
    """
    given = checked(options, allowed)
    rows = table(allowed)
    groups = [f"backend={backends.canonical(backend)}"]
    for name, value in given.items():
        if rows[name].kind == "group":
            if not re.fullmatch(r"[\w.-]+", str(value)):
                raise GfpupError(f"{name}={value!r} means nothing; give a name.")
            groups.append(f"{rows[name].key}={value}")
    config = _compose(groups)
    config["source"]["paths"] = ["."]  # photos come one by one, from the caller
    config["dry_run"] = dry_run
    for name, value in given.items():
        if rows[name].kind != "group":
            *path, last = rows[name].key.split(".")
            node = config
            for part in path:
                node = node[part]
            node[last] = _plain(value, rows[name])
    return read_settings(config)


def words_of(options: Mapping[str, Any], *, sweeping: bool = False) -> list[str]:
    """The flags that say the same on the command line; in a sweep an option with one value may have several.

    Raises:
        GfpupError: an unknown option, or several values where one is taken.
    """
    rows = table(RunOptions)
    words: list[str] = []
    for name, value in checked(options, RunOptions, sweeping=sweeping).items():
        flag, at = f"--{name.replace('_', '-')}", rows[name]
        if at.kind == "switch":
            words.append(flag)
        elif at.kind == "list":
            words += [word for item in _plain(value, at) for word in (flag, item)]
        elif at.kind == "boxes":
            words += [word for box in value for word in (flag, ",".join(f"{number:.9g}" for number in box))]
        elif at.kind == "names" or _is_several(value):
            words += [flag, ",".join(str(_one(item)) for item in ([value] if isinstance(value, str) else value))]
        else:
            words += [flag, str(_one(value))]
    return words


def checked(options: Mapping[str, Any], allowed: type, *, sweeping: bool = False) -> dict[str, Any]:
    """The options that were given, each known, of one value where it takes one, and none against another.

    Raises:
        GfpupError: one of these does not hold.
    """
    rows = table(allowed)
    seen: dict[str, str] = {}
    given = {}
    for name, value in options.items():
        if name not in rows:
            if name == "auto":
                raise GfpupError('auto is a backend in Python: gfpup.load("auto"), gfpup.run(..., backend="auto").')
            if name in table(Options):
                raise GfpupError(f"the option {name!r} belongs to restoring; give it to gfpup.load.")
            if name in table(RunOptions) or name in ("input", "output", "quiet", "verbose"):
                raise GfpupError(f"the option {name!r} belongs to a whole run; give it to gfpup.run.")
            raise GfpupError(registry.unknown("option", name, rows))
        at = rows[name]
        if at.kind == "switch" and not isinstance(value, bool):
            raise GfpupError(f"{name}={value!r} means nothing; it takes True or False.")
        if value is None or value is False:
            continue
        if at.kind in ("value", "group") and _is_several(value) and not sweeping:
            raise GfpupError(f"{name} takes one value and got {value!r}; gfpup.sweep tries several.")
        if at.key in seen:
            raise GfpupError(f"{seen[at.key]} and {name} exclude each other; give one of them.")
        seen[at.key] = name
        given[name] = value
    return given


def _plain(value: Any, at: At) -> Any:
    """A value as the configuration holds it: plain numbers, texts and lists."""
    if at.kind == "switch":
        return at.value
    if at.kind == "list":
        pairs = [f"{name}={fspath(file)}" for name, file in value.items()] if isinstance(value, Mapping) else value
        return [pairs] if isinstance(pairs, str) else [str(item) for item in pairs]
    if at.kind == "names":
        return value.split(",") if isinstance(value, str) else [_one(item) for item in value]
    if at.kind == "boxes":
        return [[_one(number) for number in box] for box in value]
    return _one(value)


def _one(value: Any) -> Any:
    if isinstance(value, PathLike):
        return fspath(value)
    return value.item() if hasattr(value, "item") else value  # numpy's numbers are none to the settings


def _is_several(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


_ONE_AT_A_TIME: Final = threading.Lock()


def _compose(groups: Sequence[str]) -> dict[str, Any]:
    """The default configuration with these choices of groups, resolved to plain containers."""
    import hydra
    from hydra.core.config_store import ConfigStore
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    for name in registry.plugins("backend"):
        ConfigStore.instance().store(group="backend", name=name, node={"name": name}, provider="an installed package")
    with _ONE_AT_A_TIME, _hydra_set_aside(), hydra.initialize_config_module("gfpup.conf", version_base="1.3"):
        try:
            config = OmegaConf.to_container(hydra.compose("run", overrides=list(groups)), resolve=True)
        except HydraException as error:
            raise GfpupError(" ".join(str(error).split())) from error
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
