"""Runs and sweeps. Lightning imports torchvision where it is installed, so its import is repaired first."""

from gfpup.core.torchvision_shim import cure

cure()
