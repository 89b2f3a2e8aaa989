"""What a configuration may make Hydra call. An experiment file may come from a stranger: it chooses values and runs no code.

Hydra instantiates every `_target_` below its callbacks, launcher and sweeper, and `logging.config` calls what a logging
configuration names. Every configuration that Hydra composes, of a run, of a sweep and of each job, is checked here before
Hydra uses it, whichever file, override or environment variable a value came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import hydra._internal.hydra as hydra_internals
import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from gfpup.core.errors import GfpupError

CALLBACK: Final = "gfpup.running.sweep.SweepFolder"

LOGGING_CLASSES: Final = ("logging.StreamHandler", "logging.NullHandler", "logging.Formatter", "colorlog.ColoredFormatter")

_LOG = "${hydra.runtime.output_dir}/${hydra.job.name}.log"
LOG_FILE: Final = {"class": "logging.FileHandler", "formatter": "simple", "filename": _LOG}
"""The only handler that may write a file: that of Hydra's own job_logging=default, which appends."""

LOGGING_STREAMS: Final = ("ext://sys.stdout", "ext://sys.stderr")

ENVIRONMENT: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
"""What `hydra.job.env_set` may set: others, such as PATH or LD_PRELOAD, decide which code runs."""

SHELL_COMMANDS: Final = ("setup", "srun_args", "additional_parameters")
"""Settings of a Slurm launcher that end in a shell: taken from the command line, not from a file."""

RESOLVERS: Final = ("hydra", "now", "oc.env", "oc.select", "python_version")
"""Resolvers whose results are plain values. Others, such as oc.create, make configurations that nobody has checked."""

SINGLE_RUN: Final = "hydra.mode=RUN"
"""What Hydra adds to the overrides when nothing asked for a sweep."""

MOST_BYTES: Final = 1_000_000
MOST_VALUES: Final = 100_000
DEEPEST: Final = 100
"""Limits of a configuration file; those of gfpup have at most 6 kB, 150 values and 5 levels."""

_INNERMOST = re.compile(r"\$\{([^${}]*)\}")
_REFERENCE = re.compile(r"[\w.\[\]#/@-]+")


@contextmanager
def checked_composition() -> Iterator[None]:
    """Let Hydra compose its configurations with `CheckedLoader` for the length of the block."""
    # Hydra has no setting for its loader.
    before = hydra_internals.ConfigLoaderImpl  # type: ignore[attr-defined]
    hydra_internals.ConfigLoaderImpl = CheckedLoader  # type: ignore[attr-defined]
    try:
        yield
    finally:
        hydra_internals.ConfigLoaderImpl = before  # type: ignore[attr-defined]


class CheckedLoader(ConfigLoaderImpl):
    """Hydra's loader of configurations, which returns only those that pass `check`. It travels to jobs in other processes."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.repository = CheckedRepository(config_search_path)
        self._asked: tuple[list[str], DictConfig] | None = None
        self._sweeps = False

    def load_configuration(
        self, config_name: str | None, overrides: list[str], run_mode: RunMode, *args: Any, **kwargs: Any
    ) -> DictConfig:
        """Compose and check.

        Hydra composes twice: once to read `hydra.mode`, and again for what that says. A single run is given the first
        composition once more: that spares it 0.1 s.

        Raises: GfpupError: the configuration names code to run, or a file is too large.
        """
        asked, self._asked = self._asked, None
        if asked is not None and run_mode == RunMode.RUN and overrides == [*asked[0], SINGLE_RUN]:
            config = asked[1]
            config.hydra.mode = run_mode
            config.hydra.overrides.hydra.append(SINGLE_RUN)
            return config
        config = super().load_configuration(config_name, overrides, run_mode, *args, **kwargs)
        check(config, overrides)
        missing = any(str(name).endswith("???") for name in config.hydra.runtime.choices.values())
        if run_mode == RunMode.MULTIRUN and not self._sweeps and not missing:  # one for a single run would be the same
            self._asked = list(overrides), config
        return config

    def _parse_overrides_and_create_caching_repo(self, config_name: str | None, overrides: list[str]) -> tuple[Any, Any]:
        parsed, repository = super()._parse_overrides_and_create_caching_repo(config_name, overrides)
        self._sweeps = any(override.is_sweep_override() for override in parsed)
        return parsed, repository


class CheckedRepository(ConfigRepository):
    """Hydra's configuration files. Those of a user are measured before they are read, as aliases can make a small one huge."""

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        for entry in config_search_path.get_path():
            if str(entry.provider).startswith("hydra.searchpath") and self._get_scheme(str(entry.path)) != "file":
                raise GfpupError(
                    f"invalid value {entry.path!r} for hydra.searchpath: expected a folder, not a package to import."
                )
        super().initialize_sources(config_search_path)

    def load_config(self, config_path: str) -> ConfigResult | None:
        source = self._find_object_source(config_path=config_path, object_type=ObjectType.CONFIG)
        if source is not None and source.scheme() == "file":
            check_size(Path(source.path) / ConfigSource._normalize_file_name(config_path))
        return super().load_config(config_path)


