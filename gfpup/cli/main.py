"""The `gfpup` command: verbs, help, and the way into the Hydra application."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib import import_module

from gfpup.errors import GfpupError

USAGE = """\
gfpup restores faces in photographs, and measures which method did it best.

usage: gfpup VERB ...

  run        restore photos
  backends   list the methods side by side, or show one
  score      score a finished run, or any folder, without restoring again
  compare    compare runs: means, intervals, paired tests, Pareto front
  report     write one page with sliders, scores, failures and the plan
  track      log finished runs to MLflow
  ui         open MLflow's page on the last comparison
  degrade    damage reference faces by a named protocol
  verify     hold a network to its hash, its goldens and other implementations
  weights    list, fetch, verify and import checkpoints
  version    print the version

  gfpup VERB --help explains one verb. Try:
  gfpup run --input photo.jpg --output out/
  gfpup run --input photos/ --recursive --backend classical --output out/
  gfpup run --input photos/ --output out/ --dry-run
"""

VERBS = ("run", "score", "compare", "report", "track", "ui", "degrade", "verify", "backends", "weights", "version")
IN_OWN_MODULE = ("score", "compare", "report", "track", "ui", "degrade", "verify", "backends", "weights")
"""Verbs that are `run(words)` of the module of their name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status: 0 all done, 1 some failed, 2 refused, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _dispatch(words)
    except GfpupError as error:
        print(f"gfpup: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gfpup: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output left (`gfpup ... | head`); nothing is left to say to it.
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
        from gfpup import __version__

        print(f"gfpup {__version__}")
        return 0
    if verb == "run":
        return run(rest)
    if verb in IN_OWN_MODULE:
        return int(import_module(f"gfpup.cli.{verb}").run(rest))
    from gfpup.registry import unknown

    raise GfpupError(unknown("verb", verb, VERBS))


def run(words: Sequence[str]) -> int:
    """`gfpup run`: translate the flags and hand over to Hydra."""
    if {"-h", "--help"} & set(words):
        print(run_help(), end="")
        return 0
    from gfpup.cli.overrides import to_overrides

    overrides = [_known_backends(override) for override in to_overrides(words)]
    from gfpup.runner import app

    return app.main(overrides, command=["gfpup", "run", *words])


def _known_backends(override: str) -> str:
    """Replace aliases in a choice of backends, and refuse unknown names before Hydra does it in its own words."""
    key, _, value = override.partition("=")
    if key != "backend" or not re.fullmatch(r"[\w.+,-]+", value):
        return override
    from gfpup import backends

    return f"backend={','.join(backends.canonical(name) for name in value.split(','))}"


def run_help() -> str:
    """The help of `gfpup run`, made from the table of flags: each with the override it stands for."""
    from gfpup.cli.overrides import GROUPS

    lines = ["Restore the faces of photos.", "", "usage: gfpup run --input PATH [flags] [key.path=value ...]", ""]
    for group, flags in GROUPS.items():
        lines.append(f"{group}:")
        for flag in flags:
            spelling = ", ".join(filter(None, (flag.short, flag.name))) + (f" {flag.metavar}" if flag.metavar else "")
            override = f"{flag.key}={flag.value}" if flag.kind == "switch" else f"{flag.key}=..."
            lines += [f"  {spelling:<28} {flag.help}", f"  {'':<28} [{override}]"]
        lines.append("")
    lines += [
        "Hydra's own: -m runs one job for each combination of values; --cfg job prints the configuration; --hydra-help all.",
        "Exit status: 0 all done, 1 some photos or faces failed, 2 refused before the first photo, 130 interrupted.",
        "",
        "  gfpup run --input photo.jpg --output out/",
        "  gfpup run --input photos/ --output out/ --backend identity,classical -m",
        "  gfpup run --input photos/ --output out/ --dry-run",
    ]
    return "\n".join(lines) + "\n"
