"""The argument parser of one command: exact flags, and errors in one sentence."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any

from gfpup.core.errors import GfpupError
from gfpup.core.registry import unknown


class Parser(argparse.ArgumentParser):
    """argparse without its help, its abbreviations and its exit; `command` is what the user typed before the arguments.

    `lead` begins an error message, by default with the command.
    """

    def __init__(self, command: str, *, lead: str | None = None) -> None:
        super().__init__(prog=command, add_help=False, allow_abbrev=False)
        self.lead = f"{command}: " if lead is None else lead

    def number(self, flag: str, least: float, most: float | None = None, *, default: Any = None, whole: bool = True) -> None:
        """Add a flag whose value is a number of at least `least` and at most `most`; other values raise GfpupError."""
        limits = f"of {least:g} or more" if most is None else f"from {least:g} to {most:g}"

        def read(text: str) -> float:
            try:
                value = int(text) if whole else float(text)
            except ValueError:
                value = math.nan
            if not least <= value <= (math.inf if most is None else most):
                raise GfpupError(f"invalid value {text!r} for {flag}: expected a {'whole ' if whole else ''}number {limits}")
            return value

        self.add_argument(flag, type=read, default=default)

    def one_of(self, flag: str, names: Sequence[str], *, default: str | None = None, required: bool = False) -> None:
        """Add a flag whose value is one of `names`; another raises GfpupError with the nearest."""

        def read(text: str) -> str:
            if text not in names:
                raise GfpupError(f"{self.lead}{unknown(flag, text, names)}")
            return text

        self.add_argument(flag, type=read, default=default, required=required)

    def switches(self, *flags: str) -> None:
        """Add flags without a value."""
        for flag in flags:
            self.add_argument(flag, action="store_true")

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raise GfpupError in one sentence; argparse would print its usage and exit."""
        raise GfpupError(f"{self.lead}{message}; {self.prog} --help explains.")
