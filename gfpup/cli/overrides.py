"""The flags of `gfpup run` as one table, and their translation to Hydra overrides. Pure: needs no Hydra and no torch.

Each flag is exactly one override. What looks like an override, and Hydra's own flags, pass through untouched.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gfpup.core.errors import GfpupError
from gfpup.models.engines import ENGINES


@dataclass(frozen=True)
class Flag:
    """One flag: what it sets and how its value is written down.

    `kind` is "switch" (sets `value`), "word" (a name or a number: may be swept), "text" (quoted as it stands), "list" (may be
    repeated, each time with one value), "names" (a list in one value, never swept), "metrics" (a preset or such a list) or
    "box" (a list of x0,y0,x1,y1).
    """

    name: str
    key: str
    help: str
    kind: str = "word"
    metavar: str = ""
    value: str = ""
    short: str = ""


GROUPS: dict[str, tuple[Flag, ...]] = {
    "photos": (
        Flag("--input", "source.paths", "restore this photo, folder or pattern; repeat for more", "list", "PATH", short="-i"),
        Flag("--recursive", "source.recursive", "look into folders inside folders", "switch", value="true"),
        Flag("--source", "source", "folder|paired|synthetic or a test set such as celeba-test", metavar="NAME"),
        Flag("--reference", "source.reference", "score against the references of the same names in this folder", "text", "DIR"),
        Flag("--limit", "source.limit", "stop after N photos", metavar="N"),
        Flag("--experiment", "experiment", "take this study's settings from conf/experiment, or --config-dir", metavar="NAME"),
        Flag("--output", "output", "write to this folder (default: out)", "text", "DIR", short="-o"),
        Flag("--resume", "existing", "skip what the folder holds already (the default)", "switch", value="resume"),
        Flag("--overwrite", "existing", "replace what the folder holds, of another plan too", "switch", value="overwrite"),
        Flag("--ext", "write.ext", "write as auto|png|jpg|webp|bmp|tif|avif (default: auto, as the photo)", metavar="EXT"),
        Flag("--suffix", "write.suffix", "add this to each name (default: nothing)", "text", "TEXT"),
        Flag("--strip-metadata", "write.metadata", "write no EXIF, colour profile or resolution", "switch", value="false"),
        Flag("--save-faces", "write.faces", "also write each face as aligned and as restored", "switch", value="true"),
    ),
    "method": (
        Flag("--backend", "backend", "restore with this method (default: gfpgan)", metavar="NAME"),
        Flag("--auto", "backend", "choose a method for each photo by its damage", "switch", value="auto"),
        Flag("--version", "restore.version", "take this published version of the method", metavar="V"),
        Flag("--fidelity", "restore.fidelity", "CodeFormer's w, 0 (the method) to 1 (the input) (default: 0.5)", metavar="X"),
        Flag("--strength", "restore.strength", "blend this much of the restored face in, 0 to 1 (default: 1)", metavar="X"),
        Flag("--match-color", "restore.match_color", "give restored faces the colours of the photo", "switch", value="true"),
        Flag("--upscale", "restore.upscale", "make the result this many times larger, 1/16 to 16 (default: 2)", metavar="X"),
        Flag("--aligned", "restore.aligned", "take each photo for one aligned face; paste nothing", "switch", value="true"),
        Flag("--background", "background", "enlarge the rest by auto|none|realesrgan|spandrel (default: auto)", metavar="NAME"),
        Flag("--background-path", "background.path", "enlarge it with this checkpoint", "text", "FILE"),
        Flag("--tile", "background.tile_px", "cut it into tiles of this side in px, 0: none (default: 256)", metavar="PX"),
        Flag(
            "--tile-overlap", "background.tile_overlap_px", "let tiles overlap by this much, in px (default: 32)", metavar="PX"
        ),
        Flag("--high-quality", "mode", "float32, each face also mirrored, no tiles", "switch", value="high-quality"),
        Flag("--memory-efficient", "mode", "one face at a time, small tiles", "switch", value="memory-efficient"),
        Flag("--ensemble-backends", "ensemble.backends", "blend these methods (with --backend ensemble)", "names", "A,B"),
        Flag("--ensemble-weights", "ensemble.weights", "weigh them so (default: equally)", "names", "W,W"),
        Flag("--restored", "precomputed.folder", "take another tool's results (with --backend precomputed)", "text", "DIR"),
        Flag("--mapping", "precomputed.mapping", "match them by this CSV file of input,restored", "text", "FILE"),
        Flag("--seed", "seed", "draw noise, where a method has any, from this number and the photo", metavar="N"),
    ),
    "faces": (
        Flag(
            "--detector",
            "detect.name",
            "find faces with auto|retinaface-resnet50|retinaface-mobilenet0.25|cascade",
            metavar="NAME",
        ),
        Flag("--detector-path", "detect.path", "load the detector from this checkpoint", "text", "FILE"),
        Flag("--detection-threshold", "detect.threshold", "accept faces from this score, 0 to 1 (default: 0.97)", metavar="X"),
        Flag("--detect-size", "detect.size", "look for faces at this short side in px, 0: full (default: 640)", metavar="PX"),
        Flag("--only-center-face", "faces.which", "restore only the face nearest the centre", "switch", value="center"),
        Flag("--faces", "faces.which", "restore all|largest|center|N, the N largest (default: all)", metavar="WHICH"),
        Flag("--min-face", "faces.min_px", "leave faces alone whose box is narrower, in px (default: 0)", metavar="PX"),
        Flag("--min-eye-distance", "faces.min_eye_distance_px", "leave faces alone whose eyes are nearer, in px", metavar="PX"),
        Flag("--min-score", "faces.min_score", "leave faces alone that score lower, 0 to 1 (default: 0)", metavar="X"),
        Flag(
            "--leave-alone",
            "faces.leave_alone",
            "leave faces in this box of the photo alone; repeat for more",
            "box",
            "X0,Y0,X1,Y1",
        ),
        Flag("--identity-min", "guard.identity_min", "blend a face back until it is this like its input, 0 to 1", metavar="X"),
        Flag("--identity-path", "guard.path", "judge that with this ArcFace IR-SE50 checkpoint", "text", "FILE"),
        Flag("--mask-path", "paste.mask_path", "parse faces with this checkpoint", "text", "FILE"),
        Flag("--mask", "paste.mask", "paste by auto|feather|bisenet|parsenet (default: auto)", metavar="NAME"),
    ),
    "weights": (
        Flag("--model-path", "weights.model", "restore with this checkpoint of the method, unverified", "text", "FILE"),
        Flag("--weights-file", "weights.files", "take your file for a published checkpoint; repeat", "list", "NAME=FILE"),
        Flag(
            "--weights-dir",
            "weights.dir",
            "keep checkpoints here (default: GFPUP_WEIGHTS_DIR, or the user's cache)",
            "text",
            "DIR",
        ),
        Flag("--no-download", "weights.download", "use only checkpoints that are there", "switch", value="false"),
        Flag(
            "--trust-first-download",
            "weights.trust_first_download",
            "accept checkpoints without a published hash",
            "switch",
            value="true",
        ),
        Flag("--accept-licence", "weights.accept_licences", "consent to a licence, once; repeat for more", "list", "ID"),
    ),
    "metrics": (
        Flag("--metrics", "metrics", "off|fast|full or a list such as lpips,dists,identity (default: off)", "metrics", "WHICH"),
        Flag("--tracking", "tracking", "log to MLflow: auto (sweeps, runs with metrics)|mlflow|none", metavar="WHEN"),
        Flag("--tracking-uri", "tracking.uri", "log to this folder or server (default: mlruns/)", "text", "URI"),
        Flag("--no-report", "report", "write no report at the end of a sweep", "switch", value="false"),
        Flag("--require-metrics", "metrics.require", "refuse to begin where one cannot be computed", "switch", value="true"),
    ),
    "machine": (
        Flag("--device", "hardware.device", "compute on auto|cpu|cuda|cuda:N|mps (default: auto)", metavar="NAME"),
        Flag("--devices", "hardware.devices", "share the photos out to N processes, on a GPU each; auto: all", metavar="N"),
        Flag("--num-nodes", "hardware.num_nodes", "share the photos out to N machines, each with --devices", metavar="N"),
        Flag("--precision", "hardware.precision", "compute in auto|fp32|bf16|fp16 (default: auto, fp32 on a CPU)", metavar="P"),
        Flag("--engine", "hardware.engine", f"run networks by {'|'.join(ENGINES)} (eager)", metavar="NAME"),
        Flag("--compile", "hardware.compile", "compile networks where that works, else eager", "switch", value="true"),
        Flag("--threads", "hardware.threads", "compute with N threads (default: OMP_NUM_THREADS, or the cores)", metavar="N"),
        Flag("--face-batch", "hardware.face_batch", "restore N faces at once on a GPU (default: as many as fit)", metavar="N"),
        Flag("--cache", "cache.enabled", "read faces, crops and backgrounds that an earlier run made", "switch", value="true"),
        Flag("--no-cache", "cache.enabled", "share none of them between the jobs of a sweep", "switch", value="false"),
        Flag("--dry-run", "dry_run", "print the plan and do nothing else", "switch", value="true"),
        Flag("--json", "screen.json", "print the summary, or the plan, as JSON on stdout", "switch", value="true"),
        Flag("--verbose", "screen.verbose", "print the plan before the run", "switch", value="true"),
        Flag("--quiet", "screen.quiet", "print errors only", "switch", value="true", short="-q"),
    ),
}

FLAGS: dict[str, Flag] = {
    spelling: flag for group in GROUPS.values() for flag in group for spelling in (flag.name, flag.short) if spelling
}

METRIC_PRESETS = ("off", "fast", "full")
"""Choices of the group; anything else is a list of metrics."""

HYDRA_SWITCHES = frozenset({"-m", "--multirun", "--resolve", "--hydra-help"})
HYDRA_VALUES = frozenset(
    {"--cfg", "-c", "--package", "-p", "--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd"}
    | {"--experimental-rerun", "--shell-completion", "-sc"}
)
HYDRA_OPTIONAL = frozenset({"--info"})

_OVERRIDE = re.compile(r"(~|\+{1,2})?[A-Za-z_][\w/.$@{}:-]*(=.*)?", re.DOTALL)
_PLAIN = re.compile(r"[\w.+-]+")
_SWEEP = re.compile(r"[\w.+-]+(,[\w.+-]+)+|(choice|range|interval|glob|sort|shuffle|tag)\(.*\)")


def to_overrides(arguments: Sequence[str]) -> list[str]:
    """Translate the command line behind `gfpup run` to arguments for the Hydra application.

    Raises:
        GfpupError: an unknown flag, a flag without its value, a value that is none, or several values outside a sweep.
    """
    sweeping = bool({"-m", "--multirun"} & set(arguments))
    lists: dict[str, list[str]] = {}
    singles: dict[str, tuple[str, str]] = {}
    passed: list[str] = []
    hydra_flags: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        name, has_value, value = word.partition("=")
        if name in FLAGS and name.startswith("-"):
            flag = FLAGS[name]
            if flag.kind == "switch":
                if has_value:
                    raise GfpupError(f"{name} takes no value, but got {value!r}; write {name} alone.")
                _set(singles, flag, flag.value)
                continue
            if not has_value:
                if not words or words[0] in FLAGS:
                    raise GfpupError(f"{name} needs a value: {name} {flag.metavar}.")
                value = words.pop(0)
            if value == "" and flag.name != "--suffix":
                raise GfpupError(f"{name} got an empty value: {name} {flag.metavar}.")
            if flag.kind == "metrics" and value not in METRIC_PRESETS and not (sweeping and _is_presets(value)):
                names = ",".join(_name(flag, part) for part in value.split(","))
                lists[f"{flag.key}.names"] = [names]
            elif flag.kind == "names":
                _set(singles, flag, f"[{','.join(_name(flag, part) for part in value.split(','))}]")
            elif flag.kind in ("list", "box"):
                lists.setdefault(flag.key, []).append(_box(flag, value) if flag.kind == "box" else quote(value))
            else:
                _set(singles, flag, _encode(flag, value, sweeping=sweeping))
        elif word in HYDRA_SWITCHES:
            hydra_flags.append(word)
        elif name in HYDRA_VALUES or name in HYDRA_OPTIONAL:
            hydra_flags.append(word)
            if not has_value and words and (name in HYDRA_VALUES or _is_info(words[0])):
                hydra_flags.append(words.pop(0))
        elif word.startswith("-"):
            raise GfpupError(_unknown_flag(name))
        elif "=" in word or word.startswith("~"):
            if not _OVERRIDE.fullmatch(word):
                raise GfpupError(f"{word!r} is no override; write key.path=value, or name photos with --input.")
            passed.append(word)
        else:
            raise GfpupError(f"{word!r} belongs to no flag; repeat --input for each photo: --input {word}.")
    overrides = [f"{key}=[{','.join(values)}]" for key, values in lists.items()]
    overrides += [f"{key}={value}" for key, (_, value) in singles.items()]
    return overrides + passed + hydra_flags  # Hydra's parser wants its overrides in one piece


def quote(text: str) -> str:
    """Write any text as a Hydra value that comes back as the same text, in a config, a sweep or a job.

    Hydra takes what stands in single quotes literally but for three things: a quote ends it, backslashes before a quote
    count, and `${` begins an interpolation, which OmegaConf looks for a second time.
    """
    text = re.sub(r"(\\*)\$\{", lambda m: m.group(1) * 2 + r"\${", text)
    text = re.sub(r"(\\*)(')", lambda m: m.group(1) * 2 + r"\'", text)
    return "'" + re.sub(r"(\\+)\Z", lambda m: m.group(1) * 2, text) + "'"


def _set(singles: dict[str, tuple[str, str]], flag: Flag, value: str) -> None:
    before = singles.get(flag.key)
    if before is not None and before != (flag.name, value):
        if before[0] == flag.name:
            raise GfpupError(f"{flag.name} was given twice with different values; give it once.")
        raise GfpupError(f"{before[0]} and {flag.name} exclude each other; give one of them.")
    singles[flag.key] = (flag.name, value)


def _encode(flag: Flag, value: str, *, sweeping: bool) -> str:
    if flag.kind == "text":
        return quote(value)
    if _PLAIN.fullmatch(value):
        return value
    if _SWEEP.fullmatch(value):
        if not sweeping:
            raise GfpupError(f"{flag.name} got several values, {value!r}; give one, or add -m to run one job for each.")
        return value
    if value == "":
        raise GfpupError(f"{flag.name} got an empty value: {flag.name} {flag.metavar}.")
    return quote(value)


def _is_presets(value: str) -> bool:
    return set(value.split(",")) <= set(METRIC_PRESETS)


def _name(flag: Flag, part: str) -> str:
    if not _PLAIN.fullmatch(part):
        raise GfpupError(f"{flag.name} got {part!r}; write {flag.metavar}, without spaces.")
    return part


def _box(flag: Flag, value: str) -> str:
    numbers = value.split(",")
    if len(numbers) != 4 or not all(re.fullmatch(r"-?\d+(\.\d+)?", number) for number in numbers):
        raise GfpupError(f"{flag.name} {value!r} is no box; write {flag.metavar}, four numbers in photo pixels.")
    return f"[{value}]"


def _is_info(word: str) -> bool:
    return word in ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def _unknown_flag(name: str) -> str:
    near = difflib.get_close_matches(name, [flag for flag in FLAGS if flag.startswith("--")], n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else "gfpup run --help lists all flags."
    return f"there is no flag {name!r}: {hint}"
