"""`gfpup ui`: MLflow's page on the right store, and the address that compares the last sweep."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError

PARSER = Parser(
    "gfpup ui",
    text="""\
usage: gfpup ui [--uri URI] [--port N] [--host HOST] [--experiment NAME]

Open MLflow's page on the runs that were tracked, and print the addresses that compare the last sweep: pictures side by
side, and numbers in a table. Ctrl-C ends it.

{flags}

Of a server at --uri only the addresses are printed. The page needs about 20 seconds to start.

  gfpup ui
  gfpup ui --port 5001 --experiment old-photos
  gfpup ui --uri http://127.0.0.1:5000
""",
)
PARSER.add("--uri URI", "store: a folder, sqlite:///FILE, or a server's address (default: mlruns/)")
PARSER.number("--port N", "serve on this port (default: 5000)", 0, 65535, default=5000)
PARSER.add("--host HOST", "serve on this address (default: 127.0.0.1, this machine alone)", default="127.0.0.1")
PARSER.add("--experiment NAME", "take the last sweep of this experiment (default: of all)")
PARSER.add("--print", "print the addresses and stop")
HELP = PARSER.help_text
START_SECONDS = 180.0


def run(words: Sequence[str]) -> int:
    """`gfpup ui`: returns 0 when the page is closed, 1 where it did not start."""
    request = PARSER.read(words)
    from gfpup.tracking.store import database, follow_folder, store_uri
    from gfpup.tracking.target import shown

    uri = store_uri(request.uri)
    path = database(uri)
    base = shown(uri).rstrip("/") if uri.startswith("http") else f"http://{request.host}:{request.port}"
    if path is not None and not path.is_file():
        raise GfpupError(f"there is no store at {path}; track a run first: gfpup track out/, or give its folder with --uri.")
    if path is not None and follow_folder(path):
        print("gfpup: the store was moved; the addresses of its pictures were corrected.", file=sys.stderr)
    lines = addresses(uri, base, experiment=request.experiment)
    if request.print or uri.startswith("http"):
        print("\n".join(lines))
        return 0
    _check_port(request.host, request.port)
    return _serve(uri, base, lines, host=request.host, port=request.port)


def addresses(uri: str, base: str, *, experiment: str | None = None) -> list[str]:
    """What to open of the page at `base`: the last sweep's pictures and its numbers, or the experiment where there is none.

    Raises: GfpupError: the store cannot be used, or has no such experiment.
    """
    from gfpup.tracking import ui_view
    from gfpup.tracking.store import children, last_sweep, opened
    from gfpup.tracking.target import shown
    from gfpup.tracking.ui_view import VIEW_TAG

    with opened(uri) as store:
        found = {each.name: str(each.experiment_id) for each in store.search_experiments()}
        if experiment is not None and experiment not in found:
            raise GfpupError(f"{shown(uri)} has no experiment {experiment!r}; it has {', '.join(sorted(found)) or 'none'}.")
        ids = [found[experiment]] if experiment is not None else list(found.values())
        sweep = last_sweep(store, ids)
        jobs = [] if sweep is None else children(store, sweep.info.run_id)
        tags = {} if sweep is None else store.get_experiment(sweep.info.experiment_id).tags
    if sweep is None:
        return [f"runs     {base}/#/experiments/{ids[-1]}/runs" if len(ids) == 1 else f"runs     {base}/#/experiments"]
    key = ui_view.numbers_key(sweep.info.run_id)
    numbers = numbers_address(base, str(sweep.info.experiment_id), [job.info.run_id for job in jobs])
    if VIEW_TAG + key in tags:
        numbers = ui_view.shared_address(base, sweep, key)
    return [
        f"pictures {ui_view.address(base, sweep, jobs=len(jobs), shared=VIEW_TAG + sweep.info.run_id in tags)}",
        f"numbers  {numbers}",
    ]


def numbers_address(base: str, experiment_id: str, run_ids: Sequence[str]) -> str:
    """MLflow's page that compares runs: parameters that differ, metrics, plots."""
    runs, experiments = (quote(json.dumps(list(ids), separators=(",", ":"))) for ids in (run_ids, [experiment_id]))
    return f"{base}/#/compare-runs?runs={runs}&experiments={experiments}"


def server_command(uri: str, *, host: str, port: int) -> list[str]:
    """The command that serves the page: one worker, for each takes seconds and memory of its own."""
    options = {"--backend-store-uri": uri, "--host": host, "--port": str(port), "--workers": "1"}
    return [sys.executable, "-m", "mlflow", "server", *(word for option in options.items() for word in option)]


def _serve(uri: str, base: str, lines: Sequence[str], *, host: str, port: int) -> int:
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    print(f"gfpup: starting the page at {base} ...", file=sys.stderr)
    with tempfile.TemporaryFile() as log:
        # A session of its own: Ctrl-C comes to us alone, and we end the server with all its processes.
        process = subprocess.Popen(
            server_command(uri, host=host, port=port), env=environment, stdout=log, stderr=log, start_new_session=True
        )
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            if not _answers(process, base):
                log.seek(0)
                tail = log.read().decode(errors="replace").strip().splitlines()[-5:]
                print("gfpup: the page did not start: " + " | ".join(tail), file=sys.stderr)
                return 1
            print("\n".join(lines), flush=True)
            process.wait()
        except KeyboardInterrupt:
            print("gfpup: the page is closed.", file=sys.stderr)
            return 0
        finally:
            _stop(process)
    return 1


def _answers(process: subprocess.Popen[bytes], base: str) -> bool:
    """Wait until the page answers; False where the server ended, or took too long."""
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            with urlopen(f"{base}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            time.sleep(0.5)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and the workers that it started; where there are no groups of processes, the server alone."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM) if hasattr(os, "killpg") else process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _check_port(host: str, port: int) -> None:
    try:
        with socket.create_server((host, port)):
            return
    except OSError as error:
        raise GfpupError(f"port {port} of {host} cannot be used: {error}; give another with --port.") from None
