"""The methods that the page offers, each with its licence, what it needs, and the seconds to expect on this machine."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gfpup.app.texts import Texts, count_faces, duration
from gfpup.models import backends
from gfpup.records.run_record import find_record
from gfpup.weights import licences
from gfpup.weights.catalogue import Checkpoint
from gfpup.weights.store import Store

OFFERED: Final = ("auto", "gfpgan", "codeformer", "restoreformerpp", "restoreformer", "elir", "gpen", "pmrf", "classical")
"""Those that restore a dropped photo by themselves. Others need another tool's results, a file or a list of members."""
_OVERHEAD: Final = 1.5
"""What a forward takes longer than its operations at the speed of one convolution: attention, modulation, small maps."""


@dataclass(frozen=True)
class Speeds:
    """What is known of this machine's speed: measured seconds a photo by method, and 10^9 operations a second (0: unknown)."""

    measured: dict[str, float]
    gflops: float = 0.0

    def photo(self, method: str, faces: int) -> float | None:
        """The seconds that a photo with so many faces is expected to take; None where nothing is known."""
        if method in self.measured:
            return self.measured[method]
        gflop = backends.facts(method).gflop
        return faces * gflop / self.gflops * _OVERHEAD if gflop and self.gflops else None


def measured(runs: Iterable[Path]) -> dict[str, float]:
    """The median seconds a photo of each method, in finished runs of this machine."""
    seconds: dict[str, list[float]] = {}
    for folder in runs:
        record = find_record(folder)
        if record is None or record.made_elsewhere:
            continue
        for photo in record.photos:
            if photo.error is None and photo.seconds:
                seconds.setdefault(str(record.pixels.get("backend")), []).append(sum(photo.seconds.values()))
    return {method: statistics.median(values) for method, values in seconds.items()}


def default(store: Store) -> str:
    """The method to begin with: GFPGAN where its weights are here, else one that needs none."""
    weights = backends.published("gfpgan")
    return "gfpgan" if weights is not None and store.present(weights.name) is not None else "classical"


@dataclass(frozen=True)
class Consent:
    """What a user has to agree to before `weights` are used: their `licence`, and to `trust` their first download."""

    weights: Checkpoint
    licence: bool
    trust: bool

    @property
    def flags(self) -> list[str]:
        """The words of `gfpup run` that say so."""
        said = ["--accept-licence", self.weights.licence_id] if self.licence else []
        return [*said, "--trust-first-download"] if self.trust else said

    def sentence(self, texts: Texts) -> str:
        """What the user agrees to."""
        said = [texts.consent.format(licence=self.weights.licence)] if self.licence else []
        return " ".join([*said, texts.trust.format(file=self.weights.file)] if self.trust else said)


def consent_needed(method: str, store: Store) -> Consent | None:
    """What this user has not agreed to yet; None where there is nothing to agree to."""
    weights = backends.published(method)
    if weights is None:
        return None
    licence = weights.commercial_use == "no" and not licences.is_accepted(weights.licence_id)
    trust = store.needs_trust(weights.name)
    return Consent(weights, licence, trust) if licence or trust else None


def takes_fidelity(method: str) -> bool:
    """Whether a method has CodeFormer's fidelity."""
    return "fidelity" in backends.facts(method).parameters


def description(method: str, store: Store, speeds: Speeds, *, faces: int, texts: Texts) -> list[str]:
    """What to know about a method before taking it, a sentence each."""
    facts, weights = backends.facts(method), backends.published(method)
    said = [f"{facts.summary[:1].upper()}{facts.summary[1:]}."]
    if facts.best_for:
        said.append(texts.about.format(best=facts.best_for))
    if facts.limits:
        said.append(texts.limits.format(limits=facts.limits))
    if weights is None:
        said.append(texts.licence_free)
    else:
        text = {"yes": texts.licence_yes, "no": texts.licence_no}.get(weights.commercial_use, texts.licence_unclear)
        said.append(text.format(licence=weights.licence, use=weights.commercial_use))
        if store.present(weights.name) is None:
            said.append(texts.weights_missing.format(size=f"{(weights.size_bytes or 0) / 1e6:.0f} MB"))
    expected = speeds.photo(method, max(faces, 1))
    if expected is None:
        said.append(texts.seconds_unknown)
    elif method in speeds.measured:
        said.append(texts.seconds_measured.format(seconds=duration(expected)))
    else:
        said.append(texts.seconds_estimated.format(seconds=duration(expected), faces=count_faces(texts, max(faces, 1))))
    return said
