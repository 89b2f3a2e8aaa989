"""Choices of configuration groups, checked before Hydra does it in words of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from gfpup.cli.overrides import FLAGS, GROUPS
from gfpup.core.errors import GfpupError
from gfpup.core.registry import unknown

LAUNCHERS: Final = {"joblib": "joblib", "submitit_local": "submitit", "submitit_slurm": "submitit"}
"""Launchers that an extra of gfpup installs."""

_PLAIN = re.compile(r"[\w.+,-]+")


def known_choices(overrides: Sequence[str]) -> list[str]:
    """Put the names in the table for aliases of backends, and refuse names that no group has.

    With folders of the user's own (`--config-dir`, or a search path) only backends are checked: others may be there.

    Raises:
        GfpupError: nothing is called so, or a launcher is not installed.
    """
    own = any(word.startswith(("--config-dir", "-cd", "hydra.searchpath")) for word in overrides)
    return [_known(override, own=own) for override in overrides]


def _known(override: str, *, own: bool) -> str:
    key, _, value = override.partition("=")
    if key == "backend" and _PLAIN.fullmatch(value):
        from gfpup.models import backends

        return f"backend={','.join(backends.canonical(name) for name in value.split(','))}"
    if key == "hydra/launcher":
        _check_launcher(value)
    elif not own and "/" not in key and _PLAIN.fullmatch(value):
        names = choices(key)
        for name in value.split(",") if names else ():
            if name not in names:
                raise GfpupError(unknown(key, name, names))
    return override


def choices(group: str) -> list[str]:
    """The names that a group of conf/ offers; none where there is no such group."""
    folder = files("gfpup.conf") / group
    if not group.isidentifier() or not folder.is_dir():
        return []
    return sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))


def _check_launcher(name: str) -> None:
    extra = LAUNCHERS.get(name)
    if extra is None:
        return
    from importlib.util import find_spec

    if find_spec("hydra_plugins") is None or find_spec(f"hydra_plugins.hydra_{extra}_launcher") is None:
        raise GfpupError(f"hydra/launcher={name} is not installed; pip install 'gfpup[{extra}]' brings it.")


def complete(arguments: Sequence[str], *, verbs: Sequence[str] = ("run", "version")) -> int:
    """Answer `-sc query=SHELL` for the line in COMP_LINE; `install` and `uninstall` are Hydra's as they stand."""
    if "query=" in arguments[-1]:
        words = os.environ.get("COMP_LINE", "").split(" ")[1:]
        if len(words) < 2:
            print(" ".join(verb for verb in verbs if verb.startswith(words[0] if words else "")))
            return 0
        if words[0] not in ("run", "sweep"):
            return 0
        if words[-1].startswith("-"):
            spellings = [flag.name for group in GROUPS.values() for flag in group]
            print(" ".join(spelling for spelling in spellings if spelling.startswith(words[-1])))
            return 0
        if len(words) > 2 and words[-2] in FLAGS and FLAGS[words[-2]].kind != "switch":
            # Of a value the shell's own file names serve, but for names of a group.
            print(" ".join(name for name in choices(FLAGS[words[-2]].key) if name.startswith(words[-1])))
            return 0
        os.environ["COMP_LINE"] = " ".join(["gfpup", *_overrides_only(words[1:])])
    from gfpup.running import hydra_app

    return hydra_app.main(list(arguments))


def _overrides_only(words: Sequence[str]) -> list[str]:
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in FLAGS:
            skip = FLAGS[word].kind != "switch"
        elif not word.startswith("-"):
            kept.append(word)
    return kept
