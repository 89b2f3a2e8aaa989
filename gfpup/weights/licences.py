"""Consent to licences: asked once per user, remembered in the user's configuration folder."""

from __future__ import annotations

import datetime
import difflib
import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

from gfpup.core.errors import LicenceError
from gfpup.weights.catalogue import CATALOGUE, LICENCES, Checkpoint, CommercialUse
from gfpup.weights.memory import Memory

ACCEPT_VARIABLE = "GFPUP_ACCEPT_LICENCES"


@dataclass(frozen=True)
class Licence:
    """One licence: `covers` says which parts of gfpup come under it."""

    id: str
    name: str
    commercial_use: CommercialUse
    covers: str


PACKAGES: Final = {"polyform-noncommercial-1.0.0": "the pyiqa metrics"}
"""What comes under the licences of installed packages; those of checkpoints are in the catalogue."""


def known() -> dict[str, Licence]:
    """Every licence gfpup knows, of packages and of checkpoints, by its id."""
    covered: dict[str, list[str]] = {}
    for checkpoint in CATALOGUE:
        covered.setdefault(checkpoint.licence_id, []).append(checkpoint.name)
    covers = PACKAGES | {id: f"the weights {', '.join(names)}" for id, names in covered.items() if id not in PACKAGES}
    return {id: Licence(id, *LICENCES[id], what) for id, what in covers.items()}


def needing_consent() -> tuple[str, ...]:
    """The ids of the licences that forbid commercial use."""
    return tuple(licence.id for licence in known().values() if licence.commercial_use == "no")


def config_folder() -> Path:
    """The folder of the user's configuration: GFPUP_CONFIG_DIR, or the platform's place for it."""
    return Path(os.environ.get("GFPUP_CONFIG_DIR") or platformdirs.user_config_path("gfpup"))


def accept(licence_id: str) -> None:
    """Remember this user's consent to a licence; raises LicenceError for an unknown id and where it cannot be written."""
    _refuse_unknown(licence_id, said_by="--accept-licence")
    memory = _memory()
    try:
        memory.update("accepted", licence_id, _today())
    except OSError as error:
        raise LicenceError(
            f"the consent to {licence_id} cannot be remembered in {memory.file} ({error.strerror}): "
            f"make the folder writable or set {ACCEPT_VARIABLE}={licence_id}"
        ) from error


def how_accepted(licence_id: str, accepted: Collection[str] = ()) -> str | None:
    """How consent to a licence was given, for the manifest, or None if it was not; `accepted` came with this command.

    Raises LicenceError where GFPUP_ACCEPT_LICENCES names an unknown licence or the remembered consents cannot be read.
    """
    if licence_id in accepted:
        return "given with the command"
    given = {part.strip() for part in os.environ.get(ACCEPT_VARIABLE, "").split(",") if part.strip()}
    for name in sorted(given):
        _refuse_unknown(name, said_by=ACCEPT_VARIABLE)
    if licence_id in given:
        return f"given by {ACCEPT_VARIABLE}"
    day = _memory().table("accepted").get(licence_id)
    return None if day is None else f"remembered since {day}"


def is_accepted(licence_id: str) -> bool:
    """Whether consent to a licence is remembered or given by the environment."""
    return how_accepted(licence_id) is not None


def require(checkpoint: Checkpoint, accepted: Collection[str] = ()) -> None:
    """Refuse a checkpoint whose licence forbids commercial use by LicenceError, unless its user consented now or earlier."""
    if checkpoint.commercial_use == "no":
        require_licence(checkpoint.licence_id, what=f"the weights of {checkpoint.name}", accepted=accepted)


def require_licence(licence_id: str, *, what: str, accepted: Collection[str] = ()) -> None:
    """Refuse `what` by LicenceError, which names the flag, unless its user consented to the licence now or earlier."""
    if how_accepted(licence_id, accepted) is None:
        licence = known().get(licence_id)
        terms = f"come under the {licence.name if licence else licence_id}, which forbids commercial use"
        if licence_id.endswith("-unstated"):
            terms = "come without a stated licence, which cannot be taken to allow commercial use"
        raise LicenceError(
            f"{what} {terms}: if your use is non-commercial, "
            f"consent once with --accept-licence {licence_id} (or {ACCEPT_VARIABLE}={licence_id})"
        )


def warning_for(checkpoint: Checkpoint) -> str | None:
    """The warning about a contested or unknown licence, or None if it is clear or the warning was shown before."""
    name, use = checkpoint.name, checkpoint.commercial_use
    if use not in ("contested", "unknown") or _topic(checkpoint) in _memory().table("warned"):
        return None
    if use == "unknown":
        return f"the licence of the weights of {name} is {checkpoint.licence}: ask their publisher before commercial use"
    return f"whether the weights of {name} may be used commercially is contested: their licence is {checkpoint.licence}"


def warn_once(checkpoint: Checkpoint) -> str | None:
    """The same as `warning_for`, and counts as shown from now on."""
    warning = warning_for(checkpoint)
    if warning is not None:
        with suppress(OSError):  # where it cannot be remembered, it is shown again next time
            _memory().update("warned", _topic(checkpoint), _today())
    return warning


def _topic(checkpoint: Checkpoint) -> str:
    # One contested licence covers several versions and is worth one warning; each unknown licence is a case of its own.
    return checkpoint.licence_id if checkpoint.commercial_use == "contested" else checkpoint.name


def _refuse_unknown(licence_id: str, *, said_by: str) -> None:
    table = known()
    if licence_id not in table:
        near = difflib.get_close_matches(licence_id.lower(), table, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else f"those that need consent are {', '.join(needing_consent())}"
        raise LicenceError(f"{said_by} names {licence_id!r}, which is not a known licence: {remedy}")


def _memory() -> Memory:
    return Memory(config_folder() / "licences.json", "consents", LicenceError, "delete the file and consent again")


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()
