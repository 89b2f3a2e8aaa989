"""The methods, by name. This table is read without importing any of them; a package may add rows (`gfpup.models.backends`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gfpup.core import registry
from gfpup.core.errors import GfpupError
from gfpup.core.types import Backend, BackendSpec


@dataclass(frozen=True)
class BackendFacts:
    """What is known of a method before it is loaded.

    `entry` is "module:Class"; the class has `load(spec)` and finds its checkpoint under the role "backend". `parameters` are
    the keys of the `restore` node it understands.
    """

    entry: str
    summary: str
    parameters: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    """Published versions and the catalogue's name of each one's checkpoint; one without a version has the key ""."""
    default_version: str = ""
    aliases: tuple[str, ...] = ()
    best_for: str = ""
    gflop: float | None = None
    """Operations of one face, 10^9, counted on the network at 512 px: what speed comes from on any machine."""
    published_as: str | None = None
    """What `gfpup.analysis.published` calls it."""
    limits: str = ""
    source: str = ""
    whole_photos: bool = False
    """Whether it delivers whole photos and pastes for itself."""
    own_file: bool = False
    """Whether it is loaded from a checkpoint of the user's own (--model-path), because nothing is published under its name."""


TABLE: dict[str, BackendFacts] = {
    "identity": BackendFacts(
        entry="gfpup.models.backends.identity:Identity",
        summary="returns its input: the zero of every comparison",
        best_for="seeing what detection and paste alone change",
        gflop=0.0,
    ),
    "classical": BackendFacts(
        entry="gfpup.models.backends.classical:Classical",
        summary="denoises, deblurs and sharpens without weights: the baseline every learned method must beat",
        best_for="mild damage, and when nothing may be invented",
        limits="adds no detail; what blur took below the noise stays lost",
        source="experiments/001-baselines",
    ),
    "gfpgan": BackendFacts(
        entry="gfpup.models.backends.gfpgan:GFPGAN",
        summary="a generative face prior, steered by what is left of the face",
        parameters=("version",),
        versions={"1.2": "gfpgan-v1.2", "1.3": "gfpgan-v1.3", "1.4": "gfpgan-v1.4"},
        default_version="1.4",
        best_for="most photos; 1.3 looks the most natural, by its authors' word",
        gflop=396.0,
        published_as="GFPGAN (version not stated)",
        limits="float16 overflows; strong damage may change who it is",
        source="Wang et al., CVPR 2021; github.com/TencentARC/GFPGAN",
    ),
    "codeformer": BackendFacts(
        entry="gfpup.models.backends.codeformer:CodeFormer",
        summary="picks the codes of the clean face; fidelity says how much of the input comes back",
        parameters=("fidelity",),
        versions={"": "codeformer"},
        best_for="strong damage; --fidelity trades quality for likeness",
        gflop=810.0,
        published_as="CodeFormer",
        limits="non-commercial licence; eyes and hair may be another's at low fidelity",
        source="Zhou et al., NeurIPS 2022; github.com/sczhou/CodeFormer",
    ),
    "restoreformer": BackendFacts(
        entry="gfpup.models.backends.restoreformer:RestoreFormer",
        summary="the nearest codes of high-quality faces, attended to by the input's features",
        versions={"": "restoreformer"},
        best_for="comparison with its successor",
        gflop=683.0,
        published_as="RestoreFormer",
        source="Wang et al., CVPR 2022; github.com/wzhouxiff/RestoreFormer",
        aliases=("rf",),
    ),
    "restoreformerpp": BackendFacts(
        entry="gfpup.models.backends.restoreformer:RestoreFormerPP",
        summary="RestoreFormer with four heads and a second size of attention in the decoder",
        versions={"": "restoreformerpp"},
        best_for="quality and likeness, by the published numbers",
        gflop=688.0,
        published_as="RestoreFormer++",
        source="Wang et al., TPAMI 2023; github.com/wzhouxiff/RestoreFormerPlusPlus",
        aliases=("restoreformer++", "rf++"),
    ),
    "ensemble": BackendFacts(
        entry="gfpup.models.backends.ensemble:Ensemble",
        summary="the weighted mean of several methods' restored faces, pasted once",
        best_for="softening one method's errors by another's",
        limits="costs the sum of its members; detail that they disagree on blurs",
    ),
    "auto": BackendFacts(
        entry="gfpup.restoration.auto:AutoRestorer",  # never loaded: what it chooses is
        summary="chooses one of the others for each photo, by visible rules, and says why",
        best_for="folders of mixed damage; --auto is short for it",
        limits="chooses among what is here, downloads nothing; the largest face of a photo decides",
        source="conf/auto.yaml, experiments/010-auto",
    ),
    "precomputed": BackendFacts(
        entry="gfpup.models.backends.precomputed:Precomputed",
        summary="the results of another tool, matched by name or by a mapping file",
        best_for="comparing any tool in the same tables",
        whole_photos=True,
    ),
    "upstream": BackendFacts(
        entry="gfpup.models.backends.upstream:Upstream",
        summary="the official implementation's own path, to be put beside ours",
        best_for="checking ours against it",
        limits="needs the four official packages; faces one by one, in 8 bits",
        source="gfpgan 1.3.8, facexlib 0.3.0, basicsr 1.4.2",
        parameters=("version",),
        versions={"1.2": "gfpgan-v1.2", "1.3": "gfpgan-v1.3", "1.4": "gfpgan-v1.4", "restoreformer": "restoreformer"},
        default_version="1.4",
        whole_photos=True,
    ),
    "spandrel": BackendFacts(
        entry="gfpup.models.backends.spandrel:AnyArchitecture",
        summary="opens any checkpoint that spandrel can open; --model-path names it",
        best_for="trying a network that gfpup has no backend for",
        limits="needs gfpup[spandrel]; most such networks were not made for faces",
        source="github.com/chaiNNer-org/spandrel",
        own_file=True,
    ),
}


def canonical(name: str) -> str:
    """The name in the table for a name or an alias.

    Raises:
        GfpupError: nothing is called so.
    """
    for key, row in TABLE.items():
        if name == key or name in row.aliases:
            return key
    if name not in (plugins := registry.plugins("backend")):
        raise GfpupError(registry.unknown("backend", name, {**TABLE, **plugins}))
    return name


def facts(name: str) -> BackendFacts:
    """The facts of `name`; an installed plug-in's class states its own as `parameters` and `own_file`.

    Raises:
        GfpupError: no such backend.
    """
    if name in TABLE:
        return TABLE[name]
    cls = registry.resolve("backend", name, {key: row.entry for key, row in TABLE.items()})
    summary = (cls.__doc__ or name).strip().splitlines()[0]
    return BackendFacts(
        entry=registry.plugins("backend")[name],
        summary=summary,
        parameters=tuple(getattr(cls, "parameters", ())),
        own_file=bool(getattr(cls, "own_file", False)),
    )


def load(spec: BackendSpec) -> Backend:
    """Load the backend `spec.name`, ready to restore."""
    cls = registry.resolve("backend", spec.name, {key: row.entry for key, row in TABLE.items()})
    return cls.load(spec)  # type: ignore[no-any-return]
