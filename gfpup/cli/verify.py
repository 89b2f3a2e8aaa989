"""`gfpup verify`: check a network against its published hash, the official outputs, and other projects' code."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError

if TYPE_CHECKING:
    from gfpup.tools.check import Check

PARSER = Parser(
    "gfpup verify",
    text="""\
usage: gfpup verify NAME [flags]

Check that a network is the published one and computes what the official implementation computes.

NAME is a checkpoint (gfpup weights list) or a method, which means its default version. Checked in this order: the file's
SHA-256, that it loads strictly, the difference from official outputs stored in a parity folder, and the difference from the
official packages and spandrel, if they are installed: with the file's weights, or deterministic ones without a file.

{flags}

Nothing is downloaded, nothing in a file is run.
Exit status: 0 everything that could be checked is right, 1 something is wrong, 2 nothing could be checked.

  gfpup verify gfpgan --parity ../shared/parity
  gfpup verify codeformer --parity ../shared/parity --json
  gfpup verify arcface --faces people/
  gfpup verify gfpgan --parity ../shared/parity --device cuda --precision bf16
  gfpup verify restoreformer --model-path RestoreFormer.pth
""",
)
PARSER.add_argument("name", metavar="NAME")
PARSER.add("--parity DIR", "official outputs: NET.json and NET.npz (default: none, that check is skipped)", type=Path)
PARSER.weights_dir()
PARSER.add("--model-path FILE", "check this file instead of the one in the weights folder", type=Path)
PARSER.add(
    "--faces DIR", "measure both orders of colours of arcface on these aligned faces, a subfolder for each person", type=Path
)
PARSER.add("--device NAME", "compute the golden's network here: cpu, cuda, cuda:N, mps or auto (default: cpu)", default="cpu")
PARSER.one_of("--precision NAME", "compute it in fp32 or bf16 (default: fp32, which alone has tolerances)", ("fp32", "bf16"))
PARSER.add("--tf32", "let a GPU round the factors of float32 products to 10 bits")
PARSER.add("--json", "print the checks as JSON")
HELP = PARSER.help_text


def run(words: Sequence[str]) -> int:
    """`gfpup verify`: returns 0 if everything checked is right, 1 if something is wrong, 2 if nothing could be checked."""
    request = PARSER.read(words)
    if request.precision == "bf16" and request.tf32:
        raise GfpupError("--tf32 is a way to compute float32: leave it out, or leave out --precision bf16.")
    from gfpup.machine import hardware
    from gfpup.models.networks import resolve
    from gfpup.tools.verify.checks import Arithmetic, verify
    from gfpup.weights.store import Store, default_folder

    checkpoint = resolve(request.name)
    store = Store(request.weights_dir or default_folder(), offline=True)
    device = "cpu" if request.device == "cpu" else hardware.choose_device(request.device, hardware.probe()).value
    arithmetic = Arithmetic("bfloat16" if request.precision == "bf16" else "float32", request.tf32)
    files = {"parity": request.parity, "model_path": request.model_path, "faces": request.faces}
    checks = []
    for check in verify(checkpoint, store=store, **files, device=device, arithmetic=arithmetic):
        checks.append(check)
        if not request.json:  # at once: a large network takes half a minute on two cores
            print(f"{check.status:<8} {check.name:<34} {check.found}", flush=True)
    results = {check.status for check in checks}
    status = 1 if "failed" in results else 0 if "ok" in results else 2
    if request.json:
        facts = {"name": checkpoint.name, "architecture": checkpoint.architecture, "status": status}
        print(json.dumps({**facts, "checks": [_facts(check) for check in checks]}, indent=1))
    if status == 2:
        remedy = "give --parity DIR, or --model-path FILE, or install an independent implementation."
        print(f"gfpup: nothing about {checkpoint.name} could be checked: {remedy}", file=sys.stderr)
    return status


def _facts(check: Check) -> dict[str, Any]:
    known = check.difference is None or math.isfinite(check.difference)
    difference = check.difference if known else "infinite"  # JSON has no number for it
    facts = {"check": check.name, "result": check.status, "detail": check.found}
    return facts | {"difference": difference, "tolerance": check.tolerance}
