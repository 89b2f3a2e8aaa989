"""`gfpup track`: log finished runs and sweeps to MLflow, again or for the first time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from gfpup.cli.parser import Parser

PARSER = Parser(
    "gfpup track",
    text="""\
usage: gfpup track RUN [RUN ...] [--uri URI] [--experiment NAME] [flags]

Log finished runs to MLflow from their folders: after a server was down, or because they ran without tracking. A run that is
there already is left alone; what an interrupted tracking left of it is replaced.

RUN is the --output folder of gfpup run, or a sweep's with several runs in it, which are logged below one run of the sweep.

{flags}

gfpup ui shows it. Exit status: 0 all is logged, 2 refused.

  gfpup track out/
  gfpup track out/ --uri http://127.0.0.1:5000 --experiment old-photos
  gfpup track out-a/ out-b/ --max-images 50
""",
)
PARSER.add_argument("runs", nargs="+", type=Path)
PARSER.add("--uri URI", "store: a folder, sqlite:///FILE, or a server's address (default: mlruns/)")
PARSER.add("--experiment NAME", "experiment of that store (default: gfpup)", default="gfpup")
PARSER.number("--max-images N", "show the first N photos, 0 for none (default: 20)", 0, default=20)
PARSER.number("--image-px N", "longer side of these pictures at most, in px (default: 512)", 1, default=512)
PARSER.add("--json", "print what was logged as JSON")
HELP = PARSER.help_text


def run(words: Sequence[str]) -> int:
    """`gfpup track`: returns 0 where everything is logged."""
    request = PARSER.read(words)
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
    else:
        print("\n".join(f"{line['run']}  {line['run_id']}" for line in logged))
    return 0
