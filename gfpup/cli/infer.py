"""`gfpgan-infer`: the old command's flags, translated to `gfpup run`."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError, OutputError

VERSIONS: Final = ("1.2", "1.3", "1.4")
DEFAULT_INPUT: Final = "inputs/whole_imgs"
SPELLINGS: Final = {"restoreformerplusplus": "restoreformerpp", "restoreformer++": "restoreformerpp"}
DETECTORS: Final = {
    "retinaface_resnet50": "retinaface-resnet50",
    "retinaface_mobile0.25": "retinaface-mobilenet0.25",
    "retinaface-resnet50": "retinaface-resnet50",
    "retinaface-mobilenet0.25": "retinaface-mobilenet0.25",
    "cascade": "cascade",
}
METRICS: Final = {"none": "off", "id": "identity", "lpips": "lpips", "both": "identity,lpips", "detailed": "full"}
ELSEWHERE: Final = {
    "--sweep-weight": "gfpup sweep --strength 0.3,0.5,0.7 does it",
    "--bg-precision": "gfpup run --precision says it for all networks",
    "--deterministic-cuda": "the same photo gives the same result without it",
    "--engine": "say --backend, or --auto",
    "--auto-hw": "gfpup plans by the machine as it is",
    "--select-by": "--auto chooses by rules that it names",
    "--metrics-out": "scores.json lies in the output folder",
    "--report-path": "--manifest and --html-report say where",
    "--resume": "--skip-existing goes on where a run was stopped",
    "--checkpoint-dir": "the record of a run lies beside its results",
    "--preserve-metadata": "EXIF, colour profile and resolution are kept without it",
    "--progress": "it is shown on stderr without it",
    "--deterministic": "the same photo gives the same result without it",
    "--random-seed": "say --seed",
    "--log-file": "redirect stderr",
}
"""Flags that some versions of the old command had, and what is said of them."""

_SWITCHES: Final = {
    "only_center_face": ["--only-center-face"],
    "aligned": ["--aligned"],
    "high_quality": ["--high-quality"],
    "memory_efficient": ["--memory-efficient"],
    "no_download": ["--no-download"],
    "trust_first_download": ["--trust-first-download"],
    "no_parse": ["--mask", "feather"],
    "dry_run": ["--dry-run"],
    "verbose": ["--verbose"],
}
_VALUES: Final = {
    "upscale": "--upscale",
    "fidelity": "--fidelity",
    "bg_tile": "--tile",
    "ext": "--ext",
    "detection_threshold": "--detection-threshold",
    "eye_dist_threshold": "--min-eye-distance",
    "device": "--device",
    "seed": "--seed",
    "model_path": "--model-path",
    "max_images": "--limit",
}
_OVERRIDES: Final = {
    "jpg_quality": "write.jpeg_quality",
    "png_compress": "write.png_compression",
    "webp_quality": "write.webp_quality",
    "workers": "hardware.workers",
}
"""What is passed on as it stands, to flags and to keys that have none."""


@dataclass(frozen=True)
class Translation:
    """What the old words mean: those of `gfpup run`, what has to be said, and the files to be made afterwards."""

    words: list[str]
    output: Path
    notes: list[str] = field(default_factory=list)
    manifest: Path | None = None
    report: Path | None = None
    print_env: bool = False
    dry_run: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """`gfpgan-infer`: translate, say the command that does the same, and run it; returns its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if {"-h", "--help"} & set(words):
        print(HELP, end="")
        return 0
    from gfpup.cli.main import contained

    return contained(lambda: _run(translate(words)))


def _run(translation: Translation) -> int:
    from gfpup.cli.main import run

    for note in translation.notes:
        print(f"gfpgan-infer: {note}", file=sys.stderr)
    print(f"gfpgan-infer: the same as: gfpup run {shlex.join(translation.words)}", file=sys.stderr)
    for flag, file in (("--manifest", translation.manifest), ("--html-report", translation.report)):
        if file is not None:
            _check_file(flag, file)
    if translation.print_env:
        from gfpup.cli import doctor

        doctor.run(["--offline"])
    status = run(translation.words)
    if status in (0, 1) and not translation.dry_run:
        _write_files(translation)
    return status


def _check_file(flag: str, file: Path) -> None:
    """Refuse before the run what could not be written after it."""
    there = next((parent for parent in file.absolute().parents if parent.exists()), file)
    if file.is_dir() or not there.is_dir() or not os.access(there, os.W_OK):
        raise GfpupError(f"{flag} {file} cannot be written; name a file in a folder that can.")


def _write_files(translation: Translation) -> None:
    record = translation.output / "manifest.json"
    if not record.is_file():
        return
    if translation.manifest is not None:
        try:
            translation.manifest.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(record, translation.manifest)
        except OSError as error:
            raise OutputError(f"--manifest {translation.manifest} cannot be written: {error.strerror}.") from None
    if translation.report is not None:
        from gfpup.analysis.report import write_report

        write_report([translation.output], translation.report)


