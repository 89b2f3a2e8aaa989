"""Choices of configuration groups, checked before Hydra checks them in its own words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from gfpup.core.errors import GfpupError
from gfpup.core.registry import unknown

LAUNCHERS: Final = {"joblib": "joblib", "submitit_local": "submitit", "submitit_slurm": "submitit"}
"""Launchers that an extra of gfpup installs."""

_PLAIN = re.compile(r"[\w.+,-]+")


def known_choices(overrides: Sequence[str]) -> list[str]:
    """Put the names in the table for aliases of backends, and refuse names that no group has.

    With folders of the user's own (`--config-dir`, or a search path) only backends are checked: others may be there.

    Raises: GfpupError: an unknown name, or a launcher that is not installed.
    """
    own = any(word.startswith(("--config-dir", "-cd", "hydra.searchpath")) for word in overrides)
    return [_known(override, own=own) for override in overrides]


def _known(override: str, *, own: bool) -> str:
    key, _, value = override.partition("=")
    if key == "backend" and _PLAIN.fullmatch(value):
        from gfpup.models import backends

        return f"backend={','.join(backends.canonical(name) for name in value.split(','))}"
    extra = LAUNCHERS.get(value)
    if key == "hydra/launcher" and extra is not None:
        if find_spec("hydra_plugins") is None or find_spec(f"hydra_plugins.hydra_{extra}_launcher") is None:
            raise GfpupError(f"hydra/launcher={value} is not installed: pip install 'gfpup[{extra}]' installs it.")
    elif not own and "/" not in key and _PLAIN.fullmatch(value):
        names = choices(key)
        for name in value.split(",") if names else ():
            if name not in names:
                raise GfpupError(unknown(key, name, names))
    return override


def choices(group: str) -> list[str]:
    """The names that a group of conf/ offers; none where there is no such group."""
    spec = find_spec("gfpup.conf")  # which does not import it, and Hydra with it
    if spec is None or not spec.submodule_search_locations or not group.isidentifier():
        return []
    return sorted(file.stem for file in (Path(spec.submodule_search_locations[0]) / group).glob("*.yaml"))
