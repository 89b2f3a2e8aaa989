"""The checkpoints of a measurement: the published files if they are here, else deterministic ones.

Speed does not depend on the weights, as long as activations stay finite and far from denormal numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gfpup.core.errors import LicenceError
from gfpup.models import backends
from gfpup.tools.bench.request import Request, Workload
from gfpup.weights import catalogue, licences
from gfpup.weights.store import Store, default_folder

DETERMINISTIC = "deterministic"


class Weights:
    """Finds or makes checkpoints; the ones it makes are in `folder`, each written once."""

    def __init__(self, request: Request, folder: Path, *, say: Callable[[str], None]) -> None:
        self._request, self._folder, self._say = request, folder, say
        self._store = Store(request.weights_dir or default_folder(), offline=True)

    def of(self, backend: str, side_name: str) -> tuple[dict[str, Path], dict[str, str]]:
        """The checkpoints by role that `side_name` of `backend` loads, and what each is: a file's name or "deterministic"."""
        request = self._request
        names = {} if request.workload is None else _of_the_photo(request.workload, side_name)
        if request.tile is not None:
            names["background"] = backend
        elif (published := backends.published(backend)) is not None:
            names["backend"] = published.name
        given = {"backend": request.model_path, "background": request.background_path}
        paths = {role: path for role, path in given.items() if path is not None}
        names = {role: name for role, name in names.items() if role not in paths}
        labels = {role: path.name for role, path in paths.items()}
        for role, name in names.items():
            found = self._present(name)
            paths[role] = self._made(catalogue.find(name).architecture) if found is None else found
            labels[role] = DETERMINISTIC if found is None else found.name
        return paths, labels

    def _present(self, name: str) -> Path | None:
        """The published file, if it is here and the user has consented to its licence."""
        if (path := self._store.present(name)) is not None:
            try:
                licences.require(catalogue.find(name))
            except LicenceError as error:
                self._say(f"using deterministic weights instead of {name}: {error}")
                return None
        return path

    def _made(self, name: str) -> Path:
        path = self._folder / f"{name}.pth"
        if not path.is_file():
            import torch

            from gfpup.models.networks import NETWORKS
            from gfpup.tools.verify.goldens import filled

            self._say(f"making deterministic weights for {name}")
            network = NETWORKS[name]
            shapes = {entry: tuple(tensor.shape) for entry, tensor in network.built().state_dict().items()}
            torch.save(filled(shapes, salt=network.salt, gain=network.gain), path)
        return path


def _of_the_photo(load: Workload, side_name: str) -> dict[str, str]:
    """The checkpoints that a whole photo takes besides the method's own, by role."""
    names = {"detector": load.detector, "mask": "parsenet" if side_name == "upstream" else load.mask}
    if load.background == "realesrgan":
        names["background"] = "realesrgan-x2plus" if load.upscale <= 2 else "realesrgan-x4plus"
    return {role: name for role, name in names.items() if name not in ("mtcnn", "cascade", "feather")}