def check_size(path: Path) -> None:
    """Refuse a YAML file that is too large, as written or after its aliases are expanded; takes time linear in its size.

    Raises: GfpupError: it is too large or too deep, or not YAML.
    """
    too_large = f"{path} is too large for a configuration: expected at most"
    if path.stat().st_size > MOST_BYTES:
        raise GfpupError(f"{too_large} {MOST_BYTES} bytes.")
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]
    try:
        for event in yaml.parse(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader):
            anchor: str | None = getattr(event, "anchor", None)
            size = 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append((anchor, 1))
                if len(open_nodes) > DEEPEST:
                    raise GfpupError(f"{path} is nested too deeply for a configuration: expected at most {DEEPEST} levels.")
                continue
            if isinstance(event, yaml.CollectionEndEvent):
                anchor, size = open_nodes.pop()
            elif isinstance(event, yaml.AliasEvent):
                anchor, size = None, sizes.get(str(anchor), MOST_VALUES)  # unknown while it is open: it contains itself
            elif not isinstance(event, yaml.ScalarEvent):
                continue
            if anchor is not None:
                sizes[anchor] = size
            open_nodes[-1] = (open_nodes[-1][0], open_nodes[-1][1] + size)
            if open_nodes[-1][1] > MOST_VALUES:
                raise GfpupError(f"{too_large} {MOST_VALUES} values, with its aliases expanded.")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GfpupError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None


def check(config: DictConfig, overrides: list[str]) -> None:
    """Refuse a composed configuration that would make Hydra call anything but installed plugins and our callback.

    Values are looked at as they are written: an interpolation could be one thing now and another later.

    Raises: GfpupError: with the key, its value and what is allowed.
    """
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    for key, value in _values("", plain):
        if key.endswith("._target_") and value not in _targets():
            raise _refusal(key, value, "installed launchers and sweepers only")
        if isinstance(value, str) and "${" in value and (resolver := _unchecked_resolver(value)):
            raise _refusal(key, value, f"no resolver {resolver!r}; known are {', '.join(RESOLVERS)}")
    own = plain["hydra"]
    callbacks = own.get("callbacks") or {}
    for name, node in callbacks.items() if isinstance(callbacks, Mapping) else [("", callbacks)]:
        if not isinstance(node, Mapping) or node.get("_target_") != CALLBACK or set(node) > {"_target_", "begun"}:
            raise _refusal(f"hydra.callbacks.{name}", node, "gfpup's own callback only")
    _check_launcher(own.get("launcher") or {}, overrides)
    for name in ("job_logging", "hydra_logging"):
        _check_logging(f"hydra.{name}", own.get(name) or {})
    for name, value in own["job"]["env_set"].items():
        if name not in (*ENVIRONMENT, *own["job"]["env_copy"]):
            raise _refusal(f"hydra.job.env_set.{name}", value, f"one of {', '.join(ENVIRONMENT)}")


def _refusal(key: str, value: Any, allowed: str) -> GfpupError:
    return GfpupError(f"{key}={value!r} is not allowed in a configuration: expected {allowed}; remove it.")


def _values(key: str, node: Any) -> Iterator[tuple[str, Any]]:
    """Every value of a plain container with its dotted key; containers come before what they hold."""
    yield key, node
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for name, value in items:
        yield from _values(f"{key}.{name}" if key else str(name), value)


@cache
def _targets() -> frozenset[str]:
    """The classes of the launchers and sweepers that are installed, what their own configurations name, and our callback."""
    installed = [
        f"{one.__module__}.{one.__name__}" for kind in (Launcher, Sweeper) for one in Plugins.instance().discover(kind)
    ]
    groups = ConfigStore.instance().repo.get("hydra", {})
    stored = [
        node for name in ("launcher", "sweeper") for _, node in _values("", groups.get(name, {})) if hasattr(node, "node")
    ]
    values = [pair for one in stored for pair in _values("x", OmegaConf.to_container(one.node, resolve=False))]
    return frozenset([CALLBACK, *installed, *(value for key, value in values if key.endswith("._target_"))])


def _unchecked_resolver(text: str) -> str | None:
    """The first resolver in a text that is not one of `RESOLVERS`; names that are themselves interpolated count as unknown."""
    while found := _INNERMOST.search(text):
        inside = found[1].strip()
        name, is_resolver, _ = inside.partition(":")
        if is_resolver and name not in RESOLVERS:
            return name
        if not is_resolver and not _REFERENCE.fullmatch(inside):
            return inside
        text = text[: found.start()] + "#" + text[found.end() :]  # a character that no name of a resolver has
    return "${" if "${" in text.replace(r"\${", "") else None


def _check_launcher(launcher: Any, overrides: list[str]) -> None:
    if not isinstance(launcher, Mapping):
        raise _refusal("hydra.launcher", launcher, "an installed launcher")
    given = {one.key_or_group: one for one in OverridesParser.create().parse_overrides(overrides)}
    for name in SHELL_COMMANDS:
        key, value = f"hydra.launcher.{name}", launcher.get(name)
        if value and not (key in given and given[key].value() == value):
            raise _refusal(key, value, "it on the command line, as it runs commands")


def _check_logging(key: str, node: Any) -> None:
    """Allow formats, levels and streams: `()` and `class` name what is called, and ext:// imports what it names."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if isinstance(node, Mapping):
        for name, value in node.items() if dict(node) != LOG_FILE else ():
            if name not in ("()", "class"):
                _check_logging(f"{key}.{name}", value)
            elif value not in LOGGING_CLASSES:
                raise _refusal(f"{key}.{name}", value, f"one of {', '.join(LOGGING_CLASSES)}")
    elif isinstance(node, str) and ("${" in node or "://" in node) and node not in LOGGING_STREAMS:
        raise _refusal(key, node, " or ".join(LOGGING_STREAMS))
