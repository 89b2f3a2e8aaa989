"""Who a face is: the identity network, and the persons whose photos the user has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import torch

from gfpup.core.types import Float64, Recognition, UInt8
from gfpup.models.nets.arcface import ArcFaceIRSE50, arcface_crop, rgb_112
from gfpup.models.nets.loading import load_network
from gfpup.ops.gallery import ErrorRates, Gallery

CHECKPOINT: Final = "arcface-ir-se50"
LEAST_SIMILARITY: Final = 0.23
"""Below, no gallery makes a face a person. Its photos may lie far apart, and strangers in a photo then still do not match.

Source: github.com/TreB1eN/InsightFace_Pytorch, face_verify.py, whose IR-SE50 takes two faces for one up to a squared distance
of 1.54 between unit vectors: 1 - 1.54 / 2.
"""

Embedder = Callable[[UInt8], Float64]
"""Who a face is: (112, 112, 3) uint8 RGB in ArcFace's template to (512,) float64, of any length."""


@dataclass(frozen=True, eq=False)
class People:
    """The persons of a run: a `gallery` of their faces, embedded by `embed`, and the similarity from which a face is one.

    That `threshold` is the smallest at which the share `false_match` of the gallery's own pairs of persons match. `left_out`
    are photos that show no person for certain, each with the reason.
    """

    gallery: Gallery
    embed: Embedder
    false_match: float
    left_out: tuple[tuple[Path, str], ...] = ()

    @cached_property
    def threshold(self) -> float:
        return self.gallery.threshold(self.false_match, at_least=LEAST_SIMILARITY)

    @cached_property
    def rates(self) -> ErrorRates:
        return self.gallery.error_rates(self.threshold)

    def embed_crop(self, crop: UInt8) -> Float64:
        """Who an aligned crop shows, (512, 512, 3) uint8 RGB: (512,) float64."""
        return self.embed(arcface_crop(crop))

    def recognise(self, crop: UInt8) -> Recognition:
        """The person that an aligned crop, (512, 512, 3) uint8 RGB, is most like, if it is enough like it."""
        nearest, similarity = self.gallery.nearest(self.embed_crop(crop))
        return Recognition(nearest if similarity >= self.threshold else None, nearest, similarity)

    def facts(self) -> dict[str, Any]:
        """What a record keeps of the gallery, ready for JSON."""
        rates = self.rates
        return {
            "photos": {name: len(faces) for name, faces in self.gallery.people.items()},
            "left_out": {str(path): reason for path, reason in self.left_out},
            "threshold": rates.threshold,
            "false_match": rates.false_match,
            "false_match_at_most": rates.at_most,
            "false_non_match": rates.false_non_match,
            "warnings": self.gallery.warnings(),
        }

    def sentences(self) -> list[str]:
        """What the user is told of the gallery before the first photo."""
        photos, rates = sum(map(len, self.gallery.people.values())), self.rates
        persons = "1 person" if rates.people == 1 else f"{rates.people} persons"
        counts = f"one of {persons} ({photos} photos)"
        said = [f"by --people, a face counts as {counts} from a similarity of {rates.threshold:.2f}"]
        if rates.false_match is not None and rates.at_most is not None:
            said[0] += (
                f", at which {rates.false_match:.1%} of the pairs of photos of two persons match"
                f" (at most {rates.at_most:.0%} with 95% confidence)"
            )
        if rates.false_non_match is not None:
            joined = " and" if rates.false_match is not None else ", at which"
            said[0] += f"{joined} {rates.false_non_match:.0%} of the pairs of photos of one person do not"
        if self.left_out:
            named = "; ".join(f"{path}: {reason}" for path, reason in self.left_out[:5])
            more = f"; and {len(self.left_out) - 5} more" if len(self.left_out) > 5 else ""
            count = "1 photo" if len(self.left_out) == 1 else f"{len(self.left_out)} photos"
            said.append(f"{count} of --people left out ({named}{more})")
        return [f"{sentence}." for sentence in (*said, *self.gallery.warnings())]


def load_embedder(path: Path, *, device: str = "cpu") -> Embedder:
    """Load ArcFace IR-SE50 from the checkpoint at `path`.

    Raises: CheckpointError: the file is not a checkpoint, or is one of another network.

    Source: Deng et al., "ArcFace" (CVPR 2019); the network as facexlib's recognition loads it.
    """
    network = load_network(ArcFaceIRSE50, path, name=CHECKPOINT, device=device)

    @torch.inference_mode()
    def embed(face: UInt8) -> Float64:
        embedding: Float64 = network(rgb_112(face).to(device))[0].double().cpu().numpy()
        return embedding

    return embed
