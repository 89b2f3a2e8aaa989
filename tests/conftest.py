"""Fixtures every test may use. `shared` is the folder of goldens, photos and weights that lies beside a checkout."""

from __future__ import annotations

import faulthandler
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pictures
import pytest
from filelock import FileLock
from forks import ForkedCommand, Forks
from session import session_files

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("GFPUP_SHARED", ROOT.parent / "shared"))

CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]

# fmt: off
LONGEST_FIRST = (
    "notebooks", "run", "engines", "restoreformer", "run_record", "guide_commands", "upstream", "crash", "ranks", "launchers",
    "api", "verify", "methods_run", "shared_stages", "gfpgan_run", "codeformer_backend", "composition", "sweep", "auto_run",
    "full_reference", "codeformer", "memory_efficient", "export_command", "report_browser", "python_page", "planner", "tiers",
    "background_run", "restoreformer_backend", "tracking", "bench_command", "plugin", "scored_run", "batch_tolerance",
    "tracked_run", "people_run", "torchvision_shim", "gfpgan_backend", "classical", "detect",
)
# fmt: on
"""The files that take longest, by their time: a worker that took one of them last would end long after the others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files; `--no-loadscope-reorder` keeps this order."""
    places = {f"test_{name}.py": place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def pytest_configure() -> None:
    """Say where a process of pytest's was when something ended it from outside, or the report is only that it is gone."""
    if hasattr(faulthandler, "register"):
        stderr = os.fdopen(os.dup(2), "w")  # pytest captures the other
        for number in (signal.SIGTERM, signal.SIGHUP):
            faulthandler.register(number, stderr, chain=True)


failed: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what failed, and where a process was lost: `--last-failed` forgets those."""
    if report.failed:
        failed.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """List what failed for start.py, and delete what the session's processes shared, when all of them have ended."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        (ROOT / ".failed-tests").write_text("".join(f"{name}\n" for name in dict.fromkeys(failed)), encoding="utf-8")
        session_files.open(session.config._tmp_path_factory)  # type: ignore[attr-defined]
        session_files.delete()


@pytest.fixture(scope="session", autouse=True)
def _isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No fixture fills the stage cache of whoever runs the tests, or waits for MLflow: tests of tracking turn it on."""
    session_files.open(tmp_path_factory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GFPUP_TRACKING", "none")
        patch.setenv("GFPUP_CACHE_DIR", str(tmp_path_factory.mktemp("stages")))
        yield


@pytest.fixture(autouse=True)
def _own_stage_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or fills the stage cache of another test."""
    monkeypatch.setenv("GFPUP_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "stages" / secrets.token_hex(8)))


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Hydra leaves a handler that writes to the stderr of a test or of a fixture, which is closed for the next one."""
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if not getattr(getattr(handler, "stream", None), "closed", False)]
    handlers = list(root.handlers)
    yield
    root.handlers[:] = handlers


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared folder, or a skip that says where it was looked for."""
    if not (SHARED / "parity").is_dir():
        pytest.skip(f"no shared folder at {SHARED} (set GFPUP_SHARED to its path)")
    return SHARED


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """`pictures.portrait`, which no test changes."""
    return pictures.portrait()


@pytest.fixture
def photos(tmp_path: Path, portrait: np.ndarray) -> Path:
    """A folder of four photos: three with a face, one without."""
    folder = tmp_path / "photos"
    pictures.save(folder / "a.png", portrait)
    pictures.save(folder / "b with space,=.jpg", np.ascontiguousarray(portrait[:, ::-1]))
    pictures.save(folder / "sub" / "c.png", cv2.resize(portrait, (300, 300)))
    pictures.save(folder / "empty.png", np.full((60, 90, 3), 120, np.uint8))
    return folder


@pytest.fixture
def gfpup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., int]]:
    """`gfpup(*words)` runs the command in an empty folder and returns its exit status."""
    from gfpup.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GFPUP_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("GFPUP_WEIGHTS_DIR", str(tmp_path / "weights"))
    yield lambda *words: main([str(word) for word in words])
    loky = sys.modules.get("joblib.externals.loky.reusable_executor")
    if loky is not None and loky._executor is not None:
        # joblib's processes outlive a sweep, with the folder and the environment of the test that started them.
        loky._executor.shutdown(wait=True, kill_workers=True)
        loky._executor = None


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, or a skip that says what is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Starts the command in processes of their own that cost no start: `forks.gfpup(words)`."""
    server = Forks(tmp_path_factory.mktemp("forks"), imports=["gfpup.cli.main", "gfpup.running.predict"])
    yield server
    server.close()


@pytest.fixture
def forked_runs(forks: Forks, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of `gfpup.run` and `gfpup.sweep` are forked."""
    stand_in = SimpleNamespace(Popen=partial(ForkedCommand, forks), PIPE=subprocess.PIPE, DEVNULL=subprocess.DEVNULL)
    monkeypatch.setattr("gfpup.running.launch.subprocess", stand_in)


@pytest.fixture(scope="session")
def finished_sweep(tmp_path_factory: pytest.TempPathFactory, portrait: np.ndarray) -> Path:
    """A finished, scored sweep of two methods over three photos, one with a name that is markup; tests do not change it.

    It is made once, whichever of pytest's processes asks first. The photos are in `photos` beside it.
    """
    from gfpup.cli.main import main

    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished"
    with FileLock(f"{root}.lock"), pytest.MonkeyPatch.context() as patch:
        if not root.exists():
            for i, name in enumerate(('a "<img src=x onerror=alert(1)>.png', "b.png", "c.jpg")):
                pictures.save(root / "photos" / name, cv2.convertScaleAbs(portrait, alpha=1 - 0.1 * i, beta=5 * i))
            patch.chdir(root)
            patch.setenv("GFPUP_CONFIG_DIR", str(root / "config"))
            methods = ["--detector", "cascade", "--backend", "identity,classical", "--metrics", "ssim,seconds"]
            assert main(["run", "-m", "--input", "photos", *methods, "--output", "out", "-q"]) == 0
    return root / "out"
