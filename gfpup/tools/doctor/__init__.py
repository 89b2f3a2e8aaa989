"""Checks of an installation: each says what was found, whether it is all right, and what to do if it is not.

Packages are looked up by their files; nothing heavy is imported but torch, for the devices.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from gfpup.tools.check import Check
from gfpup.tools.doctor import machine, packages, supplies
from gfpup.weights import licences
from gfpup.weights.store import Store


def examine(store: Store, *, output: Path, tracking: Path, offline: bool = False) -> Iterator[Check]:
    """Run every check, cheapest first; each is given as soon as it is known. Nothing is downloaded and nothing hashed.

    `output` and `tracking` are the folders that a run would write to. With `offline` no connection is tried.
    """
    reaching = supplies.Reaching(store, offline=offline)
    yield machine.check_python()
    yield from packages.check_versions()
    yield from packages.check_conflicts()
    yield from machine.check_devices()
    yield from machine.check_engines()
    yield from supplies.check_weights(store)
    yield supplies.check_mtcnn()
    yield from supplies.check_licences()
    yield from machine.check_folders({"weights": store.folder, "configuration": licences.config_folder()})
    yield from machine.check_folders({"output": output, "tracking": tracking, "temporary": Path(tempfile.gettempdir())})
    network = reaching.result()
    yield network
    yield supplies.check_default_run(store, network)
