"""One rank of a run, started by the first on this machine: `python -m gfpup.runner`, with its request on standard input."""

from __future__ import annotations

import json
import os
import signal
import sys


def main() -> int:
    """Carry out the share of one rank; returns its exit status, which says nothing of single photos: rank 0 does."""
    from gfpup.errors import GfpupError, OutputError
    from gfpup.runner import ranks
    from gfpup.runner.data import leave_with_parent
    from gfpup.runner.interruption import Interrupted, interruptible
    from gfpup.runner.request import prepare
    from gfpup.settings import read_settings

    leave_with_parent()
    asked = json.load(sys.stdin)
    place = ranks.Place(**asked["place"])
    try:
        with interruptible():
            settings = read_settings(asked["configuration"])
            ranks.follow(prepare(settings, sweep=None, sweeping=asked["sweeping"], place=place))
    except GfpupError as error:
        print(f"gfpup: rank {place.rank}: {error}", file=sys.stderr)
        return 1 if isinstance(error, OutputError) else 2
    except Interrupted:
        return 130
    return 0


if __name__ == "__main__":
    # Before anything slow: Ctrl-C reaches all ranks, and one is enough to speak of it.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    sys.exit(main())
