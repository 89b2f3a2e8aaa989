"""`gfpgan-infer`: the flags of the older scripts, translated to `gfpup run`."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gfpup.cli.infer_flags import DEFAULT_INPUT, FLAGS, help_text, parse
from gfpup.core.errors import GfpupError, OutputError

VERSIONS: Final = ("1.2", "1.3", "1.4")
SPELLINGS: Final = {"restoreformerplusplus": "restoreformerpp", "restoreformer++": "restoreformerpp"}
DETECTORS: Final = {"retinaface_resnet50": "retinaface-resnet50", "retinaface_mobile0.25": "retinaface-mobilenet0.25"}
METRICS: Final = {"none": "off", "id": "identity", "lpips": "lpips", "both": "identity,lpips", "detailed": "full"}


@dataclass(frozen=True)
class Translation:
    """The words of `gfpup run` that mean the same, what has to be noted, and the flags that were given."""

    words: list[str]
    notes: list[str]
    given: argparse.Namespace


def main(arguments: Sequence[str] | None = None) -> int:
    """`gfpgan-infer`: translate, print the command that does the same, and run it; returns its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if {"-h", "--help"} & set(words):
        print(help_text(), end="")
        return 0
    from gfpup.cli.main import contained

    return contained(lambda: _run(translate(words)))


def _run(translation: Translation) -> int:
    from gfpup.cli.main import run

    given = translation.given
    for note in translation.notes:
        print(f"gfpgan-infer: {note}", file=sys.stderr)
    print(f"gfpgan-infer: the same as: gfpup run {shlex.join(translation.words)}", file=sys.stderr)
    for flag, name in (("--manifest", given.manifest), ("--html-report", given.html_report)):
        # Refuse before the run what could not be written after it.
        file = Path(name or "file")
        there = next((parent for parent in file.absolute().parents if parent.exists()), file)
        if name is not None and (file.is_dir() or not there.is_dir() or not os.access(there, os.W_OK)):
            raise GfpupError(f"{flag} {file} cannot be written: name a file in a folder that you can write to.")
    if given.print_env:
        from gfpup.cli import doctor

        doctor.run(["--offline"])
    status = run(translation.words)
    if status in (0, 1) and not given.dry_run and Path(given.output, "manifest.json").is_file():
        _write_files(given)
    return status


def _write_files(given: argparse.Namespace) -> None:
    if given.manifest is not None:
        file = Path(given.manifest)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(given.output, "manifest.json"), file)
        except OSError as error:
            raise OutputError(f"--manifest {file} cannot be written: {error.strerror}.") from None
    if given.html_report is not None:
        from gfpup.analysis.report import write_report

        write_report([Path(given.output)], Path(given.html_report))


def translate(words: Sequence[str]) -> Translation:
    """Translate the words of the older scripts to those of `gfpup run`.

    Raises: GfpupError: an unknown flag, an invalid value, or flags that exclude each other.
    """
    given = parse(words)
    notes: list[str] = []
    backend, method = _method(given, notes)
    said = [word for path in given.input or [DEFAULT_INPUT] for word in ("--input", path.rstrip(os.sep) or path)]
    said += ["--output", given.output, *method]
    said += [] if given.weight is None else _fidelity(given, backend, notes)
    if given.bg_upsampler != "realesrgan":
        said += ["--background", "none"]
    if given.suffix is not None:
        said += ["--suffix", f"_{given.suffix}"]
    if given.detector is not None:
        if given.detector not in (*DETECTORS, *DETECTORS.values(), "mtcnn", "cascade"):
            raise GfpupError(
                f"there is no --detector {given.detector!r} here: choose {', '.join(DETECTORS)}, mtcnn or cascade."
            )
        said += ["--detector", DETECTORS.get(given.detector, given.detector)]
    if given.metrics is not None:
        said += ["--metrics", METRICS.get(given.metrics, given.metrics)]
    if given.compile not in (None, "none"):
        said += ["--compile"]
        notes += ["--compile max compiles as the default does."] if given.compile == "max" else []
    if given.overwrite or not given.skip_existing:
        said += ["--overwrite"]
    flags, overrides = _unchanged(given)
    if given.manifest or given.html_report:
        notes.append("--manifest and --html-report are written when the run below has ended.")
    # The older scripts look at the whole photo, so that very small faces in large photos are found too.
    return Translation([*said, *flags, "write.layout=gfpgan", "detect.size=0", *overrides], notes, given)


def _fidelity(given: argparse.Namespace, backend: str, notes: list[str]) -> list[str]:
    """The flags that `-w` means: of CodeFormer its fidelity, of other methods nothing."""
    if backend != "codeformer":
        unread = f"-w {given.weight} has no effect on {backend}, as before"
        notes.append(f"{unread}; --strength sets how much of a face is blended in.")
        return []
    if given.fidelity is not None:
        raise GfpupError("-w and --fidelity set the same value of CodeFormer: give one of them.")
    notes.append(f"-w {given.weight} is CodeFormer's --fidelity.")
    return ["--fidelity", given.weight]


def _unchanged(given: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The flags and the overrides of what the table translates word for word."""
    flags: list[str] = []
    overrides: list[str] = []
    for old in FLAGS:
        value = getattr(given, old.dest)
        if not old.to or value in (None, False, []):
            continue
        if old.to.endswith("="):
            overrides.append(f"{old.to}{value}")
        elif old.metavar:
            flags += [word for one in (value if old.repeat else [value]) for word in (old.to, one)]
        else:
            (flags if old.to.startswith("--") else overrides).extend(old.to.split())
    return flags, overrides


def _method(given: argparse.Namespace, notes: list[str]) -> tuple[str, list[str]]:
    """The backend that is meant, and the flags that choose it."""
    if given.auto:
        if given.backend is not None or given.version is not None:
            raise GfpupError("--auto chooses the method itself: leave out --backend and --version.")
        return "auto", ["--auto"]
    version, backend = given.version, given.backend and given.backend.lower()
    backend = SPELLINGS.get(backend, backend)
    if backend in ("ensemble", "precomputed", "upstream", "spandrel"):
        raise GfpupError(f"--backend {backend} needs flags that this command never had: use gfpup run.")
    if backend is None and (version or "").lower() == "restoreformer":
        return "restoreformer", ["--backend", "restoreformer"]
    if backend == "restoreformer":
        notes.append("--backend restoreformer has always meant restoreformerpp in this command; gfpup run has both.")
        backend = "restoreformerpp"
    if backend in (None, "gfpgan"):
        if given.fidelity is not None:
            raise GfpupError("--fidelity is CodeFormer's: add --backend codeformer, or leave it out.")
        number = (version or "1.3").lower().removeprefix("v")
        if number not in VERSIONS:
            older = " (GFPGAN 1 is another network, which gfpup does not have)" if number == "1" else ""
            raise GfpupError(f"there is no --version {version!r}{older}: choose {', '.join(VERSIONS)} or RestoreFormer.")
        return "gfpgan", ["--backend", "gfpgan", "--version", number]
    if version is not None:
        clash = f"--version {version} is a version of GFPGAN, but the method is --backend {backend}"
        raise GfpupError(f"{clash}: leave one of them out.")
    from gfpup.models import backends

    backend = backends.canonical(backend)
    return backend, ["--backend", backend]


if __name__ == "__main__":
    sys.exit(main())
