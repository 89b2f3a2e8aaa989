"""CodeFormer, with its dial between quality and likeness."""

from __future__ import annotations

from typing import Any, Unpack

from gfpup.core.errors import GfpupError
from gfpup.core.types import BackendSpec
from gfpup.models.backends.network import CodeBookBackend, Options
from gfpup.models.nets import codeformer

FIDELITY = 0.5
"""The default of the paper's w. Source: the official inference script."""


class CodeFormer(CodeBookBackend):
    """CodeFormer: a transformer picks the codes of the clean face; `fidelity` says how much of the input comes back.

    `fidelity` 0 trusts the code book alone, 1 keeps most of the input. The code-book features get the input's mean and
    deviation (adain), as in the official inference.

    Source: Zhou et al., "Towards Robust Blind Face Restoration with Codebook Lookup Transformer", NeurIPS 2022;
    github.com/sczhou/CodeFormer.
    """

    architecture = "codeformer"

    def __init__(self, network: codeformer.CodeFormer, *, fidelity: float = FIDELITY, **options: Unpack[Options]) -> None:
        self.dials = {"fidelity": checked_fidelity(fidelity)}
        super().__init__(network, **options)

    @classmethod
    def parameters_of(cls, spec: BackendSpec) -> dict[str, Any]:
        """The fidelity, 0 to 1 (0.5)."""
        return {"fidelity": checked_fidelity(spec.parameters.get("fidelity", FIDELITY))}


def checked_fidelity(value: Any) -> float:
    """Return `value` as a fidelity.

    Raises: GfpupError: it is not a number from 0 to 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise GfpupError(f"invalid fidelity {value!r}: expected a number from 0 to 1 (most like the input), such as 0.5")
    return float(value)
