"""The Hydra application around a run: overrides in, exit status out, single or multirun."""

from __future__ import annotations

import difflib
import json
import multiprocessing
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException, ValidationError

from gfpup.core.errors import GfpupError, OutputError
from gfpup.core.files import one_line
from gfpup.planning.schema import OPTIONS
from gfpup.planning.settings import ARGV_VARIABLE, invalid
from gfpup.planning.structured import register
from gfpup.running import sweep
from gfpup.running.composition import checked_composition
from gfpup.running.process import INTERRUPTED, Interrupted, interruptible, leave_with_parent
from gfpup.running.run import execute

NODES: Final = {key.partition(".")[0]: key for key in OPTIONS if "." in key}
"""The nodes of the configuration, each with one of its keys."""


def main(overrides: Sequence[str], *, command: Sequence[str] = ()) -> int:
    """Run the Hydra application with `overrides` (Hydra's own flags among them) and return the exit status.

    `command` is the command line as it was typed, for the manifest; the overrides themselves where it is not given.

    Raises: GfpupError: refused before a run or a sweep began.
    """
    argv = sys.argv
    os.environ[ARGV_VARIABLE] = json.dumps(list(command or [argv[0], *overrides]))
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra passes errors on instead of printing them and exiting with 1
    if any(word.startswith("--exp") for word in overrides):
        raise GfpupError("--experimental-rerun is not supported: it would run code from a pickle; give the overrides again.")
    register()
    application = Application()
    run_application = hydra.main(version_base="1.3", config_path="pkg://gfpup.conf", config_name="run")(application.run_job)
    try:
        with interruptible(), checked_composition(), tempfile.TemporaryDirectory() as folder:
            begun = Path(folder, "sweep.json")
            sys.argv = [argv[0], *_arguments(overrides, begun), *overrides]
            try:
                run_application()
            finally:
                status = sweep.close(begun) if begun.exists() else application.status
        return status
    except (HydraException, OmegaConfBaseException) as error:
        return refuse(_in_short(error))
    except (Interrupted, KeyboardInterrupt) as error:
        with suppress(OSError):  # the terminal may be what ended
            print(f"gfpup: {INTERRUPTED}", file=sys.stderr)
        return _status_of(error)
    finally:
        sys.argv = argv


def _in_short(error: Exception) -> GfpupError:
    """What Hydra says at length about an override, in one sentence: the key, the value and what is expected."""
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else None
    text = " ".join(f"{error} {cause or ''}".split())
    if found := re.search(r"Could not find '([\w/-]+)/([^'/]+)'", text):
        return GfpupError(f"there is no {found[1]}={found[2]} here: install the package that has it, or choose another name.")
    if isinstance(error, OverrideParseException):
        said = text.removeprefix(f"Error parsing override '{error.override}'").partition(" See https://")[0].strip()
        return GfpupError(f"{error.override!r} cannot be read ({said}): write key=value, key=a,b or key=range(0,1,0.5).")
    key = str(getattr(cause or error, "full_key", None) or "")
    if isinstance(cause or error, ValidationError) and key in OPTIONS:
        written = re.fullmatch(r"Error merging override [+~]*[\w.]+=(.*)", str(error), re.DOTALL)
        of_file = re.search(r"Value '(.*?)' of type", text)
        return invalid(key, written[1].strip("'") if written else of_file[1] if of_file else "null")
    if key in NODES:
        return GfpupError(f"{key} cannot be replaced by one value: set its keys, such as {NODES[key]}.")
    if found := re.search(r"Could not override '([^']*)|Key '([^']*)' not in '", text):
        key = key or found[1] or found[2]  # a key of the top level comes without its place
        near = difflib.get_close_matches(key, OPTIONS, n=1, cutoff=0.7)
        hint = f"did you mean {near[0]!r}?" if near else "gfpup run --cfg job prints all keys."
        return GfpupError(f"there is no key {key!r} in the configuration: {hint}")
    return GfpupError(text)


def refuse(error: GfpupError) -> int:
    """Say an error to the user; returns the exit status of a refusal."""
    print(f"gfpup: {one_line(str(error))}", file=sys.stderr)
    return 2


