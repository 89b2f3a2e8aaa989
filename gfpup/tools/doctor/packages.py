"""The packages that gfpup needs, and combinations that are known not to work. Nothing is imported to find out."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gfpup.core.errors import GfpupError
from gfpup.models.engines import ENGINES
from gfpup.tools.check import Check
from gfpup.weights import licences

# Source: /pyproject.toml (a test holds the two equal) and the versions that were tried together on two-core machines.
NEEDED: Final = {
    "torch": (">=2.6,<3", "the networks"),
    "lightning": (">=2.5,<3", "the loop of a run"),
    "hydra-core": (">=1.3.2,<1.4", "the configuration"),
    "omegaconf": (">=2.3,<2.4", "the configuration"),
    "mlflow": (">=3.1,<4,!=3.18.0", "tracking"),
    "rich": (">=13.7,<16", "tables"),
    "numpy": (">=2.0,<3", "arrays"),
    "scipy": (">=1.13,<2", "the cascade and metrics"),
    "scikit-image": (">=0.24,<0.27", "the cascade and metrics"),
    "opencv-python-headless": (">=4.10,<5", "warps"),
    "pillow": (">=11.3,<14", "photos"),
    "safetensors": (">=0.4.5,<1", "checkpoints"),
    "platformdirs": (">=4.2,<5", "folders"),
    "filelock": (">=4.2,<5", "locks"),
    "packaging": (">=24", "versions"),
}
OPENCV_BUILDS: Final = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")


def check_versions() -> Iterator[Check]:
    """Whether each package that gfpup needs is installed, in a supported version."""
    for name, (wanted, what_for) in NEEDED.items():
        found = version_of(name)
        remedy = f'pip install "{name}{wanted}"'
        if found is None:
            yield Check("versions", name, "problem", f"is not installed, and is needed for {what_for}", remedy)
        elif not _satisfies(found, wanted):
            yield Check("versions", name, "problem", f"{found}, and {wanted} is needed for {what_for}", remedy)
        else:
            yield Check("versions", name, "ok", found)


def check_conflicts() -> Iterator[Check]:
    """The combinations of packages that are known not to work, among those installed."""
    builds = [name for name in OPENCV_BUILDS if version_of(name) is not None]
    if len(builds) > 1:
        found = f"{' and '.join(builds)} share one folder, and the one installed last is used"
        remedy = f"pip uninstall {' '.join(builds)}, then pip install opencv-python-headless"
        yield Check("conflicts", "two OpenCVs", "warning", found, remedy)
    yield from _check_numpy()
    if (torchvision := version_of("torchvision")) and (torch := version_of("torch")):
        yield _check_torchvision(torchvision, torch)
    official = [name for name in ("basicsr", "gfpgan", "facexlib") if version_of(name) is not None]
    if 0 < len(official) < 3:
        lacking = ", ".join(sorted({"basicsr", "gfpgan", "facexlib"} - set(official)))
        remedy = f"pip install --no-deps --no-build-isolation {lacking}"
        found = f"{', '.join(official)} without {lacking}: no backend upstream"
        yield Check("conflicts", "official packages", "warning", found, remedy)
    consented = False
    with suppress(GfpupError):  # unreadable consents are reported by the check of licences
        consented = licences.is_accepted("polyform-noncommercial-1.0.0")
    if version_of("pyiqa") is not None and not consented:
        found = "installed, but its licence was not accepted, so its metrics are missing"
        remedy = "if your use is non-commercial: --accept-licence polyform-noncommercial-1.0.0, once"
        yield Check("conflicts", "pyiqa", "warning", found, remedy)


def _check_torchvision(found: str, torch: str) -> Check:
    """torchvision's operators are compiled for one build of torch, and do not load with another."""
    from gfpup.core import torchvision_shim

    spec = importlib.util.find_spec("torchvision")
    if spec is not None and spec.origin is not None and torchvision_shim.operators_load(Path(spec.origin).parent):
        return Check("conflicts", "torchvision", "ok", f"{found}, and its operators match torch {torch}")
    found = f"{found} was compiled for another torch than {torch}: gfpup replaces its nms, other tools fail"
    return Check("conflicts", "torchvision", "warning", found, "install torch and torchvision together, from one index")


def _check_numpy() -> Iterator[Check]:
    """Packages that require another numpy than the installed one."""
    here = version_of("numpy")
    of_engines = [package for engine in ENGINES.values() for package in engine.packages]
    for name in ("basicsr", "gfpgan", "facexlib", "pyiqa", "numba", "spandrel", *of_engines):
        requirements: list[Requirement] = []
        with suppress(importlib.metadata.PackageNotFoundError, InvalidRequirement):
            requirements = [Requirement(each) for each in importlib.metadata.requires(name) or []]
        for wanted in requirements:
            extra = "extra" in str(wanted.marker)
            if wanted.name == "numpy" and here and not extra and not _satisfies(here, str(wanted.specifier)):
                found = f"requires numpy{wanted.specifier}, and {here} is installed: it may fail"
                yield Check("conflicts", name, "warning", found, f"pip install -U {name}, or remove it")


def version_of(name: str) -> str | None:
    """The version of an installed package, None if it is not installed."""
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(name)
    return None


def _satisfies(found: str, wanted: str) -> bool:
    """Whether a version is within bounds such as ">=2.6,<3,!=2.7.1"; a pre-release counts as what it leads to."""
    return SpecifierSet(wanted).contains(Version(found).base_version)
