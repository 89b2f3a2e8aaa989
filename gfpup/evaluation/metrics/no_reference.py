"""How good a picture looks by itself: pyiqa's NIQE, MUSIQ, MANIQA, CLIP-IQA, TOPIQ, all by pyiqa.

pyiqa comes under PolyForm Noncommercial: these metrics run only after consent. It fetches weights while it builds a network;
here each network is built empty and filled from a file by gfpup's own reader, so nothing is fetched, nothing waits and no
pickle is run. The one exception is CLIP's official archive, TorchScript, which torch opens after its hash was checked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar, Final
from unittest.mock import patch

import numpy as np

from gfpup.core.torchvision_shim import cure
from gfpup.evaluation.metrics import MetricError, facts
from gfpup.evaluation.metrics.base import NetworkMetric, fill
from gfpup.evaluation.metrics.niqe import BLOCK_PX


class _NoReference(NetworkMetric):
    """A pyiqa network: (1, 3, h, w) float32 in [0, 1] to one number."""

    smallest_px = 64
    against = None


class NIQEPyIQA(_NoReference):
    """The metric `niqe_pyiqa`: pyiqa's default, on the Y of YIQ (0 to 255) and with the parameters it downloads."""

    name = "niqe_pyiqa"
    smallest_px = 2 * BLOCK_PX
    largest_pixels = 8192 * 8192

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> NIQEPyIQA:
        """Take the fitted natural statistics from pyiqa's file; MetricError without pyiqa or where it is another file."""
        import torch
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError

        module, path = _pyiqa("niqe_arch", cls.name), files["niqe-pyiqa"]
        try:
            stored = loadmat(path, variable_names=["mu_prisparam", "cov_prisparam"])
            mean, covariance = torch.from_numpy(np.ravel(stored["mu_prisparam"])), torch.from_numpy(stored["cov_prisparam"])
        except (OSError, ValueError, TypeError, KeyError, NotImplementedError, MatReadError) as error:
            raise MetricError(f"{path} does not hold the parameters of NIQE ({str(error)[:80]}): fetch it again") from error
        # On the CPU: it works in float64, for which some accelerators have no arithmetic.
        return cls(lambda x: module.calculate_niqe(x, 0, True, "yiq", mean, covariance), "cpu")


class _Filled(_NoReference):
    """A network of pyiqa, built without trained parts and filled strictly from its file."""

    module: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]]

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> _Filled:
        """Build and fill the network; MetricError where pyiqa is missing or the file holds another network."""
        file, _, network_class = cls.module.partition(":")
        module = _pyiqa(file, cls.name)
        with _quiet(), _untrained(module):
            network = getattr(module, network_class)(**cls.settings)
        return cls(fill(network, files[facts(cls.name).weights[0]], metric=cls.name, device=device), device)


class MUSIQ(_Filled):
    """The metric `musiq`, trained on KonIQ-10k."""

    name, module, settings = "musiq", "musiq_arch:MUSIQ", {"pretrained": False}


class MANIQA(_Filled):
    """The metric `maniqa`, trained on KonIQ-10k, the mean of 20 crops of 224 pixels at fixed places."""

    name, module, settings = "maniqa", "maniqa_arch:MANIQA", {"pretrained": False, "scale": 0.8}


_TOPIQ: Final = {"semantic_model_name": "resnet50", "model_name": "cfanet_nr_koniq_res50", "use_ref": False}


class TOPIQ(_Filled):
    """The metric `topiq`, without reference, trained on KonIQ-10k."""

    name, module = "topiq", "topiq_arch:CFANet"
    settings = _TOPIQ | {"backbone_pretrain": False, "pretrained": False}


class TOPIQFace(_Filled):
    """The metric `topiq_nr-face`: TOPIQ for faces, trained on CGFIQA-40k, of aligned crops (512, 512, 3).

    pyiqa detects and aligns the face of every picture again; here the crop is the one that the run recorded, so that the value
    does not depend on a detector, and pyiqa's own detector is not built.
    """

    name, module = "topiq_nr-face", "topiq_arch:CFANet"
    settings = _TOPIQ | {
        "model_name": "topiq_nr_cgfiqa_res50",
        "backbone_pretrain": False,
        "pretrained": False,
        "test_img_size": 512,
        "align_crop_face": False,
    }


class CLIPIQA(_NoReference):
    """The metric `clipiqa`: five pairs of opposite words, RN50."""

    name = "clipiqa"

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> CLIPIQA:
        """Open CLIP's own archive, which the caller has verified; MetricError without pyiqa, clip or the right file."""
        if find_spec("clip") is None:
            raise MetricError("clipiqa needs the package clip for its words: pip install openai-clip")
        module = _pyiqa("clipiqa_arch", cls.name)
        try:
            with _quiet():
                network = module.CLIPIQA(backbone=str(files["clip-rn50"])).eval().to(device)
        except (RuntimeError, KeyError) as error:
            raise MetricError(f"{files['clip-rn50']} is not CLIP's RN50 ({str(error)[:80]}): fetch it again") from error
        return cls(network, device)


def _pyiqa(file: str, metric: str) -> Any:
    """A module of pyiqa's networks, imported so that nothing is fetched; MetricError where that fails."""
    if find_spec("pyiqa") is None:
        raise MetricError(f"{metric} needs pyiqa: install it as the README says")
    cure()
    try:
        with _quiet():
            return import_module(f"pyiqa.archs.{file}")
    except ImportError as error:
        raise MetricError(
            f"{metric} needs pyiqa, which does not import here ({error}): install it as the README says"
        ) from error


@contextmanager
def _untrained(module: Any) -> Iterator[None]:
    """MANIQA's constructor asks timm for a trained backbone whatever it is told; its own file holds those weights too."""
    if hasattr(module, "FaceRestoreHelper"):  # TOPIQ for faces builds a detector, which fetches its weights
        with patch.object(module, "FaceRestoreHelper", lambda *_, **__: None), _no_timm(module):
            yield
        return
    with _no_timm(module):
        yield


@contextmanager
def _no_timm(module: Any) -> Iterator[None]:
    if not hasattr(module, "timm"):
        yield
        return
    create = module.timm.create_model
    with patch.object(module.timm, "create_model", lambda name, **settings: create(name, **{**settings, "pretrained": False})):
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pyiqa's prints off stdout, which is for results, and its hub client off the network."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with redirect_stdout(StringIO()):
        yield
