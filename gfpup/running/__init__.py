"""The runner. Lightning imports torchvision where it is installed, so what ails that is cured before anything here is."""

from gfpup.core.torchvision_shim import cure

cure()
