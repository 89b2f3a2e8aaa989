"""The checkpoints of a measurement: those at hand, else files of numbers that every machine makes alike.

Speed does not depend on what weights say, as long as activations stay finite and far from the denormal numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gfpup.core.errors import LicenceError
from gfpup.tools.bench.request import Request, architecture, default_checkpoint
from gfpup.weights import catalogue, licences
from gfpup.weights.store import Store, default_folder

DETERMINISTIC = "deterministic"


class Weights:
    """Finds or makes checkpoints; those that it makes lie in `folder`, each written once."""

    def __init__(self, request: Request, folder: Path, *, say: Callable[[str], None]) -> None:
        self._request = request
        self._folder = folder
        self._say = say
        self._store = Store(request.weights_dir or default_folder(), offline=True)

    def of(self, backend: str, side_name: str) -> tuple[dict[str, Path], dict[str, str]]:
        """The checkpoints by role that `side_name` of `backend` loads, and what each is: a file's name or "deterministic"."""
        names: dict[str, str] = {}
        paths: dict[str, Path] = {}
        if self._request.model_path is not None:
            paths["backend"] = self._request.model_path
        elif architecture(backend) is not None:
            names["backend"] = default_checkpoint(backend)
        load = self._request.workload
        if load is not None:
            mask = "parsenet" if side_name == "upstream" else load.mask
            names |= {} if load.detector == "cascade" else {"detector": load.detector}
            names |= {} if mask == "feather" else {"mask": mask}
            if load.background == "realesrgan":
                names["background"] = "realesrgan-x2plus" if load.upscale <= 2 else "realesrgan-x4plus"
        said = {role: path.name for role, path in paths.items()}
        for role, name in names.items():
            found = self._at_hand(name)
            paths[role] = self._made(catalogue.find(name).architecture) if found is None else found
            said[role] = DETERMINISTIC if found is None else found.name
        return paths, said

    def _at_hand(self, name: str) -> Path | None:
        """The published file, where it is there and its licence was consented to."""
        path = self._store.present(name)
        if path is None:
            return None
        try:
            licences.require(catalogue.find(name))
        except LicenceError as error:
            self._say(f"deterministic weights stand in for {name}: {error}")
            return None
        return path

    def _made(self, name: str) -> Path:
        path = self._folder / f"{name}.pth"
        if path.is_file():
            return path
        import torch

        from gfpup.models.networks import NETWORKS
        from gfpup.tools.verify.goldens import filled

        self._say(f"making deterministic weights for {name}")
        network = NETWORKS[name]
        shapes = {entry: tuple(tensor.shape) for entry, tensor in network.built().state_dict().items()}
        torch.save(filled(shapes, salt=network.salt, gain=network.gain), path)
        return path