def _arguments(overrides: Sequence[str], begun: Path) -> list[str]:
    """Arguments that Hydra needs beside the user's: where a sweep is announced, names for its jobs' folders.

    The results of a dry sweep go to the folder of `begun`, which is temporary.
    """
    no_run = {"--cfg", "-c", "--shell-completion", "-sc"} & set(overrides)
    arguments = [] if no_run else [f"hydra.callbacks.sweep.begun='{begun}'"]
    if not {"-m", "--multirun"} & set(overrides):
        return arguments
    parsed = OverridesParser.create().parse_overrides([text for text in overrides if "=" in text and not text.startswith("-")])
    for folder in [Path(str(override.value())) for override in parsed if override.key_or_group == "output"]:
        there = next((parent for parent in (folder, *folder.absolute().parents) if parent.exists()), folder)
        if not there.is_dir() or not os.access(there, os.W_OK):  # said here in one sentence, which Hydra would not
            lack = "cannot be written" if there.is_dir() else "is a file"
            raise GfpupError(f"--output {folder} cannot be made: {there} {lack}; give another folder.")
    fixed = [override.get_key_element() for override in parsed if not override.is_sweep_override()]
    arguments.append(f"hydra.job.config.override_dirname.exclude_keys=[{','.join(sorted(set(fixed)))}]")
    if any(override.key_or_group == "dry_run" and override.value() is True for override in parsed):
        arguments.append(f"hydra.sweep.dir='{begun.parent}'")
    return arguments


@dataclass
class Application:
    """What Hydra calls: a run, or each job of a sweep. `status` is the exit status of the last run that was not a job."""

    status: int = 0

    def run_job(self, config: DictConfig) -> float | None:
        """Carry out one composed configuration. Returns the objective, for sweepers that optimise it."""
        hydra_config = HydraConfig.get()
        if hydra_config.mode == RunMode.MULTIRUN:
            return _run_job_of_sweep(config)
        try:
            if swept := hydra_config.sweeper.get("params"):
                keys = ", ".join(str(key) for key in swept)
                raise GfpupError(f"this study tries several values of {keys}; gfpup sweep runs it.")
            ended = execute(config)
        except GfpupError as error:  # here, before Hydra adds lines of its own
            refuse(error)
            self.status = _status_of(error)
            return None
        self.status = ended.status
        return ended.objective


def _run_job_of_sweep(config: DictConfig) -> float | None:
    """Carry out one job and leave its status in the sweep's folder: the end of a sweep is read from files."""
    hydra_config = HydraConfig.get()
    root, subdir = Path(str(config.output)), str(hydra_config.sweep.subdir)
    job = sweep.Job(Path(str(hydra_config.sweep.dir)), root, root / subdir, int(hydra_config.job.num))
    leave = partial(sweep.leave_status, job, list(hydra_config.overrides.task))
    if multiprocessing.current_process().name != "MainProcess":
        leave_with_parent()  # a process of joblib's would go on, and hold the folder against the command that resumes
    leave(status=None)
    if not (config.screen.quiet or config.screen.json):
        print(f"gfpup: job {job.number + 1}: {subdir or 'the only one'}", file=sys.stderr)
    try:
        ended = execute(config, job=job)
    except GfpupError as error:  # printed with the others at the end of the sweep
        leave(status=_status_of(error), error=str(error))
        return None
    except (Interrupted, KeyboardInterrupt) as error:
        leave(status=_status_of(error), error="interrupted")
        raise
    except BaseException as error:
        leave(status=1, error=f"{type(error).__name__}: {error}")
        raise
    if ended.rank != 0:
        return None
    leave(status=ended.status, same_as=ended.same_as)
    return ended.objective


def _status_of(error: BaseException) -> int:
    """The exit status of a run that this ended: refused, stopped because it could not write, or interrupted."""
    if isinstance(error, GfpupError):
        return 1 if isinstance(error, OutputError) else 2
    return error.status if isinstance(error, Interrupted) else 130
