"""torchvision beside a torch it was not compiled for: each case in a process of its own, as imports cannot be undone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from forks import Forks

from gfpup.core.torchvision_shim import suppress

Run = Callable[..., str]
needs_torchvision = pytest.mark.skipif(find_spec("torchvision") is None, reason="torchvision is not installed")


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Processes that have imported torch, and nothing else that matters here."""
    server = Forks(tmp_path_factory.mktemp("forks"), imports=["torch"])
    yield server
    server.close()


@pytest.fixture
def run(forks: Forks) -> Run:
    """`run(code)` returns what `code` prints in a process of its own, `path` first among the places it imports from."""

    def run(code: str, *, path: Path | None = None) -> str:
        lines = f"import sys; sys.path.insert(0, {str(path)!r})\n{code}" if path else code
        done = forks.start(lines)
        assert done.wait() == 0, done.stderr
        return done.stdout.strip()

    return run


def run_fresh(code: str) -> str:
    """What `code` prints in a fresh Python."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True).stdout.strip()


def fake_torchvision(folder: Path, library: bytes | None) -> Path:
    """A package that behaves like torchvision's import: it wants its operators described."""
    package = folder / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import torch\n"
        "from . import extension\n"
        "@torch.library.register_fake('torchvision::nms')\n"
        "def meta(dets, scores, iou_threshold): return dets.new_empty((0,), dtype=torch.long)\n"
    )
    (package / "extension.py").write_text("def _has_ops(): return False\n")
    if library is not None:
        (package / "_C.so").write_bytes(library)
    return folder


def test_without_torchvision_nothing_is_imported() -> None:
    hide = "import importlib.util as u, gfpup.core.torchvision_shim as c; c.find_spec = lambda name: None; "
    assert run_fresh(hide + "import sys; print(c.cure(), 'torch' in sys.modules)") == "False False"


def test_importing_the_cure_imports_no_torch() -> None:
    assert run_fresh("import sys, gfpup.core.torchvision_shim; print('torch' in sys.modules)") == "False"


@pytest.mark.parametrize("library", [b"not a library", None])
def test_a_torchvision_that_cannot_load_its_operators_is_cured(
    tmp_path: Path, forks: Forks, run: Run, library: bytes | None
) -> None:
    folder = fake_torchvision(tmp_path, library)
    sick = forks.start(f"import sys; sys.path.insert(0, {str(folder)!r}); import torchvision")
    assert sick.wait() == 1
    assert "torchvision::nms does not exist" in sick.stderr
    code = (
        "from gfpup.core.torchvision_shim import cure\n"
        "print(cure(), cure())\n"
        "import torch, torchvision, torchvision.extension\n"
        "boxes = torch.tensor([[0., 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30]])\n"
        "print(torch.ops.torchvision.nms(boxes, torch.tensor([0.5, 0.9, 0.7]), 0.5).tolist(), torchvision.extension._has_ops())"
    )
    assert run(code, path=folder).splitlines() == ["True True", "[1, 2] True"]


def test_a_torchvision_whose_operators_load_is_left_alone(tmp_path: Path, run: Run) -> None:
    folder = fake_torchvision(tmp_path, b"any")
    code = (
        "import torch, sys, gfpup.core.torchvision_shim as c\n"
        "loaded = []\n"
        "torch.ops.load_library = lambda path: loaded.append(path)\n"
        "print(c.cure(), len(loaded), 'torchvision' in sys.modules, hasattr(torch.ops.torchvision, 'nms'))"
    )
    assert run(code, path=folder) == "False 1 False False"


@needs_torchvision
def test_the_installed_torchvision_imports_and_suppresses(run: Run) -> None:
    code = (
        "from gfpup.core.torchvision_shim import cure\n"
        "cure(); cure()\n"
        "import torch, torchvision, torchvision.transforms.functional as f\n"
        "boxes = torch.tensor([[0., 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30]])\n"
        "print(torchvision.ops.nms(boxes, torch.tensor([0.5, 0.9, 0.7]), 0.5).tolist())\n"
        "print(tuple(f.rgb_to_grayscale(torch.zeros(3, 4, 5)).shape))"
    )
    assert run(code).splitlines() == ["[1, 2]", "(1, 4, 5)"]


@needs_torchvision
def test_it_helps_after_an_import_that_failed(run: Run) -> None:
    code = (
        "try:\n"
        "    import torchvision\n"
        "except RuntimeError:\n"
        "    pass\n"
        "from gfpup.core.torchvision_shim import cure\n"
        "cure()\n"
        "import torchvision.ops\n"
        "print('fine')"
    )
    assert run(code) == "fine"


@needs_torchvision
def test_lightning_and_torchmetrics_import_after_it(run: Run) -> None:
    if not (find_spec("lightning") and find_spec("torchmetrics")):
        pytest.skip("lightning or torchmetrics is not installed")
    code = "from gfpup.core.torchvision_shim import cure; cure(); import lightning, torchmetrics; print('fine')"
    assert run(code) == "fine"


def naive(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """The definition, pair by pair."""
    kept: list[int] = []
    for i in sorted(range(len(scores)), key=lambda k: -scores[k]):
        for j in kept:
            w = min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0])
            h = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])
            shared = max(w, 0) * max(h, 0)
            union = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (boxes[i], boxes[j])) - shared
            if shared / union > threshold:
                break
        else:
            kept.append(i)
    return kept


@pytest.mark.parametrize(("seed", "threshold"), [(3, 0.3), (4, 0.5), (5, 0.8)])
def test_suppress_follows_the_definition(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 20, (120, 2))
    boxes = np.hstack([corners, corners + rng.uniform(20, 40, (120, 2))])
    scores = rng.integers(0, 40, 120) / 40  # with equal scores among them
    kept = suppress(torch.from_numpy(boxes), torch.from_numpy(scores), threshold)
    assert kept.dtype == torch.int64
    assert kept.tolist() == naive(boxes, scores, threshold)
    assert 0 < len(kept) < 120


def test_suppress_takes_no_boxes() -> None:
    assert suppress(torch.zeros(0, 4), torch.zeros(0), 0.4).tolist() == []


def test_an_overlap_of_exactly_the_threshold_is_kept() -> None:
    boxes = torch.tensor([[0.0, 0, 3, 1], [1.0, 0, 4, 1]])  # they share 2 of 4
    assert suppress(boxes, torch.tensor([0.9, 0.8]), 0.5).tolist() == [0, 1]
    assert suppress(boxes, torch.tensor([0.9, 0.8]), 0.49).tolist() == [0]
