"""Arrays to a device and back: on a GPU by way of pinned memory, which it copies by itself while the program goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy.typing as npt

if TYPE_CHECKING:
    import torch


def upload(array: npt.NDArray[Any], device: str | torch.device) -> torch.Tensor:
    """A tensor of `array` on `device`, of the same shape and dtype; on a CPU it shares the array's memory.

    To a GPU nothing waits: torch keeps the pinned copy until it has arrived.
    """
    import torch

    tensor = torch.from_numpy(array)
    if torch.device(device).type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def download(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """The numbers of `tensor` as an array; from a GPU this waits until they are computed. On a CPU the memory is shared."""
    import torch

    tensor = tensor.detach()
    if not tensor.is_cuda:
        return tensor.cpu().numpy()
    host = torch.empty_like(tensor, device="cpu", pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(tensor.device).synchronize()
    return host.numpy()
