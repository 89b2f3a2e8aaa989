"""`gfpup track`: log finished runs and sweeps to MLflow, again or for the first time."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError

HELP = """\
usage: gfpup track RUN [RUN ...] [--uri URI] [--experiment NAME] [flags]

Log finished runs to MLflow from their folders: after a server was down, or because they ran without tracking. A run that is
there already is left alone; what an interrupted tracking left of it is replaced.

RUN is the --output folder of gfpup run, or a sweep's with several runs in it, which are logged below one run of the sweep.

  --uri URI            store: a folder, sqlite:///FILE, or a server's address (default: mlruns/)
  --experiment NAME    experiment of that store (default: gfpup)
  --max-images N       show the first N photos, 0 for none (default: 20)
  --image-px N         longer side of these pictures at most, in px (default: 512)
  --json               print what was logged as JSON

gfpup ui shows it. Exit status: 0 all is logged, 2 refused.

  gfpup track out/
  gfpup track out/ --uri http://127.0.0.1:5000 --experiment old-photos
  gfpup track out-a/ out-b/ --max-images 50
"""


def run(words: Sequence[str]) -> int:
    """`gfpup track`: returns 0 where everything is logged."""
    if not words or {"-h", "--help"} & set(words):
        print(HELP, end="")
        return 0
    request = _parse(words)
    from gfpup.tracking.backfill import track_folder
    from gfpup.tracking.store import store_uri
    from gfpup.tracking.target import Target, shown

    target = Target(store_uri(request.uri), request.experiment, max_images=request.max_images, image_px=request.image_px)
    logged = []
    for folder in request.runs:
        found = track_folder(folder, target)
        logged += [{"run": str(run), "run_id": run_id, "sweep": found.sweep} for run, run_id in found.runs.items()]
    if request.json:
        print(json.dumps({"uri": shown(target.uri), "experiment": target.experiment, "runs": logged}, indent=1))
        return 0
    for line in logged:
        print(f"{line['run']}  {line['run_id']}")
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser("gfpup track")
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--uri")
    parser.add_argument("--experiment", default="gfpup")
    parser.add_argument("--max-images", type=int, default=20)
    parser.add_argument("--image-px", type=int, default=512)
    parser.add_argument("--json", action="store_true")
    request = parser.parse_intermixed_args(list(words))
    if request.max_images < 0 or request.image_px < 1:
        raise GfpupError("invalid --max-images or --image-px: expected at least 0 pictures of at least 1 px")
    return request
