"""The argument parser of one command: exact flags, and errors in one sentence."""

from __future__ import annotations

import argparse
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gfpup.core.errors import GfpupError
from gfpup.core.registry import unknown

WIDTH = 130


class Parser(argparse.ArgumentParser):
    """argparse without its help, its abbreviations and its exit; `command` is what the user typed before the arguments.

    `lead` begins an error message, by default with the command. `text` is the help, with "{flags}" where those of `add` go.
    """

    def __init__(self, command: str, *, lead: str | None = None, text: str = "") -> None:
        super().__init__(prog=command, add_help=False, allow_abbrev=False)
        self.lead = f"{command}: " if lead is None else lead
        self._text = text
        self._rows: list[tuple[str, str]] = []

    def add(self, spelling: str, help: str, **facts: Any) -> None:
        """Add a flag as it is typed, "-o, --output FILE", or a switch, "--json", and say in `help` what it does."""
        words = spelling.replace(",", " ").split()
        names = [word for word in words if word.startswith("-")]
        self._rows.append((spelling, help))
        self.add_argument(*names, **(facts if len(words) > len(names) else {"action": "store_true"} | facts))

    def section(self, title: str) -> None:
        """Put a title above the flags that follow."""
        self._rows.append((title, ""))

    @property
    def help_text(self) -> str:
        """The help with a line for each flag of `add`."""
        column = 2 + max((len(spelling) for spelling, what in self._rows if what), default=0)
        indent, lines = " " * (column + 2), list[str]()
        for spelling, what in self._rows:
            if not what:
                lines += ["", f"{spelling}:"][not lines :]
                continue
            start = f"  {spelling:<{column}}"
            lines += textwrap.wrap(what, WIDTH, initial_indent=start, subsequent_indent=indent, break_on_hyphens=False)
        return self._text.replace("{flags}", "\n".join(lines))

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """What was typed; flags may stand between the other arguments.

        Raises: GfpupError: it does not parse.
        """
        return self.parse_intermixed_args(list(words))

    def number(
        self, spelling: str, help: str, least: float, most: float | None = None, *, default: Any = None, whole: bool = True
    ) -> None:
        """Add a flag whose value is a number of at least `least` and at most `most`; other values raise GfpupError."""
        flag = spelling.partition(" ")[0]
        limits = f"of {least:g} or more" if most is None else f"from {least:g} to {most:g}"

        def read(text: str) -> float:
            try:
                value = int(text) if whole else float(text)
            except ValueError:
                value = math.nan
            if not least <= value <= (math.inf if most is None else most):
                raise GfpupError(f"invalid value {text!r} for {flag}: expected a {'whole ' if whole else ''}number {limits}")
            return value

        self.add(spelling, help, type=read, default=default)

    def resampling(self) -> None:
        """Add the flags of every command that computes intervals."""
        level = "level of the intervals, between 0 and 1 (default: 0.95)"
        self.number("--confidence X", level, 0.001, 0.9999, default=0.95, whole=False)
        self.number("--seed N", "draw the resamples from this number (default: 0)", 0, default=0)

    def weights_dir(self, what: str = "look for") -> None:
        """Add the flag of every command that reads checkpoints."""
        self.add("--weights-dir DIR", f"{what} checkpoints here (default: GFPUP_WEIGHTS_DIR, or the user's cache)", type=Path)

    def weights(self) -> None:
        """Add the flags of every command that may download checkpoints."""
        self.weights_dir("keep")
        self.add("--accept-licence ID", "consent to a licence, once; repeat for more", action="append", default=[])
        self.add("--trust-first-download", "accept checkpoints without a published hash")

    def one_of(self, spelling: str, help: str, names: Sequence[str], *, default: str | None = None) -> None:
        """Add a flag whose value is one of `names`; another raises GfpupError with the nearest."""
        flag = spelling.partition(" ")[0]

        def read(text: str) -> str:
            if text not in names:
                raise GfpupError(f"{self.lead}{unknown(flag, text, names)}")
            return text

        self.add(spelling, help, type=read, default=default)

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raise GfpupError in one sentence; argparse would print its usage and exit."""
        raise GfpupError(f"{self.lead}{message}; {self.prog} --help explains.")
