"""`gfpup degrade`: degrade reference faces by a named protocol, to make a test set."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gfpup.cli.parser import Parser

PARSER = Parser(
    "gfpup degrade",
    text="""\
usage: gfpup degrade --input REFS [--input REFS ...] --protocol NAME --output DIR [flags]

Degrade reference faces by a named protocol and write them as PNG, with the record degradation.json: protocol, seed, versions,
and for each face the SHA-256 of its reference and everything that was drawn. The same references, protocol and seed give the
same bytes. The protocols are made for aligned faces of 512x512 pixels; each reference is first resized to a short side of 512.

{flags}

A paired run needs equal names, not equal sizes: a result is resized to its reference before they are compared. With
--references both are 512 pixels and nothing is resized.
Exit status: 0 all done, 1 some references failed (each is named), 2 refused before the first.

  gfpup degrade --input refs/ --protocol gfpgan --seed 0 --output lq/
  gfpup degrade --input refs/ --protocol mild --output lq/ --references refs512/
  gfpup run --input lq/ --aligned --backend classical --reference refs512/ --metrics psnr,ssim --output out/
""",
)
_PROTOCOLS = (
    "gfpgan|vqfr|restoreformer|restoreformerpp|codeformer-stage2|codeformer-stage3|daefr|difface-train| "
    "difface-test-grid|diffbir|mild (default: gfpgan)"
)
PARSER.add("-i, --input PATH", "a reference, a folder or a pattern; repeat for more", action="append", required=True)
PARSER.add("--recursive", "also search the folders inside folders")
PARSER.add("--protocol NAME", _PROTOCOLS, default="gfpgan")
PARSER.number("--seed N", "the seed; with each file name it decides the damage (default: 0)", 0, default=0)
PARSER.add("-o, --output DIR", "write the degraded faces here", type=Path, required=True)
PARSER.add("--references DIR", "also write the references, resized in the same way, here under the same names", type=Path)
PARSER.add("--overwrite", "replace the set that the folder holds")
PARSER.number("--limit N", "stop after N references", 1)
PARSER.add("--json", "print the summary as JSON")
PARSER.add("--quiet", "print errors only")
HELP = PARSER.help_text


def run(words: Sequence[str]) -> int:
    """`gfpup degrade`: returns 0, or 1 if a reference failed."""
    request = PARSER.read(words)
    from rich.console import Console
    from rich.progress import Progress

    from gfpup.photos import sources
    from gfpup.tools.degrade import RECORD, write_set

    photos = sources.expand(request.input, recursive=request.recursive, exclude=request.output)
    total = len(photos[: request.limit])
    hidden = request.quiet or request.json or not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), disable=hidden, transient=True) as bar:
        task = bar.add_task("degrading", total=total)
        how = {name: getattr(request, name) for name in ("protocol", "seed", "references", "overwrite", "limit")}
        record = write_set(photos, request.output, **how, done=lambda: bar.advance(task))
    _report(record, request, total=total, path=request.output / RECORD)
    return 1 if record["refused"] else 0


def _report(record: Mapping[str, Any], request: argparse.Namespace, *, total: int, path: Path) -> None:
    refused = record["refused"]
    for failure in refused:
        print(f"gfpup: {failure['reference']} was not degraded: {failure['reason']}", file=sys.stderr)
    oblong = sum(line["size_hw"][0] != line["size_hw"][1] for line in record["photos"])
    if oblong and not request.quiet:
        which = "1 reference is" if oblong == 1 else f"{oblong} references are"
        print(f"gfpup: {which} not square; the protocols are made for aligned faces.", file=sys.stderr)
    written = total - len(refused)
    if request.json:
        facts = {"output": str(request.output), "record": str(path), "protocol": request.protocol, "seed": request.seed}
        print(json.dumps({**facts, "photos": written, "refused": refused}))
    elif not request.quiet:
        print(f"{written} of {total} references degraded by {request.protocol}, seed {request.seed}; record: {path}")
