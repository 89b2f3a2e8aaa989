"""Which method to take: by the guide's flow (conf/recommend.yaml), or by the user's own runs (`measured`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, cast

from gfpup.analysis.published import CELEBA_TEST, rows
from gfpup.core.errors import GfpupError
from gfpup.machine.hardware import Machine
from gfpup.models import backends
from gfpup.planning import tiers
from gfpup.weights import licences

GUIDE: Final = "recommend.yaml"
GB: Final = 1e9
"""Bytes; what is sold as 8 GB reports a little more than 8e9 bytes."""


@dataclass(frozen=True)
class Hardware:
    """The machine that is advised on: GB of its GPU (0: none), in all and free; GB of its memory where that is known."""

    gpu_gb: float
    free_gb: float
    ram_gb: float | None = None
    name: str = ""


@dataclass(frozen=True)
class Alternative:
    """Another method, its command, and when to take it."""

    method: str
    command: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Advice:
    """What to run: `command` as words, and why. `guide` is what the guide alone would take, before licences.

    `table` holds what was measured, a mapping a run; it is empty where nothing was.
    """

    method: str
    backend: str
    command: tuple[str, ...]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    tier: str
    guide: str
    table: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Question:
    """What is asked: `priority` decides where it is given, else the use case does; `input` and `output` go into the command.

    Raises: GfpupError: the guide does not know the use case or the priority; the message lists those it knows.
    """

    use_case: str | None = None
    priority: str | None = None
    input: str = "photos/"
    output: str = "out/"

    def __post_init__(self) -> None:
        for flag, value, known in (("use-case", self.use_case, "use_cases"), ("priority", self.priority, "priorities")):
            if value is not None and value not in guide()[known]:
                raise GfpupError(f"invalid value {value!r} for --{flag}: expected one of {', '.join(guide()[known])}.")

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the guide says of the use case: its priority, its flags, and whether it is commercial."""
        none = {"priority": "general", "commercial": False, "flags": {}}
        return none if self.use_case is None else guide()["use_cases"][self.use_case]  # type: ignore[no-any-return]

    @property
    def deciding(self) -> str:
        """The priority that decides: the one given, else that of the use case, else general."""
        return self.priority or str(self.facts["priority"])


@cache
def guide() -> Mapping[str, Any]:
    """The guide as data: `methods`, `priorities`, `use_cases` and `tiers`, each by name and in the guide's order."""
    from omegaconf import OmegaConf

    text = files("gfpup.conf").joinpath(GUIDE).read_text(encoding="utf-8")
    return cast("Mapping[str, Any]", OmegaConf.to_container(OmegaConf.create(text)))


def hardware_of(machine: Machine) -> Hardware:
    """What of a probed machine the advice depends on: the GPU with the most free memory, as its tier counts it."""
    ram = machine.memory_bytes / GB or None
    if machine.gpus:
        gpu = max(machine.gpus, key=lambda gpu: gpu.free_bytes)
        shared = gpu.total_bytes - gpu.free_bytes > tiers.OTHERS_BYTES
        size = max(gpu.free_bytes if shared else gpu.total_bytes, 1)  # one that tells no memory is taken for a small one
        return Hardware(size / GB, gpu.free_bytes / GB, ram, gpu.name)
    if machine.mps:
        size = machine.mps_bytes or machine.memory_bytes
        return Hardware(size / GB, size / GB, ram, "Apple GPU")
    return Hardware(0.0, 0.0, ram, f"{machine.cores} cores")


def recommend(question: Question, hardware: Hardware) -> Advice:
    """Follow the guide: its flow, the licence, and what the machine can hold."""
    priority, commercial = question.deciding, bool(question.facts["commercial"])
    facts = guide()["priorities"][priority]
    reasons, warnings = [_asked(question, priority)], []
    allowed = [name for name in facts["take"] if not commercial or commercial_use(_backend(name)) != "no"]
    first, method = facts["take"][0], allowed[0]
    reasons.append(f"the guide takes {title(first)} {facts['because']}")
    if method != first:
        warnings.append(
            f"{title(first)} is non-commercial ({licence_of(_backend(first))}), so for professional use the next one is taken: "
            f"{title(method)}"
        )
    warnings += licence_warnings(_backend(method), commercial=commercial, others=allowed)
    tier, held, why = fit(method, hardware)
    reasons.append(why)
    warnings += memory_warnings(method, held, hardware)
    reasons += _arithmetic(first) if priority == "speed" else _published() if priority == "quality" else []
    return Advice(
        method=method,
        backend=_backend(method),
        command=command(question, guide_flags(method), held),
        reasons=tuple(reasons),
        warnings=tuple(warnings),
        alternatives=tuple(
            _alternative(question, name, hardware) for name in dict.fromkeys((*allowed, first)) if name != method
        ),
        tier=tier,
        guide=first,
    )


def command(question: Question, flags: Sequence[str], held: str) -> tuple[str, ...]:
    """A command that runs as it stands: the method's `flags`, what the use case adds, and where it is held."""
    extra = [word for pair in question.facts["flags"].items() for word in pair]
    where = {"cpu": ["--device", "cpu"], "reduced": ["--memory-efficient"]}.get(held, [])
    if {"--high-quality", "--memory-efficient"} & set(flags) and held == "reduced":
        where = []  # a run's own mode stays
    return ("gfpup", "run", "--input", question.input, *flags, *extra, *where, "--output", question.output)


