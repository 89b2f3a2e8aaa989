"""Lightning. It imports torchvision where that is installed, so torchvision's import is repaired first."""

# ruff: noqa: E402 (the order is the point)

from gfpup.core.torchvision_shim import cure

cure()

import lightning as lightning
from lightning.fabric.plugins.environments.lightning import LightningEnvironment as LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment as SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment as TorchElasticEnvironment
from lightning.pytorch.callbacks import BasePredictionWriter as BasePredictionWriter
from lightning.pytorch.callbacks import Callback as Callback
from lightning.pytorch.strategies import DDPStrategy as DDPStrategy
