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

HYDRA_SWITCHES = frozenset({"-m", "--multirun", "--resolve", "--hydra-help"})
HYDRA_VALUES = frozenset(
    {"--cfg", "-c", "--package", "-p", "--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd"}
    | {"--experimental-rerun", "--shell-completion", "-sc"}
)
HYDRA_OPTIONAL = frozenset({"--info"})
HYDRA_TOPICS = frozenset({"all", "config", "defaults", "defaults-tree", "plugins", "searchpath"})

_OVERRIDE = re.compile(r"(~|\+{1,2})?[A-Za-z_][\w/.$@{}:-]*(=.*)?", re.DOTALL)
_PLAIN = re.compile(r"[\w.+-]+")
_SWEEP = re.compile(r"[\w.+-]+(,[\w.+-]+)+|(choice|range|interval|glob|sort|shuffle|tag)\(.*\)")


def to_overrides(arguments: Sequence[str]) -> list[str]:
    """Translate the command line behind `gfpup run` to arguments for the Hydra application.

    Raises:
        GfpupError: an unknown flag, a flag without its value, an empty value, or several values outside a sweep.
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
            if flag.is_switch:
                given.switch(flag, wanted)
                continue
            if not has_value:
                if not words or words[0] in FLAGS:
                    raise GfpupError(f"{name} needs a value: {name} {flag.metavar}.")
                value = words.pop(0)
            if value == "" and wanted.default != "":
                raise GfpupError(f"{name} has an empty value: write {name} {flag.metavar}, or leave it out.")
            given.take(flag, wanted, value)
        elif word in HYDRA_SWITCHES:
            hydra_flags.append(word)
        elif name in HYDRA_VALUES or name in HYDRA_OPTIONAL:
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

    def switch(self, flag: Flag, wanted: Option) -> None:
        self._set(flag, wanted, str(flag.sets).lower())

    def take(self, flag: Flag, wanted: Option, value: str) -> None:
        if wanted.kind in ("list", "boxes"):
            item = quote(value) if wanted.kind == "list" else _box(flag, value)
            self.lists.setdefault(wanted.key, []).append(item)
        elif wanted.kind == "metrics" and not self._is_preset(value):
            self.lists[f"{wanted.key}.names"] = [_names(flag, value)]
        elif wanted.kind == "names":
            self._set(flag, wanted, f"[{_names(flag, value)}]")
        elif wanted.kind == "text":
            self._set(flag, wanted, quote(value))
        else:
            if not _PLAIN.fullmatch(value) and _SWEEP.fullmatch(value) and not self.sweeping:
                raise GfpupError(f"{flag.name} has several values, {value!r}: give one, or add -m to run one job for each.")
            self._set(flag, wanted, value if _PLAIN.fullmatch(value) or _SWEEP.fullmatch(value) else quote(value))

    def _is_preset(self, value: str) -> bool:
        return value in METRIC_PRESETS or (self.sweeping and set(value.split(",")) <= set(METRIC_PRESETS))

    def _set(self, flag: Flag, wanted: Option, value: str) -> None:
        before = self.singles.get(wanted.key)
        if before is not None and before != (flag.name, value):
            if before[0] == flag.name:
                raise GfpupError(f"{flag.name} was given twice with different values: give it once.")
            raise GfpupError(f"{before[0]} and {flag.name} exclude each other: give one of them.")
        self.singles[wanted.key] = (flag.name, value)


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