def guide_flags(method: str) -> list[str]:
    """The flags that choose one of the guide's methods."""
    facts = guide()["methods"][method]
    return ["--backend", facts["backend"], *(word for pair in facts["flags"].items() for word in pair)]


def fit(method: str, hardware: Hardware) -> tuple[str, str, str]:
    """The tier of a machine, how it holds a method ("whole", "reduced" or "cpu"), and that in words."""
    table: Mapping[str, Any] = guide()["tiers"]
    tier = next(name for name, facts in table.items() if hardware.gpu_gb >= facts["from_gb"])
    held = str(table[tier]["hold"][method])
    needed = guide()["methods"][method]["gpu_gb"]
    fits = hardware.free_gb >= needed
    if " or " in held:
        held = held.partition(" or ")[0 if fits else 2]
    elif held == "whole" and not fits:
        held = "cpu"  # a large GPU whose memory others use
    if tier == "cpu":
        return tier, held, "there is no GPU, so it runs on the CPU, where every method runs but slowly"
    what = f"{table[tier]['title']} ({hardware.free_gb:.3g} GB free)"
    claim = f"{title(method)} takes {needed} GB, the guide claims"
    said = {"whole": "it fits", "reduced": "so it runs in small pieces", "cpu": "so it runs on the CPU"}
    return tier, held, f"{what}: {claim}; {said[held]}"


def memory_warnings(method: str, held: str, hardware: Hardware) -> list[str]:
    """A warning where a method runs on the CPU and the machine has less memory than the guide claims it needs."""
    needed = guide()["methods"][method]["ram_gb"]
    if held != "cpu" or hardware.ram_gb is None or hardware.ram_gb >= needed:
        return []
    return [f"the guide claims {needed} GB of memory for {title(method)} on a CPU, and here are {hardware.ram_gb:.3g} GB"]


def licence_warnings(backend: str, *, commercial: bool, others: Sequence[str] = ()) -> list[str]:
    """A warning where a method's licence is non-commercial or contested, with what to do about it."""
    use, licence, weights = commercial_use(backend), licence_of(backend), backends.published(backend)
    if use == "no":
        identifier = weights.licence_id if weights else ""
        consent = f": if your use is non-commercial, consent once by adding --accept-licence {identifier}"
        return [f"{backend} is non-commercial ({licence}){'' if licences.is_accepted(identifier) else consent}"]
    if use in ("contested", "unknown") and commercial:
        clear = [title(name) for name in others if commercial_use(_backend(name)) == "yes"]
        remedy = f"; {clear[0]} is free of that" if clear else ""
        return [f"whether {backend} may be used commercially is {use} ({licence}){remedy}"]
    return []


def commercial_use(backend: str) -> str:
    """What a method's licence says of commercial use; "yes" for methods without published weights."""
    weights = backends.published(backend)
    return weights.commercial_use if weights else "yes"


def licence_of(backend: str) -> str:
    """The name of a method's licence, "" for methods without published weights."""
    weights = backends.published(backend)
    return weights.licence if weights else ""


def title(method: str) -> str:
    """What the guide calls a method."""
    return str(guide()["methods"][method]["title"])


def arithmetic(slower: str, faster: str) -> str | None:
    """What the operations of two backends say of their speed, None where one was not counted or `slower` has fewer."""
    one, other = backends.facts(slower).gflop, backends.facts(faster).gflop
    if not one or not other or one <= other:
        return None
    return (
        f"by arithmetic a forward of {slower} costs {one / other:.2g} times one of {faster} "
        f"({one:g} against {other:g} GFLOP a face)"
    )


def _asked(question: Question, priority: str) -> str:
    if question.priority is not None:
        return f"asked for {priority}: {guide()['priorities'][priority]['ask']} Yes"
    return str(question.facts.get("because", "no use case and no priority were given, which is general use"))


def _arithmetic(fastest: str) -> list[str]:
    """Where the operations contradict what the guide calls the fastest."""
    cheaper = [arithmetic(_backend(fastest), _backend(name)) for name in guide()["methods"]]
    doubt = 'so the guide\'s "fastest" may not hold on your machine: measure it, and give --measured'
    return [f"{said}, {doubt}" for said in cheaper if said][:1]


def _published() -> list[str]:
    """What was published of the guide's methods and of PMRF, which came later; all three metrics are better when lower."""
    methods = {backends.facts(facts["backend"]).published_as for facts in guide()["methods"].values()} | {"PMRF"}
    said = []
    for metric in ("LPIPS", "Deg", "FID"):
        found = [row for row in rows() if (row.protocol, row.metric) == (CELEBA_TEST, metric) and row.method in methods]
        said.append(f"{metric} " + ", ".join(f"{row.method} {row.value:g}" for row in sorted(found, key=lambda row: row.value)))
    table = f"published for CelebA-Test ({CELEBA_TEST}), best first: {'; '.join(said)}"
    return [table, "PMRF is not in the guide: --backend pmrf takes minutes a face on a processor"]


def _alternative(question: Question, method: str, hardware: Hardware) -> Alternative:
    _, held, _ = fit(method, hardware)
    fitting = next((facts["because"] for facts in guide()["priorities"].values() if facts["take"][0] == method), None)
    what = title(method) if fitting is None else f"the guide's choice {fitting}"
    use = commercial_use(_backend(method))
    note = "" if use == "yes" else f"; commercial use: {use}"
    return Alternative(method, command(question, guide_flags(method), held), f"{what}{note}")


def _backend(method: str) -> str:
    return str(guide()["methods"][method]["backend"])
