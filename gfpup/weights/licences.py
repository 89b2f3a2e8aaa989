"""Consent to licences: asked once per user, remembered in the user's configuration folder."""

from __future__ import annotations

import datetime
import difflib
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from gfpup.core.errors import LicenceError
from gfpup.weights.catalogue import CATALOGUE, LICENCES, Checkpoint, CommercialUse

ACCEPT_VARIABLE = "GFPUP_ACCEPT_LICENCES"
CONFIG_VARIABLE = "GFPUP_CONFIG_DIR"


@dataclass(frozen=True)
class Licence:
    """One licence: `covers` says which parts of gfpup come under it."""

    id: str
    name: str
    commercial_use: CommercialUse
    covers: str


# Licences of installed packages; those of checkpoints are in the catalogue.
PACKAGE_LICENCES = (Licence("polyform-noncommercial-1.0.0", "PolyForm Noncommercial 1.0.0", "no", "the pyiqa metrics"),)


def known() -> dict[str, Licence]:
    """Every licence gfpup knows, of checkpoints and packages, by its id."""
    packages = {licence.id: licence for licence in PACKAGE_LICENCES}
    covered: dict[str, list[str]] = {}
    for checkpoint in CATALOGUE:
        covered.setdefault(checkpoint.licence_id, []).append(checkpoint.name)
    table = {id: Licence(id, *LICENCES[id], f"the weights {', '.join(names)}") for id, names in covered.items()}
    return {**packages, **table, **packages}  # packages stand first, and keep their own description


def config_folder() -> Path:
    """The folder of the user's configuration: GFPUP_CONFIG_DIR, or the platform's place for it."""
    given = os.environ.get(CONFIG_VARIABLE)
    return Path(given) if given else platformdirs.user_config_path("gfpup")


def accept(licence_id: str) -> None:
    """Remember this user's consent to a licence.

    Raises:
        LicenceError: no licence has this id, or the consent cannot be written.
    """
    _refuse_unknown(licence_id, said_by="--accept-licence")
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    try:
        _update("accepted", licence_id, today)
    except OSError as error:
        raise LicenceError(
            f"the consent to {licence_id} cannot be remembered in {_file()} ({error.strerror}): "
            f"make the folder writable or set {ACCEPT_VARIABLE}={licence_id}"
        ) from error


def how_accepted(licence_id: str, accepted: Collection[str] = ()) -> str | None:
    """How consent to a licence was given, for the manifest, or None if it was not.

    `accepted` holds the ids that were given with this command.

    Raises:
        LicenceError: GFPUP_ACCEPT_LICENCES names an unknown licence, or the remembered consents cannot be read.
    """
    if licence_id in accepted:
        return "given with the command"
    if licence_id in _from_environment():
        return f"given by {ACCEPT_VARIABLE}"
    day = _read().get("accepted", {}).get(licence_id)
    return None if day is None else f"remembered since {day}"


def is_accepted(licence_id: str) -> bool:
    """Whether consent to a licence is remembered or given by the environment."""
    return how_accepted(licence_id) is not None


def require(checkpoint: Checkpoint, accepted: Collection[str] = ()) -> None:
    """Refuse a checkpoint whose licence forbids commercial use, unless its user consented now or earlier.

    Raises:
        LicenceError: the consent is missing; the message names the flag.
    """
    if checkpoint.commercial_use == "no":
        require_licence(checkpoint.licence_id, what=f"the weights of {checkpoint.name}", accepted=accepted)


def require_licence(licence_id: str, *, what: str, accepted: Collection[str] = ()) -> None:
    """Refuse `what` unless its user consented to the licence now or earlier.

    Raises:
        LicenceError: the consent is missing; the message names the flag.
    """
    if how_accepted(licence_id, accepted) is None:
        licence = known().get(licence_id)
        title = licence.name if licence is not None else licence_id
        raise LicenceError(
            f"{what} come under the {title}, which forbids commercial use: if your use is non-commercial, "
            f"consent once with --accept-licence {licence_id} (or {ACCEPT_VARIABLE}={licence_id})"
        )


def warning_for(checkpoint: Checkpoint) -> str | None:
    """The warning about a contested or unknown licence, or None if it is clear or the warning was shown before."""
    if checkpoint.commercial_use not in ("contested", "unknown"):
        return None
    if _topic(checkpoint) in _read().get("warned", {}):
        return None
    if checkpoint.commercial_use == "contested":
        return (
            f"whether the weights of {checkpoint.name} may be used commercially is contested: "
            f"their licence is {checkpoint.licence}"
        )
    return f"the licence of the weights of {checkpoint.name} is {checkpoint.licence}: ask their publisher before commercial use"


def warn_once(checkpoint: Checkpoint) -> str | None:
    """The same as `warning_for`, and counts as shown from now on."""
    warning = warning_for(checkpoint)
    if warning is not None:
        try:
            _update("warned", _topic(checkpoint), datetime.datetime.now(datetime.UTC).date().isoformat())
        except OSError:
            return warning  # it cannot be remembered, so it is shown again next time
    return warning


def _topic(checkpoint: Checkpoint) -> str:
    # One contested licence covers several versions and is worth one warning; each unknown licence is a case of its own.
    return checkpoint.licence_id if checkpoint.commercial_use == "contested" else checkpoint.name


def _from_environment() -> frozenset[str]:
    given = frozenset(part.strip() for part in os.environ.get(ACCEPT_VARIABLE, "").split(",") if part.strip())
    for licence_id in sorted(given):
        _refuse_unknown(licence_id, said_by=ACCEPT_VARIABLE)
    return given


def _refuse_unknown(licence_id: str, *, said_by: str) -> None:
    table = known()
    if licence_id not in table:
        near = difflib.get_close_matches(licence_id.lower(), table, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else f"those that need consent are {', '.join(needing_consent())}"
        raise LicenceError(f"{said_by} names {licence_id!r}, which is not a known licence: {remedy}")


def needing_consent() -> tuple[str, ...]:
    """The ids of the licences that forbid commercial use."""
    return tuple(licence.id for licence in known().values() if licence.commercial_use == "no")


def _file() -> Path:
    return config_folder() / "licences.json"


def _read() -> dict[str, Any]:
    try:
        content = json.loads(_file().read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise LicenceError(f"the remembered consents in {_file()} cannot be read: delete the file and consent again") from error
    if not isinstance(content, dict) or not all(isinstance(part, dict) for part in content.values()):
        raise LicenceError(f"the remembered consents in {_file()} are damaged: delete the file and consent again")
    return content


def _update(part: str, entry: str, value: str) -> None:
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        content = _read()
        content.setdefault(part, {})[entry] = value
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        fresh.replace(file)
