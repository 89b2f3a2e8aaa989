"""`gfpup weights`: list, fetch, verify and import checkpoints."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from gfpup.cli.parser import Parser
from gfpup.cli.table import print_table
from gfpup.core.errors import GfpupError
from gfpup.weights import catalogue
from gfpup.weights.resolver import Resolver, open_store
from gfpup.weights.store import Store, Stored

PARSER = Parser(
    "gfpup weights",
    lead="",
    text="""\
usage: gfpup weights list|fetch|verify|import [NAME or PATH ...] [flags]
       gfpup weights fetch --for METHOD|run [flags of gfpup run]

Keep the published checkpoints of the methods.

  list                show each checkpoint, whether it is there and its licence (--json: also address and hash)
  fetch NAME ...      download, check against the published SHA-256, keep
  fetch --for METHOD  download all that a run of the method needs, its detector and face parser included
  fetch --for run ... download all that a run with these flags needs and does not find
  verify [NAME ...]   hash what is there again (default: all)
  import PATH ...     take in files downloaded by hand, recognised by their SHA-256

{flags}

Mirrors: GFPUP_WEIGHTS_URL holds addresses, comma-separated, that are asked for FILE before the published one.

  gfpup weights list
  gfpup weights fetch --for gfpgan
  gfpup weights import ~/Downloads/GFPGANv1.4.pth
""",
)
PARSER.add_argument("verb", choices=("list", "fetch", "verify", "import"))
PARSER.add_argument("names", nargs="*")
PARSER.weights()
PARSER.add("--json", "print the list as JSON")
HELP = PARSER.help_text


def run(words: Sequence[str]) -> int:
    """`gfpup weights`: returns 0, or 1 where a checkpoint that was verified is not what it should be."""
    request = _parse(words)
    if request.run_flags is not None:
        return _fetch_for_run(request.run_flags)
    store = open_store(request.weights_dir, accept=request.accept_licence, trust_first_download=request.trust_first_download)
    if request.verb == "list":
        return _list(store, as_json=request.json)
    if request.verb == "verify":
        return _verify(store, request.names)
    if not request.names:
        wanted = "PATH" if request.verb == "import" else "NAME"
        raise GfpupError(f"nothing to {request.verb}: give at least one {wanted}; gfpup weights list shows all names.")
    if request.verb == "import":
        for name in request.names:
            checkpoint = store.import_file(Path(name))
            print(f"{checkpoint.name}  {store.path(checkpoint.name)}")
        return 0
    return _fetch(store, request)


def _parse(words: Sequence[str]) -> argparse.Namespace:
    words, run_flags = list(words), None
    if "--for" in words:
        at = words.index("--for")
        method = next(iter(words[at + 1 :]), "-")
        if words[:at] != ["fetch"] or method.startswith("-"):
            raise GfpupError(
                "--for belongs to one command: gfpup weights fetch --for run [flags of gfpup run], or a method in place of run."
            )
        words, run_flags = words[:at], [*(() if method == "run" else ("--backend", method)), *words[at + 2 :]]
    request = PARSER.read(words)
    request.run_flags = run_flags
    return request


def _list(store: Store, *, as_json: bool) -> int:
    rows = store.listing()
    if as_json:
        print(json.dumps([_facts(row) for row in rows], indent=1))
        return 0
    cells = []
    for row in rows:
        size, licence = row.checkpoint.size_bytes, row.checkpoint.licence_id
        megabytes = "" if size is None else f"{size / 1e6:.0f}"
        cells.append((row.checkpoint.name, row.state, megabytes, licence, row.checkpoint.commercial_use))
    print_table(("name", "here", "MB#", "licence", "commercial use"), cells, title=f"checkpoints in {store.folder}")
    return 0


def _verify(store: Store, names: Sequence[str]) -> int:
    rows = [store.verify(name) for name in names or [row.checkpoint.name for row in store.listing() if row.state != "absent"]]
    for row in rows:
        print(f"{row.checkpoint.name}  {row.state}  {row.found or '-'}")
    if not rows:
        print(f"gfpup: there are no checkpoints in {store.folder}.", file=sys.stderr)
    return int(any(row.state == "differs" or (row.state == "absent" and names) for row in rows))


def _fetch_for_run(flags: Sequence[str]) -> int:
    """Download what `gfpup run FLAGS` needs and the store does not have; the photos need not be named."""
    from gfpup.cli.choices import known_choices
    from gfpup.cli.overrides import to_overrides
    from gfpup.machine import hardware
    from gfpup.planning.missing import missing_checkpoints, total_size
    from gfpup.planning.options import compose
    from gfpup.planning.settings import read_settings

    config = compose(known_choices(to_overrides(flags)))
    config["source"]["paths"] = ["."]
    settings = read_settings(config)
    weights = settings.weights
    missing = missing_checkpoints(settings, hardware.probe())
    names = [checkpoint.name for checkpoint in missing]
    lead = f"fetching {', '.join(names)}{total_size(missing)}." if missing else "all that this run needs is here."
    print(f"gfpup: {lead}", file=sys.stderr)
    store = open_store(weights.dir, accept=weights.accept_licences, trust_first_download=weights.trust_first_download)
    return _fetch(store, argparse.Namespace(names=names, accept_licence=list(weights.accept_licences)))


def _fetch(store: Store, request: argparse.Namespace) -> int:
    from gfpup.running.console import Downloads

    with Downloads(quiet=False) as downloads:
        resolver = Resolver(store, accepted=request.accept_licence, progress=downloads)
        for name in request.names:
            resolver.use_published(name, name)
    for warning in resolver.warnings:
        print(f"gfpup: {warning}", file=sys.stderr)
    resolver.mark_warnings_shown()
    for name in request.names:
        print(f"{name}  {resolver.paths[name]}")
    return 0


def _facts(row: Stored) -> dict[str, object]:
    checkpoint: catalogue.Checkpoint = row.checkpoint
    return {
        "name": checkpoint.name,
        "state": row.state,
        "path": None if row.path is None else str(row.path),
        "url": checkpoint.url,
        "sha256": checkpoint.sha256,
        "size_bytes": checkpoint.size_bytes,
        "licence": checkpoint.licence_id,
        "commercial_use": checkpoint.commercial_use,
    }
