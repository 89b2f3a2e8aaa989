"""Unpack those wheels of a folder whose distribution this Python lacks, or has in a version that gfpup does not take.

python3 unpack.py WHEELS TARGET

pip is not needed: a wheel is a zip file. TARGET then goes into PYTHONPATH. Prints a line for each wheel.
"""

from __future__ import annotations

import re
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def ranges() -> dict[str, str]:
    """The versions that gfpup takes, by name."""
    found = {}
    for requirement in tomllib.loads(PROJECT.read_text("utf-8"))["project"]["dependencies"]:
        name, specifier = re.fullmatch(r"([\w.-]+)\s*(.*)", requirement).groups()  # type: ignore[union-attr]
        found[name.lower()] = specifier
    return found


def installed(name: str) -> str | None:
    """The version of a distribution that this Python has."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def main(wheels: Path, target: Path) -> None:
    """Unpack what is missing."""
    target.mkdir(parents=True, exist_ok=True)
    files = {wheel: installed(wheel.name.split("-")[0].replace("_", "-")) for wheel in sorted(wheels.glob("*.whl"))}
    sys.path += [str(wheel) for wheel in files if wheel.name.startswith("packaging-")]  # a pure wheel imports as it is
    from packaging.specifiers import SpecifierSet

    taken = ranges()
    for wheel, here in files.items():
        name, new = wheel.name.split("-")[:2]
        name = name.replace("_", "-").lower()
        if here is not None and SpecifierSet(taken.get(name, "")).contains(here, prereleases=True):
            print(f"{name} {here}: as it is here")
            continue
        with zipfile.ZipFile(wheel) as content:
            content.extractall(target)
        print(f"{name} {new}: unpacked" + ("" if here is None else f", because {here} is here"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
