"""Set gfpup up in .venv of this checkout, then show it or test it. Needs Python 3.11 to 3.13 and nothing else.

python3 start.py demo    install the core, restore examples/photos into out/, and say which picture to open
python3 start.py test    install the core, all extras and the official packages, then run every check
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
LOCK = ROOT / "requirements.lock"

OFFICIAL = ("basicsr", "gfpgan", "facexlib", "pyiqa", "facenet-pytorch")
"""The official implementations. Resolved the ordinary way they pull a second torch and gigabytes more; without their declared
dependencies they install in seconds, and what they really need is in the extra `upstream`. Of facenet-pytorch only the files
with the networks of the detector MTCNN are used."""


def main() -> int:
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        print(f"start.py: this is Python {sys.version.split()[0]}; gfpup needs 3.11 to 3.13.", file=sys.stderr)
        return 2
    wish = sys.argv[1:] or ["demo"]
    if wish == ["demo"]:
        install("core", lambda: pip("--editable", "."))
        return demo()
    if wish == ["test"]:
        install("core", lambda: pip("--editable", "."))
        wanted = f".[{','.join(extras())}]"
        install("extras", lambda: (pip("--editable", wanted), pip("--no-deps", "--no-build-isolation", *OFFICIAL)))
        return test()
    print(f"start.py: there is no {' '.join(wish)!r}; write demo or test.", file=sys.stderr)
    return 2


def install(part: str, how: object) -> None:
    """Bring .venv to what the lock says, once: a stamp remembers for which lock and pyproject.toml it was done."""
    assert callable(how)
    python = BIN / ("python.exe" if os.name == "nt" else "python")
    if not python.exists():
        print("start.py: making .venv", file=sys.stderr)
        venv.create(VENV, with_pip=True)
    inputs = b"".join(path.read_bytes() for path in (LOCK, ROOT / "pyproject.toml", Path(__file__)))
    stamp, digest = VENV / f".installed-{part}", hashlib.sha256(inputs + str(ROOT).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    print(f"start.py: installing the {part}; the first time takes minutes", file=sys.stderr)
    how()
    stamp.write_text(digest)


def pip(*arguments: str) -> None:
    """Install with the pins of the lock."""
    run("python", "-m", "pip", "install", "--quiet", "--constraint", str(LOCK), *arguments)


def extras() -> list[str]:
    """Every extra of pyproject.toml."""
    import tomllib  # Python 3.11 has it; an older one is refused before

    facts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(facts["project"]["optional-dependencies"])


def demo() -> int:
    """Restore the examples and put each before and after side by side."""
    out = ROOT / "out"
    run("gfpup", "run", "--input", str(ROOT / "examples" / "photos"), "--backend", "classical", "--detector", "cascade",
        "--output", str(out))  # fmt: skip
    run("python", str(ROOT / "examples" / "before_after.py"), str(out))
    return 0


def test() -> int:
    """Lint, types, the site, and the test suite."""
    run("ruff", "check", ".")
    run("ruff", "format", "--check", ".")
    os.environ["NO_MKDOCS_2_WARNING"] = "1"  # a banner of the theme's
    # One thread a process: two processes take two thirds of the time of one with two threads. Some hold 2 GB at times.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    workers = str(min(4, os.cpu_count() or 1))
    # Types and the site use one core for more than a minute, so they are checked while the tests run; they are told afterwards.
    with ThreadPoolExecutor(1) as beside:
        others = [beside.submit(captured, *words) for words in (("mypy",), ("mkdocs", "build", "--strict", "--quiet"))]
        tests = ("--numprocesses", workers, "--dist", "loadfile", "--no-loadscope-reorder")
        (ROOT / ".failed-tests").unlink(missing_ok=True)
        status = pytest(*tests)
        if status == 1 and (ROOT / ".failed-tests").exists():
            # Some tests wait for signals and processes, and their time may run out beside others: alone they have it.
            print("start.py: tests failed; these once more, alone", flush=True)
            status = pytest(f"@{ROOT / '.failed-tests'}")
    for done in (other.result() for other in others):
        print(done.stdout, end="")
        status = status or done.returncode
    return status


def pytest(*words: str) -> int:
    """Run pytest and return its exit status: 1 where a test failed, and where it did not end in an hour."""
    try:
        return subprocess.run([str(BIN / "pytest"), *words], cwd=ROOT, check=False, timeout=3600).returncode
    except subprocess.TimeoutExpired:
        print("start.py: the tests did not end in an hour", file=sys.stderr)
        return 1


def captured(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of .venv and keep what it says."""
    command = [str(BIN / program), *arguments]
    return subprocess.run(command, cwd=ROOT, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def run(program: str, *arguments: str) -> None:
    """Run a program of .venv; its failure ends this script with the same status."""
    done = subprocess.run([str(BIN / program), *arguments], cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    sys.exit(main())
