"""Run the steps in order, each in a process of its own and within its seconds; called by run.sh.

A step appends its own lines to results.jsonl. What fails, or runs out of its time, is one line there, and the next step begins.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "steps"))

from record import append  # noqa: E402

STEPS: dict[str, int] = {
    "machine": 20,
    "goldens": 100,
    "batch_tolerance": 40,
    "memory": 45,
    "forwards": 80,
    "photo": 50,
    "folder": 55,
    "official": 50,
    "compiled": 75,
}
"""Seconds of each; a step may go on until the ones after it need the time. Compiling comes last, as it may take any time."""
TOTAL_SECONDS = 480
TABLE_SECONDS = 4
"""Kept for the summary."""


def main() -> int:
    """Run the steps and print the summary; 0 unless a step failed."""
    parser = argparse.ArgumentParser(prog="run.sh", description="Measure gfpup on a GPU.")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu (default: cuda)")
    parser.add_argument("--small", action="store_true", help="few networks, small photos: to try the kit itself")
    parser.add_argument("--shared", type=Path, default=HERE.parents[2] / "shared", help="parity/, weights/ and data/photos/")
    parser.add_argument("--out", type=Path, default=Path("gpu-results"), help="where results.jsonl and results.md go")
    parser.add_argument("--steps", default=",".join(STEPS), help=f"some of {','.join(STEPS)}")
    parser.add_argument("--seconds", type=float, default=TOTAL_SECONDS, help="the whole ends within these (default: 480)")
    asked = parser.parse_args()
    names = [name for name in asked.steps.split(",") if name]
    if unknown := [name for name in names if name not in STEPS]:
        parser.error(f"there is no step {unknown[0]}")
    end = time.monotonic() + asked.seconds - TABLE_SECONDS
    seconds = {name: budget * asked.seconds / TOTAL_SECONDS for name, budget in STEPS.items()}
    asked.out.mkdir(parents=True, exist_ok=True)
    results = asked.out.resolve() / "results.jsonl"
    results.unlink(missing_ok=True)
    given = {"device": asked.device, "small": asked.small, "shared": str(asked.shared.resolve()), "out": str(results.parent)}
    failed = False
    for name in names:
        now = time.monotonic()
        after = sum(seconds[other] for other in names[names.index(name) + 1 :])
        until = min(end, max(now + seconds[name], end - after))
        error = run_step(name, {**given, "step": name, "until": until}, until)
        failed |= error is not None
        append(results, {"step": name, "seconds": round(time.monotonic() - now, 1), "error": error, "end": True})
    from summary import summary

    text = summary(results)
    (results.parent / "results.md").write_text(text, encoding="utf-8")
    print(text)
    return int(failed)


def run_step(name: str, facts: dict[str, object], until: float) -> str | None:
    """Run one step until a time of the monotonic clock; returns why it failed, or None."""
    left = until - time.monotonic()
    if left < 1:
        return "no time was left for it"
    print(f"== {name}, at most {left:.0f} s", file=sys.stderr, flush=True)
    log = Path(str(facts["out"]), f"{name}.log")
    with log.open("w", encoding="utf-8") as output:
        command = [sys.executable, str(HERE / "steps" / f"{name}.py"), json.dumps(facts)]
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            status = process.wait(left)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its processes too
            process.wait()
    if status == 0:
        return None
    if status is None:
        return f"it ran out of its {left:.0f} s"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"status {status}: {lines[-1][:300] if lines else 'it said nothing'}"


if __name__ == "__main__":
    sys.exit(main())
