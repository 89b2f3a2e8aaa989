"""Shell completion behind a verb: verbs and flags from our tables, overrides from Hydra.

Hydra's script calls `gfpup -sc query=bash` with the whole line in COMP_LINE. What Hydra then completes is the line without the
verb and without our flags.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from gfpup.cli.choices import choices
from gfpup.cli.overrides import FLAGS, GROUPS


def complete(arguments: Sequence[str], *, verbs: Sequence[str] = ("run", "version")) -> int:
    """Answer `-sc query=SHELL` for the line in COMP_LINE; `install` and `uninstall` are Hydra's as they stand."""
    if "query=" in arguments[-1]:
        words = os.environ.get("COMP_LINE", "").split(" ")[1:]
        if len(words) < 2:
            print(" ".join(verb for verb in verbs if verb.startswith(words[0] if words else "")))
            return 0
        if words[0] not in ("run", "sweep"):
            return 0
        if words[-1].startswith("-"):
            spellings = [flag.name for group in GROUPS.values() for flag in group]
            print(" ".join(spelling for spelling in spellings if spelling.startswith(words[-1])))
            return 0
        if len(words) > 2 and words[-2] in FLAGS and FLAGS[words[-2]].kind != "switch":
            # Of a value the shell's own file names serve, but for names of a group.
            print(" ".join(name for name in choices(FLAGS[words[-2]].key) if name.startswith(words[-1])))
            return 0
        os.environ["COMP_LINE"] = " ".join(["gfpup", *_overrides_only(words[1:])])
    from gfpup.runner import app

    return app.main(list(arguments))


def _overrides_only(words: Sequence[str]) -> list[str]:
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in FLAGS:
            skip = FLAGS[word].kind != "switch"
        elif not word.startswith("-"):
            kept.append(word)
    return kept
