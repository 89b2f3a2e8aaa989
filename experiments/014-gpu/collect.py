"""Download the wheels of `wheels.txt`, squeeze the large ones, and hold the whole under 60 MB; called by collect.sh."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE.parents[1] / "requirements.lock"
LIMIT_BYTES = 60_000_000
LARGE_BYTES = 4_000_000
"""Wheels over this are compressed again, by LZMA, which zipfile and pip read: two thirds of the size."""
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (28, 27, 24, 17, 12, 5)] + ["manylinux2014_x86_64", "manylinux1_x86_64"]
DOWNLOAD = ["--only-binary=:all:", "--python-version", "3.12", "--implementation", "cp"]
DOWNLOAD += [word for tag in ("cp312", "abi3", "none") for word in ("--abi", tag)]
DOWNLOAD += [word for platform in PLATFORMS for word in ("--platform", platform)]


def plain(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted() -> tuple[list[str], list[str]]:
    """The requirements of gfpup and those of the official loop, NAME==VERSION each."""
    locked = dict(line.strip().split("==") for line in LOCK.read_text("utf-8").splitlines() if "==" in line)
    pins = {plain(name): version for name, version in locked.items()}
    parts: list[list[str]] = [[], []]
    part = 0
    for line in (HERE / "wheels.txt").read_text("utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text == "[official]":
            part = 1
        elif text:
            parts[part].append(text if "==" in text else f"{text}=={pins[plain(text)]}")
    return parts[0], parts[1]


def fetch(requirement: str, folder: Path) -> Path:
    """The wheel of a requirement in `folder`, built here where only source is published; squeezed where it is large."""
    with tempfile.TemporaryDirectory() as made:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        ways = [
            [*pip, "download", "--no-deps", *DOWNLOAD, "--dest", made, requirement],
            [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", made, requirement],
        ]
        said = ""
        for way in ways:
            done = subprocess.run(way, capture_output=True, text=True, check=False)
            wheels = list(Path(made).glob("*.whl"))
            if done.returncode == 0 and wheels:
                break
            said = (done.stderr.strip().splitlines() or ["no wheel was made"])[-1]
        else:
            raise SystemExit(f"collect: {requirement} cannot be collected: {re.sub(r'https?://[^ ]+', 'the index', said)}")
        (wheel,) = wheels
        if way is ways[1] and not wheel.name.endswith("-none-any.whl"):
            raise SystemExit(f"collect: {requirement} is published as source for this kind of machine alone; build it there.")
        return squeezed(wheel, folder / wheel.name)


def squeezed(wheel: Path, to: Path) -> Path:
    """Copy a wheel to `to`, without the tests that packages carry, by the stronger compression where it is large."""
    how = zipfile.ZIP_LZMA if wheel.stat().st_size > LARGE_BYTES else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(to, "w", how) as new:
        for entry in old.infolist():
            if how == zipfile.ZIP_DEFLATED or "/tests/" not in entry.filename:
                new.writestr(entry.filename, old.read(entry), how)
    return to


def main() -> int:
    """Collect; 1 where what gfpup needs does not fit."""
    parser = argparse.ArgumentParser(prog="collect.sh", description="Collect wheels for a machine without a package index.")
    parser.add_argument("--have", default="", help="distributions that the machine has, by spaces or commas")
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "wheels")
    asked = parser.parse_args()
    have = {plain(name) for name in re.split(r"[\s,]+", asked.have) if name}
    asked.folder.mkdir(parents=True, exist_ok=True)
    for old in asked.folder.glob("*.whl"):
        old.unlink()
    total, own, official = 0, *wanted()
    for requirements, needed in ((own, True), (official, False)):
        collected: list[Path] = []
        for requirement in requirements:
            if plain(requirement.partition("==")[0]) in have:
                continue
            collected.append(wheel := fetch(requirement, asked.folder))
            total += wheel.stat().st_size
            print(f"{wheel.stat().st_size / 1e6:6.2f} MB  {wheel.name}", flush=True)
            if total <= LIMIT_BYTES:
                continue
            if needed:
                print(
                    f"collect: {total / 1e6:.1f} MB are more than 60: name what the machine has with --have.", file=sys.stderr
                )
                return 1
            print(
                "collect: the official loop is left out, as it does not fit into 60 MB: name what the machine has with --have."
            )
            total -= sum(each.stat().st_size for each in collected)
            for each in collected:
                each.unlink()
            break
    print(f"{total / 1e6:6.2f} MB in {asked.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
