"""How long the page takes to answer, and what a photo's way through it costs over the command: see README.md.

python experiments/021-app/run.py PHOTO [--times 5] [-- flags of gfpup run]
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

GFPUP = [sys.executable, "-m", "gfpup"]


def main() -> None:
    """Measure both in turn, and print the numbers as JSON."""
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser()
    parser.add_argument("photo", type=Path)
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args(words[:at])
    extra = words[at + 1 :]
    answers, command, inside, page, through = [], [], [], [], []
    with tempfile.TemporaryDirectory() as root:
        for i in range(given.times):
            answers.append(first_answer(Path(root) / f"answer{i}", 7930 + i))
        server = start(Path(root) / "page", 7950, extra)
        until_it_answers("http://127.0.0.1:7950/")
        from gradio_client import Client, handle_file

        client = Client("http://127.0.0.1:7950/", verbose=False)
        for i in range(given.times + 1):  # the first loads what the others find loaded
            began = time.perf_counter()
            _, record = client.predict(
                [handle_file(given.photo)], "classical", 1.0, 0.5, 2.0, "auto", False, "{}", api_name="/restore_photos"
            )
            seconds = time.perf_counter() - began
            out = Path(root) / f"out{i}"
            began = time.perf_counter()
            photo = ["--input", str(given.photo), "--backend", "classical", "--save-faces", "--quiet"]
            subprocess.run([*GFPUP, "run", *photo, *extra, "--output", str(out)], check=True)
            if i:
                command.append(time.perf_counter() - began)
                page.append(seconds)
                through.append(stages(json.loads(record)))
                inside.append(stages(json.loads((out / "manifest.json").read_text())))
        server.send_signal(signal.SIGINT)
        server.wait()
    rows = {"first answer": answers, "command": command, "page": page}
    rows |= {"stages of the command": inside, "stages of the page": through}
    print(json.dumps({name: {"median": statistics.median(values), "all": values} for name, values in rows.items()}, indent=1))


def start(folder: Path, port: int, extra: list[str]) -> subprocess.Popen[bytes]:
    """The page at a port."""
    return subprocess.Popen([*GFPUP, "app", "--no-browser", "--port", str(port), "--folder", str(folder), "--", *extra])


def first_answer(folder: Path, port: int) -> float:
    """Seconds from the command to the page's first answer."""
    began = time.perf_counter()
    process = start(folder, port, [])
    until_it_answers(f"http://127.0.0.1:{port}/")
    seconds = time.perf_counter() - began
    process.send_signal(signal.SIGINT)
    process.wait()
    return seconds


def until_it_answers(address: str) -> None:
    """Ask until there is a page."""
    while True:
        try:
            with urlopen(address, timeout=5) as answer:
                answer.read()
                return
        except (URLError, OSError):
            time.sleep(0.02)


def stages(record: dict[str, Any]) -> float:
    """The seconds that the one photo of a record took, all stages together."""
    return sum(record["photos"][0]["seconds"].values())


if __name__ == "__main__":
    main()
