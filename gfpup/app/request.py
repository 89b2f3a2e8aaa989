"""What was chosen in the page, as words of `gfpup run`: for the run itself, and to be shown."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gfpup.app import methods
from gfpup.planning.schema import OPTIONS


@dataclass(frozen=True)
class Choice:
    """The controls of the page. `extra` are the words that the command `gfpup app` passes on to every run."""

    method: str = "classical"
    strength: float = 1.0
    fidelity: float = 0.5
    upscale: float = 2.0
    background: str = "auto"
    extra: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The method and what was changed of it, to tell results apart."""
        changed = [f"strength {self.strength:g}"] if self.strength != default("restore.strength") else []
        changed += [f"fidelity {self.fidelity:g}"] if methods.takes_fidelity(self.method) else []
        return ", ".join([self.method, *changed])


def default(key: str) -> float:
    """The default of an option of a run, by its key."""
    option = OPTIONS[key]
    return float(option.default if option.default is not None else option.shown)


def words(
    choice: Choice,
    photos: Sequence[str],
    output: str,
    *,
    picked: Mapping[str, Collection[int] | None],
    consent: methods.Consent | None = None,
) -> list[str]:
    """The words behind `gfpup run`. `picked` are the faces to restore of each photo, by its name; None takes all.

    `consent` is what was agreed to in the page.
    """
    said = [word for photo in photos for word in ("--input", photo)]
    said += ["--backend", choice.method]
    if choice.strength != default("restore.strength"):
        said += ["--strength", f"{choice.strength:g}"]
    if methods.takes_fidelity(choice.method) and choice.fidelity != default("restore.fidelity"):
        said += ["--fidelity", f"{choice.fidelity:g}"]
    if choice.upscale != default("restore.upscale"):
        said += ["--upscale", f"{choice.upscale:g}"]
    if choice.background != OPTIONS["background.name"].default:
        said += ["--background", choice.background]
    for photo, faces in picked.items():
        if faces is not None:
            said += ["--pick-faces", f"{photo}={','.join(map(str, sorted(faces))) or 'none'}"]
    if consent is not None:
        said += consent.flags
    return [*said, "--save-faces", *choice.extra, "--output", output]


def command(said: Sequence[str]) -> str:
    """The command line as a person types it where the photos lie: their names, and a folder beside them."""
    shown = list(said)
    for i, word in enumerate(said[:-1]):
        if word == "--input":
            shown[i + 1] = Path(said[i + 1]).name
        elif word == "--output":
            shown[i + 1] = "out/"
    return shlex.join(["gfpup", "run", *shown])
