"""Which method a run restores with: its parameters and checkpoints, and an ensemble's members or those to choose from."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gfpup.core.errors import GfpupError, LicenceError
from gfpup.core.plan import Decision
from gfpup.core.types import BackendSpec
from gfpup.models import backends
from gfpup.models.table import TRAINED
from gfpup.planning.settings import Settings, typed
from gfpup.weights import catalogue
from gfpup.weights.resolver import Resolver

ROLE = "backend"
"""The role under which a method's checkpoint is supplied; a member has `backend.NAME`, by its backend or its `key`."""


@dataclass(frozen=True)
class Method:
    """A planned method. `weight` is its share in an ensemble; `members` are an ensemble's, or what `auto` chooses from.

    `results` is the folder of another tool's results, for `precomputed`. `key` is what the rules of `auto` call a member: two
    of them may share a backend.
    """

    name: str
    parameters: Mapping[str, Any]
    role: str = ROLE
    weight: float = 1.0
    members: tuple[Method, ...] = ()
    results: Path | None = None
    key: str = ""
    reasons: tuple[Decision[Any], ...] = field(default=(), compare=False)

    def recipe(self) -> dict[str, Any]:
        """The fields of a `Recipe` that it decides."""
        rules = None
        if self.name == "auto":
            from gfpup.restoration.auto import rules_sha256

            rules = rules_sha256()
        members = [
            {"method": member.key, **member._facts()} if rules else {**member._facts(), "weight": round(member.weight, 6)}
            for member in self.members
        ]
        results = None if self.results is None else str(self.results)
        return {**self._facts(), "results": results, "rules": rules, "members": tuple(members)}

    def _facts(self) -> dict[str, Any]:
        return {"backend": self.name, "parameters": dict(sorted(self.parameters.items()))}

    @property
    def source_type(self) -> str:
        """IPTC's digital source type of its results: of several members that of a trained one, where there is one."""
        kinds = [member.source_type for member in self.members] or [backends.facts(self.name).source_type]
        return TRAINED if TRAINED in kinds else next(filter(None, kinds), "")

    def spec(self, resolver: Resolver, **common: Any) -> BackendSpec:
        """What the backend is loaded with; `common` are the fields that all members share (device, dtype, seed)."""
        return BackendSpec(
            name=self.name,
            checkpoints={ROLE: resolver.paths[self.role]} if self.role in resolver.paths else {},
            parameters=self.parameters,
            members=tuple((member.spec(resolver, **common), member.weight) for member in self.members),
            **common,
        )


def plan_method(settings: Settings, resolver: Resolver, *, sweeping: bool) -> Method:
    """Choose the method's parameters and obtain its checkpoints.

    In a sweep, parameters that do not apply to a method are dropped with a reason; in a single run they are refused.

    Raises: GfpupError: an invalid method, parameter or ensemble, or a checkpoint that is not available.
    """
    name = settings.backend.name
    if name == "ensemble":
        return _plan_ensemble(settings, resolver, sweeping=sweeping)
    if (settings.ensemble.backends or settings.ensemble.weights) and not sweeping:
        flags = "--ensemble-backends and --ensemble-weights"
        raise GfpupError(f"{flags} do not apply to backend {name!r}; use --backend ensemble.")
    if name == "precomputed" and settings.precomputed.folder is None:
        raise GfpupError("backend 'precomputed' takes the results of another tool; give their folder with --restored.")
    facts = backends.facts(name)
    parameters, dropped = _sift(settings, facts.parameters, sweeping=sweeping)
    if settings.weights.model is not None and not (facts.versions or facts.own_file):
        raise GfpupError(f"backend {name!r} has no weights of its own; leave out --model-path.")
    if name == "auto":
        return _plan_auto(resolver, dropped)
    version, reason = _choose_checkpoint(name, parameters, ROLE, resolver, model_path=settings.weights.model)
    results = settings.precomputed.folder.absolute() if name == "precomputed" and settings.precomputed.folder else None
    return Method(name, {**parameters, **version}, results=results, reasons=(reason, *dropped))


def _sift(settings: Settings, known: Collection[str], *, sweeping: bool) -> tuple[dict[str, Any], list[Decision[Any]]]:
    """The parameters of a method that were given, and those dropped as it has none of that name."""
    given, name = settings.restore.parameters, settings.backend.name
    strange = sorted(set(given) - set(known))
    if strange and not sweeping:
        has = f"has {', '.join(known)}" if known else "has no parameters"
        flag = typed(f"restore.{strange[0]}")
        raise GfpupError(f"{flag} does not apply to backend {name!r}, which {has}; leave it out.")
    dropped = [Decision(f"restore.{key}", None, f"does not apply to {name}") for key in strange]
    return {key: value for key, value in given.items() if key in known}, dropped


def _choose_checkpoint(
    name: str, parameters: Mapping[str, Any], role: str, resolver: Resolver, *, model_path: Path | None = None
) -> tuple[dict[str, str], Decision[str]]:
    """Obtain the checkpoint of `name` under `role`; returns the version it stands for, where the method has versions."""
    facts = backends.facts(name)
    if facts.own_file:
        if model_path is None:
            raise GfpupError(f"backend {name!r} restores with a checkpoint of yours; name it with --model-path.")
        resolver.use_file(role, model_path)
        return {}, Decision("backend", name, f"the file {model_path.name}, unverified")
    if not facts.versions:
        return {}, Decision("backend", name, facts.summary)
    version = str(parameters.get("version", facts.default_version)).lower().removeprefix("v")
    if version not in facts.versions:
        raise GfpupError(f"there is no version {version!r} of {name}; choose one of {', '.join(facts.versions)}.")
    chosen = {"version": version} if "version" in facts.parameters else {}
    published = facts.versions[version]
    if model_path is None:
        resolver.use_published(role, published)
        own = resolver.files.get(published)
        said = f"the published weights {published}" if own is None else f"the file {own.name} for {published}, unverified"
        return chosen, Decision("backend", name, said)
    resolver.consent(catalogue.find(published))  # who trains on from published weights does so under their licence
    resolver.use_file(role, model_path)
    if resolver.dry_run:
        from gfpup.weights.checkpoint import read_state_dict

        read_state_dict(model_path)  # a run refuses a damaged one when it loads it; a dry run never would
    resolver.warnings.append(f"{model_path.name} is unverified: it was not checked to be {published}.")
    return chosen, Decision("backend", name, f"the file {model_path.name}, unverified")


