"""Completion in the shell: of verbs, flags and the values of flags, and the scripts that turn it on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Final

from gfpup.cli.choices import choices
from gfpup.core import registry
from gfpup.core.errors import GfpupError
from gfpup.planning.option import Option
from gfpup.planning.schema import FLAGS, METRIC_PRESETS

HELP = """\
usage: gfpup completion bash|zsh|fish

Print the script that completes verbs, flags and their values in a shell; the shell has to source it.

  bash   echo 'source <(gfpup completion bash)' >> ~/.bashrc
  zsh    echo 'source <(gfpup completion zsh)' >> ~/.zshrc
  fish   gfpup completion fish > ~/.config/fish/completions/gfpup.fish

  gfpup completion bash
  gfpup completion zsh
  gfpup completion fish
"""
SCRIPTS: Final = {
    "bash": """\
_gfpup() {
    local IFS=$' \\n'
    COMP_WORDBREAKS=${COMP_WORDBREAKS//=/}
    COMPREPLY=($(compgen -o default -W "$(COMP_LINE="${COMP_LINE:0:COMP_POINT}" gfpup -sc query=bash 2>/dev/null)" -- \\
        "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o nospace -o default -F _gfpup gfpup
""",
    "zsh": """\
autoload -Uz compinit && compinit
_gfpup() {
    local -a found
    found=(${=$(COMP_LINE="$LBUFFER" gfpup -sc query=bash 2>/dev/null)})
    if (( $#found )); then compadd -- $found; else _files; fi
}
compdef _gfpup gfpup
""",
    "fish": """\
function __gfpup
    set -l line (commandline -cp)
    COMP_LINE="$line" gfpup -sc query=bash 2>/dev/null | string split ' '
end
complete -c gfpup -a '(__gfpup)'
""",
}
SHELLS: Final = tuple(SCRIPTS)


def run(words: Sequence[str]) -> int:
    """`gfpup completion`: print the script of one shell; returns 0."""
    if len(words) > 1 or words[0] not in SCRIPTS:
        raise GfpupError(f"invalid value {' '.join(words)!r} for gfpup completion: expected one of {', '.join(SHELLS)}.")
    print(SCRIPTS[words[0]], end="")
    return 0


def complete(arguments: Sequence[str], *, verbs: Sequence[str]) -> int:
    """Answer `-sc query=SHELL` for the line in COMP_LINE; `install` and `uninstall` are Hydra's as they stand."""
    if "query=" not in arguments[-1]:
        return _by_hydra(arguments)
    words = os.environ.get("COMP_LINE", "").split(" ")[1:]
    if len(words) < 2:
        return _print(verbs, words[0] if words else "")
    verb, last = words[0], words[-1]
    if verb == "completion":
        return _print(SHELLS, last)
    if verb not in ("run", "sweep"):
        help_text = str(getattr(import_module(f"gfpup.cli.{verb}"), "HELP", "")) if verb in verbs and verb != "version" else ""
        return _print(sorted(set(re.findall(r"(?<![\w-])--[a-z][\w-]+", help_text))), last) if last.startswith("-") else 0
    flag, equals, _ = last.partition("=")
    if equals and flag in FLAGS:
        return _print((f"{flag}={name}" for name in values(FLAGS[flag][1])), last)
    if last.startswith("-"):
        return _print((name for name in FLAGS if name.startswith("--")), last)
    if len(words) > 2 and words[-2] in FLAGS and not FLAGS[words[-2]][0].is_switch:
        # Where nothing is printed, the shell completes names of files.
        before, comma, _ = last.rpartition(",")  # behind a comma the next of several names
        return _print((before + comma + name for name in values(FLAGS[words[-2]][1])), last)
    os.environ["COMP_LINE"] = " ".join(["gfpup", *_overrides_only(words[1:])])
    return _by_hydra(arguments)


def values(wanted: Option) -> list[str]:
    """What an option can be completed to; nothing for numbers and files."""
    if wanted.choices:
        return list(wanted.choices)
    if wanted.key == "metrics":
        from gfpup.evaluation import metrics

        return [*METRIC_PRESETS, *metrics.TABLE]
    source = wanted.suggest or wanted.key
    if source == "backend":
        return sorted({*choices("backend"), *registry.plugins("backend")})
    if source == "versions":
        from gfpup.models import backends

        return sorted({version for row in backends.TABLE.values() for version in row.versions if version})
    if source in ("checkpoints", "licences"):
        from gfpup.weights.catalogue import CATALOGUE

        return sorted({f"{row.name}=" if source == "checkpoints" else row.licence_id for row in CATALOGUE})
    fixed = {"which": ["all", "largest", "center"], "devices": ["auto", "cpu", "cuda", "mps"]}
    return fixed[source] if source in fixed else choices(source)


def _print(found: Iterable[str], start: str) -> int:
    print(" ".join(name for name in found if name.startswith(start)))
    return 0


def _by_hydra(arguments: Sequence[str]) -> int:
    from gfpup.running import hydra_app

    return hydra_app.main(list(arguments))


def _overrides_only(words: Sequence[str]) -> list[str]:
    kept, rest = [], iter(words)
    for word in rest:
        if word in FLAGS and not FLAGS[word][0].is_switch:
            next(rest, None)
        elif not word.startswith("-"):
            kept.append(word)
    return kept
