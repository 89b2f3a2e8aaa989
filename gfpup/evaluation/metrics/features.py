"""The features that set-level metrics compare: networks with the resizing and scaling that each protocol gives them.

Each class names its features in `protocol`: numbers of different protocols are never compared, though the network is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Self
from unittest.mock import patch

import numpy as np

from gfpup.core.torchvision_shim import cure
from gfpup.core.types import Float64, UInt8
from gfpup.evaluation.metrics import MetricError
from gfpup.evaluation.metrics.statistics import Statistics, read_statistics
from gfpup.evaluation.protocols import BASICSR, FIDELITY, TORCHMETRICS, VGG_FIDELITY
from gfpup.weights.checkpoint import read_state_dict

if TYPE_CHECKING:
    import torch


class Features:
    """A network on `device` and the features of its protocol; `statistics` are a reference that belongs to the metric."""

    protocol: ClassVar[str]
    statistics: Statistics | None = None

    def __init__(self, network: Any, device: str) -> None:
        self.network, self.device = network, device

    def features(self, crop: UInt8) -> Float64:
        """(h, w, 3) uint8 RGB to (d,) float64."""
        import torch

        tensor = torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1)[None].to(self.device)
        with torch.inference_mode():
            row: Float64 = self.network(self.prepare(tensor))[0].double().cpu().numpy()
        return row

    def prepare(self, x: torch.Tensor) -> torch.Tensor:
        """(1, 3, h, w) uint8 RGB to the network's input."""
        return x


class InceptionBasicSR(Features):
    """FID as the field computes it, with pytorch-fid's weights: pictures in [-1, 1], then 299 pixels without antialiasing.

    Source: basicsr/metrics/fid.py and scripts/metrics/calculate_fid_folder.py of github.com/XPixelGroup/BasicSR, which VQFR,
    RestoreFormer++, DAEFR and the NTIRE challenges took over.
    """

    protocol = BASICSR

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> Self:
        """Build and fill the network; CheckpointError where the file holds another one."""
        from gfpup.models.nets.inception import PatchedInception
        from gfpup.models.nets.loading import load_network

        network = load_network(PatchedInception, files["inception-fid"], name="inception-fid", device=device, plain=True)
        return cls(network, device)

    def prepare(self, x: torch.Tensor) -> torch.Tensor:
        """Scaled first and resized then, as BasicSR's reader and network do."""
        from gfpup.models.nets.inception import resized_without_antialiasing

        return resized_without_antialiasing((x.float() / 255 - 0.5) / 0.5)


class InceptionFFHQ(InceptionBasicSR):
    """The same features, to be compared with the published statistics of FFHQ at 512 pixels."""

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> Self:
        """Build and fill the network and read the statistics."""
        loaded = super().load(files, device=device)
        loaded.statistics = read_statistics(files["inception-ffhq-512"], protocol=BASICSR)
        return loaded


class InceptionFidelity(InceptionBasicSR):
    """FID as torch-fidelity computes it: resized as TensorFlow 1 did, then (x - 128) / 128. PMRF's tables use it.

    Source: torch_fidelity/feature_extractor_inceptionv3.py.
    """

    protocol = FIDELITY

    def prepare(self, x: torch.Tensor) -> torch.Tensor:
        """Resized first and scaled then."""
        from gfpup.models.nets.inception import resized_like_tensorflow

        return (resized_like_tensorflow(x.float()) - 128) / 128


class InceptionTorchmetrics(Features):
    """FID as torchmetrics computes it: 299 pixels bilinearly with antialiasing. No table of this field uses it.

    torch-fidelity's own class resizes without antialiasing, which changes FIDs of 512-pixel faces.
    """

    protocol = TORCHMETRICS

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> Self:
        """Build and fill torch-fidelity's network; MetricError where it is missing or the file holds another network."""
        if find_spec("torch_fidelity") is None:
            raise MetricError("fid_torchmetrics and kid need torch-fidelity: pip install torch-fidelity")
        cure()
        from torchmetrics.image.fid import NoTrainInceptionV3

        module = import_module("torch_fidelity.feature_extractor_inceptionv3")
        path = files["inception-fid"]
        state = read_state_dict(path)
        # Its constructor opens the file with pickle; it is given the weights that were read before.
        handing = SimpleNamespace(**{**vars(module.torch), "load": lambda *_, **__: state})
        try:
            with patch.object(module, "torch", handing):
                network = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(path))
        except RuntimeError as error:
            raise MetricError(f"{path} does not hold the Inception network of FID: fetch it again") from error
        return cls(network.to(device), device)


class VGG16(Features):
    """The features of improved precision: the second fully connected layer of VGG-16, rectified, 4096 numbers.

    Source: torch_fidelity/feature_extractor_vgg16.py: resized to 224 as TensorFlow 1 did, ImageNet's mean and deviation.
    """

    protocol = VGG_FIDELITY

    @classmethod
    def load(cls, files: Mapping[str, Path], *, device: str = "cpu") -> Self:
        """Build and fill torchvision's network; MetricError where it is missing or the file holds another network."""
        if find_spec("torchvision") is None:
            raise MetricError("precision needs torchvision: pip install torchvision")
        cure()
        import torch
        from torch import nn

        with torch.device("meta"):
            network: Any = import_module("torchvision.models").vgg16()
        try:
            network.load_state_dict(read_state_dict(files["vgg16"]), strict=True, assign=True)
        except RuntimeError as error:
            raise MetricError(f"{files['vgg16']} does not hold VGG-16: fetch it again") from error
        # After fc2 come its activation, a dropout and the classes.
        network.classifier = nn.Sequential(*list(network.classifier)[:5])
        return cls(network.eval().requires_grad_(False).to(device), device)

    def prepare(self, x: torch.Tensor) -> torch.Tensor:
        """Resized first and normalised then."""
        import torch

        from gfpup.models.nets.inception import resized_like_tensorflow

        mean, deviation = (
            torch.tensor(values, device=x.device).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        )
        return (resized_like_tensorflow(x.float(), 224) - 255 * mean) / (255 * deviation)


EXTRACTORS: Mapping[str, tuple[type[Any], tuple[str, ...]]] = {
    "fid": (InceptionBasicSR, ("inception-fid",)),
    "fid_fidelity": (InceptionFidelity, ("inception-fid",)),
    "precision": (VGG16, ("vgg16",)),
}
"""For `gfpup stats --protocol`: the class and the weights of the features of a metric's protocol."""
