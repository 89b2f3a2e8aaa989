"""Write docs/cli.md and the tables of docs/metrics.md from the code: `python docs/generate.py`. Tests compare them."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from gfpup.cli import help as run_flags
from gfpup.cli import infer, main
from gfpup.evaluation import protocols
from gfpup.evaluation.metrics import TABLE
from gfpup.planning.option import describe, expected
from gfpup.planning.schema import OPTIONS, SECTIONS

PAGE = Path(__file__).with_name("cli.md")
METRICS_PAGE = Path(__file__).with_name("metrics.md")

HEAD = """\
# Command line

<!-- Written by docs/generate.py from the code. Do not edit: run python docs/generate.py. -->

There are two commands: `gfpup`, whose verbs are below, and [`gfpgan-infer`](#gfpgan-infer), which accepts the flags of the
older command of that name and prints the equivalent `gfpup run`. This page is generated from the code.

Every flag of `gfpup run` stands for one override of its configuration, and both can be mixed:
`gfpup run --input photos/ --output out/ restore.upscale=4`. `gfpup run --cfg job` prints all keys with their values.

In bash, zsh and fish, flags and their values can be completed: see [`gfpup completion`](#gfpup-completion).

| exit status | meaning |
|---|---|
| 0 | all done |
| 1 | some photos or faces failed; each is named on stderr and in the record |
| 2 | refused before the first photo, with one sentence that says what to do |
| 130, 143, 129 | interrupted by Ctrl-C, SIGTERM or a closed terminal; the same command resumes |

Environment: `GFPUP_WEIGHTS_DIR` (folder of the checkpoints), `GFPUP_WEIGHTS_URL` (mirrors, comma-separated),
`GFPUP_ACCEPT_LICENCES` (consent in scripts), `GFPUP_CACHE_DIR` (what the jobs of a sweep share), `GFPUP_CONFIG_DIR` (remembered
consent), `GFPUP_TRACKING` and `GFPUP_TRACKING_URI` (MLflow), `OMP_NUM_THREADS` (threads).
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, section("gfpup", main.USAGE), *(section(f"gfpup {verb}", text) for verb, text in helps().items())]
    parts.insert(3, flags())
    return "\n".join([*parts, section("gfpgan-infer", infer.help_text())])


def helps() -> dict[str, str]:
    """The help of each verb, in the order of `gfpup --help`."""
    texts = {"run": run_flags.run_help(), "sweep": main.SWEEP_HELP}
    order = [line.split()[0] for line in main.USAGE.splitlines() if line.startswith("  ") and line.split()[0] in main.VERBS]
    for verb in order:
        if verb in main.IN_OWN_MODULE:
            texts[verb] = import_module(f"gfpup.cli.{verb}").HELP
    return texts


def section(title: str, text: str) -> str:
    """A heading and a help text under it."""
    return f"## {title}\n\n```text\n{text.strip()}\n```\n"


def flags() -> str:
    """The flags of `gfpup run` as tables, with the override of each, and the keys that have no flag."""
    parts = ["### All flags of gfpup run\n"]
    for group in SECTIONS:
        parts += [f"**{group}**\n", "| flag | override | what it does |", "|---|---|---|"]
        for flag, wanted in run_flags.flags(group):
            spelling = f"`{flag.name}`" + (f" {escape(flag.metavar)}" if flag.metavar else "")
            key = run_flags.override(flag, wanted).removesuffix("=...")
            parts.append(f"| {spelling} | `{key}` | {escape(describe(flag, wanted))} |")
        parts.append("")
    parts += ["### Keys without a flag\n", "| key | expected | default |", "|---|---|---|"]
    for key, wanted in OPTIONS.items():
        if not wanted.flags and wanted.kind != "metrics":
            default = str(wanted.default) if isinstance(wanted.default, str | Path) else json.dumps(wanted.default)
            parts.append(f"| `{key}` | {escape(expected(wanted))} | {default} |")
    return "\n".join([*parts, ""])


def escape(text: str) -> str:
    """Keep a table's cell in one cell."""
    return text.replace("|", "\\|")


def metrics_page(text: str) -> str:
    """The page of the metrics with its generated tables, each between two comments that name it."""
    tables = {"metrics": meanings(), "implementations": implementations(), "protocols": protocols.table()}
    for name, table in tables.items():
        start, end = f"<!-- table: {name}; python docs/generate.py -->\n", "<!-- end -->"
        before, _, rest = text.partition(start)
        text = f"{before}{start}{table}{end}{rest.partition(end)[2]}"
    return text


def meanings() -> str:
    """What each metric says."""
    lines = ["| metric | better | bounds | level | meaning |", "|---|---|---|---|---|"]
    for row in TABLE.values():
        low, high = row.bounds
        bounds = "none" if low is None else f"{low:g} and up" if high is None else f"{low:g} to {high:g}"
        better = "higher" if row.higher_is_better else "lower"
        lines.append(f"| `{row.name}` | {better} | {bounds} | {row.level} | {row.meaning} |")
    return "\n".join(lines) + "\n"


def implementations() -> str:
    """What computes each metric."""
    lines = ["| metric | implementation | weights | licence |", "|---|---|---|---|"]
    for row in TABLE.values():
        weights = ", ".join(f"`{weight}`" for weight in row.weights) or "none"
        lines.append(f"| `{row.name}` | {row.implementation} | {weights} | {row.licence_id} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    METRICS_PAGE.write_text(metrics_page(METRICS_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
