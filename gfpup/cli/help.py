"""The help of `gfpup run`, from the schema."""

from __future__ import annotations

import textwrap

from gfpup.planning.option import Flag, Option, describe
from gfpup.planning.schema import FLAGS, SECTIONS

WIDTH = 130
COLUMN = 31

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
        if rows:
            lines += [f"{section}:", *(line for row in rows for line in _lines(*row, with_key=everything)), ""]
    shown = sum(flag.common for section in SECTIONS for flag, _ in flags(section))
    total = sum(len(flags(section)) for section in SECTIONS)
    more = HYDRA if everything else MORE.format(count=total - shown)
    return HEAD + "\n".join(lines) + "\n" + more + TAIL


def flags(section: str) -> list[tuple[Flag, Option]]:
    """The flags of a section of the help, in the order of the schema."""
    return [(flag, wanted) for name, (flag, wanted) in FLAGS.items() if name == flag.name and wanted.section == section]


def spelling(flag: Flag) -> str:
    """A flag as it is typed: "-o, --output DIR"."""
    return ", ".join(filter(None, (flag.short, flag.name))) + (f" {flag.metavar}" if flag.metavar else "")


def override(flag: Flag, wanted: Option) -> str:
    """The override that a flag stands for."""
    return f"{wanted.key}={str(flag.sets).lower()}" if flag.is_switch else f"{wanted.key}=..."


def _lines(flag: Flag, wanted: Option, *, with_key: bool) -> list[str]:
    text = describe(flag, wanted) + (f" [{override(flag, wanted)}]" if with_key else "")
    first, *rest = textwrap.wrap(text, WIDTH - COLUMN, break_on_hyphens=False, break_long_words=False)
    head = f"  {spelling(flag):<{COLUMN - 3}} "
    return [head + first, *(" " * COLUMN + line for line in rest)]
