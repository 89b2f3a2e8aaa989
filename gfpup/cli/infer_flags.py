"""The flags of the older scripts, in one table: what each is called, what it does here, and the parser that takes them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gfpup.cli.help import row
from gfpup.cli.parser import Parser
from gfpup.core.errors import GfpupError

DEFAULT_INPUT: Final = "inputs/whole_imgs"
DEFAULTS: Final = {"output": "results", "bg_upsampler": "realesrgan"}
HEAD: Final = """\
usage: gfpgan-infer [-i INPUT] [-o OUTPUT] [-v VERSION] [-s UPSCALE] [flags]

Take the flags of the older scripts (GFPGAN's inference_gfpgan.py, CodeFormer's inference_codeformer.py) and run gfpup: a line
on stderr names the command that does the same. Results are where they were: restored_imgs, cropped_faces, restored_faces and
cmp in the output folder, replaced when it runs again. Flags may be shortened, as before. In brackets: the flag of gfpup run.

"""
TAIL: Final = """

  gfpgan-infer --input photo.jpg --version 1.4
  gfpgan-infer --input photo.jpg --backend codeformer --fidelity 0.8
  gfpgan-infer -i inputs -o results -v 1.3 -s 2
"""


@dataclass(frozen=True)
class Old:
    """A flag of the older scripts: its names, its help, and what of `gfpup run` it is.

    `to` is a flag that takes the value as it stands, a key that does ("write.jpeg_quality="), or, of a switch, the words it
    stands for; "" is translated below. `repeat` collects values.
    """

    names: str
    help: str
    metavar: str = ""
    to: str = ""
    repeat: bool = False

    @property
    def long(self) -> list[str]:
        """Its long names, as attributes of the parser's result are spelled; the first is that attribute."""
        return [name[2:].replace("-", "_") for name in self.names.split() if name.startswith("--")]

    @property
    def dest(self) -> str:
        return self.long[0]


# fmt: off
FLAGS: Final = (
    Old("-i --input --input_path", f"photo, folder or pattern; repeat for more (default: {DEFAULT_INPUT})", "PATH",
        repeat=True),
    Old("-o --output --output_path", "folder of the results (default: results)", "DIR"),
    Old("-v --version", "GFPGAN 1.2, 1.3 or 1.4, also as v1.4, or RestoreFormer (default: 1.3)", "V"),
    Old("-s --upscale", "make the result this many times larger (default: 2)", "X", "--upscale"),
    Old("-w --weight", "CodeFormer's --fidelity; no effect on other methods, as before: --strength blends", "X"),
    Old("--strength", "blend in this much of the restored face, 0 to 1 (default: 1)", "X", "--strength"),
    Old("--backend", "gfpgan, codeformer, restoreformerpp, ...; restoreformer means restoreformerpp here", "NAME"),
    Old("--fidelity --fidelity_weight", "CodeFormer's w, 0 to 1 (default: 0.5)", "X", "--fidelity"),
    Old("--auto", "choose the method photo by photo"),
    Old("--bg_upsampler", "realesrgan (used on a GPU); any other word turns it off (default: realesrgan)", "NAME"),
    Old("--bg_tile", "tile of the background in px, 0 for none (default: planned)", "PX", "--tile"),
    Old("--suffix", "add _TEXT to names", "TEXT"),
    Old("--ext", "auto, jpg, png, webp, ... (default: auto)", "EXT", "--ext"),
    Old("--only_center_face", "restore only the face nearest the centre", to="--only-center-face"),
    Old("--aligned --has_aligned", "treat the inputs as aligned faces; restored_imgs holds the restored ones too",
        to="--aligned"),
    Old("--high_quality", "compute in float32, mirror each face too, use no tiles", to="--high-quality"),
    Old("--memory_efficient", "restore one face at a time, in small tiles", to="--memory-efficient"),
    Old("--detector --detection_model", "retinaface_resnet50, retinaface_mobile0.25, mtcnn or cascade (default: the best here)",
        "NAME"),
    Old("--detection_threshold", "accept faces from this score, 0 to 1 (default: 0.97)", "X", "--detection-threshold"),
    Old("--eye_dist_threshold", "skip faces whose eyes are closer together, in px (default: 5)", "PX", "--min-eye-distance"),
    Old("--no_parse", "paste by a feathered square", to="--mask feather"),
    Old("--device", "auto, cpu, cuda, cuda:N or mps (default: auto)", "NAME", "--device"),
    Old("--compile", "compile the network; MODE none turns it off", "[MODE]"),
    Old("--workers", "read ahead with N processes", "N", "hardware.workers="),
    Old("--seed", "draw GFPGAN's noise from this number", "N", "--seed"),
    Old("--model_path", "restore with this checkpoint", "FILE", "--model-path"),
    Old("--weights_file", "use your file for a published checkpoint; repeat", "NAME=FILE", "--weights-file", repeat=True),
    Old("--no_download", "use only weights that are here", to="--no-download"),
    Old("--accept_licence", "consent to a licence, once; repeat", "ID", "--accept-licence", repeat=True),
    Old("--trust_first_download", "accept checkpoints without a published hash", to="--trust-first-download"),
    Old("--jpg_quality", "1 to 100 (default: 95)", "N", "write.jpeg_quality="),
    Old("--png_compress", "0 to 9 (default: 3)", "N", "write.png_compression="),
    Old("--webp_quality", "1 to 100 (default: 95)", "N", "write.webp_quality="),
    Old("--no_cmp", "write no pictures of before beside after", to="write.compare=false"),
    Old("--max_images", "stop after N photos", "N", "--limit"),
    Old("--skip_existing", "keep what is there"),
    Old("--overwrite", "replace what is there, even from other settings (the default)"),
    Old("--metrics", "none, id, lpips, both, fast, full (or detailed), or a list of gfpup's metrics", "WHICH"),
    Old("--manifest", "copy the record to this file", "FILE"),
    Old("--html_report", "write the report to this file", "FILE"),
    Old("--dry_run", "validate and plan, without weights or networks", to="--dry-run"),
    Old("--print_env", "print what gfpup doctor finds first"),
    Old("--verbose", "print the plan first", to="--verbose"),
)
"""Every flag that is translated; the help is written from it."""
# fmt: on

