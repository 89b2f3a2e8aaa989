"""One rank of a run, started by the first on this machine (`python -m gfpup.running.distributed`), its request on stdin."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING

from gfpup.core.errors import GfpupError, OutputError

if TYPE_CHECKING:
    from gfpup.running.prepare import Prepared


def main() -> int:
    """Carry out the share of one rank; returns its exit status, which says nothing of single photos: rank 0 does."""
    from gfpup.planning.settings import read_settings
    from gfpup.running.distributed import rank as ranks
    from gfpup.running.prepare import prepare
    from gfpup.running.process import Interrupted, interruptible, leave_with_parent

    request = sys.stdin.read()
    if not request:  # the first rank was killed before it had written it
        return 1
    asked = json.loads(request)
    leave_with_parent(asked["parent"])
    rank = ranks.Rank(**asked["rank"])
    try:
        with interruptible():
            settings = read_settings(asked["configuration"])
            follow(prepare(settings, sweep=None, sweeping=asked["sweeping"], rank=rank))
    except GfpupError as error:
        print(f"gfpup: rank {rank.global_rank}: {error}", file=sys.stderr)
        return 1 if isinstance(error, OutputError) else 2
    except Interrupted as error:
        return error.status
    return 0


def follow(prepared: Prepared) -> None:
    """Restore this rank's share of a run. It ends when the photos of all ranks are done."""
    from gfpup.records.scores import ScoreWriter
    from gfpup.records.shards import Part
    from gfpup.running import components
    from gfpup.running.predict import predict

    settings, plan = prepared.settings, prepared.plan
    people = components.load_people(settings, plan, prepared.resolver)
    scorer = components.load_metrics(settings, plan, prepared.resolver, people=people)
    if scorer is not None:
        scorer.sets = None  # rank 0 takes the faces of all ranks from their results
    restorer = components.load(settings, plan, prepared.method, prepared.resolver, people=people)
    with Part(settings.output, prepared.rank.global_rank) as part:
        writer = ScoreWriter(part.folder, fresh=True, scorer=scorer, referenced=prepared.referenced)
        scores = [] if scorer is None else [writer]
        predict([], restorer, scorer, prepared, part, scores)


if __name__ == "__main__":
    # Before anything slow is imported: a signal reaches all ranks, and rank 0 alone reports it.
    for number in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, number):
            signal.signal(getattr(signal, number), lambda signal_number, _: os._exit(128 + signal_number))
    sys.exit(main())
