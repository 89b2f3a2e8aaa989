"""`gfpup degrade`: damage reference faces by a named protocol, as test sets are made."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError

HELP = """\
usage: gfpup degrade --input REFS [--input REFS ...] --protocol NAME --output DIR [flags]

Damage reference faces by a named protocol and write them as PNG, with the record degradation.json: protocol, seed, versions,
and of each face the SHA-256 of its reference and everything that was drawn. The same references, protocol and seed give the
same bytes. The protocols are made for aligned faces of 512x512 pixels; a reference's short side is brought to 512 first.

  --input PATH        a reference, a folder or a pattern; repeat for more
  --recursive         look into folders inside folders
  --protocol NAME     gfpgan|mild|codeformer-stage2|codeformer-stage3|daefr|difface-train|difface-test-grid|diffbir
                      (default: gfpgan)
  --seed N            with each file name it decides the damage (default: 0)
  --output DIR        write the degraded faces here
  --references DIR    also write the references, brought to 512 likewise, here under the same names
  --overwrite         replace what the folder holds, another set too
  --limit N           stop after N references
  --json              print the summary as JSON
  --quiet             print errors only

A paired run needs equal names, not equal sizes: a result is brought to the reference's size before they are compared. With
--references both are at 512 pixels and nothing is resized.
Exit status: 0 all done, 1 some references were refused (each is named), 2 refused before the first.

  gfpup degrade --input refs/ --protocol gfpgan --seed 0 --output lq/
  gfpup degrade --input refs/ --protocol mild --output lq/ --references refs512/
  gfpup run --input lq/ --aligned --backend classical --reference refs512/ --metrics psnr,ssim --output out/
"""


def run(words: Sequence[str]) -> int:
    """`gfpup degrade`: returns 0, or 1 where a reference was refused."""
    if not words or {"-h", "--help"} & set(words):
        print(HELP, end="")
        return 0
    request = _parse(words)
    from rich.console import Console
    from rich.progress import Progress

    from gfpup.photos import sources
    from gfpup.tools.degrade import RECORD, write_set

    photos = sources.expand(request.input, recursive=request.recursive, exclude=request.output)
    total = len(photos[: request.limit])
    hidden = request.quiet or request.json or not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), disable=hidden, transient=True) as bar:
        task = bar.add_task("degrading", total=total)
        record = write_set(
            photos,
            request.output,
            protocol=request.protocol,
            seed=request.seed,
            references=request.references,
            overwrite=request.overwrite,
            limit=request.limit,
            done=lambda: bar.advance(task),
        )
    refused = record["refused"]
    for failure in refused:
        print(f"gfpup: {failure['reference']} was refused: {failure['reason']}", file=sys.stderr)
    oblong = sum(line["size_hw"][0] != line["size_hw"][1] for line in record["photos"])
    if oblong and not request.quiet:
        print(f"gfpup: {oblong} references are not square; the protocols are made for aligned faces.", file=sys.stderr)
    written, path = total - len(refused), request.output / RECORD
    if request.json:
        facts = {"output": str(request.output), "record": str(path), "protocol": request.protocol, "seed": request.seed}
        print(json.dumps({**facts, "photos": written, "refused": refused}))
    elif not request.quiet:
        print(f"{written} of {total} references damaged by {request.protocol}, seed {request.seed}; record: {path}")
    return 1 if refused else 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser("gfpup degrade")
    parser.add_argument("--input", "-i", action="append", required=True)
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--references", type=Path)
    parser.add_argument("--protocol", default="gfpgan")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int)
    for name in ("--recursive", "--overwrite", "--json", "--quiet"):
        parser.add_argument(name, action="store_true")
    request = parser.parse_args(list(words))
    if request.seed < 0:
        raise GfpupError(f"--seed {request.seed} is below 0: give 0 or more.")
    if request.limit is not None and request.limit < 1:
        raise GfpupError(f"--limit {request.limit} leaves nothing to do: give 1 or more.")
    return request
