"""Write a checkpoint file as the official project publishes it, filled with the shared deterministic weights.

Not a test file: `from official import written`, as with `golden`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from golden import Golden
from session import session_files


@contextmanager
def written(golden: Golden, folder: Path) -> Iterator[Path]:
    """The path of the file, up to 380 MB: written once a session, linked into `folder`, for no test to change."""
    path = folder / f"{golden.name}.{'ckpt' if golden.name == 'restoreformerpp' else 'pth'}"
    checkpoint_key = golden.facts["checkpoint_key"]
    path.hardlink_to(session_files.once(path.name, lambda part: torch.save(layout(golden.state(), checkpoint_key), part)))
    try:
        yield path
    finally:
        path.unlink()


def layout(state: dict[str, torch.Tensor], checkpoint_key: str | None) -> dict[str, Any]:
    """Arrange a state dict as `checkpoint_key` of the golden's JSON says.

    The Lightning file carries what the real one does beside its network: a loss, a count of codes, the epoch.
    """
    if checkpoint_key is None:
        return state
    if checkpoint_key.startswith("(top level"):
        prefix = "module." if "module." in checkpoint_key else ""
        return {f"{prefix}{name}": tensor for name, tensor in state.items()}
    key, _, note = checkpoint_key.partition(" ")
    if "prefixed vqvae." not in note:
        return {key: state}
    network = {f"vqvae.{name}": tensor for name, tensor in state.items()}
    beside = {"vqvae.quantize.utility_counter": torch.zeros(1024), "loss.discriminator.main.0.weight": torch.zeros(64, 3, 4, 4)}
    return {"epoch": 3, "global_step": 1000, key: network | beside}