def translate(words: Sequence[str]) -> Translation:
    """Translate the old command's words to those of `gfpup run`.

    Raises:
        GfpupError: an unknown flag, a value that means nothing, or flags that exclude each other.
    """
    given = _parse(words)
    notes: list[str] = []
    output = given.output
    overrides = ["write.layout=gfpgan"]
    backend, method = _method(given, notes)
    said = [word for path in given.input or [DEFAULT_INPUT] for word in ("--input", path.rstrip(os.sep) or path)]
    said += ["--output", output, *method]
    said += [word for name in given.weights_file for word in ("--weights-file", name)]
    said += [word for name in given.accept_licence for word in ("--accept-licence", name)]
    if given.weight is not None:
        said += _weight(given, backend, notes)
    if given.bg_upsampler == "none":
        said += ["--background", "none"]
    if given.suffix is not None:
        said += ["--suffix", f"_{given.suffix}"]
    if given.detector is not None:
        said += ["--detector", _detector(given.detector)]
    if given.metrics is not None:
        said += ["--metrics", METRICS.get(given.metrics, given.metrics)]
    if given.compile not in (None, "none"):
        said += ["--compile"]
        notes += ["--compile max is compiled as by default."] if given.compile == "max" else []
    if given.overwrite or not given.skip_existing:
        said += ["--overwrite"]
    for name, flag in _VALUES.items():
        value = getattr(given, name)
        if value is not None:
            said += [flag, value]
    for name, flags in _SWITCHES.items():
        said += flags if getattr(given, name) else []
    for name, key in _OVERRIDES.items():
        value = getattr(given, name)
        overrides += [f"{key}={value}"] if value is not None else []
    overrides += ["write.compare=false"] if given.no_cmp else []
    if given.manifest or given.html_report:
        notes.append("--manifest and --html-report are written when the run below has ended.")
    return Translation(
        said + overrides,
        Path(output),
        notes,
        manifest=None if given.manifest is None else Path(given.manifest),
        report=None if given.html_report is None else Path(given.html_report),
        print_env=given.print_env,
        dry_run=given.dry_run,
    )


def _method(given: argparse.Namespace, notes: list[str]) -> tuple[str, list[str]]:
    """The backend that is meant, and the flags that say so."""
    if given.auto:
        if given.backend is not None or given.version is not None:
            raise GfpupError("--auto chooses the method itself; leave out --backend and --version.")
        return "auto", ["--auto"]
    backend, version = given.backend, given.version
    if backend is not None:
        backend = SPELLINGS.get(backend.lower(), backend.lower())
    if backend in ("ensemble", "precomputed", "upstream", "spandrel"):
        raise GfpupError(f"--backend {backend} needs flags that this command never had; use gfpup run.")
    if backend is None and (version or "").lower() == "restoreformer":
        return "restoreformer", ["--backend", "restoreformer"]
    if backend == "restoreformer":
        notes.append("--backend restoreformer has meant restoreformerpp in this command; gfpup run has both.")
        backend = "restoreformerpp"
    if backend in (None, "gfpgan"):
        number = (version or "1.3").lower().removeprefix("v")
        if number not in VERSIONS:
            older = " (GFPGAN 1 is another network, which gfpup has not)" if number == "1" else ""
            raise GfpupError(f"there is no --version {version!r}{older}: choose {', '.join(VERSIONS)} or RestoreFormer.")
        return "gfpgan", ["--backend", "gfpgan", "--version", number]
    if version is not None:
        raise GfpupError(f"--version {version} is GFPGAN's, and --backend {backend} was asked for; leave one of them out.")
    from gfpup.models import backends

    backend = backends.canonical(backend)
    return backend, ["--backend", backend]


def _weight(given: argparse.Namespace, backend: str, notes: list[str]) -> list[str]:
    if backend == "codeformer":
        if given.fidelity is not None:
            raise GfpupError("-w and --fidelity say the same of CodeFormer; give one of them.")
        notes.append(f"-w {given.weight} is CodeFormer's --fidelity.")
        return ["--fidelity", given.weight]
    notes.append(
        f"-w {given.weight} is --strength: how much of the restored face is blended in (the old command did nothing with it)."
    )
    return ["--strength", given.weight]


def _detector(name: str) -> str:
    if name not in DETECTORS:
        raise GfpupError(f"there is no --detector {name!r} here: choose retinaface_resnet50, retinaface_mobile0.25 or cascade.")
    return DETECTORS[name]


