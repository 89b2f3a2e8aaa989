"""The `gfpup` command: verbs, help, and the way into the Hydra application."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from gfpup.core.errors import GfpupError
from gfpup.core.files import one_line

USAGE = """\
gfpup restores faces in photographs, and measures which method did it best.

usage: gfpup VERB ...

  run        restore photos
  sweep      restore by every combination of several backends and settings, and compare
  recommend  name the method to take, by the guide or by your own runs
  app        open a page in the browser: restore photos, compare results
  doctor     check this installation, and say what to do about what is wrong
  backends   list the methods side by side, or show one
  score      score a finished run, or any folder, without restoring again
  stats      compute the statistics of a reference set once, for FID and precision
  compare    compare runs: means, intervals, paired tests, Pareto front
  report     write one page with sliders, scores, failures and the plan
  vote       ask people which method is better, and count their votes
  track      log finished runs to MLflow
  ui         open MLflow's page on the last comparison
  degrade    damage reference faces by a named protocol
  verify     hold a network to its hash, its goldens and other implementations
  export     write a method's network as an ONNX or OpenVINO graph
  bench      measure how fast a method is on this machine
  weights    list, fetch, verify and import checkpoints
  completion print the script that completes flags and values in your shell
  version    print the version

  gfpup VERB --help explains one verb. Try:
  gfpup run --input photo.jpg --output out/
  gfpup run --input photos/ --recursive --backend classical --output out/
  gfpup run --input photos/ --output out/ --dry-run
"""

# fmt: off
IN_OWN_MODULE = (
    "app", "score", "stats", "compare", "report", "vote", "track", "ui", "degrade", "verify", "export", "bench", "recommend",
    "doctor", "backends", "weights", "completion",
)
# fmt: on
"""Verbs that are `run(words)` of the module of their name, with its `HELP`."""
WITHOUT_WORDS = ("app", "ui", "bench", "recommend", "doctor", "backends")
"""Those of them that do something when nothing follows; the others then print their help."""
VERBS = ("run", "sweep", *IN_OWN_MODULE, "version")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status: 0 all done, 1 some failed, 2 refused, 128 + n interrupted by signal n."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return contained(lambda: _dispatch(words))


def contained(work: Callable[[], int]) -> int:
    """Do the work of a command; what a user can put right is one sentence and an exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # file names need not be valid UTF-8
    try:
        return work()
    except GfpupError as error:
        print(f"gfpup: {one_line(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gfpup: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output left (`gfpup ... | head`).
        sys.stderr.close()
        return 1


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0
    verb, rest = words[0], words[1:]
    if verb in ("-sc", "--shell-completion") or verb.startswith("--shell-completion="):
        from gfpup.cli.completion import complete

        return complete(words, verbs=VERBS)
    if verb in ("version", "--version", "-V"):
        from gfpup.core.versions import __version__

        print(f"gfpup {__version__}")
        return 0
    if verb in ("run", "sweep"):
        return run(rest, verb=verb)
    if verb in IN_OWN_MODULE:
        module = import_module(f"gfpup.cli.{verb}")
        if {"-h", "--help"} & set(rest) or (not rest and verb not in WITHOUT_WORDS):
            print(module.HELP, end="")
            return 0
        return int(module.run(rest))
    from gfpup.core.registry import unknown

    raise GfpupError(unknown("verb", verb, VERBS))


def run(words: Sequence[str], *, verb: str = "run", command: Sequence[str] = ()) -> int:
    """`gfpup run`, and `gfpup sweep`, which is `run -m`: translate the flags and hand over to Hydra.

    `command` is what was typed, where that was another command.
    """
    if {"-h", "--help", "--help-all"} & set(words):
        from gfpup.cli.help import run_help

        print(run_help(everything="--help-all" in words) if verb == "run" else SWEEP_HELP, end="")
        return 0
    from gfpup.cli.choices import known_choices
    from gfpup.cli.overrides import to_overrides

    several = ["-m"] if verb == "sweep" and not {"-m", "--multirun"} & set(words) else []
    overrides = known_choices(to_overrides([*words, *several]))
    from gfpup.running import hydra_app

    return hydra_app.main(overrides, command=command or ["gfpup", verb, *words])


SWEEP_HELP = """\
Restore by every combination of several values, score each, and show them side by side.

usage: gfpup sweep --input PATH [flags of gfpup run, with several values] [key.path=value,value ...]

  --backend gfpgan,codeformer  one job for each value; every flag may take several but those whose value is a list
  'restore.fidelity=range(0.1,1,0.2)'  ranges and choices, as Hydra writes them
  --experiment NAME            a study of conf/experiment, or of a folder of yours: --config-dir DIR
  hydra/launcher=joblib        several jobs at once, the threads divided between them; submitit_local, submitit_slurm
  hydra/sweeper=NAME           another sweeper that is installed; objective=psnr says what it optimises

Each job has a folder in --output. What means the same (a fidelity for a backend without one) is done once, and same_as.json
points at it. Faces are found once for all jobs. The same command again does only what is missing. At the end report.html shows
all jobs, and MLflow has them below one run: gfpup ui opens it. Exit status: 0 all done, 1 some failed, 2 all were refused.

  gfpup sweep --input photos/ --backend gfpgan,codeformer,restoreformerpp --fidelity 0.3,0.5,0.7 --metrics full --output out/
  gfpup sweep --input photos/ --backend identity,classical --metrics fast --output out/ hydra/launcher=joblib
  gfpup sweep --experiment 001-baselines --input photos/ --output out/
"""
