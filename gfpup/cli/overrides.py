"""Translate the flags of `gfpup run` to Hydra overrides. Pure: needs no Hydra and no torch.

Each flag is exactly one override. What looks like an override, and Hydra's own flags, pass through untouched.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from gfpup.core.errors import GfpupError
from gfpup.planning.option import Flag, Option
from gfpup.planning.schema import FLAGS, METRIC_PRESETS

# fmt: off
HYDRA_SWITCHES = frozenset({"-m", "--multirun", "--resolve", "--hydra-help"})
HYDRA_VALUES = frozenset({
    "--cfg", "-c", "--package", "-p", "--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd",
    "--experimental-rerun", "--shell-completion", "-sc",
})
HYDRA_TOPICS = frozenset({"all", "config", "defaults", "defaults-tree", "plugins", "searchpath"})
"""What may follow Hydra's --info."""
# fmt: on

_OVERRIDE = re.compile(r"(~|\+{1,2})?[A-Za-z_][\w/.$@{}:-]*(=.*)?", re.DOTALL)
_PLAIN = re.compile(r"[\w.+-]+")
_SWEEP = re.compile(r"[\w.+-]+(,[\w.+-]+)+|(choice|range|interval|glob|sort|shuffle|tag)\(.*\)")


def to_overrides(arguments: Sequence[str]) -> list[str]:
    """Translate the command line behind `gfpup run` to arguments for the Hydra application.

    Raises: GfpupError: an unknown flag, a flag without its value, an empty value, or several values outside a sweep.
    """
    given = _Given(sweeping=bool({"-m", "--multirun"} & set(arguments)))
    passed: list[str] = []
    hydra_flags: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        name, has_value, value = word.partition("=")
        if name in FLAGS:
            flag, wanted = FLAGS[name]
            if flag.is_switch and has_value:
                raise GfpupError(f"{name} takes no value, but got {value!r}: write {name} alone.")
            if not flag.is_switch and not has_value:
                if not words or words[0] in FLAGS:
                    raise GfpupError(f"{name} needs a value: {name} {flag.metavar}.")
                value = words.pop(0)
            if not flag.is_switch and value == "" and wanted.default != "":
                raise GfpupError(f"{name} has an empty value: write {name} {flag.metavar}, or leave it out.")
            given.take(flag, wanted, value)
        elif word in HYDRA_SWITCHES:
            hydra_flags.append(word)
        elif name in HYDRA_VALUES or name == "--info":
            hydra_flags.append(word)
            if not has_value and words and (name in HYDRA_VALUES or words[0] in HYDRA_TOPICS):
                hydra_flags.append(words.pop(0))
        elif word.startswith("-"):
            raise GfpupError(_unknown_flag(name))
        elif "=" in word or word.startswith("~"):
            if not _OVERRIDE.fullmatch(word):
                raise GfpupError(f"{word!r} is not an override: write key.path=value, or name photos with --input.")
            passed.append(word)
        else:
            raise GfpupError(f"{word!r} does not belong to a flag: repeat --input for each photo, --input {word}.")
    return given.overrides() + passed + hydra_flags  # Hydra's parser expects its overrides in one piece


class _Given:
    """The overrides of the flags so far: lists that grow, and single values with the flag that gave them."""

    def __init__(self, *, sweeping: bool) -> None:
        self.sweeping = sweeping
        self.lists: dict[str, list[str]] = {}
        self.singles: dict[str, tuple[str, str]] = {}

    def overrides(self) -> list[str]:
        lists = [f"{key}=[{','.join(values)}]" for key, values in self.lists.items()]
        return lists + [f"{key}={value}" for key, (_, value) in self.singles.items()]

    def take(self, flag: Flag, wanted: Option, value: str) -> None:
        presets = wanted.kind == "metrics" and set(value.split(",") if self.sweeping else [value]) <= set(METRIC_PRESETS)
        if flag.is_switch:
            self._set(flag, wanted, str(flag.sets).lower())
        elif wanted.kind in ("list", "boxes"):
            self.lists.setdefault(wanted.key, []).append(quote(value) if wanted.kind == "list" else _box(flag, value))
        elif wanted.kind == "metrics" and not presets:
            self.lists[f"{wanted.key}.names"] = [_names(flag, value)]
        elif wanted.kind == "names":
            self._set(flag, wanted, f"[{_names(flag, value)}]")
        else:
            plain, several = _PLAIN.fullmatch(value), _SWEEP.fullmatch(value)
            if wanted.kind != "text" and several and not plain and not self.sweeping:
                raise GfpupError(f"{flag.name} has several values, {value!r}: give one, or add -m to run one job for each.")
            self._set(flag, wanted, value if wanted.kind != "text" and (plain or several) else quote(value))

    def _set(self, flag: Flag, wanted: Option, value: str) -> None:
        before = self.singles.setdefault(wanted.key, (flag.name, value))
        if before == (flag.name, value):
            return
        if before[0] == flag.name:
            raise GfpupError(f"{flag.name} was given twice with different values: give it once.")
        raise GfpupError(f"{before[0]} and {flag.name} exclude each other: give one of them.")


def _names(flag: Flag, value: str) -> str:
    for part in value.split(","):
        if not _PLAIN.fullmatch(part):
            raise GfpupError(f"invalid value {part!r} for {flag.name}: expected {flag.metavar}, without spaces.")
    return value


def _box(flag: Flag, value: str) -> str:
    numbers = value.split(",")
    if len(numbers) != 4 or not all(re.fullmatch(r"-?\d+(\.\d+)?", number) for number in numbers):
        raise GfpupError(f"invalid value {value!r} for {flag.name}: expected {flag.metavar}, four numbers in photo pixels.")
    return f"[{value}]"


def quote(text: str) -> str:
    """Write any text as a Hydra value that comes back as the same text, in a config, a sweep or a job.

    Hydra takes what stands in single quotes literally but for three things: a quote ends it, backslashes before a quote
    count, and `${` begins an interpolation, which OmegaConf looks for a second time.
    """
    text = re.sub(r"(\\*)\$\{", lambda m: m.group(1) * 2 + r"\${", text)
    text = re.sub(r"(\\*)(')", lambda m: m.group(1) * 2 + r"\'", text)
    return "'" + re.sub(r"(\\+)\Z", lambda m: m.group(1) * 2, text) + "'"


def _unknown_flag(name: str) -> str:
    names = [known for known in FLAGS if known.startswith("--")]
    near = [known for known in names if known.startswith(name)] or difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near and name != "--" else "gfpup run --help-all lists all flags."
    return f"there is no flag {name!r}: {hint}"