def _parser() -> Parser:
    parser = Parser("gfpgan-infer")

    def add(*names: str, **how: object) -> None:
        # The old command mixed both spellings: each is taken for every flag.
        other = [f"--{name[2:].replace('_', '-')}" for name in names if "_" in name]
        other += [f"--{name[2:].replace('-', '_')}" for name in names if name.startswith("--") and "-" in name[2:]]
        parser.add_argument(*names, *other, **how)  # type: ignore[arg-type]

    add("-i", "--input", action="append")
    add("--weights-file", action="append", default=[])
    add("--accept-licence", action="append", default=[])
    add("-o", "--output", default="results")
    add("-v", "--version")
    add("-s", "--upscale")
    add("-w", "--weight")
    add("--bg_upsampler", choices=("realesrgan", "none"), default="realesrgan")
    add("--compile", nargs="?", const="default", choices=("none", "default", "max"))
    for name in ("backend", "fidelity", "bg_tile", "suffix", "ext", "detector", "detection_threshold", "eye_dist_threshold"):
        add(f"--{name}")
    for name in ("device", "workers", "seed", "model_path", "jpg_quality", "png_compress", "webp_quality", "max_images"):
        add(f"--{name}")
    for name in ("metrics", "manifest", "html_report"):
        add(f"--{name}")
    for name in (*_SWITCHES, "auto", "no_cmp", "skip_existing", "overwrite", "print_env"):
        add(f"--{name}", action="store_true")
    return parser


def _parse(words: Sequence[str]) -> argparse.Namespace:
    for word in words:
        name = word.partition("=")[0].replace("_", "-")
        if name in ELSEWHERE:
            raise GfpupError(f"gfpgan-infer has no {name} here: {ELSEWHERE[name]}.")
    given, left = _parser().parse_known_args(list(words))
    if left:
        raise GfpupError(f"gfpgan-infer knows no {left[0]!r}; gfpgan-infer --help lists all flags.")
    for name, value in vars(given).items():
        if value == "" and name != "suffix":
            raise GfpupError(f"--{name.replace('_', '-')} got an empty value; give one, or leave it out.")
    return given


if __name__ == "__main__":
    sys.exit(main())

HELP = """\
usage: gfpgan-infer [-i INPUT] [-o OUTPUT] [-v VERSION] [-s UPSCALE] [flags]

The old command, as a translation to gfpup run: one line on stderr names the command that does the same.
Results lie as they did: restored_imgs, cropped_faces, restored_faces and cmp in the output folder, replaced when it runs again.

  -i, --input PATH           photo, folder or pattern; repeat for more (default: inputs/whole_imgs)
  -o, --output DIR           folder of the results (default: results)
  -v, --version V            GFPGAN 1.2, 1.3 or 1.4, also as v1.4; RestoreFormer, as that script called it (default: 1.3)
  -s, --upscale X            make the result this many times larger (default: 2)
  -w, --weight X             0 to 1: --strength, but --fidelity for CodeFormer; only when given
  --backend NAME             gfpgan, codeformer, restoreformerpp, ... ; restoreformer means restoreformerpp here
  --fidelity X               CodeFormer's w, 0 to 1
  --auto                     choose the method photo by photo
  --bg_upsampler NAME        realesrgan (on a GPU; on a CPU it stays off, as it did) or none (default: realesrgan)
  --bg_tile PX               tile of the background, 0 for none (default: planned)
  --suffix TEXT              add _TEXT to names
  --ext EXT                  auto, jpg, png, webp, ... (default: auto)
  --only_center_face         restore the face nearest the centre only
  --aligned                  the inputs are aligned faces; restored_imgs holds the restored ones too
  --high_quality             float32, each face also mirrored, no tiles
  --memory_efficient         one face at a time, small tiles
  --detector NAME            retinaface_resnet50, retinaface_mobile0.25 or cascade (default: the best that is here)
  --detection_threshold X    accept faces from this score, 0 to 1 (default: 0.97)
  --eye-dist-threshold PX    leave faces out whose eyes are nearer than this (default: 5)
  --no-parse                 paste by a feathered square
  --device NAME              auto, cpu, cuda, cuda:N or mps (default: auto)
  --compile [MODE]           compile the network; MODE none switches it off
  --workers N                processes that read ahead
  --seed N                   draw GFPGAN's noise from this number
  --model-path FILE          restore with this checkpoint
  --weights-file NAME=FILE   take your file for a published checkpoint; repeat
  --no-download              use only weights that are here
  --accept-licence ID        consent to a licence, once; repeat
  --trust-first-download     accept checkpoints without a published hash
  --jpg-quality, --png-compress, --webp-quality N
  --no-cmp                   write no pictures of before beside after
  --max-images N             stop after N photos
  --skip-existing            keep what is there
  --overwrite                replace what is there, of other settings too (the default)
  --metrics WHICH            none, id, lpips, both, fast, full (or detailed), or a list of gfpup's metrics
  --manifest FILE            copy the record there
  --html-report FILE         write the report there
  --dry-run                  validate and plan, without weights or network
  --print-env                print what gfpup doctor finds first
  --verbose                  print the plan first

  gfpgan-infer --input photo.jpg --version 1.4
  gfpgan-infer --input photo.jpg --backend codeformer --fidelity 0.8
  gfpgan-infer -i inputs -o results -v 1.3 -s 2
"""
