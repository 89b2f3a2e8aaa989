"""The parser behind a verb: it knows the words of one command, and says in one sentence what it does not understand."""

from __future__ import annotations

import argparse

from gfpup.core.errors import GfpupError


class Parser(argparse.ArgumentParser):
    """argparse without its help, its abbreviations and its way out; `command` is what the user typed before the words.

    `lead` begins a refusal, by default with the command.
    """

    def __init__(self, command: str, *, lead: str | None = None) -> None:
        super().__init__(prog=command, add_help=False, allow_abbrev=False)
        self._command = command
        self._lead = f"{command}: " if lead is None else lead

    def error(self, message: str) -> None:  # type: ignore[override]
        """Refuse: argparse would print its usage and leave.

        Raises:
            GfpupError: always.
        """
        raise GfpupError(f"{self._lead}{message}; {self._command} --help explains.")