def _plan_ensemble(settings: Settings, resolver: Resolver, *, sweeping: bool) -> Method:
    """Members that cannot run here are left out with their reason, and the others' weights are raised to a sum of 1."""
    if settings.weights.model is not None:
        raise GfpupError("--model-path names one method's checkpoint and an ensemble has several; import the files instead.")
    names = [backends.canonical(name) for name in settings.ensemble.backends]
    weights = _check_weights(names, settings.ensemble.weights)
    known = {name: backends.facts(name).parameters for name in names}
    parameters, dropped = _sift(settings, sorted({key for keys in known.values() for key in keys}), sweeping=sweeping)
    members: list[Method] = []
    reasons: list[Decision[Any]] = []
    for name, weight in zip(names, weights, strict=True):
        own, role = {key: value for key, value in parameters.items() if key in known[name]}, f"{ROLE}.{name}"
        try:
            version, reason = _choose_checkpoint(name, own, role, resolver)
        except GfpupError as error:
            reasons.append(Decision(f"ensemble.{name}", "left out", str(error)))
            resolver.warnings.append(f"the ensemble goes on without {name}: {error}")
            continue
        members.append(Method(name, {**own, **version}, role, weight))
        reasons.append(Decision(f"ensemble.{name}", weight, reason.why))
    total = sum(member.weight for member in members)
    if total <= 0:
        raise GfpupError("no member of the ensemble can run here: " + "; ".join(f"{r.setting}: {r.why}" for r in reasons))
    shares = tuple(replace(member, weight=member.weight / total) for member in members)
    if not math.isclose(total, 1.0, abs_tol=1e-6):
        stated = ", ".join(f"{member.name} {member.weight:.3g}" for member in shares)
        reasons.append(Decision("ensemble.weights", stated, f"the weights {total:.3g} in all were made to sum to 1"))
    first = Decision("backend", "ensemble", "blends the restored faces of " + ", ".join(member.name for member in shares))
    return Method("ensemble", {}, members=shares, reasons=(first, *reasons, *dropped))


def _check_weights(names: list[str], given: tuple[float, ...]) -> list[float]:
    if not names:
        raise GfpupError("an ensemble needs members; name them with --ensemble-backends gfpgan,codeformer.")
    if len(set(names)) < len(names):
        raise GfpupError(f"--ensemble-backends {','.join(names)} names a method twice; give it one larger weight instead.")
    for name in names:
        if name in ("ensemble", "auto", "precomputed", "upstream"):
            raise GfpupError(f"{name!r} cannot be a member of an ensemble; leave it out of --ensemble-backends.")
    if given and len(given) != len(names):
        raise GfpupError(f"the ensemble has {len(names)} backends and {len(given)} weights; give one weight for each.")
    if given and (not all(math.isfinite(weight) and weight >= 0 for weight in given) or sum(given) <= 0):
        raise GfpupError(f"--ensemble-weights {','.join(f'{w:g}' for w in given)} must be 0 or more, and not all 0.")
    return list(given) or [1 / len(names)] * len(names)


def _plan_auto(resolver: Resolver, dropped: list[Decision[Any]]) -> Method:
    """The methods of the rules that can run here: nothing is downloaded for them, and what is left out says why."""
    from gfpup.restoration.auto import rules

    members: list[Method] = []
    reasons: list[Decision[Any]] = []
    for key, row in rules()["methods"].items():
        name, parameters, role, facts = row["backend"], dict(row["parameters"]), f"{ROLE}.{key}", backends.facts(row["backend"])
        published = facts.versions[str(parameters.get("version", facts.default_version))] if facts.versions else None
        own = published in resolver.files
        lack = None if published is None or own else resolver.store.missing(published)
        if lack is None:
            try:
                version, reason = _choose_checkpoint(name, parameters, role, resolver)
            except GfpupError as error:
                if own and not isinstance(error, LicenceError):
                    raise  # the user named this very file
                lack = str(error)
                resolver.warnings.append(f"--auto goes on without {key}: {error}")
        if lack is not None:
            reasons.append(Decision(f"auto.{key}", "left out", lack))
            continue
        members.append(Method(name, {**parameters, **version}, role, key=key))
        reasons.append(Decision(f"auto.{key}", "in", reason.why))
    if not members:
        raise GfpupError("none of the methods that --auto chooses from can run here; name one with --backend.")
    listed = ", ".join(member.key for member in members)
    if not any(backends.facts(member.name).versions for member in members):
        resolver.warnings.append(
            f"--auto downloads nothing and no learned method is here, so it chooses among {listed}; "
            "gfpup weights fetch gfpgan-v1.4 brings one."
        )
    first = Decision("backend", "auto", f"chooses for each photo among {listed}, by the rules of conf/auto.yaml")
    return Method("auto", {}, members=tuple(members), reasons=(first, *reasons, *dropped))
