"""The Hydra application around a run: overrides in, exit status out, single or multirun."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from gfpup import registry
from gfpup.errors import GfpupError, OutputError
from gfpup.runner import sweep
from gfpup.runner.run import ARGV_VARIABLE, Interrupted, execute, interruptible

_statuses: list[int] = []


def main(overrides: Sequence[str], *, command: Sequence[str] = ()) -> int:
    """Run the Hydra application with `overrides` (Hydra's own flags among them) and return the exit status.

    `command` is the command line as it was typed, for the manifest; the overrides themselves where it is not given.
    """
    _statuses.clear()
    sweep.forget()
    argv = sys.argv
    os.environ[ARGV_VARIABLE] = json.dumps(list(command or [argv[0], *overrides]))
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands errors on instead of printing them and exiting with 1
    for name in registry.plugins("backend"):
        ConfigStore.instance().store(group="backend", name=name, node={"name": name}, provider="an installed package")
    try:
        with interruptible(), _sweep_arguments(overrides) as arguments:
            sys.argv = [argv[0], *arguments, *overrides]
            app()
            folder = sweep.folder()
            if folder is not None:
                return sweep.exit_status(sweep.statuses(folder))
            return max(_statuses, default=0)
    except (HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else ""
        return refuse(GfpupError(" ".join(f"{error} {cause}".split())))
    except (Interrupted, KeyboardInterrupt):
        print("gfpup: interrupted; the same command goes on from here.", file=sys.stderr)
        return 130
    finally:
        sys.argv = argv


def refuse(error: GfpupError) -> int:
    """Say an error to the user; returns the exit status of a refusal."""
    print(f"gfpup: {error}", file=sys.stderr)
    return 2


@contextmanager
def _sweep_arguments(overrides: Sequence[str]) -> Iterator[list[str]]:
    """What a multirun needs beside the user's overrides: names for its jobs' folders, and no folder in a dry run."""
    if not {"-m", "--multirun"} & set(overrides):
        yield []
        return
    parsed = OverridesParser.create().parse_overrides([text for text in overrides if "=" in text and not text.startswith("-")])
    fixed = [override.get_key_element() for override in parsed if not override.is_sweep_override()]
    arguments = [f"hydra.job.config.override_dirname.exclude_keys=[{','.join(sorted(set(fixed)))}]"]
    if not any(override.key_or_group == "dry_run" and override.value() is True for override in parsed):
        yield arguments
        return
    with tempfile.TemporaryDirectory() as folder:
        yield [*arguments, f"hydra.sweep.dir={folder}"]


@hydra.main(version_base="1.3", config_path="pkg://gfpup.conf", config_name="run")
def app(config: DictConfig) -> None:
    """The Hydra application: one call a job."""
    hydra_config = HydraConfig.get()
    if hydra_config.mode != RunMode.MULTIRUN:
        _statuses.append(_status(config)[0])
        return
    folder, root = Path(str(hydra_config.sweep.dir)), Path(str(config.output))
    output = root / str(hydra_config.sweep.subdir)
    status, error = _status(config, output=output, sweep=root)
    sweep.leave_status(
        folder,
        int(hydra_config.job.num),
        overrides=hydra_config.overrides.task,
        output=output,
        status=status,
        error=error,
    )


def _status(config: DictConfig, *, output: Path | None = None, sweep: Path | None = None) -> tuple[int, str | None]:
    """Execute one job: its exit status, and the error that ended it. Errors end here, before Hydra adds a line of its own."""
    try:
        return execute(config, output=output, sweep=sweep), None
    except GfpupError as error:
        status = refuse(error)
        return (1 if isinstance(error, OutputError) else status), str(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
