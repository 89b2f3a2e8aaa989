"""`gfpup backends`: the methods side by side, or one of them in full."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from gfpup.analysis import published
from gfpup.analysis.forms import csv_table, in_latex, in_markdown, latex_table, markdown_table
from gfpup.cli.table import print_table
from gfpup.core import registry
from gfpup.core.errors import GfpupError
from gfpup.models import backends
from gfpup.weights import catalogue
from gfpup.weights.store import Store, default_folder

HELP = """\
usage: gfpup backends [show NAME] [--json | --csv | --markdown | --latex]

List the methods: what each costs, what it was measured at, its licence, whether its weights are here.

  M       parameters of the network, 10^6
  GFLOP   operations a face, 10^9; seconds on this machine come from gfpup run (restore, in the closing table)
  MB      size of the weights
  FID     quality, lower is better; Deg: identity error in degrees, lower is better. Both as published for CelebA-Test (PMRF,
          ICLR 2025, all methods recomputed by its authors), not measured here

  gfpup backends
  gfpup backends show codeformer
  gfpup backends --json
  gfpup backends --markdown
"""
_FORMS: Final = ("json", "csv", "markdown", "latex")


def run(words: Sequence[str]) -> int:
    """`gfpup backends`: returns 0."""
    forms = [form for form in _FORMS if f"--{form}" in words]
    if len(forms) > 1:
        raise GfpupError(f"--{forms[0]} and --{forms[1]} exclude each other: give one of them.")
    as_json = forms == ["json"]
    rest = [word for word in words if word not in [f"--{form}" for form in forms]]
    store = Store(default_folder())
    if not rest:
        rows = [describe(name, store) for name in names()]
        print(_in_form(forms[0], rows), end="") if forms else _print_matrix(rows)
        return 0
    if forms and not as_json:
        raise GfpupError(f"--{forms[0]} is a table of all methods: leave out {' '.join(rest)!r}, or use --json.")
    if rest[0] != "show" or len(rest) != 2:
        raise GfpupError(f"gfpup backends does not know {' '.join(rest)!r}; write gfpup backends show NAME.")
    row = describe(backends.canonical(rest[1]), store)
    print(json.dumps(row, indent=1)) if as_json else _print_one(row)
    return 0


def names() -> list[str]:
    """Every backend: ours in the table's order, then the installed packages'."""
    return [*backends.TABLE, *sorted(set(registry.plugins("backend")) - set(backends.TABLE))]


def describe(name: str, store: Store) -> dict[str, Any]:
    """All that is known of one backend, ready for JSON."""
    facts = backends.facts(name)
    checkpoints = [catalogue.find(entry) for entry in dict.fromkeys(facts.versions.values())]
    default = backends.published(name)
    numbers = {
        row.metric: row.value
        for row in published.rows()
        if (row.protocol, row.method) == (published.CELEBA_TEST, facts.published_as)
    }
    return {
        "name": name,
        "aliases": list(facts.aliases),
        "summary": facts.summary,
        "parameters": list(facts.parameters),
        "versions": [version for version in facts.versions if version],
        "default_version": facts.default_version or None,
        "millions": facts.millions,
        "gflop": facts.gflop,
        "costs": {version: {"millions": millions, "gflop": gflop} for version, (millions, gflop) in facts.costs.items()},
        "weights_mb": None if default is None or default.size_bytes is None else round(default.size_bytes / 1e6),
        "published": numbers,
        "licence": None if default is None else default.licence_id,
        "commercial_use": None if default is None else default.commercial_use,
        "weights": {checkpoint.name: store.present(checkpoint.name) is not None for checkpoint in checkpoints},
        "best_for": facts.best_for,
        "limits": facts.limits,
        "source": facts.source,
    }


def _here(row: dict[str, Any]) -> str:
    if not row["weights"]:
        return "-"
    present = [name for name, is_here in row["weights"].items() if is_here]
    return f"{len(present)} of {len(row['weights'])}" if len(row["weights"]) > 1 else ("yes" if present else "no")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _cost(row: dict[str, Any]) -> str:
    """The parameters and operations of a method, and of its versions that have others."""
    if row["gflop"] is None or row["millions"] is None:
        return "" if row["gflop"] is None else f"{row['gflop']:g} GFLOP a face"
    others = [f"; {version}: {cost['millions']:g} M, {cost['gflop']:g} GFLOP" for version, cost in row["costs"].items()]
    return f"{row['millions']:g} M parameters, {row['gflop']:g} GFLOP a face" + "".join(others)


_HEADINGS: Final = ("backend", "M#", "GFLOP#", "MB#", "FID#", "Deg#", "licence", "commercial", "weights", "best for")
"""Of the matrix; those of numbers end in "#"."""


def _print_matrix(rows: Sequence[dict[str, Any]]) -> None:
    print_table(_HEADINGS, _cells(rows))


def _in_form(form: str, rows: Sequence[dict[str, Any]]) -> str:
    """The matrix as a whole document: JSON has every fact, the tables those of the screen, with where numbers come from."""
    if form == "json":
        return json.dumps(rows, indent=1) + "\n"
    heads = [heading.rstrip("#") for heading in _HEADINGS]
    table = [heads, *_cells(rows)]
    if form == "csv":
        return csv_table(table)
    source = next(row.source for row in published.rows() if row.protocol == published.CELEBA_TEST)
    units = "M: parameters, 10^6. GFLOP: operations a face, 10^9. MB: size of the weights."
    said = f"{units} FID, Deg: lower is better, as published for {source}."
    if form == "markdown":
        return "\n".join([*markdown_table(table), "", in_markdown(said), ""])
    columns = "".join("r" if heading.endswith("#") else "l" for heading in _HEADINGS)
    escaped = [[in_latex(cell) for cell in row] for row in table]
    return "\n".join([*latex_table(escaped, caption=in_latex(said), columns=columns), ""])


def _cells(rows: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    cells = []
    for row in rows:
        numbers = (row["millions"], row["gflop"], row["weights_mb"], row["published"].get("FID"), row["published"].get("Deg"))
        texts = (row["licence"] or "", row["commercial_use"] or "", _here(row), row["best_for"])
        cells.append((row["name"], *map(_number, numbers), *texts))
    return cells


def _print_one(row: dict[str, Any]) -> None:
    parameters = ", ".join(f"restore.{name}" for name in row["parameters"]) or "none"
    published_as = ", ".join(f"{metric} {value:g}" for metric, value in row["published"].items())
    lines = {
        "backend": f"{row['name']}: {row['summary']}",
        "also called": ", ".join(row["aliases"]),
        "parameters": parameters,
        "versions": ", ".join(row["versions"]) + (f" (default {row['default_version']})" if row["versions"] else ""),
        "network": _cost(row),
        "published": f"{published_as} ({published.CELEBA_TEST})" if published_as else "",
        "weights": ", ".join(f"{name} {'is here' if here else 'is not here'}" for name, here in row["weights"].items()),
        "licence": f"{row['licence']}, commercial use: {row['commercial_use']}" if row["licence"] else "",
        "best for": row["best_for"],
        "limits": row["limits"],
        "source": row["source"],
    }
    for key, value in lines.items():
        if value:
            print(f"{key:<14}{value}")
