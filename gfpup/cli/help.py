"""The help of `gfpup run`, from the schema."""

from __future__ import annotations

import textwrap

from gfpup.planning.option import Flag, Option, describe
from gfpup.planning.schema import FLAGS, SECTIONS

HEAD = """\
Restore the faces of photos.

usage: gfpup run --input PATH [flags] [key.path=value ...]

"""
MORE = """\
gfpup run --help-all lists the other {count} flags, each with its key; key.path=value sets any key, and --cfg job prints all.
gfpup completion bash|zsh|fish prints the script that completes flags and their values in your shell.
"""
HYDRA = """\
Hydra's own: -m runs one job for each combination of values; --cfg job prints the configuration; --hydra-help lists the rest.
"""
TAIL = """\
Exit status: 0 all done, 1 some photos or faces failed, 2 refused before the first photo, 128 + n interrupted by signal n.

  gfpup run --input photo.jpg --output out/
  gfpup run --input photos/ --recursive --backend classical --output out/
  gfpup run --input photos/ --output out/ --dry-run
"""


def run_help(*, everything: bool = False) -> str:
    """The ten flags that most people need, or all of them, each with the override it stands for."""
    lines = []
    for section in SECTIONS:
        rows = [(flag, wanted) for flag, wanted in flags(section) if everything or flag.common]
        lines += [f"{section}:"] * bool(rows)
        for flag, wanted in rows:
            lines += row(spelling(flag), describe(flag, wanted) + (f" [{override(flag, wanted)}]" if everything else ""))
        lines += [""] * bool(rows)
    hidden = sum(not flag.common for section in SECTIONS for flag, _ in flags(section))
    return HEAD + "\n".join(lines) + "\n" + (HYDRA if everything else MORE.format(count=hidden)) + TAIL


def flags(section: str) -> list[tuple[Flag, Option]]:
    """The flags of a section of the help, in the order of the schema."""
    return [(flag, wanted) for name, (flag, wanted) in FLAGS.items() if name == flag.name and wanted.section == section]


def spelling(flag: Flag) -> str:
    """A flag as it is typed: "-o, --output DIR"."""
    return ", ".join(filter(None, (flag.short, flag.name))) + (f" {flag.metavar}" if flag.metavar else "")


def override(flag: Flag, wanted: Option) -> str:
    """The override that a flag stands for."""
    return f"{wanted.key}={str(flag.sets).lower()}" if flag.is_switch else f"{wanted.key}=..."


def row(spelling: str, text: str, *, column: int = 31, width: int = 130) -> list[str]:
    """The lines of a flag: its spelling, and from `column` on its help, no longer than `width`."""
    first, *rest = textwrap.wrap(text, width - column, break_on_hyphens=False, break_long_words=False)
    return [f"  {spelling:<{column - 3}} {first}", *(" " * column + line for line in rest)]