ELSEWHERE: Final = {
    "sweep_weight": "gfpup sweep --strength 0.3,0.5,0.7 does it",
    "bg_precision": "gfpup run --precision sets it for all networks",
    "deterministic_cuda": "the same photo gives the same result without it",
    "engine": "choose with --backend or --auto",
    "auto_hw": "gfpup always plans for the machine it finds",
    "select_by": "--auto chooses by rules that it names",
    "metrics_out": "scores.json is in the output folder",
    "report_path": "--manifest and --html-report name the files",
    "resume": "--skip-existing continues a run that was stopped",
    "checkpoint_dir": "the record of a run is beside its results",
    "preserve_metadata": "EXIF, colour profile and resolution are kept without it",
    "progress": "it is shown on stderr without it",
    "deterministic": "the same photo gives the same result without it",
    "random_seed": "use --seed",
    "log_file": "redirect stderr",
    "face_upsample": "restored faces are not enlarged by a second network; leave it out, or use --upscale",
    "draw_box": "boxes are not drawn; the record lists each face's box, and cropped_faces shows the faces",
    "save_video_fps": "videos are not restored; extract the frames, and restore their folder",
}
"""Flags that some versions of the older scripts had, and what to do instead."""


def parse(words: Sequence[str]) -> argparse.Namespace:
    """What was typed; a GfpupError says which flag is unknown or has an invalid value."""
    parser = Parser("gfpgan-infer")
    for old in FLAGS:
        names = [name for name in old.names.split() if not name.startswith("--")]
        how: dict[str, object] = {"nargs": "?", "const": "default"} if old.metavar == "[MODE]" else {}
        how |= {"action": "append" if old.repeat else "store"} if old.metavar else {"action": "store_true"}
        how |= {"default": DEFAULTS[old.dest]} if old.dest in DEFAULTS else {}
        parser.add_argument(*names, f"--{old.dest}", **how)  # type: ignore[arg-type]
    given, left = parser.parse_known_args([_full(word) for word in words])
    if left:
        raise GfpupError(f"there is no flag {left[0]!r} in gfpgan-infer: gfpgan-infer --help lists all flags.")
    if given.compile not in (None, "none", "default", "max"):
        raise GfpupError(f"invalid value {given.compile!r} for --compile: expected none, default or max.")
    for name, value in vars(given).items():
        if value == "" and name != "suffix":
            raise GfpupError(f"--{name.replace('_', '-')} has an empty value: give one, or leave it out.")
    return given


def _full(word: str) -> str:
    """A flag as the parser knows it: the older scripts took any beginning that is unique, and `-` and `_` alike."""
    if not word.startswith("--") or word == "--":
        return word
    written, equals, value = word.partition("=")
    name = written[2:].replace("-", "_")
    known = {other: old.dest for old in FLAGS for other in old.long}
    if name in ELSEWHERE:
        raise GfpupError(f"gfpgan-infer has no {written} here: {ELSEWHERE[name]}.")
    found = {known[name]} if name in known else {dest for other, dest in known.items() if other.startswith(name)}
    if len(found) > 1:
        several = ", ".join(f"--{dest}" for dest in sorted(found))
        raise GfpupError(f"{written} is the beginning of {several}: write one of them in full.")
    return f"--{found.pop()}{equals}{value}" if found else word


def help_text() -> str:
    """The help, from the table of translations."""
    lines = []
    for old in FLAGS:
        spelling = f"{', '.join(old.names.split())}{f' {old.metavar}' if old.metavar else ''}"
        lines += row(spelling, old.help + (f" [{old.to.rstrip('=')}]" if old.to else ""), column=41, width=128)
    return HEAD + "\n".join(lines) + TAIL
